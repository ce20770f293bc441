"""The single writer: runs changes one after the other, commits them on the store thread, tells listeners.

`commands` decides what a command changes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from nexo.connections.errors import ShuttingDown, StoreReadOnly
from nexo.connections.terms import StoreState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.finishing import to_its_end
from nexo_daemon.domain.model import StoredState
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.registry.bus import (
    Bus,
    ConnectionChanged,
    ConnectionRemoved,
    Event,
    Sign,
)
from nexo_daemon.registry.change import Change, Done, Effects
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.store.store import Store

T = TypeVar("T")


class Writer:
    """Holds the present snapshot; the only way to change it.

    Attributes:
        store: used directly only for what needs no turn: state, vault, unsealing.
        snapshot: every read is answered from it.
        bus: the watchers.
        on_store_thread: runs work on the one thread that may touch the database.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.bus = Bus()
        self._thread = ThreadPool("store", most=1)
        self.on_store_thread = self._thread.run
        self._turn = asyncio.Lock()
        self._commands: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._connection_listeners: list[Callable[[Effects], None]] = []
        self._routing_listeners: list[Callable[[], None]] = []
        self._reload_listeners: list[Callable[[], Awaitable[None]]] = []
        state = store.load()
        self.snapshot = RegistrySnapshot.of(state)
        self.stored_health = dict(state.health)

    def listen_to_connections(self, listener: Callable[[Effects], None]) -> None:
        """Call `listener` for every committed change from now on, on the event loop; it must not block."""
        self._connection_listeners.append(listener)

    def listen_to_routing(self, listener: Callable[[], None]) -> None:
        """Call `listener` when resolutions may have changed: default, binding, vault, stand-in.

        Called after the listeners to connections, on the event loop; it must not block.
        """
        self._routing_listeners.append(listener)

    def listen_to_reload(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Run `listener` after all stored data was replaced, before the caller gets the result."""
        self._reload_listeners.append(listener)

    async def close(self) -> None:
        """Refuse new commands, finish the running ones, stop the store thread. The store stays open."""
        self._closed = True
        while self._commands:
            await asyncio.wait(self._commands)
        # Ends when all earlier jobs of the thread have ended.
        await self._thread.run(lambda: None)

    async def command(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a command when it is its turn.

        Once begun it runs to its end, even if the caller is cancelled. A caller that is cancelled before has
        been told that it failed, or has gone, so the command must not take effect after later ones.
        """
        try:
            self._require_open()
            await self._turn.acquire()
        except BaseException:
            work.close()
            raise

        async def in_turn() -> T:
            try:
                self._require_open()
                return await work
            finally:
                work.close()
                self._turn.release()

        task = asyncio.ensure_future(in_turn())
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        return await to_its_end(task)

    def _require_open(self) -> None:
        if self._closed:
            raise ShuttingDown("the daemon is stopping", hint="try again in a moment")

    def require_writable(self) -> None:
        """Raise `StoreReadOnly` unless changes can be saved."""
        if self.store.state is not StoreState.READ_WRITE:
            raise StoreReadOnly(
                f"nothing can be changed: the store is read-only ({self.store.database.read_only})",
                hint=self.store.advice,
            )

    async def run(self, decide: Callable[[RegistrySnapshot], Change]) -> Done:
        """Decide on a change when it is its turn, and carry it out.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: nothing was changed. `decide` may raise others.
        """

        async def in_turn() -> Done:
            before = self.snapshot
            change = decide(before)
            return Done(change, before, await self.apply(change))

        return await self.command(in_turn())

    async def apply(self, change: Change) -> RegistrySnapshot:
        """Carry out a change within a turn: store it, then tell the listeners. Raises as `run`."""
        before = self.snapshot
        if change == Change():
            return before
        self.require_writable()

        def work() -> RegistrySnapshot:
            with self.store.transaction() as transaction:
                return change.store(before, transaction)

        after = await self.on_store_thread(work)
        self.snapshot = after
        self.tell(Effects.of(change, before, after))
        return after

    def tell(self, effects: Effects) -> None:
        """Tell watchers and listeners about a change."""
        events: list[Event] = [ConnectionRemoved(c.id, c.name) for c in effects.removed]
        events += [ConnectionChanged(id_) for id_ in effects.changed]
        if effects.bindings:
            events.append(Sign.BINDINGS_CHANGED)
        if effects.status:
            events.append(Sign.STATUS_CHANGED)
        self.bus.publish(*events)
        for listener in self._connection_listeners:
            listener(effects)
        for concerned in self._routing_listeners:
            concerned()

    async def stand_ins_changed(self) -> None:
        """The stand-ins changed: use a new revision, so that followers accept the new answer."""

        async def in_turn() -> None:
            change = Change(rerouted=True)
            if self.store.state is StoreState.READ_WRITE:
                await self.apply(change)
                return
            before = self.snapshot
            newer = replace(before.settings, revision=before.revision + 1)
            self.snapshot = before.with_settings(newer, rerouted=True)
            self.tell(Effects.of(change, before, self.snapshot))

        await self.command(in_turn())

    def status_changed(self) -> None:
        """Tell the watchers that the followers, or the programs behind the gateway, have changed."""
        self.bus.publish(Sign.STATUS_CHANGED)

    async def reload(self, work: Callable[[], StoredState]) -> None:
        """Run `work`, which replaces the stored data (restore, new data key), in its turn; publish it all."""

        async def in_turn() -> None:
            before = self.snapshot
            state = await self.on_store_thread(work)
            snapshot = RegistrySnapshot.of(state)
            gone = [one for id_, one in before.connections.items() if id_ not in snapshot.connections]
            everything = frozenset(snapshot.connections)
            self.snapshot = snapshot
            self.tell(Effects(changed=everything, removed=tuple(gone), probe_again=everything, bindings=True))
            for listener in self._reload_listeners:
                await listener()

        await self.command(in_turn())

    def vault_changed(self) -> None:
        """The vault was locked or unlocked: tell everybody."""
        self.tell(Effects(changed=frozenset(self.snapshot.connections)))
