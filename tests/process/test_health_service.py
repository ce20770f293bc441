"""Health as programs see it: a real daemon watching real servers that fail, recover and ask to wait."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from answering_server import AnsweringServer, Request, answer, reset
from nexo.connections.terms import HealthState, Layer, Outcome, ResolutionSource
from nexo_client import Client
from nexo_client.errors import InvalidField, RetryLater
from nexo_client.types import ConnectionDraft, Health, LayerResult, TestResult
from surroundings import Nexod, wait_for

MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'


class Service:
    """A server whose mood can be changed."""

    def __init__(self) -> None:
        self.mood = "well"
        self.server = AnsweringServer(self._script)

    def _script(self, request: Request, connection: socket.socket) -> bytes | None:
        match self.mood:
            case "dead":
                reset(connection)
                return None
            case "busy":
                headers = (("Content-Type", "application/json"), ("Retry-After", "3600"))
                return answer(429, b'{"error":{"code":"rate_limit_exceeded"}}', headers)
            case "hanging":
                connection.recv(1)
                return None
        return answer(200, MODELS)


@pytest.fixture
def services() -> Iterator[dict[str, Service]]:
    made = {name: Service() for name in ("first", "second")}
    with ExitStack() as stack:
        for service in made.values():
            stack.enter_context(service.server)
        yield made


@pytest.fixture
def client(nexod: Nexod, services: dict[str, Service]) -> Iterator[Client]:
    with nexod.client() as connected:
        for name, service in services.items():
            connected.create_connection(
                ConnectionDraft(
                    name=name,
                    provider="custom",
                    base_url=f"{service.server.origin}/v1",
                    api_key=f"key-of-{name}",
                )
            )
        for name in services:
            wait_for(
                lambda name=name: light(connected, name).state is HealthState.HEALTHY, f"{name} is healthy"
            )
        yield connected


def light(client: Client, name: str) -> Health:
    (found,) = client.health([name])
    return found.health


def test_a_dead_service_turns_red_and_green_again_and_both_are_told(
    client: Client, services: dict[str, Service]
) -> None:
    events = client.watch()
    next(events)
    services["first"].mood = "dead"
    (checked,) = client.check_now(["first"])
    assert checked.health.state is HealthState.UNHEALTHY
    services["first"].mood = "well"
    (checked,) = client.check_now(["first"])
    assert checked.health.state is HealthState.HEALTHY
    told = [event.transition for event in events_until(events, HealthState.HEALTHY) if event.transition]
    assert [(t.connection, t.to_state, t.important) for t in told] == [
        ("first", HealthState.UNHEALTHY, True),
        ("first", HealthState.HEALTHY, True),
    ]
    assert told[1].lasted_s is not None

    history = client.history("first")
    assert [t.to_state for t in history.transitions][-2:] == [HealthState.UNHEALTHY, HealthState.HEALTHY]
    assert history.uptime is not None
    assert 0.0 < history.uptime < 1.0
    assert history.latency_p50_s is not None
    assert history.latency_p50_s > 0
    assert {sample.outcome for sample in history.samples} == {Outcome.OK, Outcome.UNREACHABLE}

    # The same, sliced, of several at once.
    first, other = client.histories(["first", "gone meanwhile", "second"], 3600, 2)
    assert (first.connection, other.connection, first.slice_s) == ("first", "second", 1800)
    assert [part.worst for part in first.slices] == [HealthState.UNKNOWN, HealthState.UNHEALTHY]
    assert first.slices[1].checks == len(history.samples)
    assert first.transitions == history.transitions
    with pytest.raises(InvalidField):
        client.histories(slices=1001)


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("locked", lambda client: client.vault.lock()),
        ("disabled", lambda client: client.update_connection("first", ConnectionDraft(enabled=False))),
        ("paused", lambda client: client.update_health_settings(paused=True)),
    ],
    ids=["locked", "switched off", "paused"],
)
def test_what_is_not_checked_any_more_says_since_when(
    client: Client, reason: str, stop: Callable[[Client], object]
) -> None:
    before = datetime.now(UTC)
    stop(client)
    wait_for(lambda: light(client, "first").reason == reason, reason)
    begun = light(client, "first").since
    assert begun is not None
    assert begun >= before
    client.update_connection("first", ConnectionDraft(default_model="m"))
    assert light(client, "first").since == begun


def events_until(events, state):  # type: ignore[no-untyped-def]
    for event in events:
        yield event
        if event.transition is not None and event.transition.to_state is state:
            return


def test_a_test_that_is_given_up_is_over(client: Client, services: dict[str, Service]) -> None:
    services["first"].mood = "hanging"
    with client.testing("first") as events:
        seen = [next(events) for _ in range(2)]
        assert [one.layer for one in seen if isinstance(one, LayerResult)] == [Layer.CONFIGURATION, Layer.DNS]
        events.close()
        assert list(events) == []
    services["first"].mood = "well"
    *_, result = client.testing_draft(
        ConnectionDraft(provider="custom", base_url=client.get_connection("first").base_url)
    )
    assert isinstance(result, TestResult)
    assert result.ok


def test_a_service_that_asks_to_wait_is_not_asked_again(client: Client, services: dict[str, Service]) -> None:
    services["first"].mood = "busy"
    (checked,) = client.check_now(["first"])
    assert (checked.health.state, checked.health.retry_at is None) == (HealthState.LIMITED, False)
    asked = len(services["first"].server.requests)
    with pytest.raises(RetryLater, match="asked for no requests before"):
        client.check_now(["first"])
    client.report_outcome(client.get_connection("first").id, Outcome.AUTH_ERROR)
    both = client.check_now()
    assert {one.connection: one.health.state for one in both}["second"] is HealthState.HEALTHY
    assert len(services["first"].server.requests) == asked


def test_reports_cause_one_check_and_no_colour(client: Client, services: dict[str, Service]) -> None:
    connection = client.get_connection("first")
    asked = len(services["first"].server.requests)
    before = light(client, "first")
    for _ in range(50):
        client.report_outcome(connection.id, Outcome.AUTH_ERROR, http_status=401)
    wait_for(lambda: light(client, "first").checked_at != before.checked_at, "the report is followed up")
    assert light(client, "first").state is HealthState.HEALTHY
    assert len(services["first"].server.requests) == asked + 1


def test_a_pause_of_one_and_of_all(client: Client, services: dict[str, Service]) -> None:
    client.update_connection("first", ConnectionDraft(checks_paused=True))
    assert (light(client, "first").state, light(client, "first").reason) == (HealthState.UNKNOWN, "paused")
    assert light(client, "first").last_known is HealthState.HEALTHY
    client.update_health_settings(paused=True)
    assert light(client, "second").reason == "paused"
    client.update_health_settings(paused=False)
    wait_for(lambda: light(client, "second").state is HealthState.HEALTHY, "the second is checked again")
    assert light(client, "first").reason == "paused"
    client.update_connection("first", ConnectionDraft(checks_paused=False))
    wait_for(lambda: light(client, "first").state is HealthState.HEALTHY, "the first is checked again")


def test_a_stand_in_serves_followers_while_the_default_is_down(
    client: Client, services: dict[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> None:
    bound = tmp_path_factory.mktemp("bound")
    client.bind(bound, "first")
    client.set_fallback(["second"])
    with client.follow() as live:
        assert (live.current.name, live.current.source) == ("first", ResolutionSource.DEFAULT)
        services["first"].mood = "dead"
        client.check_now(["first"])
        wait_for(lambda: live.current.name == "second", "the follower is moved to the stand-in")
        assert live.current.source is ResolutionSource.FALLBACK
        assert live.current.api_key == "key-of-second"
        # A workspace that did not say so keeps what it was bound to.
        assert client.resolve(workspace=bound).name == "first"
        assert client.resolve("first").name == "first"
        steps = client.explain().steps
        assert any(step.won and "unhealthy" in step.text for step in steps)

        services["second"].mood = "dead"
        client.check_now(["second"])
        wait_for(lambda: live.current.name == "first", "the original serves when all are down")
        assert live.current.source is ResolutionSource.DEFAULT
        client.set_fallback([])
    assert client.resolve().name == "first"


def test_a_stand_in_is_kept_until_the_default_has_been_well_for_a_while(
    client: Client, services: dict[str, Service]
) -> None:
    client.set_fallback(["second"])
    services["first"].mood = "dead"
    client.check_now(["first"])
    assert client.resolve().name == "second"
    services["first"].mood = "well"
    (checked,) = client.check_now(["first"])
    assert checked.health.state is HealthState.HEALTHY
    assert client.resolve().name == "second"
    assert any("replaces the stand-in after" in step.text for step in client.explain().steps)


def test_stopping_does_not_wait_for_a_check_that_hangs(
    nexod: Nexod, client: Client, services: dict[str, Service]
) -> None:
    services["first"].mood = "hanging"
    asked = len(services["first"].server.requests)
    client.report_outcome(client.get_connection("first").id, Outcome.UNREACHABLE)
    wait_for(lambda: len(services["first"].server.requests) > asked, "the check is under way")
    assert nexod.stop() == 0
