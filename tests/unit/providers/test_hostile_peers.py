"""Peers that are silent, slow, rude or enormous: always a verdict, within the time, with bounded memory."""

import asyncio
import gzip
import json
import socket
import zlib

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer, reset
from nexo.connections.terms import Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.providers.prober import Prober
from recorded_answers import LISTS
from surroundings import wait_for

LIST = LISTS[Provider.CUSTOM]


def found_at(origin: str, *, timeout_s: float = 10.0) -> tuple[Outcome, str]:
    verdict = ask.check(ask.target(Provider.CUSTOM, f"{origin}/v1"), timeout_s=timeout_s)
    assert verdict.advice
    return verdict.outcome, verdict.reason


def test_a_listener_that_never_accepts_ends_as_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def fails() -> bool:
            report = ask.run_test(ask.target(Provider.CUSTOM, f"{origin}/v1"), timeout_s=0.4)
            assert (report.verdict.outcome, report.verdict.reason) == (Outcome.UNREACHABLE, "timeout")
            assert report.verdict.latency_s is None
            return ask.layer(report, Layer.HTTP).status is LayerStatus.FAILED

        # On a busy machine the time may be over before it is connected.
        wait_for(fails, "the HTTP layer fails")


def test_a_tls_peer_that_says_nothing_fails_the_tls_layer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"https://127.0.0.1:{listener.getsockname()[1]}"

        def fails() -> bool:
            report = ask.run_test(ask.target(Provider.CUSTOM, f"{origin}/v1"), timeout_s=0.4)
            assert report.verdict.reason == "timeout"
            return ask.layer(report, Layer.TLS).status is LayerStatus.FAILED

        # On a busy machine the time may be over before it is connected.
        wait_for(fails, "the TLS layer fails")


def test_a_body_that_drips_ends_as_a_timeout_that_says_how_far_it_came() -> None:
    def drip(_request: Request, connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"
        )
        while not server.stopped.wait(1.0):
            connection.sendall(b" ")

    def says_how_far() -> bool:
        verdict = ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1"), timeout_s=1.5)
        assert (verdict.outcome, verdict.reason) == (Outcome.UNREACHABLE, "timeout")
        return "status 200 and" in verdict.evidence

    # On a busy machine the time may be over before the status has come.
    with AnsweringServer(drip) as server:
        wait_for(says_how_far, "the evidence says how far it came")


def test_headers_that_drip_end_as_a_timeout() -> None:
    def drip(_request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not server.stopped.wait(0.1):
            connection.sendall(b"X-More: yes\r\n")

    with AnsweringServer(drip) as server:
        assert found_at(server.origin, timeout_s=0.5) == (Outcome.UNREACHABLE, "timeout")


def test_a_reset_before_the_answer() -> None:
    with AnsweringServer(lambda _request, connection: reset(connection)) as server:
        assert found_at(server.origin) == (Outcome.UNREACHABLE, "reset")


def test_a_close_without_an_answer() -> None:
    with AnsweringServer(lambda _request, _connection: None) as server:
        assert found_at(server.origin) == (Outcome.UNREACHABLE, "reset")


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nX bad(: 1\r\n\r\n",
    ],
    ids=["ssh", "a TLS alert", "a bad header"],
)
def test_a_peer_that_does_not_speak_http(sent: bytes) -> None:
    with AnsweringServer(lambda _request, _connection: sent) as server:
        assert found_at(server.origin) == (Outcome.UNREACHABLE, "protocol")


@pytest.mark.parametrize("kept", [0, 10, len(LIST) - 1])
def test_a_list_that_breaks_off_is_no_list(kept: int) -> None:
    def cut(_request: Request, connection: socket.socket) -> None:
        connection.sendall(answer(200, LIST)[: -len(LIST) + kept])

    with AnsweringServer(cut) as server:
        assert found_at(server.origin) == (Outcome.UNREACHABLE, "reset")


def test_a_refusal_that_breaks_off_is_still_a_refusal() -> None:
    def cut(_request: Request, connection: socket.socket) -> None:
        connection.sendall(answer(401, b'{"error":"no"}')[:-5])

    with AnsweringServer(cut) as server:
        assert found_at(server.origin) == (Outcome.AUTH_ERROR, "invalid_key")


def test_a_catalogue_of_five_megabytes_is_read() -> None:
    entries = [{"id": f"model-{number}", "description": "x" * 2500} for number in range(2000)]
    body = json.dumps({"object": "list", "data": entries}).encode()
    assert len(body) > 5_000_000
    with AnsweringServer(lambda _request, _connection: answer(200, body)) as server:
        assert len(ask.list_models(ask.target(Provider.CUSTOM, f"{server.origin}/v1")).models) == 2000


