"""Ports of loopback on which nobody listens, unless the test that asked for one starts a server there."""

import socket

_held: list[socket.socket] = []


def free_port() -> int:
    """A port that no other program gets by chance before this process ends.

    The bound socket does not listen, so connecting to it is refused, and a server that sets SO_REUSEADDR, as
    all servers of the tests do, may still listen there.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])
