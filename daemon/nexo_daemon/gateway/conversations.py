"""Remembers the connection of each conversation, for workspaces whose binding is sticky; only in memory.

The data that providers keep for a conversation (earlier responses, files, cached contents, encrypted
reasoning) belongs to one account, and cannot be used with another one.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import StoredConnection, WorkspaceKey

LIMIT = 4096
"""The maximum number of conversations; the one without requests for longest is removed first."""

Key = tuple[WorkspaceKey, bytes]


@dataclass
class Begun:
    """The connection of a conversation, and the time of its last request (see `Clock.elapsed`).

    The wall clock does not count: if it is set, no conversation may change to another account.
    """

    connection_id: str
    connection_name: str
    at: float


class Conversations:
    """All active conversations."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun: OrderedDict[Key, Begun] = OrderedDict()

    def begun(self, workspace: WorkspaceKey, conversation: str, rests_s: float) -> Begun | None:
        """Its connection; None if it is new, or had no request for `rests_s` seconds."""
        key = _key(workspace, conversation)
        found = self._begun.get(key)
        if found is None:
            return None
        now = self._clock.elapsed()
        if now - found.at > rests_s:
            del self._begun[key]
            return None
        found.at = now
        self._begun.move_to_end(key)
        return found

    def answered(self, workspace: WorkspaceKey, conversation: str, connection: StoredConnection) -> None:
        """A connection answered: it becomes the conversation's, unless the conversation has one."""
        key = _key(workspace, conversation)
        self._begun.setdefault(key, Begun(connection.id, connection.name, self._clock.elapsed()))
        while len(self._begun) > LIMIT:
            self._begun.popitem(last=False)

    def forget(self, workspace: WorkspaceKey, conversation: str) -> None:
        """Forget a conversation, if it is known: its next request may use another connection."""
        if self._begun:
            self._begun.pop(_key(workspace, conversation), None)


def _key(workspace: WorkspaceKey, conversation: str) -> Key:
    # The name from the program may be long, and need not be kept in plain text.
    return workspace, hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).digest()
