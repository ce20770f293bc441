"""The connections, their secrets, and who gets which: every command that changes them.

Reads are answered from the immutable snapshot, never from the database. Not for the wire (rpc), not for
probing (providers) and not for deciding when to check (health).
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
        """The secrets of a connection; None if its key has to be looked up first (`look_up`).

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered
        """
        credentials = self.store.unseal(connection)
        if not connection.key_reference:
            return credentials
        key = self._references.known(connection.key_reference)
        return None if key is None else replace(credentials, api_key=key)

    async def look_up(self, connection: StoredConnection) -> Secret:
        """The key of a connection that is kept elsewhere. The world is another one afterwards: look again.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
        """
        # Opens the sealed copy: a reference that somebody else wrote is not followed.
        self.store.unseal(connection)
        return await self._references.fetch(connection.key_reference)

    async def credentials(self, connection: StoredConnection) -> Credentials:
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

    def is_locked(self, connection: StoredConnection) -> bool:
        """Whether its secrets can't be opened now."""
        return bool(connection.sealed) and self.store.vault.state is not VaultState.UNLOCKED

    async def target(self, connection: StoredConnection) -> ProbeTarget:
        """What a probe of a stored connection sends."""
        return target_of(connection, await self.credentials(connection))

    async def planned_target(self, plan: Plan) -> ProbeTarget:
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
        """See `Writer`: all other keys leave memory with those that are sealed here."""
        if self.store.vault.state is not VaultState.UNLOCKED:
            self._references.forget()
            self.tickets.clear()
        super().vault_changed()

    async def _replaced(self) -> None:
        # What was tested was an edit of the earlier store, whose revisions may come again.
        self.tickets.clear()

    # -- connections --------------------------------------------------------------------------------

    def plan_new(self, draft: Draft, fixes: Sequence[str] = ()) -> Plan:
        """What `create` would store. Raises `InvalidField`."""
        plan = plan_new(draft, connection_id=uuid.uuid4().hex, now=self.clock.now(), fixes=fixes)
        self._check_leads_on(plan.connection.base_url)
        return plan

    def plan_edit(
        self, name: str, draft: Draft, *, keep_key_for_new_origin: bool = False, fixes: Sequence[str] = ()
    ) -> Plan:
        """What `update` would store. Raises as `edits.plan_edit`, and `ConnectionNotFound`."""
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
        """See `Writer`; nothing that was tested is saved any more."""
        await super().close()
        self.tickets.clear()

    def ticket(self, proposal: Proposal, report: TestReport, era: int) -> str:
        """A ticket for what was tested in this `tickets.era`; empty if the vault is or was locked."""
        unlocked = self.store.vault.state is VaultState.UNLOCKED
        return self.tickets.issue(proposal, report, era) if unlocked else ""

    async def create(
        self, draft: Draft, *, make_default: bool = False, fixes: Sequence[str] = (), ticket: str = ""
    ) -> tuple[StoredConnection, tuple[Suggestion, ...]]:
        """Store a new connection; the first one becomes the default.

        Args:
            ticket: of a test: stores what it stands for, with the changes that `draft` holds.

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
            revision: the one that the caller saw; 0 skips the check.
            ticket: of a test of an edit: stores that edit, with the changes that `draft` holds.

        Raises:
            As `plan_edit`, `Tickets.look` and `commands.update`.
            StaleRevision: it has changed since the caller saw it, or since the test.
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
        """Put the previous key back; None if there is none any more."""

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
        """Remember what a test proved about the key, unless the store takes no changes.

        Args:
            facts: about the endpoint, in place of those that were known.
            revision: of the connection that was tested; nothing is kept when it has changed since.
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
        """Remove a replaced key whose grace time is over; whether there was one that could be."""

        def decide(now: RegistrySnapshot) -> Change:
            if self.store.state is not StoreState.READ_WRITE:
                return Change()
            return commands.forget_previous_key(now.connections.get(connection_id), moment)

        return bool((await self.run(decide)).change.written)

    # -- who gets what ------------------------------------------------------------------------------

    async def set_default(self, name: str) -> tuple[StoredConnection, StoredConnection | None]:
        """Switch; returns the new and the previous default. Switching to the present one changes nothing."""
        return await self._switched(lambda now: commands.set_default(now, name))

    async def undo_default(self) -> tuple[StoredConnection, StoredConnection | None]:
        """Back to the default before the last switch; doing it twice is a redo. Raises `NothingToUndo`."""
        return await self._switched(commands.undo_default)

    async def _switched(
        self, decide: Callable[[RegistrySnapshot], Change]
    ) -> tuple[StoredConnection, StoredConnection | None]:
        done = await self.run(decide)
        assert done.after.default is not None  # noqa: S101 - a switch is to one that there is
        return done.after.default, done.before.default

    async def bind(
        self, workspace: WorkspaceKey, name: str, *, allow_fallback: bool, sticky_s: float | None = None
    ) -> Binding:
        """Bind a workspace, or move its binding. Raises as `commands.bind`, and `InvalidField`."""
        check_workspace(workspace)
        done = await self.run(
            lambda now: commands.bind(
                now, workspace, name, self.clock.now(), allow_fallback=allow_fallback, sticky_s=sticky_s
            )
        )
        return done.after.bindings[workspace]

    async def unbind(self, workspace: WorkspaceKey) -> int:
        """Let a workspace follow the default again; returns the new revision. Raises `WorkspaceNotFound`."""
        return (await self.run(lambda now: commands.unbind(now, workspace))).after.revision

    async def set_fallback(self, names: Sequence[str]) -> int:
        """Choose the stand-ins, in order; empty switches the fall-back off. Returns the new revision."""
        return (await self.run(lambda now: commands.set_fallback(now, names))).after.revision

    async def set_health_settings(self, settings: HealthSettings) -> None:
        """How often to check, and whether at all."""
        await self.run(lambda now: commands.set_health_settings(now, settings))
