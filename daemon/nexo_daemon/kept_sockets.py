"""Listening sockets that outlive the daemon, because the service manager holds them, too.

While the daemon restarts, callers wait in the kernel's queue instead of being refused, and no other program
can take the port. Sources: sd_listen_fds(3) for sockets that a process gets at its start, sd_notify(3)
(FDSTORE) for passing them to the next process.
"""

import logging
import os
import socket
import stat
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

from nexo.connections import account
from nexo_daemon.notify import notify

if TYPE_CHECKING:
    from nexo_gateway.server import Address

log = logging.getLogger(__name__)

_FIRST = 3
_MOST = 64
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class KeptSockets:
    """See `nexo_gateway.server.SocketStore`.

    Create it before the process opens any file, because passed sockets are known only by their numbers. It
    removes the environment variables that describe them, and child processes do not inherit the sockets.

    Attributes:
        problems: why passed sockets are not used.
    """

    def __init__(
        self, environment: MutableMapping[str, str], tell: Callable[..., bool] = notify, first: int = _FIRST
    ) -> None:
        self._tell = tell
        self._handed: dict[Address, tuple[str, socket.socket]] = {}
        self._names: set[str] = set()
        self.problems: list[str] = []
        for name, number in _numbers(environment, first, self.problems):
            try:
                one = _usable(number)
            except ValueError as problem:
                self.problems.append(f"file descriptor {number} ({name!r}) of the service manager {problem}")
                continue
            _, twice = self._handed.setdefault(one.getsockname(), (name, one))
            if twice is not one:
                one.close()

    def take(self, address: "Address") -> socket.socket | None:
        """The socket passed for this address; None if there is none."""
        name, found = self._handed.pop(address, ("", None))
        if found is not None:
            self._names.add(name)
            log.info("the service manager handed over the socket at %s", _shown(address))
        return found

    def refuse_rest(self) -> None:
        """Close sockets that were not taken, because callers would wait on them for ever."""
        for address, (name, one) in self._handed.items():
            log.warning(
                "the service manager handed over a socket at %s, where the gateway does not listen: closed",
                _shown(address),
            )
            one.close()
            self._forget(name)
        self._handed.clear()

    def keep(self, name: str, listening: socket.socket) -> bool:
        """Have the service manager keep the socket for the next daemon; False if there is none."""
        # A socket with the same name is an older one that no longer receives callers.
        self._forget(name)
        self._names.add(name)
        return self._tell(f"FDSTORE=1\nFDNAME={name}", listening.fileno())

    def let_go(self) -> None:
        """Keep no sockets for the next daemon."""
        self.refuse_rest()
        for name in self._names:
            self._forget(name)
        self._names.clear()

    def _forget(self, name: str) -> None:
        if name:
            self._tell(f"FDSTOREREMOVE=1\nFDNAME={name}")


def _numbers(environment: MutableMapping[str, str], first: int, problems: list[str]) -> list[tuple[str, int]]:
    pid, count, names, _ = (environment.pop(variable, "") for variable in _VARIABLES)
    if not count or pid != str(os.getpid()):
        # The variables were meant for the process that started this one, if for any.
        if count:
            problems.append(f"LISTEN_FDS={count!r} is for process {pid!r}, not for this one: ignored")
        return []
    if not count.isdecimal() or int(count) > _MOST:
        problems.append(f"LISTEN_FDS={count!r} is not a number up to {_MOST}: ignored")
        return []
    named = dict(enumerate(names.split(":")))
    return [(named.get(place, ""), first + place) for place in range(int(count))]


def _usable(number: int) -> socket.socket:
    """The socket of a file descriptor; an unusable one is closed.

    Raises:
        ValueError: the gateway cannot use it; the text completes a sentence about it.
    """
    try:
        status = os.fstat(number)
    except OSError:
        raise ValueError("is not open") from None
    if not stat.S_ISSOCK(status.st_mode):
        os.close(number)
        raise ValueError("is not a socket")
    os.set_inheritable(number, False)
    found = socket.socket(fileno=number)
    problem = _problem(found, status)
    if problem:
        found.close()
        raise ValueError(problem)
    return found


def _problem(found: socket.socket, status: os.stat_result) -> str:
    # Its creator may still hold it, and accept connections that are meant for us.
    if not account.trusts_owner(status):
        return f"was made by the account with uid {status.st_uid}"
    # MPTCP is a stream, too, but the kernel does not tell the owner of a connection as it does for TCP.
    if (found.family, found.type, found.proto) not in (
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0),
    ):
        return "is neither a TCP socket for IPv4 nor a Unix stream socket"
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen"
    return ""


def _shown(address: "Address") -> str:
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"
