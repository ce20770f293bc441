"""Names are resolved on threads of their own: a dead name server stops nobody, and nothing is left behind."""

import asyncio
import socket
import threading

import pytest

from nexo_daemon.providers import dns
from surroundings import PATIENCE_S


def test_families_alternate_and_repeat_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, "::1"), (six, "::2"), (six, "::1"), (four, "127.0.0.1"), (four, "127.0.0.2")]
    answers = [(family, socket.SOCK_STREAM, 6, "", (address, 80)) for family, address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)
    assert asyncio.run(dns.resolve("x", 80)) == ["::1", "127.0.0.1", "::2", "127.0.0.2"]


def test_an_unknown_name_raises_what_the_system_says() -> None:
    with pytest.raises(socket.gaierror):
        asyncio.run(dns.resolve("nobody.invalid", 80))


def test_a_name_that_cannot_be_encoded_raises() -> None:
    with pytest.raises(UnicodeError):
        asyncio.run(dns.resolve("a" * 70 + ".example", 80))


def test_hanging_look_ups_delay_nobody_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *args: object, **options: object) -> object:
        if host == "hangs":
            release.wait(PATIENCE_S)
            raise socket.gaierror(socket.EAI_AGAIN, "gave up")
        return real(host, *args, **options)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    before = threading.active_count()

    async def run() -> None:
        hanging = [asyncio.create_task(dns.resolve("hangs", 80)) for _ in range(40)]
        await asyncio.sleep(0)
        assert await dns.resolve("localhost", 80)
        assert not any(task.done() for task in hanging)
        for task in hanging[:20]:
            task.cancel()
        # Far more than there are threads for: those that nobody waits for are skipped, the rest is served.
        more = [asyncio.create_task(dns.resolve("hangs", 80)) for _ in range(100)]
        await asyncio.sleep(0)
        assert threading.active_count() - before <= 64
        for task in more:
            task.cancel()
        release.set()
        results = await asyncio.gather(*hanging, *more, return_exceptions=True)
        assert {type(result) for result in results} == {socket.gaierror, asyncio.CancelledError}
        assert await dns.resolve("localhost", 80)

    asyncio.run(run())


def test_a_loop_that_is_gone_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    release, ended = threading.Event(), threading.Event()

    def slow(*_args: object, **_options: object) -> object:
        release.wait(PATIENCE_S)
        ended.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await dns.resolve("x", 80)

    asyncio.run(leave())
    release.set()
    assert ended.wait(10)
