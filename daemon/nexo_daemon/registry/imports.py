"""Carries out an import: planned and saved in one turn and one transaction, so all of it or nothing.

`merging` decides what an entry does and what consent it needs.
"""

from collections.abc import Set
from dataclasses import dataclass, field, replace

from nexo.connections.errors import LimitReached, NexoError
from nexo.connections.names import key as name_key
from nexo.connections.terms import ImportAction, VaultState
from nexo_daemon.domain.model import Binding, Credentials, Settings
from nexo_daemon.registry.change import Change
from nexo_daemon.registry.commands import BINDING_LIMIT, CONNECTION_LIMIT
from nexo_daemon.registry.document import Document
from nexo_daemon.registry.edits import Plan
from nexo_daemon.registry.merging import MergeStep, plan_import
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.registry.workspaces import check_sticky, check_workspace


def preview(registry: Registry, document: Document, *, overwrite: bool) -> tuple[MergeStep, ...]:
    """What `bring_in` would do if every consent were given; may run on any thread."""
    return _Import(registry, registry.snapshot, document, overwrite, consents=None).plan()


async def bring_in(
    registry: Registry, document: Document, *, overwrite: bool, consents: Set[str]
) -> tuple[MergeStep, ...]:
    """Carry out the import with the given consents.

    Raises:
        StoreReadOnly, StoreFull, StoreFailed, VaultLocked, VaultKeyLost: nothing was changed.
    """
    registry.require_writable()

    async def work() -> tuple[MergeStep, ...]:
        # Planned within the turn, because the configuration may have changed before it.
        wanted = _Import(registry, registry.snapshot, document, overwrite, consents)
        # Planning a large document takes a third of a second, so it does not run on the event loop.
        steps = await registry.on_store_thread(wanted.plan)
        if any(step.does_something for step in steps):
            await registry.apply(wanted.change(steps))
        return steps

    return await registry.command(work())


@dataclass(slots=True)
class _Import:
    """One import; `consents` None means that all are given."""

    registry: Registry
    before: RegistrySnapshot
    document: Document
    overwrite: bool
    consents: Set[str] | None
    plans: dict[str, Plan] = field(default_factory=dict)
    bindings: int = 0

    def plan(self) -> tuple[MergeStep, ...]:
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
                except NexoError:
                    continue
        return found

    def _admit(self, step: MergeStep) -> MergeStep:
        if self.consents is not None and any(need.id not in self.consents for need in step.needs):
            return replace(step, action=ImportAction.SKIP, text="needs your consent")
        try:
            if step.draft is not None:
                self._plan_connection(step)
            elif step.binding is not None:
                self._check_binding(step)
        except NexoError as error:
            return step.left_out(error.message)
        return step

    def _plan_connection(self, step: MergeStep) -> None:
        assert step.draft is not None  # noqa: S101 - asked by the caller
        if step.action is ImportAction.ADD:
            added = len(self.plans) + len(self.before.connections)
            if added >= CONNECTION_LIMIT:
                raise LimitReached(f"there are {CONNECTION_LIMIT} connections already")
            plan = self.registry.plan_new(step.draft)
        else:
            # The consents of the step name every place that a stored key would be sent to.
            plan = self.registry.plan_edit(step.name, step.draft, keep_key_for_new_origin=True)
        self.plans[name_key(step.name)] = plan

    def _check_binding(self, step: MergeStep) -> None:
        assert step.binding is not None  # noqa: S101 - asked by the caller
        check_workspace(step.binding[0])
        check_sticky(step.binding[2])
        if step.action is ImportAction.ADD:
            if self.bindings + len(self.before.bindings) >= BINDING_LIMIT:
                raise LimitReached(f"there are {BINDING_LIMIT} bound workspaces already")
            self.bindings += 1

    def change(self, steps: tuple[MergeStep, ...]) -> Change:
        plans = tuple(self.plans.values())
        after = self.before.with_connections(plan.connection for plan in plans)
        settings = self._settings(steps, after)
        return Change(
            written=plans,
            bound=tuple(self._bind(step, after) for step in steps if _is(step, "binding")),
            settings=settings if settings != self.before.settings else None,
        )

    def _bind(self, step: MergeStep, after: RegistrySnapshot) -> Binding:
        assert step.binding is not None  # noqa: S101 - a binding
        workspace, allow, sticky_s = step.binding
        target = after.get(step.text)
        return Binding(workspace, target.id, target.name, self.registry.clock.now(), allow, sticky_s)

    def _settings(self, steps: tuple[MergeStep, ...], after: RegistrySnapshot) -> Settings:
        settings = self.before.settings
        default = settings.default_id
        if not self.before.connections and not self.document.default and self.plans:
            default = next(iter(self.plans.values())).connection.id
        for step in steps:
            if _is(step, "default"):
                default = after.get(step.name).id
            elif _is(step, "fallback"):
                ids = tuple(dict.fromkeys(after.get(name).id for name in step.fallback))
                settings = replace(settings, fallback_ids=ids)
        if default != settings.default_id:
            settings = replace(settings, default_id=default, previous_default_id=settings.default_id)
        return settings


def _is(step: MergeStep, kind: str) -> bool:
    return step.kind == kind and step.does_something
