"""Decides when the health of a connection changes, and when the next check is. A pure state machine.

(health, verdict, now) -> (health, delay until the next check, transition). No clock, randomness or network:
`watch_list` turns delays into times and adds jitter, `queue` spaces the checks of one host.

Two kinds of suspicion are tracked separately: an *outage* (no answer, or a 5xx) and a *rejection* (the
service answers, and refuses the key). Any answer ends the first, only a good answer ends the second. The
state gets worse when a suspicion is confirmed, and better at the first good result.

Durations are measured with the monotonic clock; the wall clock is only shown, so that setting it neither
confirms nor hides a failure.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final

from nexo.connections.terms import HealthState, Outcome
from nexo.connections.values import frozen
from nexo_daemon.domain.model import EvidenceSource, Health, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.clocks import Instant

BACK_OFF_CAP_S: Final = 900.0
"""Longest pause in seconds between checks of an unhealthy connection that is not important."""

SLOW_RECHECK_S: Final = 300.0
"""Pause in seconds for states that only a person can end at the provider (permission, quota)."""

SHORT_LIMIT_S: Final = 120.0
"""Rate limits that end within this time are not reported to the person."""

OFFLINE: Final = "offline"
PAUSED: Final = "paused"
NEVER: Final = "never"
CHECKING: Final = "checking"
"""The first answer was bad, and is being confirmed."""


_LIMITS: Final = frozenset({Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED})
# The key may not list models, but probably works for calls: LIMITED, because UNHEALTHY would be a guess.
_USABLE_REASONS: Final = frozenset({"missing_scope"})


# Confirmation of failures: how often and over how long a failure must be seen, and when to check again.

REJECTIONS: Final = frozenset({Outcome.AUTH_ERROR, Outcome.PERMISSION})
"""The service answers, and refuses the key."""


@frozen
class Suspicion:
    """Consecutive failures, which may be confirmed or not.

    Attributes:
        count: their number.
        first: monotonic time of the first one's end, in seconds.
    """

    count: int
    first: float


@frozen
class Confirmation:
    """The condition for confirming a suspicion.

    Attributes:
        count: required number of consecutive failures.
        span_s: minimum time between the end of the first and the last one.
        pauses_s: pauses before the following checks; the last one is repeated, and extended to reach
            `span_s`.
    """

    count: int
    span_s: float
    pauses_s: tuple[float, ...]

    def reached(self, suspicion: Suspicion, now: float) -> bool:
        """Whether the suspicion is confirmed."""
        return suspicion.count >= self.count and now - suspicion.first >= self.span_s

    def pause(self, suspicion: Suspicion, now: float) -> float:
        """Seconds until the next check."""
        if suspicion.count < len(self.pauses_s):
            return self.pauses_s[suspicion.count - 1]
        return max(self.pauses_s[-1], suspicion.first + self.span_s - now)


# A time-out takes seconds itself: with the re-check after 2 s it spans more than 5 s and needs no third
# failure. A refused connection fails at once and is tried again after 2 s and 5 s.
_TRANSPORT = Confirmation(count=2, span_s=5.0, pauses_s=(2.0, 3.0))
_ANSWERED = Confirmation(count=3, span_s=10.0, pauses_s=(5.0, 5.0))
# A firewall may block for longer if it is asked again at once.
_FIREWALL = Confirmation(count=3, span_s=30.0, pauses_s=(15.0, 15.0))
# OpenAI and OpenRouter were seen to answer 401 to valid keys occasionally (April 2026).
_REJECTION = Confirmation(count=2, span_s=30.0, pauses_s=(30.0,))
# Found before anything was sent: the same input gives the same result again.
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
    """The condition for confirming this kind of failure."""
    if verdict.outcome is Outcome.UNREACHABLE and verdict.reason == "waf":
        return _FIREWALL
    return _CONFIRMATION[verdict.outcome]


@frozen
class TrackedHealth:
    """The health of a connection: what is shown, and what is suspected.

    Attributes:
        outage: failures without an answer, or with a server error.
        rejection: refusals of the key.
        not_before: monotonic time in seconds until which the provider asked not to be called.
        stopped: the refusal of the key is confirmed; nothing is sent until the connection changes.
        rounds: regular checks that failed in a row, for the back-off.
    """

    health: Health = field(default_factory=Health)
    outage: Suspicion | None = None
    rejection: Suspicion | None = None
    not_before: float | None = None
    stopped: bool = False
    rounds: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing is suspected beyond the shown state."""
        if self.health.state is HealthState.UNHEALTHY:
            return True
        return self.outage is None and self.rejection is None


