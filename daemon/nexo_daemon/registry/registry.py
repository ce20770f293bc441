"""Connections and their secrets: the commands that create, change and delete them.

Reads are answered from the immutable snapshot, never from the database. Not for the wire (rpc), not for
probing (providers) and not for deciding when to check (health).
"""

import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol

from nexo_client.terms import KeyVerdict, Outcome, StoreState, VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import (
    ConnectionInUse,
    InvalidField,
    KeyRejected,
    LimitReached,
    NameTaken,
    StaleRevision,
)
from nexo_daemon.domain.model import Connection, Credentials, Facts, SecretKind, Settings
from nexo_daemon.domain.probing import Suggestion, Target, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.bus import ConnectionChanged
from nexo_daemon.registry.drafts import Draft, name_key
from nexo_daemon.registry.edits import Plan, plan_edit, plan_new, target_of
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.store import Store
from nexo_daemon.store.transaction import Transaction

CONNECTION_LIMIT = 20_000


class KeyReferences(Protocol):
    """Fetches keys that are kept elsewhere."""

    def known(self, text: str) -> Secret | None:
        """The key, if it was looked up a moment ago."""

    def forget(self) -> None:
        """Remember none of them; what is being looked up now is not remembered either."""

    async def fetch(self, text: str) -> Secret:
        """The key.

        Raises:
            KeyReferenceFailed: with what to do.
        """


