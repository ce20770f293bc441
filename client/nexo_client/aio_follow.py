"""`AsyncLiveConnection`: a `LiveConnection` for programs with an event loop.

It uses the same stream as `LiveConnection`: one for each process and socket. The stream's thread only wakes
the event loop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, Self

from nexo.connections.v1.workspace_pb2 import Inquiry
from nexo_client import follow_stream
from nexo_client.arguments import checked
from nexo_client.errors import DaemonFailed, NexoError
from nexo_client.follow import LiveConnection, OnChange
from nexo_client.types import OnStale, ResolvedConnection

log = logging.getLogger("nexo_client.follow")


class AsyncLiveConnection:
    """The connection for this program, kept up to date. Belongs to the event loop on which it was created.

    `async for connection in live` yields the current connection, then each new one, or None while there is
    none (`problem` says why). Several quick changes may be reported as one. `close()` ends the iteration.
    """

    def __init__(self, live: LiveConnection) -> None:
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._woken: set[asyncio.Event] = set()
        self._callbacks: list[OnChange] = []
        self._remove_waker = live.wake_with(self._from_thread)

    @property
    def current(self) -> ResolvedConnection:
        """See `LiveConnection.current`."""
        return self._live.current

    @property
    def stale(self) -> bool:
        """See `LiveConnection.stale`."""
        return self._live.stale

    @property
    def stale_since(self) -> datetime | None:
        """See `LiveConnection.stale_since`."""
        return self._live.stale_since

    @property
    def revision(self) -> int:
        """See `LiveConnection.revision`."""
        return self._live.revision

    @property
    def problem(self) -> NexoError | None:
        """See `LiveConnection.problem`."""
        return self._live.problem

    @checked
    def on_change(self, callback: OnChange) -> Callable[[], None]:
        """As `LiveConnection.on_change`, but callbacks run on the event loop."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    async def __aiter__(self) -> AsyncIterator[ResolvedConnection | None]:
        if asyncio.get_running_loop() is not self._loop:
            raise DaemonFailed(
                "this follower belongs to another event loop",
                hint="call client.follow() in each event loop; `current` can be read in all",
            )
        woken = asyncio.Event()
        woken.set()
        self._woken.add(woken)
        try:
            while True:
                await woken.wait()
                woken.clear()
                if self._live.is_closed:
                    return
                yield self._live.usable
        finally:
            self._woken.discard(woken)

    def close(self) -> None:
        """Stops following and ends the iterations; may be called more than once."""
        self._live.close()
        self._remove_waker()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Async{self._live!r}"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("an AsyncLiveConnection is not pickled or copied; follow in each process")

    def _from_thread(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._changed)
        except RuntimeError:
            # The loop is closed.
            self._remove_waker()

    def _changed(self) -> None:
        for woken in self._woken:
            woken.set()
        if self._live.is_closed:
            return
        connection = self._live.usable
        for callback in tuple(self._callbacks):
            try:
                callback(connection)
            except Exception:
                log.exception("a callback of on_change failed; the others go on")

    async def wait_ready(self, timeout_s: float) -> None:
        """See `LiveConnection.wait_ready`."""
        woken = asyncio.Event()
        self._woken.add(woken)
        try:
            if not self._live.is_ready:
                async with asyncio.timeout(timeout_s):
                    await woken.wait()
        except TimeoutError:
            pass
        finally:
            self._woken.discard(woken)
        # Does not wait any more, only raises the error, if there is one.
        self._live.wait_ready(0)


class Following:
    """The result of `AsyncClient.follow`: awaitable, and an asynchronous context manager."""

    def __init__(
        self,
        socket: Path,
        inquiry: Callable[[], Inquiry],
        on_stale: OnStale,
        timeout_s: float,
        made: Callable[[AsyncLiveConnection], None],
    ) -> None:
        self._socket = socket
        self._inquiry = inquiry
        self._on_stale = on_stale
        self._timeout_s = timeout_s
        self._made = made
        self._live: AsyncLiveConnection | None = None

    async def _open(self) -> AsyncLiveConnection:
        live = AsyncLiveConnection(
            follow_stream.follow(self._socket, self._inquiry(), self._on_stale, self._timeout_s)
        )
        self._made(live)
        try:
            await live.wait_ready(self._timeout_s)
        except BaseException:
            live.close()
            raise
        return live

    def __await__(self) -> Generator[Any, None, AsyncLiveConnection]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncLiveConnection:
        self._live = await self._open()
        return self._live

    async def __aexit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.close()
