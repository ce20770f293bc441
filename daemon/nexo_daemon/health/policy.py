"""When does a light change, and when is the next check? The pure state machine of one connection.

(light, verdict, now) -> (light, delay until the next check, transition). No clock, no random, no network:
`watch_list` turns the delays into moments and adds jitter, `queue` spaces checks of one host.

Two tracks of suspicion run side by side, because they say different things: an *outage* (nobody answers, or
answers with 5xx) and a *rejection* (it answers, and does not like the key). An answer ends the first track,
only a good answer ends the second. A colour changes for the worse when a track is confirmed, and for the
better at the first good result.

Spans are measured on the monotonic clock; the wall clock is only shown, so that a clock that is set
neither confirms nor hides anything.
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
"""Longest pause between checks of a connection that is down and that nobody uses."""

SLOW_RECHECK_S: Final = 300.0
"""Pause for states that only a person at the provider's console can end (permission, quota)."""

SHORT_LIMIT_S: Final = 120.0
"""A throttling that ends sooner is no news to a person."""

OFFLINE: Final = "offline"
PAUSED: Final = "paused"
NEVER: Final = "never"
CHECKING: Final = "checking"
"""Asked, and not sure yet: the first answer was bad, and is looked at again before that is believed."""


_LIMITS: Final = frozenset({Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED})
# The key may not list models, and may well generate: an amber light, as red would be a guess.
_USABLE_REASONS: Final = frozenset({"missing_scope"})


# When is a failure believed? How often it must be seen, over how long, and when to look again.

REJECTIONS: Final = frozenset({Outcome.AUTH_ERROR, Outcome.PERMISSION})
"""The service answers, and does not like the key."""


@frozen
class Suspicion:
    """Failures in a row that are not believed yet (or are, once confirmed).

    Attributes:
        count: how many.
        first: monotonic second at which the first one ended.
    """

    count: int
    first: float


@frozen
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


