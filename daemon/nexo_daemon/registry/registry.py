"""The commands that change connections, their secrets, bindings and the default.

Reads are answered from the immutable snapshot, never from the database. Messages (rpc), probes (providers)
and the decision when to check (health) are elsewhere.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from nexo.connections.errors import InvalidField, StaleRevision
from nexo.connections.proxies import destination
from nexo.connections.terms import KeyVerdict, StoreState, VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import (
    Binding,
    Credentials,
    Facts,
    HealthSettings,
    StoredConnection,
    WorkspaceKey,
)
from nexo_daemon.domain.probing import ProbeTarget, Suggestion, TestReport
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry import commands
from nexo_daemon.registry.change import Change, Done
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.edits import Plan, plan_edit, plan_new, target_of
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.registry.tested import LastTests, Proposal, Tickets
from nexo_daemon.registry.workspaces import check_workspace
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References


class Registry(Writer):
    """The writer with its commands."""

    def __init__(self, store: Store, references: References, clock: Clock) -> None:
        super().__init__(store, clock)
        self._references = references
        self.tickets = Tickets(clock)
        self.last_tests = LastTests(self)
        self.listen_to_reload(self._replaced)
        self.is_own_address: Callable[[str, int], bool] = lambda _host, _port: False

    # -- secrets ------------------------------------------------------------------------------------

    def credentials_at_hand(self, connection: StoredConnection) -> Credentials | None:
        """The secrets of a connection; None if its key is kept elsewhere and has to be fetched (`look_up`).

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered
        """
        credentials = self.store.unseal(connection)
        if not connection.key_reference:
            return credentials
        key = self._references.known(connection.key_reference)
        return None if key is None else replace(credentials, api_key=key)

    async def look_up(self, connection: StoredConnection) -> Secret:
        """Fetch a key that is kept outside the store. The connection may change meanwhile: read it again.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
        """
        # Opening the sealed copy proves that nobody else wrote the reference.
        self.store.unseal(connection)
        return await self._references.fetch(connection.key_reference)

    async def credentials(self, connection: StoredConnection) -> Credentials:
        """The secrets of a connection, including a key that is kept outside the store.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
            StaleRevision: the connection was changed or removed during the look-up.
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

    def is_locked(self, connection: StoredConnection) -> bool:
        """Whether its secrets cannot be opened because the vault is locked."""
        return bool(connection.sealed) and self.store.vault.state is not VaultState.UNLOCKED

    async def target(self, connection: StoredConnection) -> ProbeTarget:
        """The request data for a probe of a stored connection."""
        return target_of(connection, await self.credentials(connection))

    async def planned_target(self, plan: Plan) -> ProbeTarget:
        """The request data for a probe of a planned connection."""
        credentials = plan.credentials
        if credentials is None:
            return await self.target(plan.connection)
        if plan.connection.key_reference:
            fetched = await self._references.fetch(plan.connection.key_reference)
            if self.is_locked(plan.connection):
                # Locked since the plan was made: raise, and do not use secrets that were opened before.
                self.store.vault.data_key()
            credentials = replace(credentials, api_key=fetched)
        return target_of(plan.connection, credentials)

    def vault_changed(self) -> None:
        """See `Writer`; on a lock, keys from elsewhere and tickets are forgotten, too."""
        if self.store.vault.state is not VaultState.UNLOCKED:
            self._references.forget()
            self.tickets.clear()
        super().vault_changed()

    async def _replaced(self) -> None:
        # Tickets refer to revisions of the replaced store, which may be used again.
        self.tickets.clear()

    # -- connections --------------------------------------------------------------------------------

    def plan_new(self, draft: Draft, fixes: Sequence[str] = ()) -> Plan:
        """The plan that `create` would store. Raises `InvalidField`."""
        plan = plan_new(draft, connection_id=uuid.uuid4().hex, now=self.clock.now(), fixes=fixes)
        self._check_leads_on(plan.connection.base_url)
        return plan

    def plan_edit(
        self, name: str, draft: Draft, *, keep_key_for_new_origin: bool = False, fixes: Sequence[str] = ()
    ) -> Plan:
        """The plan that `update` would store. Raises as `edits.plan_edit`, and `ConnectionNotFound`."""
        plan = plan_edit(
            self.snapshot.get(name),
            draft,
            unseal=self.store.unseal,
            now=self.clock.now(),
            keep_key_for_new_origin=keep_key_for_new_origin,
            fixes=fixes,
        )
        if draft.base_url is not None:
            self._check_leads_on(plan.connection.base_url)
        return plan

    def _check_leads_on(self, base_url: str) -> None:
        _, host, port = destination(base_url)
        if self.is_own_address(host, port):
            raise InvalidField.of(
                "base_url",
                "is the address of Nexo's own gateway, so a request would loop",
                "give the address of the service itself",
            )

    async def close(self) -> None:
        """See `Writer`; also forgets the tickets."""
        await super().close()
        self.tickets.clear()

    def ticket(self, proposal: Proposal, report: TestReport, era: int) -> str:
        """A ticket for a draft that was tested in this `tickets.era`; empty if the vault is or was locked."""
        unlocked = self.store.vault.state is VaultState.UNLOCKED
        return self.tickets.issue(proposal, report, era) if unlocked else ""

    async def create(
        self, draft: Draft, *, make_default: bool = False, fixes: Sequence[str] = (), ticket: str = ""
    ) -> tuple[StoredConnection, tuple[Suggestion, ...]]:
        """Store a new connection; the first one becomes the default.

        Args:
            ticket: from a test: stores the tested draft, with the changes in `draft`.

        Raises:
            As `plan_new`, `Tickets.look` and `commands.create`.
        """
        proposal = Proposal(draft, tuple(fixes))
        if ticket:
            proposal = self.tickets.look(ticket).with_changes(draft)
        plan = proposal.proven(self.plan_new(proposal.draft, proposal.fixes), self.clock.now())
        done = await self.run(lambda now: commands.create(now, plan, make_default=make_default))
        return self._saved(done, ticket)

    async def update(
        self,
        name: str,
        draft: Draft,
        *,
        revision: int = 0,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        ticket: str = "",
    ) -> tuple[StoredConnection, tuple[Suggestion, ...]]:
        """Change a connection.

        Args:
            revision: that the caller saw; 0 skips the check.
            ticket: from a test of an edit: stores that edit, with the changes in `draft`.

        Raises:
            As `plan_edit`, `Tickets.look` and `commands.update`.
            StaleRevision: the connection has changed since the caller saw it, or since the test.
        """

        def decide(now: RegistrySnapshot) -> Change:
            old = now.get(name)
            commands.require_revision(old, revision)
            proposal = Proposal(draft, tuple(fixes), keep_key_for_new_origin)
            if ticket:
                proposal = self.tickets.look(ticket, old.id).with_changes(draft)
                commands.require_revision(old, proposal.revision)
            plan = self.plan_edit(
                name, proposal.draft, keep_key_for_new_origin=proposal.consent, fixes=proposal.fixes
            )
            return commands.update(now, proposal.proven(plan, self.clock.now()))

        return self._saved(await self.run(decide), ticket)

    def _saved(self, done: Done, ticket: str) -> tuple[StoredConnection, tuple[Suggestion, ...]]:
        (plan,) = done.change.written
        connection = done.after.connections[plan.connection.id]
        proposal = self.tickets.end(ticket)
        if proposal is not None and proposal.report is not None:
            before = done.before.connections.get(connection.id)
            model = proposal.draft.default_model
            if model is None:
                model = before.default_model if before else ""
            # The report says whether the model is listed.
            if model == connection.default_model:
                self.last_tests.keep(connection, proposal.report)
        return connection, plan.warnings

    async def delete(
        self, name: str, *, replace_with: str = "", force: bool = False, revision: int = 0
    ) -> int:
        """Delete a connection; returns the new revision. Raises as `commands.delete`."""

        def decide(now: RegistrySnapshot) -> Change:
            old = now.get(name)
            commands.require_revision(old, revision)
            return commands.delete(now, old, replace_with=replace_with, force=force)

        done = await self.run(decide)
        for id_ in done.change.removed:
            self.stored_health.pop(id_, None)
        return done.after.revision

    # -- keys ---------------------------------------------------------------------------------------

    async def roll_back_key(self, connection_id: str) -> StoredConnection | None:
        """Put the previous key back; None if there is none."""

        def decide(now: RegistrySnapshot) -> Change:
            old = now.connections.get(connection_id)
            return commands.roll_back_key(old, self.store.unseal, self.clock.now())

        done = await self.run(decide)
        return done.after.connections[connection_id] if done.change.written else None

    async def set_key_facts(
        self,
        connection_id: str,
        *,
        verdict: KeyVerdict | None,
        proven: bool,
        facts: Facts | None = None,
        revision: int = 0,
    ) -> None:
        """Store what a test proved about the key; does nothing while the store is read-only.

        Args:
            facts: about the endpoint; they replace the known ones.
            revision: of the tested connection; nothing is stored if it has changed since.
        """

        def decide(now: RegistrySnapshot) -> Change:
            if self.store.state is not StoreState.READ_WRITE:
                return Change()
            old = now.connections.get(connection_id)
            proven_at = self.clock.now() if proven else None
            return commands.learn_key_facts(
                old, verdict=verdict, proven_at=proven_at, facts=facts, revision=revision
            )

        await self.run(decide)

    async def forget_previous_key(self, connection_id: str, moment: datetime) -> bool:
        """Remove a replaced key whose grace period is over; returns whether one was removed."""

        def decide(now: RegistrySnapshot) -> Change:
            if self.store.state is not StoreState.READ_WRITE:
                return Change()
            return commands.forget_previous_key(now.connections.get(connection_id), moment)

        return bool((await self.run(decide)).change.written)

    # -- who gets what ------------------------------------------------------------------------------

    async def set_default(self, name: str) -> tuple[StoredConnection, StoredConnection | None]:
        """Change the default; returns the new and the previous default. No change if it is the default."""
        return await self._switched(lambda now: commands.set_default(now, name))

    async def undo_default(self) -> tuple[StoredConnection, StoredConnection | None]:
        """Return to the previous default; a second undo is a redo. Raises `NothingToUndo`."""
        return await self._switched(commands.undo_default)

    async def _switched(
        self, decide: Callable[[RegistrySnapshot], Change]
    ) -> tuple[StoredConnection, StoredConnection | None]:
        done = await self.run(decide)
        assert done.after.default is not None  # noqa: S101 - a switch always sets a default
        return done.after.default, done.before.default

    async def bind(
        self, workspace: WorkspaceKey, name: str, *, allow_fallback: bool, sticky_s: float | None = None
    ) -> Binding:
        """Bind a workspace, or change its binding. Raises as `commands.bind`, and `InvalidField`."""
        check_workspace(workspace)
        done = await self.run(
            lambda now: commands.bind(
                now, workspace, name, self.clock.now(), allow_fallback=allow_fallback, sticky_s=sticky_s
            )
        )
        return done.after.bindings[workspace]

    async def unbind(self, workspace: WorkspaceKey) -> int:
        """Remove a binding; returns the new revision. Raises `WorkspaceNotFound`."""
        return (await self.run(lambda now: commands.unbind(now, workspace))).after.revision

    async def set_fallback(self, names: Sequence[str]) -> int:
        """Choose the stand-ins, in order; empty disables the fall-back. Returns the new revision."""
        return (await self.run(lambda now: commands.set_fallback(now, names))).after.revision

    async def set_health_settings(self, settings: HealthSettings) -> None:
        """Set how often to check, and whether to check at all."""
        await self.run(lambda now: commands.set_health_settings(now, settings))
