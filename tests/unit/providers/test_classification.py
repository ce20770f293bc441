"""Every recorded answer gets the verdict that it deserves, by exactly one row of the table."""

import itertools
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from nexo.connections.terms import Outcome
from nexo_daemon.providers import bodies, dialects, table
from nexo_daemon.providers.classify import Classification, Subject, judge, row_matches
from nexo_daemon.providers.exchange import HttpAnswer
from nexo_daemon.providers.redact import Redactor
from recorded_answers import CANARY, RECORDED, Recorded

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SUBJECT = Subject("Example", "api.example", "https://example/keys")
TIERS = (table.EDGE, table.SPECIFIC, table.BY_MEANING, table.BY_STATUS)

PURE = [r for r in RECORDED if not any(name == "Content-Encoding" for name, _ in r.all_headers)]


def reading_of(recorded: Recorded) -> bodies.Reading:
    return bodies.read(HttpAnswer(recorded.status, httpx.Headers(list(recorded.all_headers)), recorded.body))


def judgement_of(recorded: Recorded) -> Classification:
    reading = reading_of(recorded)
    right = dialects.DIALECTS[recorded.provider].models(reading.document, 1) is not None
    return judge(reading, right_shape=right, subject=SUBJECT, redact=Redactor([CANARY]), now=NOW)


@pytest.mark.parametrize("recorded", PURE, ids=lambda r: r.name)
def test_recorded_answer_gets_its_verdict(recorded: Recorded) -> None:
    judgement = judgement_of(recorded)
    verdict = judgement.verdict
    assert (verdict.outcome, verdict.reason) == (recorded.outcome, recorded.reason)
    assert (judgement.row.name if judgement.row else "") == recorded.row
    assert judgement.key_accepted is recorded.key_accepted
    expected = None if recorded.retry_s is None else NOW + timedelta(seconds=recorded.retry_s)
    assert verdict.retry_at == expected
    assert bool(verdict.advice) is (verdict.outcome is not Outcome.OK)
    for text in (verdict.advice, verdict.evidence, verdict.provider_message, verdict.request_id):
        assert CANARY not in text
        assert CANARY[:12] not in text
        assert "{" not in verdict.advice


@pytest.mark.parametrize("recorded", PURE, ids=lambda r: r.name)
def test_no_tier_has_two_rows_for_a_recorded_answer(recorded: Recorded) -> None:
    reading = reading_of(recorded)
    haystack = " ".join([reading.message.lower(), *sorted(reading.codes)])
    for tier in TIERS:
        fitting = [row.name for row in tier if row_matches(row, reading, haystack)]
        assert len(fitting) <= 1, fitting


def test_every_row_is_reached_by_a_recorded_answer() -> None:
    reached = {recorded.row for recorded in RECORDED}
    unreachable_from_a_server = {"informational", "other-redirect", "proxy-auth-late"}
    rows = {row.name for tier in TIERS for row in tier}
    assert rows - reached == unreachable_from_a_server
    assert reached - rows == {""}


def test_row_names_are_unique() -> None:
    names = [row.name for tier in TIERS for row in tier]
    assert len(names) == len(set(names))


def test_no_cell_is_reached_by_two_rows() -> None:
    """A cell is a status and a code or a word; within the tier of specific rows each has one owner."""
    for one, other in itertools.combinations(table.SPECIFIC, 2):
        shared = statuses(one) & statuses(other)
        if not shared:
            continue
        assert one.codes.isdisjoint(other.codes), (one.name, other.name)
        for a, b in itertools.product(one.words, other.words):
            assert a not in b, (one.name, other.name, a, b)
            assert b not in a, (one.name, other.name, a, b)


def test_no_cell_of_the_edge_is_reached_by_two_rows() -> None:
    """Rows that share a status and a kind of body exclude each other by words or headers."""
    everything = frozenset(bodies.Form)
    for one, other in itertools.combinations(table.EDGE, 2):
        if not statuses(one) & statuses(other) or not (one.forms or everything) & (other.forms or everything):
            continue
        # What names the one has to rule out the other; an empty body has no words.
        words_matter = (one.forms or everything) & (other.forms or everything) != {bodies.Form.EMPTY}
        marks = [set(row.headers) | (set(row.words) if words_matter else set()) for row in (one, other)]
        assert (marks[0] and marks[0] <= set(other.unless)) or (marks[1] and marks[1] <= set(one.unless)), (
            one.name,
            other.name,
        )


def test_every_status_has_exactly_one_last_row() -> None:
    owners = {
        status: [row.name for row in table.BY_STATUS if status in statuses(row)] for status in range(1000)
    }
    assert {status: names for status, names in owners.items() if len(names) != 1} == {}


def statuses(row: table.Row) -> set[int]:
    return {status for low, high in row.statuses for status in range(low, high + 1)}


def test_the_redirect_shows_where_to_without_the_query() -> None:
    recorded = next(r for r in RECORDED if r.name == "redirect-301")
    assert judgement_of(recorded).verdict.evidence == "HTTP 301, Location: https://other.example/v1/models"


def test_the_request_id_comes_from_header_or_body() -> None:
    recorded = next(r for r in RECORDED if r.name == "anthropic-invalid-key")
    assert judgement_of(recorded).verdict.request_id == "req_011CSHoEeqs5C35K2UUqR7Fy"
