"""The gateway's server on a loopback port and a Unix socket, for processes of this account only.

The kernel is asked for the account of the other end before a byte is read. HTTP is parsed by uvicorn's h11
protocol, without uvicorn's server: no signal handlers, timers or access log (paths may contain a token).
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nexo.connections import account, files, loading, peers
from nexo_gateway.pace import Pace
from nexo_gateway.router import Router

if TYPE_CHECKING:
    from nexo_gateway.app import GatewayApp
    from nexo_gateway.upstream import Upstream

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
KEPT_S = 120
"""Keep-alive time in seconds, longer than that of clients, so that the gateway never closes a reused one."""
MOST_CONNECTIONS = 2048
MOST_HEADER_BYTES = 64 * 1024
LET_GO_S = 1.0
"""Time in seconds for an answer to end when the gateway closes."""
QUEUE = 256
"""Length of the queue of callers, above all for a restart of the daemon."""

Address = str | tuple[str, int]
"""A path, or host and port."""


class PortTaken(Exception):
    """Another program uses the port; the text names its owner if known."""


class PartsReplaced(Exception):
    """The modules of the gateway are not those of this daemon any more."""


class SocketStore(Protocol):
    """Keeps sockets open while no daemon runs."""

    def take(self, address: Address) -> socket.socket | None:
        """The socket that listens there since before this process; the caller closes it."""

    def refuse_rest(self) -> None:
        """Close sockets that were not taken."""

    def keep(self, name: str, listening: socket.socket) -> bool:
        """Keep a socket for the next daemon; False if that is impossible."""

    def let_go(self) -> None:
        """Keep no sockets any more, and close those that were not taken."""


class Listener:
    """Starts and stops listening. Used on one event loop.

    Args:
        others_wait: see `Pace`.
    """

    def __init__(
        self,
        router: Router,
        upstream: "Callable[[], Upstream]",
        socket_store: SocketStore,
        others_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._router = router
        self._others_wait = others_wait
        self._upstream = upstream
        self._socket_store = socket_store
        self._gateway: GatewayApp | None = None
        self._pools: Upstream | None = None
        self._state: Any = None
        self._make: Any = None
        self._at_the_port: asyncio.Server | None = None
        self._at_the_path: asyncio.Server | None = None
        # The path of the Unix socket, and the identity of its file.
        self._path: tuple[Path, files.Identity | None] | None = None
        self._path_is_kept = False

    def cut(self, bearer: str) -> int:
        """End the open requests of a bearer; returns their number."""
        return self._gateway.cut(bearer) if self._gateway is not None else 0

    def doubt(self) -> None:
        """See `Upstream.doubt`."""
        if self._pools is not None:
            self._pools.doubt()

    async def start(self, port: int, unix: Path) -> None:
        """Listen.

        Raises:
            PortTaken: another program uses the port.
            PartsReplaced: the daemon was upgraded, and not restarted.
            OSError: it cannot listen for another reason.
        """
        try:
            # Imported at the first use of the gateway: it takes a tenth of a start, and most daemons need
            # none.
            from nexo.connections.own_http import protocols
            from nexo_gateway.admission import hosts_of
            from nexo_gateway.app import GatewayApp
            from nexo_gateway.protocol import GatewayProtocol

            pools = self._upstream()
        except ImportError:
            # All were there when the daemon started, or it would not have.
            raise PartsReplaced(loading.REPLACED) from None
        at_port = self._port_socket(port)
        pace = Pace(self._others_wait)
        self._pools = pools
        self._pools.pace(pace)
        self._gateway = GatewayApp(self._router, self._pools, hosts_of(port), pace)
        self._make, self._state = protocols(
            GatewayProtocol,
            self._gateway,
            kept_s=KEPT_S,
            most_connections=MOST_CONNECTIONS,
            most_header_bytes=MOST_HEADER_BYTES,
        )
        self._at_the_port = await self._serve(at_port)
        # If it cannot be bound, `bind_again` tries later.
        with contextlib.suppress(OSError):
            self._at_the_path = await self._serve(self._path_socket(unix))
        self._socket_store.refuse_rest()

    def has_lost(self, unix: Path) -> bool:
        """Whether programs that look for the Unix socket at `unix` do not find it. For any thread."""
        return self._path != (unix, _identity(unix))

    async def bind_again(self, unix: Path) -> None:
        """Listen on the Unix socket again.

        Raises:
            OSError: it cannot be bound now.
        """
        self._leave_path(remove=True)
        self._at_the_path = await self._serve(self._path_socket(unix))
        log.warning("the Unix socket of the gateway was lost; bound again: %s", unix)

    async def _serve(self, listening: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._make, sock=listening, backlog=QUEUE)

    def _port_socket(self, port: int) -> socket.socket:
        handed = self._socket_store.take((LOOPBACK, port))
        if handed is not None:
            return handed
        listening = _bound(port)
        self._socket_store.keep(f"gateway-{port}", listening)
        return listening

    def _path_socket(self, path: Path) -> socket.socket:
        listening = self._socket_store.take(str(path))
        self._path_is_kept = listening is not None
        if listening is not None:
            try:
                path.chmod(0o600)
            except OSError:
                # Its file was removed, so no caller can reach it.
                listening.close()
                listening = None
        if listening is None:
            listening = _bound_unix(path)
            self._path_is_kept = self._socket_store.keep("gateway-socket", listening)
        self._path = path, _identity(path)
        return listening

    def _leave_path(self, *, remove: bool) -> None:
        if self._at_the_path is not None:
            self._at_the_path.close()
        if self._path is not None and remove:
            path, identity = self._path
            with contextlib.suppress(OSError):
                if _identity(path) == identity:
                    path.unlink()
        self._at_the_path = self._path = None

    async def stop(self, *, for_good: bool) -> None:
        """End open requests and stop listening; takes seconds at most.

        Args:
            for_good: refuse callers from now on, so that they do not wait for the next daemon.
        """
        if for_good:
            self._socket_store.let_go()
        if self._at_the_port is not None:
            self._at_the_port.close()
            self._at_the_port = None
        self._leave_path(remove=for_good or not self._path_is_kept)
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
        self._gateway = self._state = self._make = None
        if self._pools is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_S):
                    await self._pools.aclose()
            self._pools = None


def _bound(port: int) -> socket.socket:
    # asyncio disables Nagle's delay (40 ms) only on sockets created with IPPROTO_TCP (seen).
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Allows a port with ended connections, but not one on which another program listens.
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
        # This daemon holds the lock, so a file here is left over from a killed one.
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(QUEUE)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _identity(path: Path) -> files.Identity | None:
    """The identity of the file with this name; None if it cannot be accessed."""
    try:
        return files.identity(path)
    except OSError:
        return None


def _by_whom(port: int) -> str:
    uid = peers.uid_of_listener(port)
    if uid is None:
        return ""
    return " by another program of yours" if uid == account.uid() else f" by the account with uid {uid}"
