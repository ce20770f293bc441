"""One writer: commands take their turn, commit on the store thread, and publish what they did.

What the commands are is in `registry` (connections) and `routing` (default, bindings, settings).
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from nexo_client.terms import StoreState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import ShuttingDown, StoreReadOnly
from nexo_daemon.domain.lanes import Lane
from nexo_daemon.domain.model import Connection, StoredState
from nexo_daemon.registry.bus import (
    BindingsChanged,
    Bus,
    ConnectionChanged,
    ConnectionRemoved,
    Event,
    StatusChanged,
)
from nexo_daemon.registry.snapshot import Snapshot
from nexo_daemon.store.store import Store
from nexo_daemon.store.transaction import Transaction

T = TypeVar("T")


class ConnectionListener(Protocol):
    """Told after each committed change which connections it is about, on the event loop; must not block."""

    def on_change(self, changed: frozenset[str], removed: frozenset[str], *, probe_again: bool) -> None:
        """Connections changed; `probe_again` if what a probe sends changed."""


class RoutingListener(Protocol):
    """Told after each committed change and what followed from it, on the event loop; must not block."""

    def on_routing(self) -> None:
        """What some program gets may have changed: default, binding, connection, vault, stand-in."""


class Writer:
    """The present snapshot, and the only way to the next one.

    Attributes:
        store: for what needs no turn: state, vault, unsealing.
        snapshot: what every read is answered from.
        bus: the watchers.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.bus = Bus()
        self._thread = Lane("store", most=1)
        self._turn = asyncio.Lock()
        self._commands: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._connection_listeners: list[ConnectionListener] = []
        self._routing_listeners: list[RoutingListener] = []
        state = store.load()
        self.snapshot = Snapshot.of(state)
        self.stored_health = dict(state.health)

    def listen_to_connections(self, listener: ConnectionListener) -> None:
        """Tell `listener` of every committed change from now on."""
        self._connection_listeners.append(listener)

    def listen_to_routing(self, listener: RoutingListener) -> None:
        """Tell `listener` of every committed change from now on, after those who listen to connections."""
        self._routing_listeners.append(listener)

    async def on_store_thread(self, work: Callable[[], T]) -> T:
        """Run `work` on the one thread that may touch the database."""
        return await self._thread.run(work)

    async def close(self) -> None:
        """Refuse new commands, finish the running ones, stop the store thread. The store stays open."""
        self._closed = True
        while self._commands:
            await asyncio.wait(self._commands)
        # What was handed to the thread before is done when this is.
        await self._thread.run(lambda: None)

    async def command(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a command in its turn. A caller that goes away does not stop it half-way."""
        if self._closed:
            work.close()
            raise ShuttingDown("the daemon is stopping", hint="try again in a moment")

        async def in_turn() -> T:
            async with self._turn:
                return await work

        task = asyncio.ensure_future(in_turn())
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        return await asyncio.shield(task)

    def require_writable(self) -> None:
        """Raise `StoreReadOnly` unless changes can be saved."""
        if self.store.state is not StoreState.READ_WRITE:
            raise StoreReadOnly(
                f"nothing can be changed: the store is read-only ({self.store.database.read_only})",
                hint=self.store.advice,
            )

    async def commit(self, write: Callable[[Transaction], T]) -> T:
        self.require_writable()

        def work() -> T:
            with self.store.transaction() as transaction:
                return write(transaction)

        return await self.on_store_thread(work)

    def publish(
        self,
        snapshot: Snapshot,
        *,
        changed: Iterable[str] = (),
        removed: Iterable[Connection] = (),
        bindings: bool = False,
        status: bool = False,
        probe_again: bool = False,
    ) -> None:
        gone = tuple(removed)
        touched = frozenset(changed)
        self.snapshot = snapshot
        events: list[Event] = [ConnectionRemoved(c.id, c.name) for c in gone]
        events += [ConnectionChanged(id_) for id_ in touched]
        if bindings:
            events.append(BindingsChanged())
        if status:
            events.append(StatusChanged())
        self.bus.publish(*events)
        for listener in self._connection_listeners:
            listener.on_change(touched, frozenset(c.id for c in gone), probe_again=probe_again)
        for concerned in self._routing_listeners:
            concerned.on_routing()

    async def reload(self, work: Callable[[], StoredState]) -> None:
        """Run `work`, which replaces what is stored (restore, new data key), in its turn; publish it all."""

        async def in_turn() -> None:
            before = self.snapshot
            state = await self.on_store_thread(work)
            snapshot = Snapshot.of(state)
            gone = [one for id_, one in before.connections.items() if id_ not in snapshot.connections]
            self.publish(
                snapshot,
                changed=snapshot.connections,
                removed=gone,
                bindings=True,
                status=True,
                probe_again=True,
            )

        await self.command(in_turn())

    def vault_changed(self) -> None:
        """The vault was locked or unlocked: everybody looks again."""
        self.publish(self.snapshot, changed=self.snapshot.connections, status=True)
