"""When is a failure believed? How often each kind must be seen, over how long, and when to look again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nexo_client.terms import Outcome
from nexo_daemon.domain.probing import Verdict

REJECTIONS: Final = frozenset({Outcome.AUTH_ERROR, Outcome.PERMISSION})
"""The service answers, and does not like the key."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Failures in a row that are not believed yet (or are, once confirmed).

    Attributes:
        count: how many.
        first: monotonic second at which the first one ended.
    """

    count: int
    first: float


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What turns a suspicion into a colour.

    Attributes:
        count: failures in a row that are needed.
        span_s: the last of them must end this long after the first one did.
        pauses_s: before the next check; the last one repeats, and is stretched to reach the span.
    """

    count: int
    span_s: float
    pauses_s: tuple[float, ...]

    def reached(self, suspicion: Suspicion, now: float) -> bool:
        """Whether the suspicion has become knowledge."""
        return suspicion.count >= self.count and now - suspicion.first >= self.span_s

    def pause(self, suspicion: Suspicion, now: float) -> float:
        """Seconds until the next check."""
        if suspicion.count < len(self.pauses_s):
            return self.pauses_s[suspicion.count - 1]
        return max(self.pauses_s[-1], suspicion.first + self.span_s - now)


# A failed time-out has already watched for seconds: with the re-check at 2 s it spans more than 5 s and needs
# no third one; a refused connection fails at once and is tried at 2 s and at 5 s.
_TRANSPORT = Confirmation(count=2, span_s=5.0, pauses_s=(2.0, 3.0))
_ANSWERED = Confirmation(count=3, span_s=10.0, pauses_s=(5.0, 5.0))
# Asking a firewall again at once makes it worse.
_FIREWALL = Confirmation(count=3, span_s=30.0, pauses_s=(15.0, 15.0))
# OpenAI and OpenRouter were seen to answer 401 to good keys now and then (April 2026).
_REJECTION = Confirmation(count=2, span_s=30.0, pauses_s=(30.0,))
# Found before anything was sent: the same input gives the same result.
_CERTAIN = Confirmation(count=1, span_s=0.0, pauses_s=(0.0,))

_CONFIRMATION: Final[Mapping[Outcome, Confirmation]] = {
    Outcome.UNREACHABLE: _TRANSPORT,
    Outcome.PROVIDER_DOWN: _ANSWERED,
    Outcome.NOT_COMPATIBLE: _ANSWERED,
    Outcome.AUTH_ERROR: _REJECTION,
    Outcome.PERMISSION: _REJECTION,
    Outcome.CONFIG_ERROR: _CERTAIN,
}


def confirmation_of(verdict: Verdict) -> Confirmation:
    """What has to be seen before this kind of failure turns a light."""
    if verdict.outcome is Outcome.UNREACHABLE and verdict.reason == "waf":
        return _FIREWALL
    return _CONFIRMATION[verdict.outcome]


def counted(suspicion: Suspicion | None, now: float) -> Suspicion:
    """One failure more, at this monotonic second."""
    if suspicion is None:
        return Suspicion(1, now)
    return Suspicion(suspicion.count + 1, suspicion.first)
