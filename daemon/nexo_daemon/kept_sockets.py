"""Listening sockets that outlive the daemon, because the service manager has them as well.

While the daemon restarts, callers wait in the kernel's queue instead of being refused, and nobody else can
take the port. Sources: sd_listen_fds(3) for the sockets that a process is handed at its start, sd_notify(3)
(FDSTORE) for those that the manager is to hand to the next one.
"""

import logging
import os
import socket
import stat
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

from nexo_daemon.notify import notify

if TYPE_CHECKING:
    from nexo_gateway.server import Address

log = logging.getLogger(__name__)

_FIRST = 3
_MOST = 64
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class KeptSockets:
    """See `nexo_gateway.server.Keeper`.

    Make it before the process opens anything: sockets that are handed over are known by their numbers alone.
    The variables that tell of them are removed, and no child inherits one.

    Attributes:
        problems: why something that was handed over is not used.
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
        """One that listens there since before this process; None if none was handed over."""
        name, found = self._handed.pop(address, ("", None))
        if found is not None:
            self._names.add(name)
            log.info("the service manager handed over the socket at %s", _shown(address))
        return found

    def refuse_rest(self) -> None:
        """Close what nobody has taken: callers would wait there for ever."""
        for address, (name, one) in self._handed.items():
            log.warning(
                "the service manager handed over a socket at %s, where the gateway does not listen: closed",
                _shown(address),
            )
            one.close()
            self._forget(name)
        self._handed.clear()

    def keep(self, name: str, listening: socket.socket) -> bool:
        """Have the manager hand it to the next daemon; False if there is no manager to ask."""
        # What bears that name already is an earlier one that nobody finds any more.
        self._forget(name)
        self._names.add(name)
        return self._tell(f"FDSTORE=1\nFDNAME={name}", listening.fileno())

    def let_go(self) -> None:
        """Nothing is for the next daemon any more."""
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
        # They were for the process that started this one, if anything.
        if count:
            problems.append(f"LISTEN_FDS={count!r} is for process {pid!r}, not for this one: ignored")
        return []
    if not count.isdecimal() or int(count) > _MOST:
        problems.append(f"LISTEN_FDS={count!r} is not a number up to {_MOST}: ignored")
        return []
    named = dict(enumerate(names.split(":")))
    return [(named.get(place, ""), first + place) for place in range(int(count))]


def _usable(number: int) -> socket.socket:
    """The socket of a file descriptor; one that is none of ours is closed.

    Raises:
        ValueError: it is no socket that the gateway could listen on; the text goes on after its name.
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
    problem = _problem(found, status.st_uid)
    if problem:
        found.close()
        raise ValueError(problem)
    return found


def _problem(found: socket.socket, uid: int) -> str:
    # Whoever made it may still have it, and accept the connections that are meant for us.
    if uid not in (0, os.geteuid()):
        return f"was made by the account with uid {uid}"
    # MPTCP is a stream as well, and the kernel does not tell whose its callers are as it does for TCP.
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