@frozen
class TrackedHealth:
    """Everything remembered about one connection: what is shown, and what is suspected.

    Attributes:
        outage: nobody answers, or answers with an error of its own.
        rejection: the key was refused.
        not_before: monotonic second before which the provider asked not to be called.
        stopped: the key is known to be refused; nothing is sent until the connection changes.
        rounds: regular checks that found it down, for the back-off.
    """

    health: Health = field(default_factory=Health)
    outage: Suspicion | None = None
    rejection: Suspicion | None = None
    not_before: float | None = None
    stopped: bool = False
    rounds: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing is suspected beyond what is shown."""
        if self.health.state is HealthState.UNHEALTHY:
            return True
        return self.outage is None and self.rejection is None


@frozen
class Watched:
    """A connection that is to be checked.

    Attributes:
        origin: scheme://host:port of its base URL.
        interval_s: between regular checks.
        important: the default or bound to a workspace: never backs off, and a change is worth telling.
        paused: no regular checks.
    """

    id: str
    origin: str
    interval_s: float
    important: bool = False
    paused: bool = False


@frozen
class Judgement:
    """What a verdict led to.

    Attributes:
        delay_s: seconds until the next check; None: no more checks until the connection changes.
        regular: whether the delay is an interval (counted from the start of the check, with jitter) or a
            pause that was chosen on purpose (counted from its end, exact).
    """

    tracked: TrackedHealth
    delay_s: float | None
    regular: bool
    transition: Transition | None


def judge(
    watched: Watched, tracked: TrackedHealth, verdict: Verdict, now: Instant, *, certain: bool = False
) -> Judgement:
    """Fold the result of a check into the light of a connection.

    Args:
        certain: it is believed without a second one.
    """
    if verdict.ok:
        return _good(watched, tracked, verdict, now)
    if verdict.outcome in _LIMITS:
        return _limited(watched, tracked, verdict, now)
    if tracked.stopped:
        # Somebody asked for one more check. Only a good answer says that the key is accepted again.
        return _still_rejected(tracked, verdict, now)
    suspicion = suspicion_after(tracked, verdict, now.mono)
    confirmation = confirmation_of(verdict)
    tracked = _suspect(tracked, verdict, suspicion, now)
    state = _worse(verdict)
    # One that is shown already: only the words are brought up to date.
    shown_already = tracked.health.state is state and verdict.outcome not in REJECTIONS
    if shown_already or certain or confirmation.reached(suspicion, now.mono):
        return _paint(watched, tracked, state, verdict, now)
    if tracked.health.state is HealthState.UNKNOWN:
        # Whatever it was unknown for (never asked, off line, paused) is over.
        tracked = replace(tracked, health=replace(tracked.health, reason=CHECKING, advice=""))
    delay = confirmation.pause(suspicion, now.mono)
    return Judgement(tracked, delay, regular=False, transition=None)


def suspicion_after(tracked: TrackedHealth, verdict: Verdict, now: float) -> Suspicion:
    """The track of a failure, with this one."""
    before = tracked.rejection if verdict.outcome in REJECTIONS else tracked.outage
    return Suspicion(1, now) if before is None else Suspicion(before.count + 1, before.first)


def believed(tracked: TrackedHealth, verdict: Verdict, now: float) -> bool:
    """Whether a failure has been seen often and long enough to turn the light."""
    return confirmation_of(verdict).reached(suspicion_after(tracked, verdict, now), now)


def _good(watched: Watched, tracked: TrackedHealth, verdict: Verdict, now: Instant) -> Judgement:
    before = tracked.health
    same = before.state is HealthState.HEALTHY
    health = Health(
        state=HealthState.HEALTHY,
        reason="",
        since=before.since if same else now.wall,
        checked_at=now.wall,
        # A program's request takes as long as its answer is, and does not count.
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
        # Asked to wait for no time at all is no reason to hurry.
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
    """Count a failure on the track it belongs to."""
    before = tracked.health
    health = replace(
        before,
        checked_at=now.wall,
        retry_at=None,
        consecutive_failures=before.consecutive_failures + 1,
    )
    if verdict.outcome in REJECTIONS:
        # It answered, so an outage is over, whatever the answer was.
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
    """Seconds between checks after so many fruitless ones: doubles, up to 15 min or the interval."""
    return min(interval_s * 2.0 ** min(rounds, 16), max(BACK_OFF_CAP_S, interval_s))


def withheld(watched: Watched, tracked: TrackedHealth, reason: str, advice: str, now: Instant) -> Judgement:
    """Stop vouching for a state because it cannot be checked (offline, paused, locked).

    What was known stays in `last_known`; the suspicions go, as they are not followed up.
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
    """The light of a connection as the store remembers it, at the start of the daemon.

    A confirmed rejection is known by having no next check: nothing else that is red has none.
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
    """The record of a change; one without a verdict is no news to a person."""
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
    """The state that was last seen, also while it is not vouched for."""
    return health.last_known if health.state is HealthState.UNKNOWN else health.state


def worth_telling(before: Health, after: Health, now: datetime) -> bool:
    """Whether a change of an important connection is news to a person.

    No news: the first good result, coming back on line in the state as before, and a throttling that passes
    within two minutes (nor its end).
    """
    known = last_seen(before)
    if after.state is known:
        return False
    if after.state is HealthState.LIMITED and after.retry_at is not None:
        return (after.retry_at - now).total_seconds() > SHORT_LIMIT_S
    if after.state is HealthState.HEALTHY:
        if known is HealthState.LIMITED and before.retry_at is not None and before.since is not None:
            return (before.retry_at - before.since).total_seconds() > SHORT_LIMIT_S
        return known is not None and known is not HealthState.UNKNOWN
    return True


# Is what we show still true? Not stored: decided at each look.

STALE: Final = "stale"
MISSED_CHECKS: Final = 3
"""A state is stale when it is this many intervals old."""

SLACK_S: Final = 60.0
"""For jitter, confirmation, and checks that wait for their turn."""


def shown(health: Health, interval_s: float, now: datetime) -> Health:
    """The state to show: UNKNOWN(stale) with its last known value when it is older than three intervals.

    A state that nobody is to check (a rejected key, no check planned) does not grow stale, nor one whose
    provider asked to wait, until that time is over. A check that is planned for later (back-off) counts
    from the time it was planned for.
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