@frozen
class Watched:
    """A connection to check.

    Attributes:
        origin: scheme://host:port of its base URL.
        interval_s: time between regular checks.
        important: the default or bound to a workspace: checked without back-off, and changes are reported to
            the person.
        paused: no regular checks.
    """

    id: str
    origin: str
    interval_s: float
    important: bool = False
    paused: bool = False


@frozen
class Judgement:
    """The result of judging a verdict.

    Attributes:
        delay_s: seconds until the next check; None: no more checks until the connection changes.
        regular: whether the delay is an interval (from the start of the check, with jitter) or an exact pause
            (from its end).
    """

    tracked: TrackedHealth
    delay_s: float | None
    regular: bool
    transition: Transition | None


def judge(
    watched: Watched, tracked: TrackedHealth, verdict: Verdict, now: Instant, *, certain: bool = False
) -> Judgement:
    """Apply the result of a check to the health of a connection.

    Args:
        certain: the result needs no confirmation.
    """
    if verdict.ok:
        return _good(watched, tracked, verdict, now)
    if verdict.outcome in _LIMITS:
        return _limited(watched, tracked, verdict, now)
    if tracked.stopped:
        # A check on request. Only a good answer shows that the key is accepted again.
        return _still_rejected(tracked, verdict, now)
    suspicion = suspicion_after(tracked, verdict, now.mono)
    confirmation = confirmation_of(verdict)
    tracked = _suspect(tracked, verdict, suspicion, now)
    state = _worse(verdict)
    # The state is shown already, so only its reason and advice are updated.
    shown_already = tracked.health.state is state and verdict.outcome not in REJECTIONS
    if shown_already or certain or confirmation.reached(suspicion, now.mono):
        return _paint(watched, tracked, state, verdict, now)
    if tracked.health.state is HealthState.UNKNOWN:
        # The earlier reason for UNKNOWN (never checked, offline, paused) no longer applies.
        tracked = replace(tracked, health=replace(tracked.health, reason=CHECKING, advice=""))
    delay = confirmation.pause(suspicion, now.mono)
    return Judgement(tracked, delay, regular=False, transition=None)


def suspicion_after(tracked: TrackedHealth, verdict: Verdict, now: float) -> Suspicion:
    """The suspicion of the failure's kind, with this failure counted."""
    before = tracked.rejection if verdict.outcome in REJECTIONS else tracked.outage
    return Suspicion(1, now) if before is None else Suspicion(before.count + 1, before.first)


def believed(tracked: TrackedHealth, verdict: Verdict, now: float) -> bool:
    """Whether a failure was seen often and long enough to change the state."""
    return confirmation_of(verdict).reached(suspicion_after(tracked, verdict, now), now)


def _good(watched: Watched, tracked: TrackedHealth, verdict: Verdict, now: Instant) -> Judgement:
    before = tracked.health
    same = before.state is HealthState.HEALTHY
    health = Health(
        state=HealthState.HEALTHY,
        reason="",
        since=before.since if same else now.wall,
        checked_at=now.wall,
        # The latency of a program's request depends on its answer, so it does not count.
        latency_s=verdict.latency_s if verdict.latency_s is not None else before.latency_s,
        advice=verdict.advice,
    )
    change = None if same else transition(watched, before, health, now, verdict)
    return Judgement(TrackedHealth(health), watched.interval_s, regular=True, transition=change)


