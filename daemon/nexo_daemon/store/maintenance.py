"""Checks, backups on request and restores of an open store, as `nexoctl store` offers them."""

from contextlib import suppress
from pathlib import Path

from nexo.connections.errors import NexoError, StoreFailed, VaultLocked
from nexo.connections.model.store import CheckResult, Restored
from nexo.connections.terms import StoreState, VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import StoredState
from nexo_daemon.store import backups, history, reading, resealing, restoring, tables
from nexo_daemon.store.backups import BackupFile
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.key_manager import KeyManager
from nexo_daemon.store.store import Store
from nexo_daemon.vault.slots import SlotState
from nexo_daemon.vault.vault import SecretVault


def check(store: Store) -> CheckResult:
    """Check structure, foreign keys, row digests, and whether every secret opens. Changes nothing."""
    store.look()
    if not store.database.is_open:
        return CheckResult((store.problem,), False, 0, 0)
    problems = [store.problem] if store.state is StoreState.READ_ONLY else []
    unlocked = store.vault.state is VaultState.UNLOCKED
    try:
        with store.database.bare() as raw:
            problems += reading.check(raw)
        with store.database.reading() as db:
            result = reading.read(db)
            problems += result.problems
            past = history.unreadable(db)
            if unlocked and not problems:
                problems += [
                    f"a secret of '{name}' does not open: enter it again (nexoctl edit), or restore a backup"
                    for name in resealing.unopenable(db, store.vault)
                ]
    except NexoError as error:
        problems.append(error.message)
        return CheckResult(tuple(problems), False, 0, 0)
    problems += past
    connections = result.state.connections
    return CheckResult(tuple(problems), unlocked, len(connections), sum(one.secrets for one in connections))


def backup(store: Store, clock: Clock) -> BackupFile:
    """Make a backup.

    Raises:
        StoreFull, StoreFailed: no backup was made.
    """
    if store.damaged:
        raise StoreFailed(
            f"a backup of this store would be useless: {store.problem}",
            hint="nexoctl store restore brings an earlier one back",
        )
    return store.backups.make(store.database, "request", clock.now())


def restore(store: Store, name: str, *, clock: Clock, dry_run: bool = False) -> tuple[Restored, StoredState]:
    """Replace the store by a backup, after checking that it is sound and that its secrets open.

    The replaced file is kept in the directory of the backups. If the data key is still the same, the present
    key slots stay, so that a backup from before a `rekey` opens as well.

    Raises:
        InvalidField: there is no such backup.
        StoreFailed: the backup is not sound, or its secrets do not open; nothing was changed.
        VaultLocked: the vault is locked, so its secrets cannot be tried; nothing was changed. Not raised if
            the store is damaged or gone, because the vault may not open for that reason.
        StoreFull: no room; nothing was changed.
    """
    source = store.backups.find(name, clock.now())
    problems = backups.examine(source)
    if problems:
        raise StoreFailed(
            f"{source} {problems[0]}; nothing was changed", hint="nexoctl store backups lists the others"
        )
    try:
        candidate = restoring.Candidate(store.path, source)
    except OSError as error:
        raise StoreFailed(
            f"there is no room beside the store for the backup: {error.strerror}", hint="free some space"
        ) from None
    try:
        candidate.database.open(candidate.file)
        _bring_up_to_date(candidate)
        with candidate.database.reading() as db:
            result = reading.read(db)
        if result.problems:
            raise StoreFailed(f"{source} is damaged: {result.problems[0]}; nothing was changed")
        secrets = sum(one.secrets for one in result.state.connections)
        revision = _present_revision(store)
        vault = _key_for(store, candidate, result, clock)
        if vault is not None:
            _require_openable(candidate, vault, source)
        elif secrets and not (store.damaged or store.missing):
            raise VaultLocked(
                f"the vault is locked, so the secrets in {source} cannot be tried; nothing was changed",
                hint="nexoctl vault unlock, then try again",
            )
        report = Restored(str(source), len(result.state.connections), secrets, not dry_run)
        if dry_run:
            return report, store.load()
        if vault is store.vault:
            kept = tuple(
                s for s in store.key_manager.slots if s.state in (SlotState.PINNED, SlotState.RECOVERY)
            )
            candidate.carry_over(kept, revision)
        else:
            candidate.settle(revision)
        candidate.commit()
    finally:
        candidate.close()
    try:
        return report, store.reopen()
    except StoreUnusable as error:
        raise StoreFailed(f"restored, but it cannot be opened: {error.message}", hint=error.hint) from None


def _require_openable(candidate: restoring.Candidate, vault: SecretVault, source: Path) -> None:
    """Raise `StoreFailed` unless the vault opens every secret of the candidate."""
    with candidate.database.reading() as db:
        broken = resealing.unopenable(db, vault)
    if broken:
        raise StoreFailed(
            f"{source}: the secrets of {', '.join(broken[:5])} do not open with the present key; "
            "nothing was changed",
            hint="unlock the vault with the key from that time, or choose another backup",
        )


def _present_revision(store: Store) -> int:
    """The newest revision that clients may have seen, as far as a damaged store can be read."""
    revision = store.load().settings.revision
    with suppress(NexoError), store.database.reading() as db:
        revision = max([revision, *(row["revision"] for row in tables.select(db, tables.settings))])
    return revision


def _bring_up_to_date(candidate: restoring.Candidate) -> None:
    with candidate.database.bare() as raw:
        revision = raw.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    if revision != tables.HEAD:
        from nexo_daemon.store.upgrade import upgrade

        with candidate.database.outside_transactions() as db:
            upgrade(db, tables.HEAD)


def _key_for(
    store: Store,
    candidate: restoring.Candidate,
    result: reading.StoreContents,
    clock: Clock,
) -> SecretVault | None:
    """The vault that opens the candidate's secrets: the present one, or its own; None if locked."""
    if store.vault.state is VaultState.UNLOCKED and store.vault.data_key().id in result.data_keys:
        return store.vault
    own = SecretVault()
    candidate.database.read_only = "it is only being checked"
    try:
        KeyManager(candidate.database, own, store.key_manager.context, clock).open(
            result.slots, dict(result.data_keys)
        )
    finally:
        candidate.database.read_only = ""
    if own.state in (VaultState.KEY_LOST, VaultState.TAMPERED):
        raise StoreFailed(
            f"the secrets in that backup were sealed with a key that is not here: {own.problem}; "
            "nothing was changed",
            hint="restore the key from that time, or choose another backup",
        )
    return own if own.state is VaultState.UNLOCKED else None
