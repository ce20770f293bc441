"""How health, keys and marks are shown to a person. Pure; used by several commands."""

from __future__ import annotations

from datetime import datetime, timedelta

from nexo.connections.phrases import phrase
from nexo.connections.terms import HealthState, KeySource, KeyVerdict, LayerStatus, Outcome
from nexo_cli.format import Cell, Span, Style, ago, duration
from nexo_client import types

_SOON = timedelta(days=7)

_STATES = {
    HealthState.HEALTHY: Style.GOOD,
    HealthState.LIMITED: Style.WARNING,
    HealthState.UNHEALTHY: Style.BAD,
    HealthState.UNKNOWN: Style.FAINT,
}

_LAYERS = {
    LayerStatus.PASSED: ("✓", Style.GOOD),
    LayerStatus.FAILED: ("✗", Style.BAD),
    LayerStatus.NOT_REACHED: ("·", Style.FAINT),
    LayerStatus.SKIPPED: ("·", Style.FAINT),
}

_OUTCOMES = {
    Outcome.OK: "works",
    Outcome.AUTH_ERROR: "the key was rejected",
    Outcome.PERMISSION: "the key is known, but not allowed to do this",
    Outcome.RATE_LIMITED: "rate limited",
    Outcome.QUOTA_EXHAUSTED: "out of credit or quota",
    Outcome.UNREACHABLE: "could not be reached",
    Outcome.PROVIDER_DOWN: "the provider is down",
    Outcome.NOT_COMPATIBLE: "answers, but not like this provider",
    Outcome.CONFIG_ERROR: "the configuration is wrong",
}

_HEADLINES = {
    "model_not_listed": "the model is not listed",
    "model_unavailable": "the model cannot be used",
}
"""Reasons that are more specific than their outcome."""
_SAID = ("invalid_key", "rate_limited", "quota")
"""Reasons that add nothing to their outcome."""

_KEY_VERDICTS = {
    KeyVerdict.NONE: ("no key", Style.FAINT),
    KeyVerdict.VERIFIED: ("key verified", Style.GOOD),
    KeyVerdict.NOT_ENFORCED: ("no key needed", Style.FAINT),
    KeyVerdict.UNVERIFIED: ("key not verified", Style.WARNING),
}


def state_style(state: HealthState) -> Style:
    """The colour of a state."""
    return _STATES[state]


def state(health: types.Health) -> Span:
    """A state with its symbol."""
    return Span(f"● {health.state.value}", _STATES[health.state])


def reason(health: types.Health, now: datetime) -> str:
    """The reason for a state, with the time until it ends if the provider gave one."""
    words = phrase(health.reason)
    if health.state is HealthState.UNKNOWN and health.last_known is not None:
        words = f"{words}, was {health.last_known.value}".removeprefix(", ")
    if health.retry_at is not None and health.retry_at > now:
        words = f"{words}, until {health.retry_at.astimezone():%H:%M:%S}".removeprefix(", ")
    return words


def light(health: types.Health, now: datetime, *, short: bool = False) -> Cell:
    """State and reason in one cell; the short form leaves out the end time."""
    words = phrase(health.reason) if short else reason(health, now)
    return (state(health), Span(f" ({words})" if words else "", Style.FAINT))


def key(value: types.KeyInfo) -> Span:
    """The state of a key in two or three words."""
    if value.source is KeySource.NONE:
        return Span("none", Style.FAINT)
    text, style = _KEY_VERDICTS[value.verdict]
    text = text.removeprefix("key ").replace("no key needed", "not needed")
    return Span(text, style)


def expiry(value: types.KeyInfo, now: datetime) -> str:
    """A sentence if the key has expired or expires within a week; else empty."""
    if value.source is KeySource.NONE or value.expires_at is None or value.expires_at - now >= _SOON:
        return ""
    over = value.expires_at < now
    return "the key has expired" if over else f"the key expires on {value.expires_at:%Y-%m-%d}"


def key_verdict(verdict: KeyVerdict) -> Span:
    """The verdict of a test on a key."""
    text, style = _KEY_VERDICTS[verdict]
    return Span(text, style)


def checked(health: types.Health, now: datetime) -> str:
    """The age of the last check."""
    return ago(health.checked_at, now) or "never"


def outcome(result: types.TestResult) -> Span:
    """The outcome of a test in words."""
    if result.ok:
        return Span("✓ works", Style.GOOD)
    if headline := _HEADLINES.get(result.reason):
        return Span(f"✗ {headline}", Style.BAD)
    soft = result.outcome in (Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED)
    details = [phrase(result.reason)] if result.reason not in ("", result.outcome.value, *_SAID) else []
    if result.retry_at is not None:
        details.append(f"until {result.retry_at.astimezone():%H:%M:%S}")
    detail = f" ({', '.join(details)})" if details else ""
    return Span(
        f"{'!' if soft else '✗'} {_OUTCOMES[result.outcome]}{detail}", Style.WARNING if soft else Style.BAD
    )


def layer(result: types.LayerResult) -> tuple[Span, ...]:
    """One line about a layer of a test."""
    mark, style = _LAYERS[result.status]
    name = result.layer.value.replace("_", " ")
    took = duration(result.elapsed_s) if result.status in (LayerStatus.PASSED, LayerStatus.FAILED) else ""
    evidence = result.evidence
    if result.status is LayerStatus.NOT_REACHED:
        evidence = evidence or "not reached"
    elif result.status is LayerStatus.SKIPPED:
        evidence = evidence or "does not apply"
    quiet = Style.FAINT if result.status in (LayerStatus.NOT_REACHED, LayerStatus.SKIPPED) else Style.PLAIN
    return (
        Span(f"  {mark} ", style),
        Span(name.ljust(14), quiet),
        Span(took.rjust(8) + "  ", Style.FAINT),
        Span(evidence, quiet),
    )


def default_mark(connection: types.Connection) -> Span:
    """The star of the default."""
    return Span("★" if connection.is_default else " ", Style.WARNING)


def latency(health: types.Health) -> str:
    """The time of the last successful check."""
    return duration(health.latency_s)
