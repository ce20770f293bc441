"""When does a light change, and when is the next check? The pure state machine of one connection.

(light, verdict, now) -> (light, delay until the next check, transition). No clock, no random, no network:
`watchlist` turns the delays into moments and adds jitter, `hosts` spaces checks of one host.

Two tracks of suspicion run side by side, because they say different things: an *outage* (nobody answers, or
answers with 5xx) and a *rejection* (it answers, and does not like the key). An answer ends the first track,
only a good answer ends the second. A colour changes for the worse when a track is confirmed, and for the
better at the first good result.

Spans are measured on the monotonic clock; the wall clock is only shown, so that a clock that is set
neither confirms nor hides anything.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from nexo_client.terms import HealthState, Outcome
from nexo_daemon.domain.model import Health, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.confirmation import REJECTIONS, Suspicion, confirmation_of, counted

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


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks: `wall` is shown and stored, `mono` (seconds) is computed with."""

    wall: datetime
    mono: float


_LIMITS: Final = frozenset({Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED})
# The key may not list models, and may well generate: an amber light, as red would be a guess.
_USABLE_REASONS: Final = frozenset({"missing_scope"})


@dataclass(frozen=True, slots=True)
class Light:
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


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a connection is checked.

    Attributes:
        interval_s: between regular checks.
        important: the default or bound to a workspace: never backs off, and a change is worth telling.
    """

    interval_s: float
    important: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a verdict led to.

    Attributes:
        delay_s: seconds until the next check; None: no more checks until the connection changes.
        regular: whether the delay is an interval (counted from the start of the check, with jitter) or a
            pause that was chosen on purpose (counted from its end, exact).
    """

    light: Light
    delay_s: float | None
    regular: bool
    transition: Transition | None


def judge(
    connection_id: str, light: Light, verdict: Verdict, now: Instant, pace: Pace, *, certain: bool = False
) -> Step:
    """Fold the result of a check into the light of a connection.

    Args:
        certain: it is believed without a second one.
    """
    if verdict.ok:
        return _good(connection_id, light, verdict, now, pace)
    if verdict.outcome in _LIMITS:
        return _limited(connection_id, light, verdict, now, pace)
    if light.stopped:
        # Somebody asked for one more check. Only a good answer says that the key is accepted again.
        return _still_rejected(light, verdict, now)
    light = _suspect(light, verdict, now)
    confirmation = confirmation_of(verdict)
    suspicion = light.rejection if verdict.outcome in REJECTIONS else light.outage
    if suspicion is None:
        raise AssertionError("a failure leaves a suspicion")
    state = _worse(verdict)
    if light.health.state is state and verdict.outcome not in REJECTIONS:
        # Already shown: only the words are brought up to date.
        return _paint(connection_id, light, state, verdict, now, pace)
    if certain or confirmation.reached(suspicion, now.mono):
        return _paint(connection_id, light, state, verdict, now, pace)
    if light.health.state is HealthState.UNKNOWN:
        # Whatever it was unknown for (never asked, off line, paused) is over.
        light = replace(light, health=replace(light.health, reason=CHECKING, advice=""))
    delay = confirmation.pause(suspicion, now.mono)
    return Step(light, delay, regular=False, transition=None)


def _good(connection_id: str, light: Light, verdict: Verdict, now: Instant, pace: Pace) -> Step:
    before = light.health
    same = before.state is HealthState.HEALTHY
    health = Health(
        state=HealthState.HEALTHY,
        reason="",
        since=before.since if same else now.wall,
        checked_at=now.wall,
        latency_s=verdict.latency_s,
        advice=verdict.advice,
    )
    change = None if same else _transition(connection_id, before, health, verdict, now, pace)
    return Step(Light(health), pace.interval_s, regular=True, transition=change)


def _limited(connection_id: str, light: Light, verdict: Verdict, now: Instant, pace: Pace) -> Step:
    before = light.health
    rounds = light.rounds + 1 if before.state is HealthState.LIMITED else 0
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
    after = Light(health, not_before=None if wait is None else now.mono + wait, rounds=rounds)
    changed = before.state is not HealthState.LIMITED or before.reason != health.reason
    transition = _transition(connection_id, before, health, verdict, now, pace) if changed else None
    if wait is not None:
        # Asked to wait for no time at all is no reason to hurry.
        return Step(after, max(wait, 1.0), regular=False, transition=transition)
    floor = SLOW_RECHECK_S if verdict.outcome is Outcome.QUOTA_EXHAUSTED else 60.0
    delay = back_off(max(pace.interval_s, floor), rounds)
    return Step(after, delay, regular=True, transition=transition)


