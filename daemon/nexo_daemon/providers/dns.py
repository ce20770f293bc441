"""How is a name resolved without letting a dead name server stop anybody else?

`getaddrinfo` cannot be cancelled and blocks for up to half a minute: it has a lane of its own.
"""

import socket

from nexo_daemon.domain.lanes import Lane

_LANE = Lane("resolve", most=64)

_Found = tuple[socket.AddressFamily, str]


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host in the order in which to try them, families alternating (RFC 8305).

    Raises:
        socket.gaierror: the name does not resolve.
        UnicodeError: it cannot be a name.
    """
    found = await _LANE.run(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
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
