"""What listens for the gateway: a port of loopback and a Unix socket, for processes of this account only.

The account at the other end is asked of the kernel before a byte is read. HTTP itself is uvicorn's h11
protocol, without its server: no signal handlers, no timer, no access log (paths may hold a token).
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nexo.connections import peers
from nexo_gateway.pace import Pace
from nexo_gateway.router import Router

if TYPE_CHECKING:
    from nexo_gateway.app import GatewayApp
    from nexo_gateway.upstream import Upstream

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
KEPT_S = 120
"""Longer than callers keep a connection, so that it is not us who close one that is about to be used."""
MOST_CONNECTIONS = 2048
MOST_HEADER_BYTES = 64 * 1024
LET_GO_S = 1.0
"""What an answer that is being ended gets to reach the program."""
QUEUE = 256
"""How many callers may wait to be let in, above all while the daemon restarts."""

Address = str | tuple[str, int]
"""A path, or a host and a port."""


class PortTaken(Exception):
    """Somebody else listens there; the text says who, where the system tells."""


class Keeper(Protocol):
    """Has the sockets open while no daemon runs."""

    def take(self, address: Address) -> socket.socket | None:
        """One that listens there since before this process; the caller closes it."""

    def refuse_rest(self) -> None:
        """Close what was not taken."""

    def keep(self, name: str, listening: socket.socket) -> bool:
        """Keep it for the next daemon; False if that is not possible here."""

    def let_go(self) -> None:
        """Keep nothing any more, and close what was not taken."""


class Listener:
    """Starts and stops listening. Belongs to one event loop.

    Args:
        others_wait: see `Pace`.
    """

    def __init__(
        self,
        router: Router,
        upstream: "Callable[[], Upstream]",
        keeper: Keeper,
        others_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._router = router
        self._others_wait = others_wait
        self._upstream = upstream
        self._keeper = keeper
        self._gateway: GatewayApp | None = None
        self._pools: Upstream | None = None
        self._state: Any = None
        self._servers: list[asyncio.Server] = []
        self._socket: Path | None = None
        self._socket_is_kept = False

    def cut(self, bearer: str) -> int:
        """End what a bearer has open; how many requests that were."""
        return self._gateway.cut(bearer) if self._gateway is not None else 0

    async def start(self, port: int, unix: Path) -> None:
        """Listen.

        Raises:
            PortTaken
            OSError: it cannot listen for another reason.
        """
        try:
            # Not before somebody uses the gateway: it is a tenth of a start, and most daemons have none open.
            from nexo.connections.own_http import protocols
            from nexo_gateway.admission import hosts_of
            from nexo_gateway.app import GatewayApp
            from nexo_gateway.protocol import GatewayProtocol
        except ImportError:
            raise OSError(0, "uvicorn is missing; install nexo-connections[daemon] again") from None
        sockets = [self._at_port(port)]
        with contextlib.suppress(OSError):
            # Whoever cannot have it has the port.
            sockets.append(self._at_path(unix))
            self._socket = unix
        self._keeper.refuse_rest()
        pace = Pace(self._others_wait)
        self._pools = self._upstream()
        self._pools.pace(pace)
        self._gateway = GatewayApp(self._router, self._pools, hosts_of(port), pace)
        loop = asyncio.get_running_loop()
        make, self._state = protocols(
            GatewayProtocol,
            self._gateway,
            kept_s=KEPT_S,
            most_connections=MOST_CONNECTIONS,
            most_header_bytes=MOST_HEADER_BYTES,
        )
        for one in sockets:
            self._servers.append(await loop.create_server(make, sock=one, backlog=QUEUE))

    def _at_port(self, port: int) -> socket.socket:
        handed = self._keeper.take((LOOPBACK, port))
        if handed is not None:
            return handed
        listening = _bound(port)
        self._keeper.keep(f"gateway-{port}", listening)
        return listening

    def _at_path(self, path: Path) -> socket.socket:
        handed = self._keeper.take(str(path))
        if handed is not None:
            try:
                path.chmod(0o600)
                self._socket_is_kept = True
                return handed
            except OSError:
                # Its file is gone, so nobody finds it.
                handed.close()
        listening = _bound_unix(path)
        self._socket_is_kept = self._keeper.keep("gateway-socket", listening)
        return listening

    async def stop(self, *, for_good: bool) -> None:
        """End what is open, and listen no more; unless it is for good, the next daemon may go on."""
        if for_good:
            self._keeper.let_go()
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._socket is not None and (for_good or not self._socket_is_kept):
            with contextlib.suppress(OSError):
                self._socket.unlink()
        self._socket = None
        if self._gateway is not None:
            self._gateway.cut_all()
        state = self._state
        if state is not None:
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=LET_GO_S)
            for protocol in list(state.connections):
                protocol.transport.abort()
            for task in list(state.tasks):
                task.cancel()
        self._gateway = self._state = None
        if self._pools is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_S):
                    await self._pools.aclose()
            self._pools = None


def _bound(port: int) -> socket.socket:
    # asyncio takes Nagle's delay (40 ms) only from sockets that say that they are TCP (seen).
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port of connections that have ended is free; one on which somebody listens is not.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(QUEUE)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortTaken(f"port {port} is taken{_by_whom(port)}") from None
        raise
    return listening


def _bound_unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # The daemon has the lock, so what lies there is left over from one that was killed.
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(QUEUE)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _by_whom(port: int) -> str:
    uid = peers.uid_of_listener(port)
    if uid is None:
        return ""
    return " by another program of yours" if uid == os.geteuid() else f" by the account with uid {uid}"
