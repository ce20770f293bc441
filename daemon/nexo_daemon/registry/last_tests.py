"""What did the last test of a connection say? Kept in memory until what it was about changes.

Holds no secret: every text of a report is redacted. Not for lights, which checks move as well; and not for
tests of drafts, which are in `tickets` until they are saved.
"""

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime

from nexo.connections.values import frozen
from nexo_daemon.domain.model import StoredConnection
from nexo_daemon.domain.probing import TestReport
from nexo_daemon.registry.change import Effects
from nexo_daemon.registry.writer import Writer

LIMIT = 256
"""Connections whose last test is kept; the one that was tested longest ago goes first."""


@frozen
class KeptTest:
    """A report without its models, of which there can be thousands, and when the test ended.

    Attributes:
        default_model: that the connection had; a test says whether it is listed.
    """

    report: TestReport
    at: datetime
    default_model: str


class LastTests:
    """Listener of the writer: what is sent elsewhere, or with another key, was not tested."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._kept: OrderedDict[str, KeptTest] = OrderedDict()
        writer.listen_to_connections(self)

    def keep(self, connection: StoredConnection, report: TestReport) -> None:
        """Remember the report of `connection`, unless that was changed since it was read."""
        now = self._writer.snapshot.connections.get(connection.id)
        if now is None or now.revision != connection.revision:
            return
        kept = KeptTest(replace(report, models=()), self._writer.clock.now(), connection.default_model)
        self._kept.pop(connection.id, None)
        self._kept[connection.id] = kept
        while len(self._kept) > LIMIT:
            self._kept.popitem(last=False)

    def of(self, connection: StoredConnection) -> KeptTest | None:
        """The last test of the connection as it is; None if it was not tested since nexod started."""
        found = self._kept.get(connection.id)
        return found if found is not None and found.default_model == connection.default_model else None

    def on_change(self, effects: Effects) -> None:
        """See `ConnectionListener`."""
        for connection_id in (*effects.probe_again, *(one.id for one in effects.removed)):
            self._kept.pop(connection_id, None)