class Registry(Writer):
    """The writer with the commands for connections."""

    def __init__(self, store: Store, references: KeyReferences, clock: Clock) -> None:
        super().__init__(store, clock)
        self._references = references

    # -- secrets ------------------------------------------------------------------------------------

    def credentials_at_hand(self, connection: Connection) -> Credentials | None:
        """The secrets of a connection; None if its key has to be looked up first (`look_up`).

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered
        """
        credentials = self.store.unseal(connection)
        if not connection.key_reference:
            return credentials
        key = self._references.known(connection.key_reference)
        return None if key is None else replace(credentials, api_key=key)

    async def look_up(self, connection: Connection) -> Secret:
        """The key of a connection that is kept elsewhere. The world is another one afterwards: look again.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
        """
        # Opens the sealed copy: a reference that somebody else wrote is not followed.
        self.store.unseal(connection)
        return await self._references.fetch(connection.key_reference)

    async def credentials(self, connection: Connection) -> Credentials:
        """The secrets of a connection, those that are kept elsewhere included.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
            StaleRevision: it was changed or removed during the look-up.
        """
        if not connection.key_reference:
            return self.store.unseal(connection)
        key = await self.look_up(connection)
        now = self.snapshot.connections.get(connection.id)
        if now is None or now.revision != connection.revision:
            raise StaleRevision(
                f"'{connection.name}' was changed or removed while its key was looked up", hint="try again"
            )
        return replace(self.store.unseal(connection), api_key=key)

    def is_locked(self, connection: Connection) -> bool:
        """Whether its secrets can't be opened now."""
        return bool(connection.sealed) and self.store.vault.state is not VaultState.UNLOCKED

    async def target(self, connection: Connection) -> Target:
        """What a probe of a stored connection sends."""
        return target_of(connection, await self.credentials(connection))

    async def planned_target(self, plan: Plan) -> Target:
        """What a probe of a planned connection sends."""
        credentials = plan.credentials
        if credentials is None:
            return await self.target(plan.connection)
        if plan.connection.key_reference:
            fetched = await self._references.fetch(plan.connection.key_reference)
            if self.is_locked(plan.connection):
                # Since the plan was made; what was opened for it is not used any more.
                self.store.vault.data_key()
            credentials = replace(credentials, api_key=fetched)
        return target_of(plan.connection, credentials)

    def vault_changed(self) -> None:
        """See `Writer`: keys that are kept elsewhere leave memory with those that are sealed here."""
        if self.store.vault.state is not VaultState.UNLOCKED:
            self._references.forget()
        super().vault_changed()

    # -- connections --------------------------------------------------------------------------------

    def plan_new(self, draft: Draft, fixes: Sequence[str] = ()) -> Plan:
        """What `create` would store. Raises `InvalidField`."""
        return plan_new(draft, connection_id=uuid.uuid4().hex, now=self.clock.now(), fixes=fixes)

    def plan_edit(
        self, name: str, draft: Draft, *, keep_key_for_new_origin: bool = False, fixes: Sequence[str] = ()
    ) -> Plan:
        """What `update` would store. Raises as `edits.plan_edit`, and `ConnectionNotFound`."""
        return plan_edit(
            self.snapshot.get(name),
            draft,
            unseal=self.store.unseal,
            now=self.clock.now(),
            keep_key_for_new_origin=keep_key_for_new_origin,
            fixes=fixes,
        )

    def _check_name_free(self, name: str, own_id: str) -> None:
        holder = self.snapshot.ids_by_name.get(name_key(name))
        if holder is not None and holder != own_id:
            taken = self.snapshot.connections[holder].name
            raise NameTaken(
                f"name: there is a connection '{taken}' already",
                hint=f"choose another name, or change that one with 'nexoctl edit \"{taken}\"'",
                metadata={"field": "name", "name": taken},
            )

    async def create(
        self, draft: Draft, *, make_default: bool = False, fixes: Sequence[str] = ()
    ) -> tuple[Connection, tuple[Suggestion, ...]]:
        """Store a new connection; the first one becomes the default."""
        plan = self.plan_new(draft, fixes)

        async def work() -> Connection:
            before = self.snapshot
            self._check_name_free(plan.connection.name, plan.connection.id)
            if len(before.connections) >= CONNECTION_LIMIT:
                raise LimitReached(
                    f"there are {CONNECTION_LIMIT} connections already", hint="remove some first"
                )
            becomes_default = make_default or not before.connections

            def write(tx: Transaction) -> tuple[Connection, Settings]:
                settings = replace(before.settings, revision=tx.next_revision())
                connection = tx.insert_connection(
                    replace(plan.connection, revision=settings.revision), plan.credentials or Credentials()
                )
                if becomes_default:
                    settings = replace(
                        settings, default_id=connection.id, previous_default_id=before.settings.default_id
                    )
                    tx.set_default(settings.default_id, settings.previous_default_id)
                return connection, settings

            connection, settings = await self.commit(write)
            changed = {connection.id}
            if becomes_default and before.settings.default_id:
                changed.add(before.settings.default_id)
            self.publish(
                before.with_connection(connection).with_settings(settings, routed=becomes_default),
                changed=changed,
                status=True,
                probe_again=True,
            )
            return connection

        return await self.command(work()), plan.warnings

    async def update(
        self,
        name: str,
        draft: Draft,
        *,
        revision: int = 0,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        verify_key: Callable[[Target], Coroutine[Any, Any, Verdict]] | None = None,
    ) -> tuple[Connection, tuple[Suggestion, ...]]:
        """Change a connection.

        Args:
            revision: the one that the caller saw; 0 skips the check.
            verify_key: tries a replaced key before it is stored.
        """
        if verify_key is not None and (draft.api_key or draft.api_key_ref):
            revision = revision or self.snapshot.get(name).revision
            plan = self.plan_edit(name, draft, keep_key_for_new_origin=keep_key_for_new_origin, fixes=fixes)
            verdict = await verify_key(await self.planned_target(plan))
            if verdict.outcome is Outcome.AUTH_ERROR:
                raise KeyRejected(
                    f"api_key: the provider rejects the new key ({verdict.reason}); the old one stays",
                    hint=verdict.advice or "paste the key again",
                    metadata={"field": "api_key"},
                )

        async def work() -> tuple[Connection, tuple[Suggestion, ...]]:
            before = self.snapshot
            old = before.get(name)
            if revision and revision != old.revision:
                raise StaleRevision(
                    f"'{old.name}' was changed by somebody else (revision {old.revision}, not {revision})",
                    hint="look at it again with 'nexoctl show', then repeat the edit",
                    metadata={"current_revision": str(old.revision)},
                )
            plan = self.plan_edit(name, draft, keep_key_for_new_origin=keep_key_for_new_origin, fixes=fixes)
            self._check_name_free(plan.connection.name, old.id)

            def write(tx: Transaction) -> tuple[Connection, Settings]:
                settings = replace(before.settings, revision=tx.next_revision())
                connection = tx.update_connection(
                    replace(plan.connection, revision=settings.revision), plan.credentials
                )
                if connection.name != old.name:
                    for binding in before.bound_to(old.id):
                        tx.put_binding(replace(binding, connection_name=connection.name))
                return connection, settings

            connection, settings = await self.commit(write)
            renamed = connection.name != old.name
            self.publish(
                before.with_connection(connection).with_settings(settings, routed=False),
                changed={connection.id},
                bindings=renamed or connection.enabled != old.enabled,
                status=True,
                probe_again=plan.credentials is not None or _probe_differs(old, connection),
            )
            return connection, plan.warnings

        return await self.command(work())

    async def roll_back_key(self, connection_id: str) -> Connection | None:
        """Put the previous key back; None if there is none any more."""

        async def work() -> Connection | None:
            before = self.snapshot
            old = before.connections.get(connection_id)
            if old is None or not old.has(SecretKind.PREVIOUS_API_KEY):
                return None
            now = self.clock.now()
            if old.previous_key_until is None or now > old.previous_key_until:
                return None
            stored = self.store.unseal(old)
            restored = replace(stored, api_key=stored.previous_api_key, previous_api_key=None)
            planned = replace(
                old,
                key_verdict=KeyVerdict.UNVERIFIED,
                key_added_at=now,
                key_proven_at=None,
                previous_key_until=None,
                updated_at=now,
            )
            return await self._replace_connection(planned, restored)

        return await self.command(work())

    async def _replace_connection(self, planned: Connection, credentials: Credentials) -> Connection:
        before = self.snapshot

        def write(tx: Transaction) -> tuple[Connection, Settings]:
            settings = replace(before.settings, revision=tx.next_revision())
            return tx.update_connection(replace(planned, revision=settings.revision), credentials), settings

        connection, settings = await self.commit(write)
        self.publish(
            before.with_connection(connection).with_settings(settings, routed=False),
            changed={connection.id},
            probe_again=True,
        )
        return connection

    async def set_key_facts(
        self,
        connection_id: str,
        *,
        verdict: KeyVerdict | None,
        proven: bool,
        facts: Facts | None = None,
        revision: int = 0,
    ) -> None:
        """Remember what a test proved about the key. Not a change of the configuration: no new revision.

        Args:
            facts: about the endpoint, in place of those that were known.
            revision: of the connection that was tested; nothing is kept when it has changed since.
        """

        async def work() -> None:
            old = self.snapshot.connections.get(connection_id)
            if old is None or self.store.state is not StoreState.READ_WRITE:
                return
            if revision and old.revision != revision:
                return
            connection = replace(
                old,
                key_verdict=verdict or old.key_verdict,
                key_proven_at=self.clock.now() if proven else old.key_proven_at,
                facts=old.facts if facts is None else facts,
            )

            def write(tx: Transaction) -> None:
                tx.set_key_facts(
                    connection_id,
                    verdict=connection.key_verdict,
                    proven_at=connection.key_proven_at,
                    facts=connection.facts,
                )

            await self.commit(write)
            snapshot = replace(
                self.snapshot, connections={**self.snapshot.connections, connection_id: connection}
            )
            self.snapshot = snapshot
            self.bus.publish(ConnectionChanged(connection_id))

        await self.command(work())

    async def delete(
        self, name: str, *, replace_with: str = "", force: bool = False, revision: int = 0
    ) -> int:
        """Delete a connection; returns the new revision."""

        async def work() -> int:
            before = self.snapshot
            old = before.get(name)
            if revision and revision != old.revision:
                raise StaleRevision(
                    f"'{old.name}' was changed by somebody else",
                    hint="look at it again with 'nexoctl show'",
                    metadata={"current_revision": str(old.revision)},
                )
            heir = before.get(replace_with) if replace_with else None
            if heir is not None and heir.id == old.id:
                raise InvalidField("replace_with", "is the connection to be removed", "name another one")
            bound = before.bound_to(old.id)
            is_default = before.settings.default_id == old.id
            if (bound or is_default) and heir is None and not force:
                users = [*(["the default"] if is_default else []), *(str(b.workspace) for b in bound)]
                raise ConnectionInUse(
                    f"'{old.name}' is in use: {', '.join(users)}",
                    hint="move its users with --replace-with NAME, or remove it anyway with --force "
                    "(bound workspaces then get an error, not another account)",
                    metadata={"used_by": "\n".join(users), "name": old.name},
                )
            moved = [
                replace(b, connection_id=heir.id, connection_name=heir.name)
                for b in bound
                if heir is not None
            ]
            settings = before.settings
            if is_default:
                settings = replace(settings, default_id=heir.id if heir else None)
            if settings.previous_default_id in (old.id, settings.default_id):
                settings = replace(settings, previous_default_id=None)
            fallback = tuple(id_ for id_ in settings.fallback_ids if id_ != old.id)

            def write(tx: Transaction) -> Settings:
                for binding in moved:
                    tx.put_binding(binding)
                tx.set_default(settings.default_id, settings.previous_default_id)
                if fallback != settings.fallback_ids:
                    tx.set_fallback(fallback)
                tx.delete_connection(old.id)
                return replace(settings, revision=tx.next_revision(), fallback_ids=fallback)

            after = await self.commit(write)
            self.stored_health.pop(old.id, None)
            self.publish(
                before.without_connection(old.id).with_bindings(moved).with_settings(after, routed=True),
                changed={heir.id} if heir is not None else (),
                removed=[old],
                bindings=bool(bound),
                status=True,
            )
            return after.revision

        return await self.command(work())


def _probe_differs(old: Connection, new: Connection) -> bool:
    facts = ("base_url", "provider", "preset", "auth_scheme", "network", "key_reference", "enabled")
    return any(getattr(old, fact) != getattr(new, fact) for fact in facts)
