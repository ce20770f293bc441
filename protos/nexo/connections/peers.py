"""Asks the kernel which account is at the other end of a local connection.

Every account of the computer can connect to a TCP port on loopback, and could use a stolen token. Therefore
the account is checked before any byte is read. Linux tells it from its socket tables, in half a millisecond;
macOS tells it for Unix sockets only.
"""

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

from nexo.connections import account

_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_NETLINK_SOCK_DIAG = 4
_NO_COOKIE = 0xFFFFFFFF
_UID_AT = 16 + 4 + 48 + 12
"""Offset of the uid in `inet_diag_msg`, after the header, the state, the socket's id and three numbers."""
_WAIT_S = 1.0
_LISTENS = "0A"


def uid_of(connection: socket.socket) -> int | None:
    """The account at the other end; None if the kernel does not tell, so treat the peer as a stranger."""
    try:
        if connection.family == socket.AF_UNIX:
            return _uid_of_unix(connection)
        return _uid_of_tcp(connection.getpeername(), connection.getsockname(), connection.family)
    except OSError:
        return None


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end is a process of this account.

    On macOS the account of a TCP connection is unknown and counts as ours; see docs/security.md.
    """
    uid = uid_of(connection)
    if uid is None and connection.family != socket.AF_UNIX and sys.platform == "darwin":
        return True
    return uid == account.uid()


def uid_of_listener(port: int) -> int | None:
    """The account whose program listens on a TCP port of this computer; None if the kernel does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and fields[1].endswith(f":{port:04X}"):
                return int(fields[7])
    return None


def _uid_of_unix(connection: socket.socket) -> int | None:
    if hasattr(socket, "SO_PEERCRED"):
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    # LOCAL_PEERCRED of SOL_LOCAL: `struct xucred`, a version and the uid.
    raw = connection.getsockopt(0, 1, 76)
    return int(struct.unpack_from("=II", raw)[1])


def _uid_of_tcp(peer: tuple[str, int], own: tuple[str, int], family: int) -> int | None:
    if not hasattr(socket, "AF_NETLINK"):
        return None
    try:
        return _ask_netlink(peer, own, family)
    except FileNotFoundError:
        return None
    except OSError:
        # A sandbox or an emulated kernel may lack this netlink family.
        return _look_into_proc(peer, own, family)


def _ask_netlink(peer: tuple[str, int], own: tuple[str, int], family: int) -> int | None:
    def address(text: str) -> bytes:
        return socket.inet_pton(family, text).ljust(16, b"\0")

    # We ask for the peer's socket, whose source address is what we call the peer's address.
    wanted = struct.pack("!HH16s16s", peer[1], own[1], address(peer[0]), address(own[0])) + struct.pack(
        "=III", 0, _NO_COOKIE, _NO_COOKIE
    )
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _NO_COOKIE) + wanted
    header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_WAIT_S)
        netlink.sendto(header + request, (0, 0))
        answer = netlink.recv(4096)
    kind = struct.unpack_from("=IH", answer)[1]
    if kind == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, 16)[0]
        raise OSError(number, os.strerror(number))
    if kind != _SOCK_DIAG_BY_FAMILY or len(answer) < _UID_AT + 4:
        return None
    return int(struct.unpack_from("=I", answer, _UID_AT)[0])


def _look_into_proc(peer: tuple[str, int], own: tuple[str, int], family: int) -> int | None:
    wanted = (_as_in_proc(peer, family), _as_in_proc(own, family))
    table = Path("/proc/net/tcp6" if family == socket.AF_INET6 else "/proc/net/tcp")
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1], fields[2]) == wanted:
            return int(fields[7])
    return None


def _as_in_proc(address: tuple[str, int], family: int) -> str:
    raw = socket.inet_pton(family, address[0])
    words = (
        raw[at : at + 4][::-1] if sys.byteorder == "little" else raw[at : at + 4]
        for at in range(0, len(raw), 4)
    )
    return f"{b''.join(words).hex().upper()}:{address[1]:04X}"
