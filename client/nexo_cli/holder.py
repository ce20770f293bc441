"""How is the daemon's process ended if it does not answer?"""

import os
import signal
import time

from nexo.connections.processes import alive


def gone_within(pid: int, seconds: float) -> bool:
    """Wait until the process has ended; False if it has not in that time."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ask(pid: int) -> None:
    """Send the signal for an orderly stop."""
    _send(pid, signal.SIGTERM)


def end(pid: int, patience_s: float) -> bool:
    """Ask the process to end, then kill it. Changes that the daemon has acknowledged survive that."""
    for number, seconds in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        _send(pid, number)
        if gone_within(pid, seconds):
            return True
    return False


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