def test_an_endless_body_is_cut() -> None:
    def endless(_request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not server.stopped.is_set():
            connection.sendall(b"[" * 65536)

    with AnsweringServer(endless) as server:
        assert found_at(server.origin) == (Outcome.NOT_COMPATIBLE, "too_large")


def test_a_gzip_bomb_is_cut() -> None:
    body = gzip.compress(b" " * 200_000_000, compresslevel=9)
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    with AnsweringServer(lambda _request, _connection: answer(200, body, headers)) as server:
        assert found_at(server.origin) == (Outcome.NOT_COMPATIBLE, "too_large")


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("gzip", LIST, (Outcome.NOT_COMPATIBLE, "encoding")),
        ("gzip", gzip.compress(LIST, mtime=0)[:-12], (Outcome.UNREACHABLE, "reset")),
        ("gzip", zlib.compress(LIST), (Outcome.OK, "")),
        ("identity", LIST, (Outcome.OK, "")),
        ("br", b"\x0b\x02\x80{}\x03", (Outcome.NOT_COMPATIBLE, "encoding")),
        ("UTF-8", LIST, (Outcome.OK, "")),
    ],
    ids=["no-gzip-at-all", "cut-off", "deflate-called-gzip", "identity", "brotli", "charset"],
)
def test_a_wrong_encoding(encoding: str, body: bytes, expected: tuple[Outcome, str]) -> None:
    headers = (("Content-Type", "application/json"), ("Content-Encoding", encoding))

    def script(_request: Request, _connection: object) -> bytes:
        return answer(200, body, headers)

    with AnsweringServer(script) as server:
        verdict = ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert (verdict.outcome, verdict.reason) == expected


def test_too_many_headers() -> None:
    headers = tuple((f"X-{number}", "x") for number in range(500))
    with AnsweringServer(lambda _request, _connection: answer(200, LIST, headers)) as server:
        assert found_at(server.origin) == (Outcome.NOT_COMPATIBLE, "too_large")


def test_headers_of_megabytes() -> None:
    headers = (("X-Big", "x" * 3_000_000),)
    with AnsweringServer(lambda _request, _connection: answer(200, LIST, headers)) as server:
        assert found_at(server.origin) == (Outcome.UNREACHABLE, "protocol")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"error":' + b"9" * 10_000 + b"}",
        b'{"error":"\\ud800"}',
        b"\xff\xfe\x00",
    ],
)
def test_json_made_to_hurt(body: bytes) -> None:
    with AnsweringServer(lambda _request, _connection: answer(500, body)) as server:
        verdict = ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert verdict.outcome is Outcome.PROVIDER_DOWN
    verdict.provider_message.encode()


def test_a_message_cannot_write_to_the_terminal() -> None:
    body = json.dumps({"error": {"message": "\x1b[2J\x07\u202eevil\r\nsecond line"}}).encode()
    with AnsweringServer(lambda _request, _connection: answer(500, body)) as server:
        verdict = ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert verdict.provider_message == "[2J evil second line"


def test_cancelling_closes_the_connection() -> None:
    with AnsweringServer(lambda _request, _connection: server.stopped.wait() and None) as server:

        async def run() -> None:
            prober = Prober(SystemClock())
            task = asyncio.create_task(prober.test(ask.target(Provider.CUSTOM, f"{server.origin}/v1")))
            while not server.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(run())


def test_a_silent_host_does_not_delay_another() -> None:
    async def run(silent: str, quick: str) -> None:
        prober = Prober(SystemClock())
        waiting = [
            asyncio.create_task(prober.check(ask.target(Provider.CUSTOM, f"{silent}/v1"))) for _ in range(50)
        ]
        verdict = await prober.check(ask.target(Provider.CUSTOM, f"{quick}/v1"))
        assert verdict.ok
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    with (
        socket.create_server(("127.0.0.1", 0), backlog=100) as listener,
        AnsweringServer(lambda _request, _connection: answer(200, LIST)) as server,
    ):
        asyncio.run(run(f"http://127.0.0.1:{listener.getsockname()[1]}", server.origin))


def test_redirects_are_shown_and_never_followed() -> None:
    with AnsweringServer(lambda _request, _connection: answer(200, LIST)) as other:
        headers = (("Location", f"{other.origin}/v1/models"),)
        with AnsweringServer(lambda _request, _connection: answer(302, b"", headers)) as server:
            report = ask.run_test(ask.target(Provider.ANTHROPIC, server.origin))
        assert other.requests == []
    assert report.verdict.reason == "redirect"
    assert other.origin in report.verdict.evidence


def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    """Nothing is called broken because a server keeps connections for shorter than it says."""
    used: set[int] = set()

    def once_a_connection(request: Request, connection: socket.socket) -> bytes | None:
        if id(connection) in used:
            return None
        used.add(id(connection))
        connections.append(connection)
        return answer(200, LIST) if request.key else answer(401, b"{}")

    connections: list[socket.socket] = []
    with AnsweringServer(once_a_connection) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert report.verdict.ok
    assert "key_verified" in report.proven


def test_a_paid_request_is_never_sent_twice() -> None:
    def script(request: Request, _connection: socket.socket) -> bytes | None:
        if request.path.endswith("/models"):
            return answer(200, LIST) if request.key else answer(401, b"{}")
        return None

    with AnsweringServer(script) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1")
        report = ask.run_test(wanted, completion=True)
        assert [r.method for r in server.requests].count("POST") == 1
    assert report.verdict.reason == "reset"
    assert ask.layer(report, Layer.COMPLETION).status is LayerStatus.FAILED
