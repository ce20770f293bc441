"""The changes that commands ask for, as pure functions of a snapshot; invalid commands raise.

`edits` plans single connections, `merging` plans imports.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from nexo.connections.errors import (
    ConnectionInUse,
    InvalidField,
    LimitReached,
    NameTaken,
    NothingToUndo,
    StaleRevision,
    WorkspaceNotFound,
)
from nexo.connections.names import key as name_key
from nexo.connections.terms import KeyVerdict
from nexo_daemon.domain.model import (
    Binding,
    Credentials,
    Facts,
    HealthSettings,
    SecretKind,
    StoredConnection,
    WorkspaceKey,
)
from nexo_daemon.registry.change import Change
from nexo_daemon.registry.edits import Plan, learned
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.registry.workspaces import check_sticky, check_workspace

CONNECTION_LIMIT = 20_000
BINDING_LIMIT = 20_000


# -- connections ------------------------------------------------------------------------------------


def create(before: RegistrySnapshot, plan: Plan, *, make_default: bool) -> Change:
    """Add a connection; the first one becomes the default. Raises `NameTaken`, `LimitReached`."""
    _require_free_name(before, plan.connection)
    if len(before.connections) >= CONNECTION_LIMIT:
        raise LimitReached(f"there are {CONNECTION_LIMIT} connections already", hint="remove some first")
    becomes_default = make_default or not before.connections
    settings = replace(
        before.settings, default_id=plan.connection.id, previous_default_id=before.settings.default_id
    )
    return Change(written=(plan,), settings=settings if becomes_default else None)


def update(before: RegistrySnapshot, plan: Plan) -> Change:
    """Replace a connection. Raises `NameTaken`."""
    _require_free_name(before, plan.connection)
    return Change(written=(plan,))


def delete(before: RegistrySnapshot, old: StoredConnection, *, replace_with: str, force: bool) -> Change:
    """Remove a connection; its users get `replace_with` instead.

    Raises:
        ConnectionInUse: it has users and no replacement; not raised with `force`.
        ConnectionNotFound, InvalidField: `replace_with` cannot replace it.
    """
    heir = before.get(replace_with) if replace_with else None
    if heir is not None and heir.id == old.id:
        raise InvalidField.of("replace_with", "is the connection to be removed", "name another one")
    bound = before.bound_to(old.id)
    settings = before.settings
    is_default = settings.default_id == old.id
    if (bound or is_default) and heir is None and not force:
        users = [*(["the default"] if is_default else []), *(str(b.workspace) for b in bound)]
        raise ConnectionInUse(
            f"'{old.name}' is in use: {', '.join(users)}",
            hint="move its users with --replace-with NAME, or remove it anyway with --force "
            "(bound workspaces then get an error, not another account)",
            metadata={"used_by": "\n".join(users), "name": old.name},
        )
    if is_default:
        settings = replace(settings, default_id=heir.id if heir else None)
    if settings.previous_default_id in (old.id, settings.default_id):
        settings = replace(settings, previous_default_id=None)
    settings = replace(settings, fallback_ids=tuple(id_ for id_ in settings.fallback_ids if id_ != old.id))
    moved = (replace(b, connection_id=heir.id, connection_name=heir.name) for b in bound if heir)
    return Change(removed=(old.id,), bound=tuple(moved), settings=settings)


def require_revision(connection: StoredConnection, revision: int) -> None:
    """Raise `StaleRevision` unless the connection is the one that the caller saw; 0 skips the check."""
    if revision and revision != connection.revision:
        raise StaleRevision(
            f"'{connection.name}' was changed by somebody else "
            f"(revision {connection.revision}, not {revision})",
            hint="look at it again with 'nexoctl show', then repeat the edit",
            metadata={"current_revision": str(connection.revision)},
        )


def _require_free_name(before: RegistrySnapshot, connection: StoredConnection) -> None:
    holder = before.ids_by_name.get(name_key(connection.name))
    if holder is not None and holder != connection.id:
        taken = before.connections[holder].name
        raise NameTaken(
            f"name: there is a connection '{taken}' already",
            hint=f"choose another name, or change that one with 'nexoctl edit \"{taken}\"'",
            metadata={"field": "name", "name": taken},
        )


# -- keys -------------------------------------------------------------------------------------------


def roll_back_key(
    old: StoredConnection | None, unseal: Callable[[StoredConnection], Credentials], now: datetime
) -> Change:
    """Put the previous key back; no change if there is none, or its grace period is over.

    Raises as `unseal`.
    """
    if old is None or not old.has(SecretKind.PREVIOUS_API_KEY):
        return Change()
    if old.previous_key_until is None or now > old.previous_key_until:
        return Change()
    stored = unseal(old)
    restored = replace(stored, api_key=stored.previous_api_key, previous_api_key=None)
    planned = replace(
        old,
        key_verdict=KeyVerdict.UNVERIFIED,
        key_added_at=now,
        key_proven_at=None,
        previous_key_until=None,
        updated_at=now,
    )
    return Change(written=(Plan(planned, restored),))


def forget_previous_key(old: StoredConnection | None, now: datetime) -> Change:
    """Remove a replaced key whose grace period is over. Works with a locked vault."""
    if old is None or old.previous_key_until is None or now <= old.previous_key_until:
        return Change()
    return Change(written=(Plan(replace(old, previous_key_until=None), None),), same_revision=True)


def learn_key_facts(
    old: StoredConnection | None,
    *,
    verdict: KeyVerdict | None,
    proven_at: datetime | None,
    facts: Facts | None,
    revision: int,
) -> Change:
    """Remember what a test or a check proved; no change if the connection has changed since `revision`.

    None keeps the known value.
    """
    if old is None or (revision and old.revision != revision):
        return Change()
    known = learned(old, verdict=verdict, proven_at=proven_at, facts=facts)
    return Change(written=(Plan(known, None),), same_revision=True) if known != old else Change()


# -- who gets what ----------------------------------------------------------------------------------


def set_default(before: RegistrySnapshot, name: str) -> Change:
    """Change the default; no change if it is the default already. Raises `ConnectionNotFound`."""
    return _switch(before, before.get(name))


def undo_default(before: RegistrySnapshot) -> Change:
    """Return to the previous default; a second undo is a redo. Raises `NothingToUndo`."""
    target = before.connections.get(before.settings.previous_default_id or "")
    if target is None:
        raise NothingToUndo(
            "there is no earlier default to go back to", hint="choose one with 'nexoctl default NAME'"
        )
    return _switch(before, target)


def _switch(before: RegistrySnapshot, target: StoredConnection) -> Change:
    previous = before.default
    if previous is not None and previous.id == target.id:
        return Change()
    wanted = replace(
        before.settings, default_id=target.id, previous_default_id=previous.id if previous else None
    )
    return Change(settings=wanted)


def bind(
    before: RegistrySnapshot,
    workspace: WorkspaceKey,
    name: str,
    now: datetime,
    *,
    allow_fallback: bool,
    sticky_s: float | None = None,
) -> Change:
    """Bind a workspace, or bind it anew. Raises `ConnectionNotFound`, `InvalidField`, `LimitReached`."""
    connection = before.get(name)
    check_sticky(sticky_s)
    if workspace not in before.bindings and len(before.bindings) >= BINDING_LIMIT:
        raise LimitReached(f"there are {BINDING_LIMIT} bound workspaces", hint="unbind some first")
    binding = Binding(workspace, connection.id, connection.name, now, allow_fallback, sticky_s)
    return Change(bound=(binding,))


def unbind(before: RegistrySnapshot, workspace: WorkspaceKey) -> Change:
    """Remove a binding, so that the workspace uses the default. Raises `WorkspaceNotFound`."""
    if workspace not in before.bindings:
        # Earlier versions accepted other spellings: such a binding can still be removed.
        check_workspace(workspace)
        raise WorkspaceNotFound(
            f"{workspace} is not bound",
            hint="see 'nexoctl workspace list'",
            metadata={"workspace": str(workspace)},
        )
    return Change(unbound=(workspace,))


def set_fallback(before: RegistrySnapshot, names: Sequence[str]) -> Change:
    """Choose the stand-ins, in order; empty disables the fall-back. Raises `ConnectionNotFound`."""
    ids = tuple(dict.fromkeys(before.get(name).id for name in names))
    return Change(settings=replace(before.settings, fallback_ids=ids))


def set_health_settings(before: RegistrySnapshot, settings: HealthSettings) -> Change:
    """Set how often to check, and whether to check at all."""
    return Change(settings=replace(before.settings, health=settings), same_revision=True)
