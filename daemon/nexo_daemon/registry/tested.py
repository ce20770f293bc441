"""What did tests say? By ticket what is not saved yet, and of each connection the last test.

A draft is sent once: a ticket stands for it for a while. It says nothing and cannot be guessed, and no call
lists tickets: it is worth something only to whoever was told it. What it stands for is saved or forgotten,
never handed out. Of a saved connection no secret is kept: every text of a report is redacted. Not for lights,
which checks move as well.
"""

import secrets
from collections import OrderedDict
from dataclasses import field, fields, replace
from datetime import datetime

from nexo.connections.errors import InvalidField
from nexo.connections.terms import KeyVerdict
from nexo.connections.values import frozen
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.fleeting import Fleeting
from nexo_daemon.domain.model import StoredConnection
from nexo_daemon.domain.probing import TestReport
from nexo_daemon.registry.change import Effects
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.edits import AS_GIVEN, Plan, learned
from nexo_daemon.registry.writer import Writer

LIMIT = 300
"""As many as the settings screen shows rows to import: it tests them all, and saves them then."""
SIZE_LIMIT = 64 * 1024
"""Characters of the secrets of a draft that is kept; larger ones are sent again."""
LAST_TESTS_LIMIT = 256
"""Connections whose last test is kept; the one that was tested longest ago goes first."""
KEPT_S = 900.0
"""A person tests, reads, thinks and saves; what was tested before lunch is worth a new test."""

_LATER = {"name", *AS_GIVEN}


@frozen
class Proposal:
    """What create and update are asked to save.

    Attributes:
        draft: a new connection, or an edit of one.
        fixes: clean-ups of the key that the person agreed to.
        consent: to send the stored secrets where the edit leads.
        connection_id: the connection that was edited; empty for a new one.
        revision: of that connection when it was tested.
        report: of its test, without the models; None when there was none.
    """

    draft: Draft = field(repr=False)
    fixes: tuple[str, ...] = ()
    consent: bool = False
    connection_id: str = ""
    revision: int = 0
    report: TestReport | None = None

    def with_changes(self, later: Draft) -> "Proposal":
        """With what was changed after the test.

        Raises:
            InvalidField: something that a test depends on.
        """
        nothing = Draft()
        changed = {one.name: getattr(later, one.name) for one in fields(later)}
        changed = {name: value for name, value in changed.items() if value != getattr(nothing, name)}
        for name in changed.keys() - _LATER:
            raise InvalidField.of("ticket", f"belongs to a test without this {name}", "test it again")
        return replace(self, draft=replace(self.draft, **changed))

    def proven(self, plan: Plan, now: datetime) -> Plan:
        """The plan of it with what the test has proven."""
        if self.report is None:
            return plan
        verdict = self.report.proven_verdict
        proven_at = now if verdict is KeyVerdict.VERIFIED else None
        known = learned(plan.connection, verdict=verdict, proven_at=proven_at, facts=self.report.facts)
        return replace(plan, connection=known)


class Tickets:
    """What was tested, by ticket; belongs to one event loop.

    Attributes:
        era: ends whenever everything is forgotten; a test that began in an earlier one gets no ticket.
    """

    def __init__(self, clock: Clock) -> None:
        self._kept: Fleeting[str, Proposal] = Fleeting(clock, lifetime_s=KEPT_S, limit=LIMIT)
        self.era = 0

    def issue(self, proposal: Proposal, report: TestReport, era: int) -> str:
        """A ticket for what was tested, with its report; empty if the era is over, or it is too large."""
        headers = proposal.draft.headers or ()
        if era != self.era or sum(len(value.reveal()) for _, value in headers) > SIZE_LIMIT:
            return ""
        ticket = secrets.token_urlsafe(24)
        self._kept.put(ticket, replace(proposal, report=replace(report, models=())))
        return ticket

    def look(self, ticket: str, connection_id: str = "") -> Proposal:
        """What the ticket stands for, if it was tested for this connection (none: for a new one).

        Raises:
            InvalidField: it stands for nothing, or for something else.
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
        """It was redeemed; what it stood for, as it was tested."""
        found = self._kept.get(ticket)
        self._kept.forget(ticket)
        return found

    def clear(self) -> None:
        """Forget everything, what is being tested now included."""
        self.era += 1
        self._kept.clear()


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
    """The last test of each connection, in memory until what it was about changes; listener of the writer.

    What is sent elsewhere, or with another key, was not tested.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._kept: OrderedDict[str, KeptTest] = OrderedDict()
        writer.listen_to_connections(self.on_change)

    def keep(self, connection: StoredConnection, report: TestReport) -> None:
        """Remember the report of `connection`, unless that was changed since it was read."""
        now = self._writer.snapshot.connections.get(connection.id)
        if now is None or now.revision != connection.revision:
            return
        kept = KeptTest(replace(report, models=()), self._writer.clock.now(), connection.default_model)
        self._kept.pop(connection.id, None)
        self._kept[connection.id] = kept
        while len(self._kept) > LAST_TESTS_LIMIT:
            self._kept.popitem(last=False)

    def of(self, connection: StoredConnection) -> KeptTest | None:
        """The last test of the connection as it is; None if it was not tested since nexod started."""
        found = self._kept.get(connection.id)
        return found if found is not None and found.default_model == connection.default_model else None

    def on_change(self, effects: Effects) -> None:
        """See `Writer.listen_to_connections`."""
        for connection_id in (*effects.probe_again, *(one.id for one in effects.removed)):
            self._kept.pop(connection_id, None)
