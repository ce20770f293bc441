"""On which connection did a conversation begin? For workspaces whose binding is sticky; kept in memory only.

What providers keep of a conversation (earlier responses, files, cached contents, encrypted reasoning) is of
one account, and another one refuses it.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import StoredConnection, WorkspaceKey

LIMIT = 4096
"""Conversations; the one that rests for longest goes first."""

Key = tuple[WorkspaceKey, bytes]


@dataclass
class Begun:
    """Where a conversation began, and when it asked last."""

    connection_id: str
    connection_name: str
    at: datetime


class Conversations:
    """All that go on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun: OrderedDict[Key, Begun] = OrderedDict()

    def begun(self, workspace: WorkspaceKey, conversation: str, rests_s: float) -> Begun | None:
        """Where it began; None for a new one, or one that rested for longer than that."""
        key = _key(workspace, conversation)
        found = self._begun.get(key)
        if found is None:
            return None
        now = self._clock.now()
        if now - found.at > timedelta(seconds=rests_s):
            del self._begun[key]
            return None
        found.at = now
        self._begun.move_to_end(key)
        return found

    def answered(self, workspace: WorkspaceKey, conversation: str, connection: StoredConnection) -> None:
        """A connection answered well: the conversation began there, unless it has begun already."""
        key = _key(workspace, conversation)
        self._begun.setdefault(key, Begun(connection.id, connection.name, self._clock.now()))
        while len(self._begun) > LIMIT:
            self._begun.popitem(last=False)

    def forget(self, workspace: WorkspaceKey, conversation: str) -> None:
        """It goes on elsewhere; one that is not known is fine."""
        if self._begun:
            self._begun.pop(_key(workspace, conversation), None)


def _key(workspace: WorkspaceKey, conversation: str) -> Key:
    # What a program sends may be long, and need not be kept in the clear.
    return workspace, hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).digest()
