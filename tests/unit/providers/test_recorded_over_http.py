"""Every recorded answer again: through respx, and through a real server over TCP."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpcore2
import httpx
import pytest
import respx
from respx.mocks import HTTPCoreMocker

import probing_help as ask
from answering_server import AnsweringServer, answer
from nexo.connections.terms import Outcome
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.prober import Prober
from recorded_answers import CANARY, RECORDED, Recorded


class HttpCore2Mocker(HTTPCoreMocker):
    """What respx does to httpcore, done to its successor."""

    name = "httpcore2"
    targets = [target.replace("httpcore", "httpcore2") for target in HTTPCoreMocker.targets]  # noqa: RUF012

    @classmethod
    def from_sync_httpx_response(
        cls, httpx_response: httpx.Response, target: object, **_: object
    ) -> httpcore2.Response:
        assert isinstance(httpx_response.stream, httpx.ByteStream)
        return httpcore2.Response(
            httpx_response.status_code,
            headers=httpx_response.headers.raw,
            content=httpx_response.stream,
            extensions=httpx_response.extensions,
        )


class StoppedClock(SystemClock):
    """Real but for the date, which is the one that the recorded answers refer to."""

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def assert_deserved(verdict: Verdict, recorded: Recorded) -> None:
    assert (verdict.outcome, verdict.reason) == (recorded.outcome, recorded.reason)
    assert verdict.http_status == recorded.status
    assert verdict.latency_s is not None
    assert verdict.latency_s >= 0
    if recorded.retry_s is None:
        assert verdict.retry_at is None
    else:
        assert verdict.retry_at == StoppedClock().now() + timedelta(seconds=recorded.retry_s)
    assert CANARY not in repr(verdict)
    assert CANARY[:12] not in repr(verdict)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda r: r.name)
def test_over_respx(recorded: Recorded) -> None:
    url = f"http://provider.test{ask.BASE_PATHS[recorded.provider]}"

    async def run() -> Verdict:
        with respx.mock(using="httpcore2") as router:
            response = httpx.Response(
                recorded.status, headers=list(recorded.all_headers), stream=httpx.ByteStream(recorded.body)
            )
            router.route(host="provider.test").mock(return_value=response)
            return await Prober(StoppedClock()).check(ask.target(recorded.provider, url, CANARY))

    assert_deserved(asyncio.run(run()), recorded)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda r: r.name)
def test_over_tcp(recorded: Recorded) -> None:
    reply = answer(recorded.status, recorded.body, recorded.all_headers)
    with AnsweringServer(lambda _request, _connection: reply) as server:
        url = server.origin + ask.BASE_PATHS[recorded.provider]
        verdict = ask.check(ask.target(recorded.provider, url, CANARY), clock=StoppedClock())
        assert_deserved(verdict, recorded)
        assert len(server.requests) == 1, "a check is exactly one request"
        assert server.requests[0].key == CANARY
        assert server.requests[0].headers["user-agent"].startswith("nexo-connections/")
        assert "origin" not in server.requests[0].headers
        assert CANARY not in server.requests[0].target


@pytest.mark.parametrize(
    "recorded", [r for r in RECORDED if r.outcome is not Outcome.OK], ids=lambda r: r.name
)
def test_a_failing_test_says_no_secret(recorded: Recorded) -> None:
    reply = answer(recorded.status, recorded.body, recorded.all_headers)
    with AnsweringServer(lambda _request, _connection: reply) as server:
        url = server.origin + ask.BASE_PATHS[recorded.provider]
        report = ask.run_test(ask.target(recorded.provider, url, CANARY))
    assert (report.verdict.outcome, report.verdict.reason) == (recorded.outcome, recorded.reason)
    assert [r.layer for r in report.layers] == list(ask.Layer)
    assert sum(r.status is ask.LayerStatus.FAILED for r in report.layers) == 1
    assert CANARY not in repr(report)
    assert CANARY[:12] not in repr(report)
