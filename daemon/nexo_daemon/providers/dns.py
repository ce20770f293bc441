"""Resolves names on threads of its own, so that a dead name server blocks nothing else.

`getaddrinfo` cannot be cancelled, and may block for half a minute.
"""

import socket

from nexo_daemon.domain.thread_pool import ThreadPool

_THREADS = ThreadPool("resolve", most=64)

_Found = tuple[socket.AddressFamily, str]


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host in the order in which to try them, with alternating families (RFC 8305).

    Raises:
        socket.gaierror: the name cannot be resolved.
        UnicodeError: the name is malformed.
    """
    found = await _THREADS.run(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return _alternate([(entry[0], str(entry[4][0])) for entry in found])


def _alternate(found: list[_Found]) -> list[str]:
    unique = list(dict.fromkeys(found))
    first_family = unique[0][0] if unique else None
    first = [address for family, address in unique if family == first_family]
    others = [address for family, address in unique if family != first_family]
    mixed: list[str] = []
    while first or others:
        mixed += first[:1] + others[:1]
        first, others = first[1:], others[1:]
    return mixed
