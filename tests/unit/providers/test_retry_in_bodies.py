"""A time to retry is read from the body, too: from sentences, fields and passed-on headers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nexo_daemon.providers import bodies
from nexo_daemon.providers.classify import Classification, Subject, judge
from nexo_daemon.providers.exchange import HttpAnswer
from nexo_daemon.providers.redact import Redactor

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def judged(status: int, body: Any, headers: dict[str, str] | None = None) -> Classification:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    answer = HttpAnswer(status, httpx.Headers({"content-type": kind, **(headers or {})}), raw)
    return judge(
        bodies.read(answer),
        right_shape=False,
        subject=Subject("Example", "api.example"),
        redact=Redactor(()),
        now=NOW,
    )


def error(message: str, kind: str = "", code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (error("Please wait 57829 seconds before retrying"), 3600),
        (error("Please wait 59 seconds before retrying"), 59),
        (error("Rate limit reached. Please try again in 6m0s."), 360),
        (error("Rate limit reached. Try again in 1 minute and 30 seconds"), 90),
        (error("Your limit will reset at 2026-11-26 12:10:00 UTC"), 600),
        (error("Too many requests; resets at 2026-11-26T12:05:00Z"), 300),
        (error("Rate limit: reset at 1795694460000"), 60),
        (error("请求过于频繁，请在 30 秒后重试"), 30),
        (error("请等待2分钟后再试"), 120),
        ({"error": {"code": 429, "metadata": {"headers": {"X-RateLimit-Reset": "1795694460000"}}}}, 60),
        ({"error": {"message": "x", "retry_after": 7}}, 7),
    ],
)
def test_a_time_to_retry_is_read_from_the_body(body: Any, seconds: int) -> None:
    assert judged(429, body).verdict.retry_at == NOW + timedelta(seconds=seconds)
