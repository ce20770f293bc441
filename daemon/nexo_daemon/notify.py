"""Reports the daemon's state to a service manager. Source: sd_notify(3), sd_watchdog_enabled(3)."""

import asyncio
import contextlib
import os
import socket
import sys

from nexo.connections import refusal


def notify(state: str, *file_descriptors: int) -> bool:
    """Send a state such as "READY=1"; False, and no effect, if there is no service manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(1.0)
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        socket.send_fds(channel, [state.encode("utf-8", "backslashreplace")], file_descriptors)
        return True
    return False


def gave_up(problem: str, hint: str) -> int:
    """Say on standard error and to the service manager why the daemon cannot run; returns its exit code."""
    print(refusal.as_lines(problem, hint), file=sys.stderr)
    notify(f"STATUS={refusal.as_status(problem, hint)}")
    return 1


def watchdog_interval_s() -> float | None:
    """Half of the service manager's watchdog timeout, in seconds; None if it has no watchdog."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        limit_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 else None


async def feed_watchdog(interval_s: float) -> None:
    """Report that the event loop runs, until cancelled."""
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
