"""Carrying out an import: planned and saved in one turn and one transaction: all of it or nothing.

What an entry does and what it needs is `merging`'s to say.
"""

from collections.abc import Set
from dataclasses import dataclass, field, replace

from nexo_client.terms import VaultState
from nexo_daemon.domain.errors import DomainError, LimitReached
from nexo_daemon.domain.model import Binding, Connection, Credentials, Settings
from nexo_daemon.registry.document import Document
from nexo_daemon.registry.drafts import name_key
from nexo_daemon.registry.edits import Plan
from nexo_daemon.registry.merging import Action, Step, plan_import
from nexo_daemon.registry.registry import CONNECTION_LIMIT, Registry
from nexo_daemon.registry.routing import BINDING_LIMIT
from nexo_daemon.registry.snapshot import Snapshot
from nexo_daemon.registry.workspaces import check_workspace
from nexo_daemon.store.transaction import Transaction


def preview(registry: Registry, document: Document, *, overwrite: bool) -> tuple[Step, ...]:
    """What `bring_in` would do with every consent; may run on any thread."""
    return _Import(registry, registry.snapshot, document, overwrite, consents=None).plan()


async def bring_in(
    registry: Registry, document: Document, *, overwrite: bool, consents: Set[str]
) -> tuple[Step, ...]:
    """Do it.

    Raises:
        StoreReadOnly, StoreFull, StoreFailed, VaultLocked, VaultKeyLost: nothing was changed.
    """
    registry.require_writable()

    async def work() -> tuple[Step, ...]:
        # Only now: what was planned before its turn may have been true of another configuration.
        wanted = _Import(registry, registry.snapshot, document, overwrite, consents)
        # A large document takes a third of a second: not on the loop.
        steps = await registry.on_store_thread(wanted.plan)
        if any(step.does_something for step in steps):
            await wanted.save(steps)
        return steps

    return await registry.command(work())


@dataclass(slots=True)
class _Import:
    """One import; `consents` None means as if all were given."""

    registry: Registry
    before: Snapshot
    document: Document
    overwrite: bool
    consents: Set[str] | None
    plans: dict[str, Plan] = field(default_factory=dict)
    bindings: int = 0

    def plan(self) -> tuple[Step, ...]:
        return plan_import(
            self.document,
            self.before,
            self._present_secrets(),
            overwrite=self.overwrite,
            admit=self._admit,
        )

    def _present_secrets(self) -> dict[str, Credentials]:
        if self.registry.store.vault.state is not VaultState.UNLOCKED:
            return {}
        found = {}
        for draft in self.document.drafts:
            present = self.before.connections.get(self.before.ids_by_name.get(name_key(draft.name or ""), ""))
            if present is not None:
                try:
                    found[present.id] = self.registry.store.unseal(present)
                except DomainError:
                    continue
        return found

    def _admit(self, step: Step) -> Step:
        if self.consents is not None and any(need.id not in self.consents for need in step.needs):
            return replace(step, action=Action.SKIP, text="needs your consent")
        try:
            if step.draft is not None:
                self._plan_connection(step)
            elif step.binding is not None:
                self._check_binding(step)
        except DomainError as error:
            return step.left_out(error.message)
        return step

    def _plan_connection(self, step: Step) -> None:
        assert step.draft is not None  # noqa: S101 - asked by the caller
        if step.action is Action.ADD:
            added = len(self.plans) + len(self.before.connections)
            if added >= CONNECTION_LIMIT:
                raise LimitReached(f"there are {CONNECTION_LIMIT} connections already")
            plan = self.registry.plan_new(step.draft)
        else:
            # The consents of the step say all places that a stored key would go to.
            plan = self.registry.plan_edit(step.name, step.draft, keep_key_for_new_origin=True)
        self.plans[name_key(step.name)] = plan

    def _check_binding(self, step: Step) -> None:
        assert step.binding is not None  # noqa: S101 - asked by the caller
        check_workspace(step.binding[0])
        if step.action is Action.ADD:
            if self.bindings + len(self.before.bindings) >= BINDING_LIMIT:
                raise LimitReached(f"there are {BINDING_LIMIT} bound workspaces already")
            self.bindings += 1

    async def save(self, steps: tuple[Step, ...]) -> None:
        registry, before = self.registry, self.before

        def write(tx: Transaction) -> tuple[list[Connection], list[Binding], Settings]:
            revision = tx.next_revision()
            written = [self._write(tx, plan, before, revision) for plan in self.plans.values()]
            after = before.with_connections(written)
            bindings = [self._bind(tx, step, after) for step in steps if _is(step, "binding")]
            settings = self._settings(steps, after, written)
            if settings.default_id != before.settings.default_id:
                tx.set_default(settings.default_id, settings.previous_default_id)
            if settings.fallback_ids != before.settings.fallback_ids:
                tx.set_fallback(settings.fallback_ids)
            return written, bindings, replace(settings, revision=revision)

        written, bindings, settings = await registry.commit(write)
        moved = {
            before.bindings[one.workspace].connection_id
            for one in bindings
            if one.workspace in before.bindings
        }
        ends = {before.settings.default_id, settings.default_id} - {None}
        touched = {one.id for one in written} | {one.connection_id for one in bindings} | moved | ends
        after = before.with_connections(written).with_bindings(bindings).with_settings(settings, routed=True)
        registry.publish(
            after,
            changed={id_ for id_ in touched if id_ is not None and id_ in after.connections},
            bindings=bool(bindings),
            status=True,
            probe_again=bool(written),
        )

    def _write(self, tx: Transaction, plan: Plan, before: Snapshot, revision: int) -> Connection:
        connection = replace(plan.connection, revision=revision)
        if connection.id in before.connections:
            return tx.update_connection(connection, plan.credentials)
        return tx.insert_connection(connection, plan.credentials or Credentials())

    def _bind(self, tx: Transaction, step: Step, after: Snapshot) -> Binding:
        assert step.binding is not None  # noqa: S101 - a binding
        workspace, allow = step.binding
        target = after.get(step.text)
        binding = Binding(workspace, target.id, target.name, self.registry.clock.now(), allow)
        tx.put_binding(binding)
        return binding

    def _settings(self, steps: tuple[Step, ...], after: Snapshot, written: list[Connection]) -> Settings:
        settings = self.before.settings
        default = settings.default_id
        if not self.before.connections and not self.document.default and written:
            default = written[0].id
        for step in steps:
            if _is(step, "default"):
                default = after.get(step.name).id
            elif _is(step, "fallback"):
                ids = tuple(dict.fromkeys(after.get(name).id for name in step.fallback))
                settings = replace(settings, fallback_ids=ids)
        if default != settings.default_id:
            settings = replace(settings, default_id=default, previous_default_id=settings.default_id)
        return settings


def _is(step: Step, kind: str) -> bool:
    return step.kind == kind and step.does_something