def _still_rejected(light: Light, verdict: Verdict, now: Instant) -> Step:
    health = replace(
        light.health, checked_at=now.wall, consecutive_failures=light.health.consecutive_failures + 1
    )
    if verdict.outcome is Outcome.AUTH_ERROR:
        health = replace(health, reason=verdict.reason or verdict.outcome.value, advice=verdict.advice)
    return Step(replace(light, health=health), None, regular=False, transition=None)


def _suspect(light: Light, verdict: Verdict, now: Instant) -> Light:
    """Count a failure on the track it belongs to."""
    before = light.health
    health = replace(
        before,
        checked_at=now.wall,
        retry_at=None,
        consecutive_failures=before.consecutive_failures + 1,
    )
    if verdict.outcome in REJECTIONS:
        rejection = counted(light.rejection, now.mono)
        # It answered, so an outage is over, whatever the answer was.
        return replace(light, health=health, rejection=rejection, outage=None, not_before=None, rounds=0)
    return replace(light, health=health, outage=counted(light.outage, now.mono), not_before=None)


def _worse(verdict: Verdict) -> HealthState:
    if verdict.outcome is Outcome.PERMISSION and verdict.reason in _USABLE_REASONS:
        return HealthState.LIMITED
    return HealthState.UNHEALTHY


def _paint(
    connection_id: str, light: Light, state: HealthState, verdict: Verdict, now: Instant, pace: Pace
) -> Step:
    """Show a confirmed failure."""
    before = light.health
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
    after = replace(light, health=health, stopped=stopped, rounds=light.rounds + 1 if same else 0)
    news = not same or (rejected and before.reason != health.reason)
    transition = _transition(connection_id, before, health, verdict, now, pace) if news else None
    if stopped:
        return Step(after, None, regular=False, transition=transition)
    interval = max(pace.interval_s, SLOW_RECHECK_S) if rejected else pace.interval_s
    delay = interval if pace.important else back_off(interval, after.rounds)
    return Step(after, delay, regular=True, transition=transition)


def back_off(interval_s: float, rounds: int) -> float:
    """Seconds between checks after so many fruitless ones: doubles, up to 15 min or the interval."""
    return min(interval_s * 2.0 ** min(rounds, 16), max(BACK_OFF_CAP_S, interval_s))


def withheld(connection_id: str, light: Light, reason: str, advice: str, now: Instant) -> Step:
    """Stop vouching for a state because it cannot be checked (offline, paused, locked).

    What was known stays in `last_known`; the suspicions go, as they are not followed up.
    """
    before = light.health
    known = before.last_known if before.state is HealthState.UNKNOWN else before.state
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
    after = replace(light, health=health, outage=None, rejection=None)
    transition = None
    if not same:
        transition = Transition(
            connection_id=connection_id,
            at=now.wall,
            from_state=before.state,
            to_state=HealthState.UNKNOWN,
            reason=reason,
            lasted_s=_lasted(before, now),
            advice=advice,
        )
    return Step(after, None, regular=False, transition=transition)


def restored(health: Health, now: Instant) -> Light:
    """The light of a connection as the store remembers it, at the start of the daemon.

    A confirmed rejection is known by having no next check: nothing else that is red has none.
    """
    not_before = None
    if health.retry_at is not None and health.retry_at > now.wall:
        not_before = now.mono + (health.retry_at - now.wall).total_seconds()
    stopped = health.state is HealthState.UNHEALTHY and health.next_check_at is None
    return Light(health, not_before=not_before, stopped=stopped)


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
    )


def _transition(
    connection_id: str, before: Health, after: Health, verdict: Verdict, now: Instant, pace: Pace
) -> Transition:
    return Transition(
        connection_id=connection_id,
        at=now.wall,
        from_state=before.state,
        to_state=after.state,
        reason=after.reason,
        evidence=verdict.evidence,
        lasted_s=_lasted(before, now),
        advice=after.advice,
        important=pace.important and worth_telling(before, after, now.wall),
    )


def _lasted(before: Health, now: Instant) -> float | None:
    return None if before.since is None else max(0.0, (now.wall - before.since).total_seconds())


def worth_telling(before: Health, after: Health, now: datetime) -> bool:
    """Whether a change of an important connection is news to a person.

    No news: the first good result, coming back on line in the state as before, and a throttling that passes
    within two minutes (nor its end).
    """
    known = before.last_known if before.state is HealthState.UNKNOWN else before.state
    if after.state is known:
        return False
    if after.state is HealthState.LIMITED and after.retry_at is not None:
        return (after.retry_at - now).total_seconds() > SHORT_LIMIT_S
    if after.state is HealthState.HEALTHY:
        if known is HealthState.LIMITED and before.retry_at is not None and before.since is not None:
            return (before.retry_at - before.since).total_seconds() > SHORT_LIMIT_S
        return known is not None and known is not HealthState.UNKNOWN
    return True
