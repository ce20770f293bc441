"""nexoctl history, wait, fallback, pause and resume against a real daemon and a real server."""

import socket
from collections.abc import Iterator

import pytest

from answering_server import AnsweringServer, Request, answer, reset
from surroundings import Nexod, Surroundings

MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'


class Service:
    """A server that is dead or alive."""

    alive = True

    def script(self, request: Request, connection: socket.socket) -> bytes | None:
        if self.alive:
            return answer(200, MODELS)
        reset(connection)
        return None


@pytest.fixture
def service(nexod: Nexod) -> Iterator[Service]:
    made = Service()
    with AnsweringServer(made.script) as server:
        for name in ("work", "spare"):
            nexod.surroundings.nexoctl(
                "add", name, "--provider", "custom", "--base-url", f"{server.origin}/v1", "--no-test"
            )
        yield made


def test_wait_ends_when_the_connection_is_healthy_and_fails_in_time_when_not(
    surroundings: Surroundings, service: Service
) -> None:
    assert "work is healthy" in surroundings.nexoctl("wait", "work", "--healthy", "--timeout", "30s").out
    service.alive = False
    surroundings.nexoctl("health", "work", "--check", expect=6)
    failed = surroundings.nexoctl("--json", "wait", "work", "--timeout", "3s", expect=6)
    assert failed.error["reason"] == "NOT_HEALTHY"
    assert "unhealthy" in failed.error["message"]
    service.alive = True
    assert surroundings.nexoctl("--json", "wait", "work", "--timeout", "30s").json["state"] == "healthy"
    surroundings.nexoctl("wait", "nobody", "--timeout", "3s", expect=5)


def test_history_shows_the_numbers_the_chart_and_the_changes(
    surroundings: Surroundings, service: Service
) -> None:
    surroundings.nexoctl("wait", "work", "--timeout", "30s")
    service.alive = False
    surroundings.nexoctl("health", "work", "--check", expect=6)
    shown = surroundings.nexoctl("history", "work", "--window", "1h").out
    for words in ("Uptime", "p50", "unknown → healthy", "healthy → unhealthy", "reset"):
        assert words in shown, shown
    record = surroundings.nexoctl("--json", "history", "work").json
    assert 0 < record["uptime"] < 1
    assert record["latency_p50_ms"] > 0
    assert record["transitions"][-1]["to"] == "unhealthy"
    assert sum(sample["failures"] for sample in record["samples"]) == 3
    assert surroundings.nexoctl("--json", "history", "work", "--window", "91d", expect=2).error


def test_the_fall_back_is_off_until_it_is_set_and_says_who_serves(
    surroundings: Surroundings, service: Service
) -> None:
    assert "No connection stands in" in surroundings.nexoctl("fallback", "show").out
    surroundings.nexoctl("fallback", "set", "nobody", expect=5)
    assert surroundings.nexoctl("--json", "fallback", "set", "spare").json["fallback"] == ["spare"]
    assert "spare" in surroundings.nexoctl("fallback", "show").out
    assert surroundings.nexoctl("--json", "fallback", "off").json["fallback"] == []


def test_pause_and_resume_of_one_and_of_all(surroundings: Surroundings, service: Service) -> None:
    surroundings.nexoctl("wait", "work", "--timeout", "30s")
    paused = surroundings.nexoctl("--json", "pause", "work").json
    assert paused == {"paused": False, "paused_connections": ["work"]}
    light = surroundings.nexoctl("--json", "health", "work").json
    assert (light["state"], light["reason"], light["last_known"]) == ("unknown", "paused", "healthy")
    assert surroundings.nexoctl("--json", "pause").json["paused"] is True
    assert surroundings.nexoctl("--json", "resume").json["paused"] is False
    assert surroundings.nexoctl("--json", "resume", "work").json["paused_connections"] == []
    surroundings.nexoctl("wait", "work", "--timeout", "30s")
