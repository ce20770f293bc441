"""What happens to channels in a forked child: they are dropped there and made again when first used.

A channel of the parent has none of its threads in the child and answers UNAVAILABLE; closing it would wait
for those threads. So it is kept, unused, until the child ends. Seen with grpcio 1.85: a new channel in the
child works, if it shares no subchannel with the old one (`channel.OPTIONS`).
"""

import os
import weakref
from typing import Any, Protocol


class Droppable(Protocol):
    """Something that holds threads or channels."""

    def drop_after_fork(self) -> list[Any]:
        """Forgets them without closing; returns what must not be collected. Runs in the child, alone."""
        ...


_HOLDERS: "weakref.WeakSet[Droppable]" = weakref.WeakSet()
_ABANDONED: list[Any] = []


def register(holder: Droppable) -> None:
    """Calls `holder.drop_after_fork` in every child for as long as the holder lives."""
    _HOLDERS.add(holder)


def _in_child() -> None:
    for holder in tuple(_HOLDERS):
        _ABANDONED.extend(holder.drop_after_fork())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
