"""Drops gRPC channels in a forked child, where they are recreated when they are first used.

In the child, the parent's channel has no threads and fails with UNAVAILABLE, and closing it would wait for
those threads. Therefore it is kept, unused, until the child ends. As observed with grpcio 1.85, a new channel
works in the child if it shares no subchannel with the old one (`channel.OPTIONS`).
"""

import os
import weakref
from typing import Any, Protocol


class Droppable(Protocol):
    """An object that has threads or channels."""

    def drop_after_fork(self) -> list[Any]:
        """Drops them without closing; returns objects that must not be garbage collected.

        Runs in the child, where no other thread exists.
        """
        ...


_HOLDERS: "weakref.WeakSet[Droppable]" = weakref.WeakSet()
_ABANDONED: list[Any] = []


def register(holder: Droppable) -> None:
    """Registers an object (by weak reference) whose `drop_after_fork` is called in every forked child."""
    _HOLDERS.add(holder)


def _in_child() -> None:
    for holder in tuple(_HOLDERS):
        _ABANDONED.extend(holder.drop_after_fork())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
