"""What is shown of connections is what they are now, though each is encoded only once while it stays so."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nexo.connections.codec import write
from nexo.connections.terms import AuthScheme, HealthState, Provider
from nexo.connections.v1 import connection_pb2 as pb
from nexo_daemon.domain.model import Health, Settings, StoredConnection
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.rpc import view as view_module
from nexo_daemon.rpc.view import View

NOW = datetime(2026, 11, 27, 6, 0, 0, 250_000, tzinfo=UTC)


def connection(number: int, **given: Any) -> StoredConnection:
    return StoredConnection(
        id=f"id-{number}",
        name=f"work-{number}",
        provider=Provider.OPENAI,
        base_url="https://api.openai.com/v1",
        auth_scheme=AuthScheme.BEARER,
        created_at=NOW,
        updated_at=NOW,
        **given,
    )


class Rooms:
    """What the view looks into: a snapshot and lights."""

    def __init__(self, *connections: StoredConnection) -> None:
        self.health_board: dict[str, Health] = {}
        self.view = View(
            self,  # type: ignore[arg-type]  # a snapshot is all that it reads of the registry
            SimpleNamespace(of=lambda one: self.health_board.get(one.id, Health())),  # type: ignore[arg-type]
            started_at=NOW,
            socket=Path("/run/nexod.sock"),
            database=Path("/data/nexo.db"),
            log_file=Path("/state/nexod.log"),
            followers=list,
            gateway_programs=int,
        )
        self.hold(connections)

    def hold(self, connections: tuple[StoredConnection, ...], default_id: str = "") -> None:
        self.health_board |= {one.id: Health() for one in connections if one.id not in self.health_board}
        known: Mapping[str, StoredConnection] = {one.id: one for one in connections}
        self.snapshot = RegistrySnapshot(Settings(default_id=default_id), known, {}, {}, (), 0)

    def shown(self) -> list[pb.Connection]:
        return self.view.connections()

    def anew(self) -> list[pb.Connection]:
        """The same without any memory."""
        return [
            write(
                pb.Connection,
                one,
                is_default=one.id == self.snapshot.settings.default_id,
                health=write(pb.Health, self.health_board[one.id]),
            )
            for one in self.snapshot.connections.values()
        ]


def test_a_connection_its_light_and_the_default_are_shown_as_they_are_now() -> None:
    first, second = connection(1, default_model="gpt"), connection(2)
    rooms = Rooms(first, second)
    assert rooms.shown() == rooms.anew()
    rooms.health_board["id-1"] = Health(HealthState.HEALTHY, "", NOW, NOW, 0.25)
    assert rooms.shown() == rooms.anew()
    assert rooms.shown()[0].health.latency.nanos == 250_000_000
    # An empty field of the new light, and of the new connection, does not keep what was in the old one.
    rooms.health_board["id-1"] = Health(reason="disabled")
    rooms.hold((replace(first, default_model="", enabled=False), second), default_id="id-2")
    assert rooms.shown() == rooms.anew()
    assert [one.is_default for one in rooms.shown()] == [False, True]
    rooms.hold((first, second), default_id="id-1")
    assert rooms.shown() == rooms.anew()


def test_only_what_changed_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []

    def noted(kind: Any, value: object, **given: Any) -> Any:
        written.append(value)
        return write(kind, value, **given)

    monkeypatch.setattr(view_module, "write", noted)
    rooms = Rooms(connection(1), connection(2))
    rooms.shown()
    written.clear()
    rooms.shown()
    assert written == []
    rooms.health_board["id-2"] = Health(HealthState.HEALTHY)
    rooms.shown()
    assert written == [rooms.health_board["id-2"]]


def test_what_is_given_out_is_the_callers_to_change() -> None:
    rooms = Rooms(connection(1))
    rooms.shown()[0].name = "another"
    assert rooms.shown()[0].name == "work-1"


def test_connections_that_are_gone_do_not_stay_in_memory() -> None:
    rooms = Rooms()
    for number in range(1000):
        rooms.hold((connection(number),))
        rooms.shown()
    assert len(rooms.view._encoded) <= view_module._FEWEST_KEPT
