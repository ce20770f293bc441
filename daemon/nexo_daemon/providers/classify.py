"""Classifies answers with the table. A pure function; every text in a verdict is redacted."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from nexo.connections.terms import Outcome
from nexo.connections.values import frozen
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.bodies import Form, Reading
from nexo_daemon.providers.exchange import Cut
from nexo_daemon.providers.meaning import meaning
from nexo_daemon.providers.redact import Redactor
from nexo_daemon.providers.retry import retry_at
from nexo_daemon.providers.table import BY_MEANING, BY_STATUS, EDGE, SPECIFIC, Row, without_key

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-goog-request-id", "cf-ray", "x-amzn-requestid")
_LONGEST_QUOTE = 300


@frozen
class Subject:
    """The service that a verdict is about; provides values for the placeholders of advice."""

    service: str
    host: str
    key_url: str = ""

    def fill(self, advice: str, said: str = "") -> str:
        """The advice with its placeholders filled; `said` is the provider's message, redacted."""
        words = f"“{said[:_LONGEST_QUOTE].rstrip(' .。')}”"
        return advice.format(
            service=self.service,
            host=self.host,
            keys_at=f" at {self.key_url}" if self.key_url else "",
            says=f" and says: {words}" if said else " without a reason",
            quote=f" It says: {words}." if said else "",
        )


@frozen
class Classification:
    """A verdict, and the row that it comes from; None for success and for an incomplete body."""

    verdict: Verdict
    row: Row | None

    @property
    def key_accepted(self) -> bool:
        """Whether the answer proves that the provider knows the key."""
        return self.row is not None and self.row.key_accepted


def judge(
    reading: Reading,
    *,
    right_shape: bool,
    subject: Subject,
    redact: Redactor,
    now: datetime,
    latency_s: float | None = None,
    credential_sent: bool = True,
) -> Classification:
    """Classify an answer. The first matching row decides; there always is one.

    Args:
        right_shape: whether the body of a 2xx answer has the requested format; decided by the dialect.
        credential_sent: whether the request carried a key or a header that may hold one.
    """
    evidence = f"HTTP {reading.status}"
    if reading.cut:
        evidence += f", {reading.cut}"
    facts = Verdict(
        Outcome.OK,
        evidence=evidence,
        http_status=reading.status,
        request_id=_request_id(reading, redact),
        latency_s=latency_s,
    )
    success = 200 <= reading.status <= 299
    if success and right_shape:
        return Classification(facts, None)
    if success and reading.cut:
        return Classification(_broken(facts, reading.cut, subject), None)
    facts = replace(facts, provider_message=redact(reading.message))
    if success and reading.error_status is not None:
        # An error inside a 200, as sent by gateways: its own status counts.
        reading = replace(reading, status=reading.error_status)
        facts = replace(facts, evidence=f"{evidence} with error {reading.status} inside")
    row = next(matches(reading))
    if not credential_sent:
        row = without_key(row)
    if location := reading.headers.get("location", ""):
        facts = replace(facts, evidence=f"{facts.evidence}, Location: {redact(_bare(location))}")
    verdict = replace(
        facts,
        outcome=row.outcome,
        reason=row.reason,
        advice=subject.fill(row.advice, facts.provider_message),
        retry_at=retry_at(reading, row.outcome, now),
    )
    return Classification(verdict, row)


def matches(reading: Reading) -> Iterator[Row]:
    """The matching rows, best first; at least one."""
    haystack = " ".join([reading.message.lower(), *sorted(reading.codes)])
    for tier in (EDGE, SPECIFIC, BY_MEANING, BY_STATUS):
        for row in tier:
            if row_matches(row, reading, haystack):
                yield row


def row_matches(row: Row, reading: Reading, haystack: str) -> bool:
    """Whether a row matches, regardless of the rows before it."""
    if not any(low <= reading.status <= high for low, high in row.statuses):
        return False
    if row.forms and reading.form not in row.forms:
        return False
    if any(word in haystack or _has_header(reading, word) for word in row.unless):
        return False
    if row.meaning is not None and meaning(reading.message.lower(), reading.codes) is not row.meaning:
        return False
    if not (row.codes or row.words or row.headers):
        return True
    return (
        not row.codes.isdisjoint(reading.codes)
        or any(word in haystack for word in row.words)
        or any(_has_header(reading, mark) for mark in row.headers)
    )


def _has_header(reading: Reading, mark: str) -> bool:
    name, _, part = mark.partition(": ")
    if not name.isascii() or " " in name:
        return False
    value = reading.headers.get(name)
    return value is not None and part in value.lower()


_BROKEN = {
    Cut.TOO_LARGE: (
        Outcome.NOT_COMPATIBLE,
        "too_large",
        "{host} sent more data than a model list has; {path}",
    ),
    Cut.TOO_MANY_HEADERS: (Outcome.NOT_COMPATIBLE, "too_large", "{host} sent hundreds of headers; {path}"),
    Cut.ENCODING: (
        Outcome.NOT_COMPATIBLE,
        "encoding",
        "{host} sent a body that cannot be decoded; check for a faulty proxy in between.",
    ),
    Cut.CLOSED: (
        Outcome.UNREACHABLE,
        "reset",
        "The connection to {host} broke off during the response; try again.",
    ),
    Cut.INCOMPLETE: (Outcome.UNREACHABLE, "reset", "The response from {host} is incomplete; try again."),
}
_CHECK_PATH = "check the path of the base URL."


def _broken(facts: Verdict, cut: Cut, subject: Subject) -> Verdict:
    outcome, reason, advice = _BROKEN[cut]
    return replace(
        facts,
        outcome=outcome,
        reason=reason,
        advice=advice.format(host=subject.host, path=_CHECK_PATH),
    )


def _request_id(reading: Reading, redact: Redactor) -> str:
    present = {name.lower() for name, _ in reading.headers.raw}
    for name in _REQUEST_ID_HEADERS:
        if name.encode() in present and (value := reading.headers[name]):
            return redact(value, 120)
    if reading.form is Form.JSON and isinstance(reading.document, dict):
        named = reading.document.get("request_id")
        return redact(named, 120) if isinstance(named, str) else ""
    return ""


def _bare(location: str) -> str:
    """A URL without query, fragment and user information, which may hold secrets."""
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}" if host else parts.path
    except ValueError:
        return "(malformed)"
