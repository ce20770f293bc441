"""What a request of a program proves about its connection: a table of every way in which one ends."""

from datetime import UTC, datetime, timedelta

import pytest

from nexo.connections.terms import Outcome
from nexo_daemon.domain.model import EvidenceSource
from nexo_daemon.gateway.evidence import LONGEST_WAIT, proven_by
from nexo_gateway.router import Asked, CallOutcome

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def ended(
    status: int | None,
    how: str = "complete",
    *,
    fault: str = "",
    retry_after: str = "",
    counts_tokens: bool = True,
) -> CallOutcome:
    asked = Asked("openai", "program", "m")
    return CallOutcome(asked, "id", "a", status, how, fault, retry_after, None, counts_tokens)


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (ended(200), Outcome.OK),
        (ended(201), Outcome.OK),
        # A list of models may be public.
        (ended(200, counts_tokens=False), None),
        # An answer that did not come to its end.
        (ended(200, "broken"), None),
        (ended(200, "left"), None),
        (ended(None, "left"), None),
        # The request was wrong, or may have been.
        *((ended(status, counts_tokens=False), None) for status in (304, 400, 404, 405, 409, 413, 422)),
        (ended(401), Outcome.AUTH_ERROR),
        (ended(402), Outcome.QUOTA_EXHAUSTED),
        (ended(403), Outcome.PERMISSION),
        (ended(429), Outcome.RATE_LIMITED),
        *((ended(status), Outcome.PROVIDER_DOWN) for status in (500, 502, 503, 504, 529)),
        *(
            (ended(None, "broken", fault=fault), Outcome.UNREACHABLE)
            for fault in ("connect", "timeout", "tls", "proxy", "reset")
        ),
    ],
    ids=repr,
)
def test_what_each_end_of_a_request_proves(outcome: CallOutcome, found: Outcome | None) -> None:
    verdict = proven_by(outcome, NOW)
    assert (verdict.outcome if verdict else None) is found
    assert verdict is None or verdict.source is EvidenceSource.TRAFFIC
    assert verdict is None or verdict.latency_s is None


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("30", timedelta(seconds=30)),
        ("fri, 27 nov 2026 00:01:00 gmt", timedelta(minutes=1)),
        ("-5", None),
        ("0", timedelta()),
        ("9" * 12, LONGEST_WAIT),
        ("9" * 90, None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_wait_is_kept_within_bounds(told: str, wait: timedelta | None) -> None:
    verdict = proven_by(ended(429, retry_after=told), NOW)
    assert verdict is not None
    assert verdict.retry_at == (None if wait is None else NOW + wait)
