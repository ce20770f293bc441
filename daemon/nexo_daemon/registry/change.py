"""What a command changes, and who has to be told.

This module decides without side effects; `writer` carries it out.
"""

from dataclasses import replace

from nexo.connections.values import frozen
from nexo_daemon.domain.model import Binding, Credentials, Settings, StoredConnection, WorkspaceKey
from nexo_daemon.registry.edits import ENDPOINT, Plan
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.store.transaction import Transaction


@frozen
class Change:
    """The difference between two snapshots; `Change()` changes nothing.

    Attributes:
        written: connections that are added, or replace the one with the same id.
        removed: ids of connections.
        bound: bindings that are added, or replace the one of the same workspace.
        unbound: workspaces whose binding is removed.
        settings: the new settings, with the old revision; None if unchanged.
        same_revision: keep the revision, because the change matters neither to editors nor to followers:
            facts that a test proved, the removal of an old key, the check settings.
        rerouted: programs get another connection although the configuration is the same (stand-ins changed).
    """

    written: tuple[Plan, ...] = ()
    removed: tuple[str, ...] = ()
    bound: tuple[Binding, ...] = ()
    unbound: tuple[WorkspaceKey, ...] = ()
    settings: Settings | None = None
    same_revision: bool = False
    rerouted: bool = False

    def store(self, before: RegistrySnapshot, tx: Transaction) -> RegistrySnapshot:
        """Write the changed rows; returns the snapshot after the commit. Raises as `Transaction` does."""
        revision = None if self.same_revision else tx.next_revision()
        settings = replace(self.settings or before.settings, revision=revision or before.revision)
        written: list[StoredConnection] = []
        for plan in self.written:
            one = plan.connection if revision is None else replace(plan.connection, revision=revision)
            if one.id in before.connections:
                written.append(tx.update_connection(one, plan.credentials))
            else:
                written.append(tx.insert_connection(one, plan.credentials or Credentials()))
        after = before.with_connections(written)
        renamed = [
            after.bindings[binding.workspace]
            for one in written
            if one.id in before.connections and one.name != before.connections[one.id].name
            for binding in before.bound_to(one.id)
        ]
        for binding in (*renamed, *self.bound):
            tx.put_binding(binding)
        for workspace in self.unbound:
            tx.delete_binding(workspace)
        tx.set_default(settings.default_id, settings.previous_default_id)
        if settings.fallback_ids != before.settings.fallback_ids:
            tx.set_fallback(settings.fallback_ids)
        tx.set_health_settings(settings.health)
        for connection_id in self.removed:
            tx.delete_connection(connection_id)
            after = after.without_connection(connection_id)
        if self.bound or self.unbound:
            after = after.with_bindings(self.bound, self.unbound)
        return after.with_settings(settings, rerouted=self.rerouted)


@frozen
class Effects:
    """Who has to be told about a change.

    Attributes:
        changed: ids of connections that changed, or whose users changed.
        removed: connections that are gone.
        probe_again: ids of connections whose probe request changed.
        bindings: some binding changed, or the name of its connection did.
        status: the answer of `GetStatus` may have changed.
    """

    changed: frozenset[str] = frozenset()
    removed: tuple[StoredConnection, ...] = ()
    probe_again: frozenset[str] = frozenset()
    bindings: bool = False
    status: bool = True

    @classmethod
    def of(cls, change: Change, before: RegistrySnapshot, after: RegistrySnapshot) -> "Effects":
        """The effects of a change that was carried out."""
        return cls(
            changed=_changed_ids(change, before, after),
            removed=tuple(before.connections[id_] for id_ in change.removed),
            probe_again=frozenset(
                plan.connection.id
                for plan in change.written
                if plan.credentials is not None or _probe_differs(plan.connection, before)
            ),
            bindings=_changes_bindings(change, before),
            status=bool(change.settings or change.removed or change.rerouted)
            or bool(change.written and not change.same_revision),
        )


@frozen
class Done:
    """A change that was carried out."""

    change: Change
    before: RegistrySnapshot
    after: RegistrySnapshot


def _changed_ids(change: Change, before: RegistrySnapshot, after: RegistrySnapshot) -> frozenset[str]:
    rebound = (*(binding.workspace for binding in change.bound), *change.unbound)
    ids: set[str | None] = {
        *(plan.connection.id for plan in change.written),
        *(binding.connection_id for binding in change.bound),
        *(before.bindings[workspace].connection_id for workspace in rebound if workspace in before.bindings),
    }
    if before.settings.default_id != after.settings.default_id:
        ids |= {before.settings.default_id, after.settings.default_id}
    return frozenset(after.connections.keys() & ids)


def _changes_bindings(change: Change, before: RegistrySnapshot) -> bool:
    shown_differently = [
        plan.connection.id
        for plan in change.written
        if (old := before.connections.get(plan.connection.id)) is not None
        and (old.name, old.enabled) != (plan.connection.name, plan.connection.enabled)
    ]
    users = any(before.bound_to(id_) for id_ in (*shown_differently, *change.removed))
    return bool(change.bound or change.unbound) or users


def _probe_differs(new: StoredConnection, before: RegistrySnapshot) -> bool:
    facts = (*ENDPOINT, "key_reference", "enabled")
    old = before.connections.get(new.id)
    return old is None or any(getattr(old, fact) != getattr(new, fact) for fact in facts)
