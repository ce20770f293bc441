"""How a program follows a connection."""

import enum


class OnStale(enum.Enum):
    """What `LiveConnection.current` does while the daemon is away."""

    KEEP = "keep"
    """Gives the last known connection; `stale` says that it may be out of date."""
    RAISE = "raise"
    """Raises `DaemonNotRunning`."""