def _limited(watched: Watched, tracked: TrackedHealth, verdict: Verdict, now: Instant) -> Judgement:
    before = tracked.health
    rounds = tracked.rounds + 1 if before.state is HealthState.LIMITED else 0
    health = Health(
        state=HealthState.LIMITED,
        reason=verdict.reason or verdict.outcome.value,
        since=before.since if before.state is HealthState.LIMITED else now.wall,
        checked_at=now.wall,
        latency_s=verdict.latency_s if verdict.latency_s is not None else before.latency_s,
        retry_at=verdict.retry_at,
        consecutive_failures=before.consecutive_failures + 1,
        advice=verdict.advice,
    )
    wait = None if verdict.retry_at is None else max(0.0, (verdict.retry_at - now.wall).total_seconds())
    after = TrackedHealth(health, not_before=None if wait is None else now.mono + wait, rounds=rounds)
    changed = before.state is not HealthState.LIMITED or before.reason != health.reason
    change = transition(watched, before, health, now, verdict) if changed else None
    if wait is not None:
        # A requested wait of zero does not mean that the next check is urgent.
        return Judgement(after, max(wait, 1.0), regular=False, transition=change)
    floor = SLOW_RECHECK_S if verdict.outcome is Outcome.QUOTA_EXHAUSTED else 60.0
    delay = back_off(max(watched.interval_s, floor), rounds)
    return Judgement(after, delay, regular=True, transition=change)


def _still_rejected(tracked: TrackedHealth, verdict: Verdict, now: Instant) -> Judgement:
    health = replace(
        tracked.health, checked_at=now.wall, consecutive_failures=tracked.health.consecutive_failures + 1
    )
    if verdict.outcome is Outcome.AUTH_ERROR:
        health = replace(health, reason=verdict.reason or verdict.outcome.value, advice=verdict.advice)
    return Judgement(replace(tracked, health=health), None, regular=False, transition=None)


def _suspect(tracked: TrackedHealth, verdict: Verdict, suspicion: Suspicion, now: Instant) -> TrackedHealth:
    """Count a failure for its kind of suspicion."""
    before = tracked.health
    health = replace(
        before,
        checked_at=now.wall,
        retry_at=None,
        consecutive_failures=before.consecutive_failures + 1,
    )
    if verdict.outcome in REJECTIONS:
        # Any answer ends an outage.
        return replace(tracked, health=health, rejection=suspicion, outage=None, not_before=None, rounds=0)
    return replace(tracked, health=health, outage=suspicion, not_before=None)


def _worse(verdict: Verdict) -> HealthState:
    if verdict.outcome is Outcome.PERMISSION and verdict.reason in _USABLE_REASONS:
        return HealthState.LIMITED
    return HealthState.UNHEALTHY


def _paint(
    watched: Watched, tracked: TrackedHealth, state: HealthState, verdict: Verdict, now: Instant
) -> Judgement:
    """Show a confirmed failure."""
    before = tracked.health
    same = before.state is state
    health = replace(
        before,
        state=state,
        reason=verdict.reason or verdict.outcome.value,
        since=before.since if same else now.wall,
        advice=verdict.advice,
        last_known=None,
    )
    rejected = verdict.outcome in REJECTIONS
    stopped = verdict.outcome is Outcome.AUTH_ERROR
    after = replace(tracked, health=health, stopped=stopped, rounds=tracked.rounds + 1 if same else 0)
    news = not same or (rejected and before.reason != health.reason)
    change = transition(watched, before, health, now, verdict) if news else None
    if stopped:
        return Judgement(after, None, regular=False, transition=change)
    interval = max(watched.interval_s, SLOW_RECHECK_S) if rejected else watched.interval_s
    delay = interval if watched.important else back_off(interval, after.rounds)
    return Judgement(after, delay, regular=True, transition=change)


def back_off(interval_s: float, rounds: int) -> float:
    """Seconds between checks after so many failed ones: doubles, up to 15 min or the interval."""
    return min(interval_s * 2.0 ** min(rounds, 16), max(BACK_OFF_CAP_S, interval_s))


