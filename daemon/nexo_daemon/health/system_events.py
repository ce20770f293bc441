"""Watches the computer for events that concern checks: changed routes, suspension, a changed clock.

On Linux the kernel notifies (a routing socket, and a timer that a clock change cancels), so nothing is
polled. On other systems, or if the kernel refuses, the clock is read every `POLL_EVERY_S`. Each part works
without the others.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from nexo_daemon.domain.clock import elapsed_s

POLL_EVERY_S: Final = 30.0
"""Interval in seconds for reading the clock where the system does not announce changes."""

_TUNNELS: Final = ("tun", "tap", "wg", "ppp", "tailscale", "nordlynx", "proton")
_ROUTE_UP: Final = 0x1
_ROUTE_REJECTED: Final = 0x200
# linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
_ROUTE_GROUPS: Final = 0x1 | 0x40 | 0x400
# linux/timerfd.h
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_FAR: Final = 2**62


class SystemEvents(Protocol):
    """The state of the computer, as needed by the monitor."""

    def start(self, on_network: Callable[[], None], on_clock: Callable[[], None]) -> None:
        """Begin to call the callbacks, on the running event loop."""

    def stop(self) -> None:
        """Stop calling them."""

    def routed(self) -> bool | None:
        """Whether there is a default route; None if unknown."""

    def asleep_s(self) -> float | None:
        """Seconds that the computer was suspended since its start; None if unknown."""

    def poll_every_s(self) -> float | None:
        """Interval in seconds for reading the clock; None if changes are announced."""


class KernelEvents:
    """The state of this computer."""

    def __init__(self, proc_net: Path = Path("/proc/net")) -> None:
        self._proc_net = proc_net
        self._routes: socket.socket | None = None
        self._timer: int | None = None
        self._fingerprint: frozenset[str] | None = None
        self._on_network: Callable[[], None] = _ignore
        self._on_clock: Callable[[], None] = _ignore

    def start(self, on_network: Callable[[], None], on_clock: Callable[[], None]) -> None:
        """See `SystemEvents`."""
        self._on_network, self._on_clock = on_network, on_clock
        loop = asyncio.get_running_loop()
        # Before the routes are read, so that no change of them is missed.
        self._routes = _routing_socket()
        self._fingerprint = self._read_default_routes()
        if self._routes is not None:
            loop.add_reader(self._routes, self._routes_changed)
        self._timer = _cancellable_timer()
        if self._timer is not None:
            loop.add_reader(self._timer, self._clock_changed)

    def stop(self) -> None:
        """See `SystemEvents`."""
        loop = asyncio.get_running_loop()
        if self._routes is not None:
            loop.remove_reader(self._routes)
            self._routes.close()
            self._routes = None
        if self._timer is not None:
            loop.remove_reader(self._timer)
            os.close(self._timer)
            self._timer = None

    def routed(self) -> bool | None:
        """See `SystemEvents`."""
        routes = self._read_default_routes()
        return None if routes is None else bool(routes)

    def asleep_s(self) -> float | None:
        """See `SystemEvents`."""
        elapsed = elapsed_s()
        return None if elapsed is None else elapsed - time.monotonic()

    def poll_every_s(self) -> float | None:
        """See `SystemEvents`."""
        return None if self._timer is not None else POLL_EVERY_S

    def _routes_changed(self) -> None:
        if self._routes is None:
            return
        # The content of the messages is not needed, and a full buffer (ENOBUFS) means a change, too.
        with contextlib.suppress(OSError):
            while self._routes.recv(65536):
                pass
        routes = self._read_default_routes()
        # Router advertisements renew the same routes every few minutes, which is no change.
        if routes != self._fingerprint:
            self._fingerprint = routes
            self._on_network()

    def _clock_changed(self) -> None:
        if self._timer is None:
            return
        with contextlib.suppress(OSError):  # ECANCELED is the message
            os.read(self._timer, 8)
        if not _arm(self._timer):
            asyncio.get_running_loop().remove_reader(self._timer)
            os.close(self._timer)
            self._timer = None
        self._on_clock()

    def _read_default_routes(self) -> frozenset[str] | None:
        """Default routes (or their two halves, as set by VPNs) and tunnels; None if unreadable."""
        try:
            lines4 = (self._proc_net / "route").read_text(encoding="ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            return None
        try:
            lines6 = (self._proc_net / "ipv6_route").read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            lines6 = []
        return frozenset([*_default_routes4(lines4), *_default_routes6(lines6)])


def _default_routes4(lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) < 8:
            continue
        interface, gateway, flags, mask = fields[0], fields[2], int(fields[3], 16), fields[7]
        wide = mask in ("00000000", "00000080") or interface.startswith(_TUNNELS)
        if wide and flags & _ROUTE_UP and not flags & _ROUTE_REJECTED:
            found.append(f"4 {interface} {fields[1]}/{mask} {gateway}")
    return found


def _default_routes6(lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or fields[9] == "lo":
            continue
        flags = int(fields[8], 16)
        if fields[1] == "00" and flags & _ROUTE_UP and not flags & _ROUTE_REJECTED:
            found.append(f"6 {fields[9]} {fields[4]}")
    return found


def _routing_socket() -> socket.socket | None:
    if sys.platform != "linux":
        return None
    try:
        routes = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
        )
    except OSError:
        return None
    try:
        routes.bind((0, _ROUTE_GROUPS))
    except OSError:
        routes.close()
        return None
    return routes


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


def _cancellable_timer() -> int | None:
    """A timer that never expires; the kernel cancels it when the clock is set or the computer resumes."""
    if sys.platform != "linux":
        return None
    try:
        create = ctypes.CDLL(None, use_errno=True).timerfd_create
    except (OSError, AttributeError):
        return None
    timer = int(create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
    if timer < 0:
        return None
    if not _arm(timer):
        os.close(timer)
        return None
    return timer


def _arm(timer: int) -> bool:
    spec = _Itimerspec(_Timespec(0, 0), _Timespec(_FAR, 0))
    flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
    try:
        result = ctypes.CDLL(None, use_errno=True).timerfd_settime(timer, flags, ctypes.byref(spec), None)
    except (OSError, AttributeError):
        return False
    # Setting a cancelled timer again reports the cancellation once, and sets the timer.
    return int(result) == 0 or ctypes.get_errno() == 125


def _ignore() -> None:
    """The callback before `start`."""
