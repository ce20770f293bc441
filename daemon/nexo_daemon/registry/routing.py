"""Who gets what: the default, the bindings of workspaces, the fall-back list, the settings of the checks."""

from collections.abc import Sequence
from dataclasses import replace

from nexo_client.terms import StoreState
from nexo_daemon.domain.errors import LimitReached, NothingToUndo, WorkspaceNotFound
from nexo_daemon.domain.model import (
    Binding,
    Connection,
    HealthSettings,
    Settings,
    WorkspaceKey,
)
from nexo_daemon.registry.workspaces import check_workspace
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.transaction import Transaction

BINDING_LIMIT = 20_000


class Routing:
    """Commands; the state is the writer's."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    # -- the default --------------------------------------------------------------------------------

    async def set_default(self, name: str) -> tuple[Connection, Connection | None]:
        """Switch; returns the new and the previous default. Switching to the present one changes nothing."""

        async def work() -> tuple[Connection, Connection | None]:
            return await self._switch(self._writer.snapshot.get(name))

        return await self._writer.command(work())

    async def undo_default(self) -> tuple[Connection, Connection | None]:
        """Back to the default before the last switch; doing it twice is a redo."""

        async def work() -> tuple[Connection, Connection | None]:
            target = self._writer.snapshot.connections.get(
                self._writer.snapshot.settings.previous_default_id or ""
            )
            if target is None:
                raise NothingToUndo(
                    "there is no earlier default to go back to", hint="choose one with 'nexoctl default NAME'"
                )
            return await self._switch(target)

        return await self._writer.command(work())

    async def _switch(self, target: Connection) -> tuple[Connection, Connection | None]:
        before = self._writer.snapshot
        previous = before.default
        if previous is not None and previous.id == target.id:
            return target, previous
        wanted = replace(
            before.settings, default_id=target.id, previous_default_id=previous.id if previous else None
        )

        def write(tx: Transaction) -> Settings:
            tx.set_default(wanted.default_id, wanted.previous_default_id)
            return replace(wanted, revision=tx.next_revision())

        settings = await self._writer.commit(write)
        changed = {target.id, *([previous.id] if previous else [])}
        self._writer.publish(before.with_settings(settings, routed=True), changed=changed, status=True)
        return target, previous

    # -- workspaces ---------------------------------------------------------------------------------

    async def bind(self, workspace: WorkspaceKey, name: str, *, allow_fallback: bool) -> Binding:
        """Bind a workspace, or move its binding."""
        check_workspace(workspace)

        async def work() -> Binding:
            before = self._writer.snapshot
            connection = before.get(name)
            if workspace not in before.bindings and len(before.bindings) >= BINDING_LIMIT:
                raise LimitReached(f"there are {BINDING_LIMIT} bound workspaces", hint="unbind some first")
            binding = Binding(
                workspace, connection.id, connection.name, self._writer.clock.now(), allow_fallback
            )
            old = before.bindings.get(workspace)

            def write(tx: Transaction) -> Settings:
                tx.put_binding(binding)
                return replace(before.settings, revision=tx.next_revision())

            settings = await self._writer.commit(write)
            changed = {connection.id, *([old.connection_id] if old else [])} & before.connections.keys()
            self._writer.publish(
                before.with_bindings([binding]).with_settings(settings, routed=False),
                changed=changed,
                bindings=True,
            )
            return binding

        return await self._writer.command(work())

    async def unbind(self, workspace: WorkspaceKey) -> int:
        """Let a workspace follow the default again; returns the new revision."""

        async def work() -> int:
            before = self._writer.snapshot
            old = before.bindings.get(workspace)
            if old is None:
                # One that was bound in another spelling, by an earlier version, can still be removed.
                check_workspace(workspace)
                raise WorkspaceNotFound(
                    f"{workspace} is not bound",
                    hint="see 'nexoctl workspace list'",
                    metadata={"workspace": str(workspace)},
                )

            def write(tx: Transaction) -> Settings:
                tx.delete_binding(workspace)
                return replace(before.settings, revision=tx.next_revision())

            settings = await self._writer.commit(write)
            self._writer.publish(
                before.with_bindings([], [workspace]).with_settings(settings, routed=False),
                changed={old.connection_id} & before.connections.keys(),
                bindings=True,
            )
            return settings.revision

        return await self._writer.command(work())

    async def set_fallback(self, names: Sequence[str]) -> int:
        """Choose the stand-ins, in order; empty switches the fall-back off."""

        async def work() -> int:
            before = self._writer.snapshot
            ids = tuple(dict.fromkeys(before.get(name).id for name in names))

            def write(tx: Transaction) -> Settings:
                tx.set_fallback(ids)
                return replace(before.settings, revision=tx.next_revision(), fallback_ids=ids)

            settings = await self._writer.commit(write)
            self._writer.publish(before.with_settings(settings, routed=True), status=True)
            return settings.revision

        return await self._writer.command(work())

    async def stand_ins_changed(self) -> None:
        """A stand-in came or went: a new revision, so that followers see it as newer."""

        async def work() -> None:
            before = self._writer.snapshot
            if self._writer.store.state is StoreState.READ_WRITE:
                revision = await self._writer.commit(lambda tx: tx.next_revision())
            else:
                revision = before.revision + 1
            self._writer.publish(
                before.with_settings(replace(before.settings, revision=revision), routed=True), status=True
            )

        await self._writer.command(work())

    async def set_health_settings(self, settings: HealthSettings) -> None:
        """How often to check, and whether at all."""

        async def work() -> None:
            before = self._writer.snapshot
            await self._writer.commit(lambda tx: tx.set_health_settings(settings))
            self._writer.publish(
                before.with_settings(replace(before.settings, health=settings), routed=False), status=True
            )

        await self._writer.command(work())
