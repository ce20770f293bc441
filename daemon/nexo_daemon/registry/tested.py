"""Remembers tests: drafts that were tested but not saved, by ticket, and the last test of each connection.

A draft is sent only once: later calls refer to it by the ticket of its test. A ticket is random and no call
lists tickets, so only the caller of the test can use it. The draft behind it is saved or forgotten, never
returned. Reports are redacted: they hold no secrets. Health, which checks change as well, is elsewhere.
"""

import secrets
from collections import OrderedDict
from dataclasses import field, fields, replace
from datetime import datetime

from nexo.connections.errors import InvalidField
from nexo.connections.terms import KeyVerdict
from nexo.connections.values import frozen
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.expiring_cache import ExpiringCache
from nexo_daemon.domain.model import StoredConnection
from nexo_daemon.domain.probing import TestReport
from nexo_daemon.registry.change import Effects
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.edits import AS_GIVEN, Plan, learned
from nexo_daemon.registry.writer import Writer

LIMIT = 300
"""The settings screen tests this many rows of an import at once, and then saves them."""
SIZE_LIMIT = 64 * 1024
"""Characters of secrets in a draft that is kept; a larger draft gets no ticket and is sent again."""
LAST_TESTS_LIMIT = 256
"""Connections whose last test is kept; the oldest test is discarded first."""
KEPT_S = 900.0
"""Time between a test and saving, for a person who reads and thinks; in seconds."""

_LATER = {"name", *AS_GIVEN}


@frozen
class Proposal:
    """The data that create and update are asked to save.

    Attributes:
        draft: of a new connection, or of an edit.
        fixes: clean-ups of the key that the person agreed to.
        consent: to send the stored secrets to the new place.
        connection_id: of the edited connection; empty for a new one.
        revision: of that connection at the time of the test.
        report: of its test, without the models; None when there was none.
    """

    draft: Draft = field(repr=False)
    fixes: tuple[str, ...] = ()
    consent: bool = False
    connection_id: str = ""
    revision: int = 0
    report: TestReport | None = None

    def with_changes(self, later: Draft) -> "Proposal":
        """A copy with the changes that were made after the test.

        Raises:
            InvalidField: a change of a field that the test depends on.
        """
        nothing = Draft()
        changed = {one.name: getattr(later, one.name) for one in fields(later)}
        changed = {name: value for name, value in changed.items() if value != getattr(nothing, name)}
        for name in changed.keys() - _LATER:
            raise InvalidField.of("ticket", f"belongs to a test without this {name}", "test it again")
        return replace(self, draft=replace(self.draft, **changed))

    def proven(self, plan: Plan, now: datetime) -> Plan:
        """The plan, with the facts that the test proved."""
        if self.report is None:
            return plan
        verdict = self.report.proven_verdict
        proven_at = now if verdict is KeyVerdict.VERIFIED else None
        known = learned(plan.connection, verdict=verdict, proven_at=proven_at, facts=self.report.facts)
        return replace(plan, connection=known)


class Tickets:
    """Tested drafts by ticket; used on one event loop.

    Attributes:
        era: counts how often all tickets were discarded; a test that began in an earlier era gets no ticket.
    """

    def __init__(self, clock: Clock) -> None:
        self._kept: ExpiringCache[str, Proposal] = ExpiringCache(clock, lifetime_s=KEPT_S, limit=LIMIT)
        self.era = 0

    def issue(self, proposal: Proposal, report: TestReport, era: int) -> str:
        """A ticket for a tested draft and its report; empty if the era is over, or the draft too large."""
        headers = proposal.draft.headers or ()
        if era != self.era or sum(len(value.reveal()) for _, value in headers) > SIZE_LIMIT:
            return ""
        ticket = secrets.token_urlsafe(24)
        self._kept.put(ticket, replace(proposal, report=replace(report, models=())))
        return ticket

    def look(self, ticket: str, connection_id: str = "") -> Proposal:
        """The proposal for a ticket of a test of this connection (empty id: of a new one).

        Raises:
            InvalidField: the ticket is unknown, or belongs to another connection.
        """
        found = self._kept.get(ticket)
        if found is None:
            raise InvalidField.of(
                "ticket",
                f"what was tested is forgotten {KEPT_S / 60:.0f} minutes later, and when the vault is locked",
                "test it again",
            )
        if found.connection_id != connection_id:
            raise InvalidField.of("ticket", "belongs to another test", "test this draft")
        return found

    def end(self, ticket: str) -> Proposal | None:
        """Discard a redeemed ticket; returns its proposal, as it was tested."""
        found = self._kept.get(ticket)
        self._kept.forget(ticket)
        return found

    def clear(self) -> None:
        """Discard all tickets; tests that are running now get none."""
        self.era += 1
        self._kept.clear()


@frozen
class KeptTest:
    """A report without its models, which can be thousands, and the time when the test ended.

    Attributes:
        default_model: of the connection at the test; the report says whether it is listed.
    """

    report: TestReport
    at: datetime
    default_model: str


class LastTests:
    """The last test of each connection, in memory; listens to the writer.

    A test is forgotten when the connection's key, address or another part of its request changes.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._kept: OrderedDict[str, KeptTest] = OrderedDict()
        writer.listen_to_connections(self.on_change)

    def keep(self, connection: StoredConnection, report: TestReport) -> None:
        """Remember the report, unless the stored connection differs from `connection` by now."""
        now = self._writer.snapshot.connections.get(connection.id)
        if now is None or now.revision != connection.revision:
            return
        kept = KeptTest(replace(report, models=()), self._writer.clock.now(), connection.default_model)
        self._kept.pop(connection.id, None)
        self._kept[connection.id] = kept
        while len(self._kept) > LAST_TESTS_LIMIT:
            self._kept.popitem(last=False)

    def of(self, connection: StoredConnection) -> KeptTest | None:
        """The last test of the connection as it is now; None if there was none since nexod started."""
        found = self._kept.get(connection.id)
        return found if found is not None and found.default_model == connection.default_model else None

    def on_change(self, effects: Effects) -> None:
        """See `Writer.listen_to_connections`."""
        for connection_id in (*effects.probe_again, *(one.id for one in effects.removed)):
            self._kept.pop(connection_id, None)
