"""What does the tray know? The last snapshot, the link to the daemon, and clicks that wait for an answer.

Not for what is shown of it (`model`), and not for how it changes (`fold`).
"""

import enum
from datetime import datetime

from nexo.connections.values import frozen
from nexo_client.types import Connection, Snapshot


class LinkState(enum.StrEnum):
    """Whether the daemon is there."""

    CONNECTING = "connecting"
    LIVE = "live"
    STARTING = "starting"
    AWAY = "away"


@frozen
class DaemonLink:
    """The link to the daemon; `problem` and `hint` say why it is away and what to do."""

    state: LinkState = LinkState.CONNECTING
    since: datetime | None = None
    problem: str = ""
    hint: str = ""


@frozen
class Switch:
    """A click on another default that the watch has not confirmed yet.

    Attributes:
        revision: of the store, once the daemon has answered the call; 0 before.
    """

    to_id: str
    at: datetime
    revision: int = 0


@frozen
class State:
    """Everything that the picture depends on, but the time.

    Attributes:
        snapshot: the last one received; kept while the daemon is away.
        testing: ids of the connections that a click is testing right now.
        revision: of the store, as of the last event.
        page: the settings screen is installed.
        started_daemon: this tray started the running daemon, so it may stop it.
    """

    link: DaemonLink = DaemonLink()
    snapshot: Snapshot | None = None
    switch: Switch | None = None
    testing: frozenset[str] = frozenset()
    notifications: bool = True
    started_daemon: bool = False
    revision: int = 0
    page: bool = False

    @property
    def live(self) -> bool:
        """Whether the snapshot is the present."""
        return self.link.state is LinkState.LIVE and self.snapshot is not None

    def connection(self, connection_id: str) -> Connection | None:
        """The connection with that id, as last seen."""
        connections = self.snapshot.connections if self.snapshot else ()
        return next((c for c in connections if c.id == connection_id), None)

    @property
    def default(self) -> Connection | None:
        """The default as shown: the one just clicked, else the daemon's."""
        if self.switch and (clicked := self.connection(self.switch.to_id)):
            return clicked
        return confirmed_default(self.snapshot)


def confirmed_default(snapshot: Snapshot | None) -> Connection | None:
    """The default as the daemon says."""
    return next((c for c in snapshot.connections if c.is_default), None) if snapshot else None