def withheld(watched: Watched, tracked: TrackedHealth, reason: str, advice: str, now: Instant) -> Judgement:
    """Set the state to UNKNOWN, because it cannot be checked (offline, paused, locked).

    The earlier state is kept in `last_known`; suspicions are dropped, because they are not followed up.
    """
    before = tracked.health
    known = last_seen(before)
    same = before.state is HealthState.UNKNOWN and before.reason == reason
    health = replace(
        before,
        state=HealthState.UNKNOWN,
        reason=reason,
        since=before.since if same else now.wall,
        advice=advice,
        last_known=known,
        next_check_at=None,
    )
    after = replace(tracked, health=health, outage=None, rejection=None)
    change = None if same else transition(watched, before, health, now)
    return Judgement(after, None, regular=False, transition=change)


def restored(health: Health, now: Instant) -> TrackedHealth:
    """The health as stored, at the start of the daemon.

    A confirmed rejection is recognised by the missing next check: other unhealthy states always have one.
    """
    not_before = None
    if health.retry_at is not None and health.retry_at > now.wall:
        not_before = now.mono + (health.retry_at - now.wall).total_seconds()
    stopped = health.state is HealthState.UNHEALTHY and health.next_check_at is None
    return TrackedHealth(health, not_before=not_before, stopped=stopped)


def sample(connection_id: str, verdict: Verdict, now: Instant) -> Sample:
    """The record of one check."""
    return Sample(
        connection_id=connection_id,
        at=now.wall,
        outcome=verdict.outcome,
        reason=verdict.reason,
        latency_min_s=verdict.latency_s,
        latency_median_s=verdict.latency_s,
        latency_max_s=verdict.latency_s,
        checks=1,
        failures=0 if verdict.ok else 1,
        from_traffic=int(verdict.source is EvidenceSource.TRAFFIC),
    )


def transition(
    watched: Watched, before: Health, after: Health, now: Instant, verdict: Verdict | None = None
) -> Transition:
    """The record of a change of state; a change without a verdict is not reported to the person."""
    return Transition(
        connection_id=watched.id,
        at=now.wall,
        from_state=before.state,
        to_state=after.state,
        reason=after.reason,
        evidence="" if verdict is None else verdict.evidence,
        lasted_s=None if before.since is None else max(0.0, (now.wall - before.since).total_seconds()),
        advice=after.advice,
        important=verdict is not None and watched.important and worth_telling(before, after, now.wall),
        source=EvidenceSource.NONE if verdict is None else verdict.source,
    )


def last_seen(health: Health) -> HealthState | None:
    """The last state that a check showed, even while the present state is UNKNOWN."""
    return health.last_known if health.state is HealthState.UNKNOWN else health.state


def worth_telling(before: Health, after: Health, now: datetime) -> bool:
    """Whether a change of an important connection is reported to the person.

    Not reported: the first good result, the return from offline to the same state, and rate limits that end
    within two minutes, as well as their end.
    """
    known = last_seen(before)
    if after.state is known:
        return False
    if after.retry_at is not None:
        return (after.retry_at - now).total_seconds() > SHORT_LIMIT_S
    if after.state is HealthState.HEALTHY:
        if before.retry_at is not None and before.since is not None:
            return (before.retry_at - before.since).total_seconds() > SHORT_LIMIT_S
        return known is not None
    return True


# Staleness is not stored, but computed at each read.

STALE: Final = "stale"
MISSED_CHECKS: Final = 3
"""A state is stale after so many intervals."""

SLACK_S: Final = 60.0
"""Allowance in seconds for jitter, confirmation, and the queue."""


def shown(health: Health, interval_s: float, now: datetime) -> Health:
    """The state to show: UNKNOWN(stale), with its last known state, after three intervals without a check.

    A state without a planned check (rejected key) does not become stale. If the provider asked for a wait, or
    the next check is planned for later (back-off), the time is counted from then.
    """
    if health.state is HealthState.UNKNOWN or health.checked_at is None or health.next_check_at is None:
        return health
    expected = max(health.next_check_at, health.checked_at + timedelta(seconds=interval_s))
    limit = expected + timedelta(seconds=(MISSED_CHECKS - 1) * interval_s + SLACK_S)
    if now <= limit:
        return health
    return replace(
        health,
        state=HealthState.UNKNOWN,
        reason=STALE,
        since=limit,
        last_known=health.state,
        advice="A check is overdue; run one with: nexoctl health --check",
    )
