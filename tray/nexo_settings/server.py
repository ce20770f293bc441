"""Runs the server: serves the page on 127.0.0.1, answers later starts, and ends after the last tab."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nexo.connections import loading
from nexo_settings import files
from nexo_settings.app import App
from nexo_settings.handover import NO_REVEAL, Place, Serving
from nexo_settings.presence import Presence
from nexo_settings.protocol import protocols
from nexo_settings.sessions import Sessions

if TYPE_CHECKING:
    from nexo_settings.answers import Answers

_LET_GO_S = 1.0
_TURN_S = 0.0005
_FIRST_CALLS_S = 3.0
"""How long the first tab has the processor for itself."""
_USED_LATER = ("nexo.connections", "nexo_client", "nexo_sources", "nexo_settings")


async def serve(
    listening: socket.socket,
    daemon: Path,
    serving: Serving,
    sessions: Sessions,
    address: Callable[[Place], str],
    *,
    idle_s: float,
    reveals: bool,
    ask_whose: bool,
) -> None:
    """Serve until no tab is open any more, or until a signal.

    Args:
        listening: the socket for the page.
        daemon: the path of the daemon's socket.
        serving: the lock for serving.
        sessions: the tokens and tabs.
        address: makes an address for a page.
        idle_s: how long the server runs without tabs, in seconds.
        reveals: the page may show stored secrets.
        ask_whose: refuse connections of other users.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    presence = Presence(time.monotonic, idle_s=idle_s)
    shown = reveals

    def again(place: Place) -> str:
        nonlocal shown
        presence.touch()
        # Not reversible: the user who started with --no-reveal may be sharing the screen.
        shown = shown and NO_REVEAL not in place
        return address(place)

    async with contextlib.AsyncExitStack() as held:
        host, port = listening.getsockname()
        answers = asyncio.ensure_future(_answers(held, daemon, lambda: shown))
        # Shielded, because closing a tab must not cancel loading for the others.
        app = App(f"{host}:{port}", files.load(), sessions, presence, lambda: asyncio.shield(answers))
        make, state = protocols(app, ask_whose=ask_whose)
        server = await loop.create_server(make, sock=listening)
        later = await serving.listen(again)
        rest = asyncio.ensure_future(_load_the_rest(answers))
        try:
            await _until_nobody_looks(presence, stopped)
        finally:
            later.close()
            server.close()
            for protocol in list(state.connections):
                protocol.transport.abort()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=_LET_GO_S)
            answers.cancel()
            rest.cancel()
            await asyncio.gather(answers, rest, return_exceptions=True)


async def _answers(held: contextlib.AsyncExitStack, daemon: Path, reveals: Callable[[], bool]) -> "Answers":
    # On a thread, so that the page is served meanwhile. By default, Python switches threads only every 5 ms,
    # which would delay the files of the page.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        opened = await asyncio.to_thread(_opener)
    finally:
        sys.setswitchinterval(usual)
    return await held.enter_async_context(opened(daemon, reveals))


def _opener() -> "Callable[[Path, Callable[[], bool]], contextlib.AbstractAsyncContextManager[Answers]]":
    from nexo_settings.answers import opened

    return opened


async def _load_the_rest(answers: "asyncio.Future[Answers]") -> None:
    await asyncio.wait((answers,))
    await asyncio.sleep(_FIRST_CALLS_S)
    await asyncio.to_thread(loading.load, _USED_LATER)


async def _until_nobody_looks(presence: Presence, stopped: asyncio.Event) -> None:
    while not stopped.is_set() and (rest := presence.remaining_s) > 0:
        with contextlib.suppress(TimeoutError):
            # Activity meanwhile can only delay the end.
            await asyncio.wait_for(stopped.wait(), min(rest, max(presence.idle_s, 0.05)))
