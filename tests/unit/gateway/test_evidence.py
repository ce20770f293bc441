"""What each possible end of a program's request proves about its connection."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from nexo.connections.terms import Outcome
from nexo_daemon.domain.model import EvidenceSource
from nexo_daemon.gateway.evidence import proven_by
from nexo_daemon.providers.retry import LONGEST_WAITS
from nexo_gateway.router import Asked, CallOutcome

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def ended(
    status: int | None,
    how: str = "complete",
    *,
    fault: str = "",
    waits: Mapping[str, str] | None = None,
    counts_tokens: bool = True,
) -> CallOutcome:
    asked = Asked("openai", "program", "m")
    return CallOutcome(asked, "id", "a", status, how, fault, waits or {}, None, counts_tokens)


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
        ({"retry-after": "30"}, timedelta(seconds=30)),
        ({"retry-after": "Fri, 27 Nov 2026 00:01:00 GMT"}, timedelta(minutes=1)),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "0"}, timedelta()),
        ({"retry-after": "9" * 12}, LONGEST_WAITS[Outcome.RATE_LIMITED]),
        ({"retry-after": "9" * 90}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "2"}, timedelta(seconds=1.5)),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
            },
            timedelta(minutes=6),
        ),
        ({"anthropic-ratelimit-requests-reset": "2026-11-27T00:02:00Z"}, timedelta(minutes=2)),
        ({}, None),
    ],
    ids=repr,
)
def test_a_wait_is_read_as_a_check_reads_it_and_kept_within_bounds(
    told: Mapping[str, str], wait: timedelta | None
) -> None:
    verdict = proven_by(ended(429, waits=told), NOW)
    assert verdict is not None
    assert verdict.retry_at == (None if wait is None else NOW + wait)
