"""Finds the time from which a provider accepts requests again.

Headers take precedence over the body. The time is limited: a wrong clock or a malicious server must not stop
the checks for ever, and one request too early does no harm.
"""

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nexo.connections.terms import Outcome
from nexo_daemon.providers.bodies import Reading, walk

LONGEST_WAITS: Mapping[Outcome, timedelta] = {
    Outcome.RATE_LIMITED: timedelta(hours=1),
    Outcome.PROVIDER_DOWN: timedelta(hours=1),
    Outcome.QUOTA_EXHAUSTED: timedelta(hours=24),
}
"""The outcomes that may have such a time, with the longest accepted wait."""

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = (
    r"((?:\d[\d.]*\s*(?:ms|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|[hmsd]"
    r"|毫秒|秒钟?|分钟|个?小时|天)(?![a-z])\s*(?:,|and\b)?\s*)+)"
)
_SENTENCES = (
    re.compile(
        r"(?:try again|retry|wait|resets?|available again|regain access)\s+"
        r"(?:(?:in|after|for|at least|about)\s+){0,2}" + _AMOUNT,
        re.IGNORECASE,
    ),
    re.compile(r"(?:请在|请于|请等待|等待|请)\s*" + _AMOUNT + r"\s*(?:后|之后|再)"),
)
_MOMENT = re.compile(
    r"(?:resets?|try again|retry|regain access|available again|重置|恢复|重试)\D{0,40}?"
    r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?)?"
    r"|1\d{9}(?:\d{3})?(?!\d))",
    re.IGNORECASE,
)
_SPELLINGS = (
    ("ms", r"milliseconds?|毫秒"),
    ("s", r"seconds?|secs?|秒钟?"),
    ("m", r"minutes?|mins?|分钟"),
    ("h", r"hours?|hrs?|个?小时"),
    ("d", r"days?|天"),
)
_PLAIN_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")


def retry_at(reading: Reading, outcome: Outcome, now: datetime) -> datetime | None:
    """The time in an answer, limited by the longest wait for the outcome; None if there is none."""
    return _within_bounds(_wait(reading, now), outcome, now) if outcome in LONGEST_WAITS else None


def retry_at_by_headers(headers: Mapping[str, str], outcome: Outcome, now: datetime) -> datetime | None:
    """Like `retry_at`, for an answer whose body was not read.

    Args:
        headers: names in lower case.
    """
    if outcome not in LONGEST_WAITS:
        return None
    wait = _from_retry_after(headers, now)
    return _within_bounds(_from_reset_headers(headers, now) if wait is None else wait, outcome, now)


def _within_bounds(wait: timedelta | None, outcome: Outcome, now: datetime) -> datetime | None:
    return None if wait is None else now + min(max(wait, timedelta()), LONGEST_WAITS[outcome])


def _wait(reading: Reading, now: datetime) -> timedelta | None:
    if (wait := _from_retry_after(reading.headers, now)) is not None:
        return wait
    if reading.retry_after_s is not None:
        return timedelta(seconds=reading.retry_after_s)
    if (wait := _from_reset_headers(reading.headers, now)) is not None:
        return wait
    if (wait := _from_reset_fields(reading.document, now)) is not None:
        return wait
    return spoken_delay(reading.message) or _spoken_moment(reading.message, now)


def _from_retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    wait = _scaled(headers.get("retry-after-ms", ""), 0.001)
    return _seconds_or_date(headers.get("retry-after", "").strip(), now) if wait is None else wait


def spoken_delay(message: str) -> timedelta | None:
    """The delay in a sentence: "try again in 6m0s", "Please wait 57829 seconds"."""
    for sentence in _SENTENCES:
        if (found := sentence.search(message)) is not None:
            return _duration(_short_units(found.group(1)))
    return None


def _spoken_moment(message: str, now: datetime) -> timedelta | None:
    found = _MOMENT.search(message)
    if found is None:
        return None
    return _reset(re.sub(r" ?(?:UTC|GMT)$", "+00:00", found.group(1), flags=re.IGNORECASE), now)


def _from_reset_fields(document: Any, now: datetime) -> timedelta | None:
    """Headers and times that a gateway repeats in its body, as OpenRouter does."""
    for key, value in walk(document):
        name = key.lower().replace("_", "-")
        text = str(value).strip() if isinstance(value, str | int | float) else ""
        if not text or isinstance(value, bool):
            continue
        if name in ("retry-after", "retry-after-seconds", "retryafter"):
            wait = _seconds_or_date(text, now)
        elif ("ratelimit" in name and "reset" in name) or name in ("reset-at", "resets-at", "reset-time"):
            wait = _reset(text, now)
        else:
            continue
        if wait is not None:
            return wait
    return None


def _from_reset_headers(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The reset time of the exhausted limit; the earliest one if no header shows which limit that is."""
    spent: list[timedelta] = []
    others: list[timedelta] = []
    for name, value in headers.items():
        if "ratelimit" not in name or "reset" not in name:
            continue
        wait = _reset(value.strip(), now)
        if wait is None:
            continue
        left = headers.get(name.replace("reset", "remaining"), "").strip()
        (spent if left == "0" else others).append(wait)
    return max(spent) if spent else min(others) if others else None


def _reset(value: str, now: datetime) -> timedelta | None:
    # A duration (OpenAI, Groq), a time (Anthropic), or a number: seconds, or Unix time in seconds or
    # milliseconds.
    if _PLAIN_NUMBER.fullmatch(value):
        number = float(value)
        if number > 1e11:
            return _until(number / 1000, now)
        if number > 1e8:
            return _until(number, now)
        return timedelta(seconds=number)
    if (wait := _duration(value)) is not None:
        return wait
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _difference(moment, now)


def _until(epoch: float, now: datetime) -> timedelta | None:
    try:
        return datetime.fromtimestamp(epoch, UTC) - now
    except (ValueError, OverflowError, OSError):
        return None


def _difference(moment: datetime, now: datetime) -> timedelta | None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return aware - now
    except OverflowError:
        return None


def _seconds_or_date(value: str, now: datetime) -> timedelta | None:
    if (wait := _scaled(value, 1.0)) is not None:
        return wait
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _difference(moment, now)


def _scaled(value: str, unit: float) -> timedelta | None:
    value = value.strip()
    return timedelta(seconds=min(float(value) * unit, 1e9)) if _PLAIN_NUMBER.fullmatch(value) else None


def _short_units(text: str) -> str:
    text = re.sub(r"\s+|,|and", "", text.lower())
    for unit, spelling in _SPELLINGS:
        text = re.sub(spelling, unit, text)
    return text


def _duration(text: str) -> timedelta | None:
    # "6m0s", "1.5s", "120ms"; the whole text must match.
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.rstrip("."):
        return None
    return timedelta(seconds=min(sum(float(number) * _UNITS[unit] for number, unit in parts), 1e9))
