"""What a request of a program proves about its connection. A pure function.

A good answer counts only if tokens were used, because model lists are public at some providers. A failure may
be the fault of the request, so it makes no connection unhealthy by itself; `nexo_daemon.health` checks first.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from nexo.connections.terms import Outcome
from nexo_daemon.domain.model import EvidenceSource
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.retry import retry_at_by_headers
from nexo_gateway.router import CallOutcome

_BY_STATUS: Final = {
    401: (Outcome.AUTH_ERROR, "invalid_key"),
    402: (Outcome.QUOTA_EXHAUSTED, "quota_exhausted"),
    403: (Outcome.PERMISSION, "permission"),
    429: (Outcome.RATE_LIMITED, "rate_limited"),
}
_ADVICE: Final = {
    402: "The provider told a program that the account has no credit left; check the account there.",
    429: "The provider told a program to wait; send fewer requests, or use another connection until then.",
}


def proven_by(outcome: CallOutcome, now: datetime) -> Verdict | None:
    """The verdict of a request on its connection; None if it may concern only the request."""
    if outcome.fault:
        return _verdict(Outcome.UNREACHABLE, outcome.fault, "no answer")
    status = outcome.status
    if status is None:
        return None
    if 200 <= status < 300:
        good = outcome.counts_tokens and outcome.ended == "complete"
        return _verdict(Outcome.OK, "", f"HTTP {status}") if good else None
    if status >= 500:
        return _verdict(Outcome.PROVIDER_DOWN, "server_error", f"HTTP {status}")
    if status not in _BY_STATUS:
        return None
    found, reason = _BY_STATUS[status]
    until = retry_at_by_headers(outcome.waits, found, now)
    return replace(_verdict(found, reason, f"HTTP {status}"), retry_at=until, advice=_ADVICE.get(status, ""))


def _verdict(found: Outcome, reason: str, answer: str) -> Verdict:
    return Verdict(
        found,
        reason,
        evidence=f"a program's request through the gateway: {answer}",
        source=EvidenceSource.TRAFFIC,
    )
