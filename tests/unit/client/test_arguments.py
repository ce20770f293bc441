"""A wrong argument is named before anything is sent, and every path may be a string or a `Path`."""

import asyncio
import inspect
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

import nexo_client
from nexo.connections import codec, terms
from nexo.connections.model.connection import NetworkProfile
from nexo_client import administration, channel
from nexo_client.aio import AsyncClient
from nexo_client.client import Client, connect
from nexo_client.errors import DaemonNotRunning, InvalidField, NexoError
from nexo_client.types import AutoLock, ConnectionDraft, Header, MappedModel, Workspace

NOWHERE = "/nonexistent/nexod.sock"


@pytest.fixture
def client() -> Iterator[Any]:
    with Client(NOWHERE) as made:
        # Typed, the calls below would not pass mypy.
        yield made


async def _not_awaited(_: object) -> None:
    """Would never run."""


Wrong = Callable[[Any], object]


def draft(**fields: Any) -> Wrong:
    return lambda client: client.create_connection(ConnectionDraft(**fields))


WRONG: list[tuple[str, Wrong]] = [
    ("name", lambda client: client.get_connection(None)),
    ("name", lambda client: client.get_connection(3)),
    ("name", lambda client: client.get_connection(b"work")),
    ("name", lambda client: client.get_connection("caf\udce9")),
    ("connection", lambda client: client.resolve(Path("work"))),
    ("workspace", lambda client: client.resolve(workspace=3)),
    ("workspace", lambda client: client.resolve(workspace="caf\udce9")),
    ("workspace", lambda client: client.resolve(workspace=Workspace(name="caf\udce9"))),
    ("workspace", lambda client: client.resolve(workspace=Workspace(path=cast("Any", 3)))),
    # As a list, a string would be its letters.
    ("names", lambda client: client.health("work")),
    ("names", lambda client: client.set_fallback("work")),
    ("fixes", lambda client: client.update_connection("work", ConnectionDraft(), fixes="trim")),
    ("consents", lambda client: client.store.import_document(b"", consents="id")),
    ("names", lambda client: client.check_now([None])),
    ("timeout_s", lambda client: client.list_models("work", timeout_s="5")),
    ("timeout_s", lambda client: client.list_models("work", timeout_s=math.inf)),
    ("timeout_s", lambda client: client.test_connection("work", timeout_s=math.nan)),
    ("timeout_s", lambda client: client.test_connection("work", timeout_s=None)),
    ("wait_s", lambda client: client.set_default("work", wait_s=timedelta(seconds=1))),
    ("lifetime_s", lambda client: client.gateway.create_token("x", lifetime_s=1e300)),
    ("window_s", lambda client: client.history("work", 10**400)),
    ("slices", lambda client: client.histories(slices=1e3)),
    ("limit", lambda client: client.handouts(limit=2**40)),
    ("since", lambda client: client.handouts(since=datetime(2026, 1, 1))),  # noqa: DTZ001 - the subject
    ("since", lambda client: client.gateway.usage(since=date(2026, 1, 1))),
    ("by", lambda client: client.gateway.usage(by="day")),
    ("by", lambda client: client.gateway.usage(by=["day"])),
    # An enum of another kind has members with the same numbers.
    ("by", lambda client: client.gateway.usage(by=[terms.Outcome.OK])),
    ("outcome", lambda client: client.report_outcome("id", terms.HealthState.HEALTHY)),
    ("outcome", lambda client: client.report_outcome("id", "ok")),
    ("slot", lambda client: client.vault.rekey("key_file")),
    ("on_stale", lambda client: client.follow(on_stale="raise")),
    ("wanted", lambda client: client.vault.set_auto_lock({"idle_s": 60})),
    ("idle_s", lambda client: client.vault.set_auto_lock(AutoLock(idle_s=math.inf))),
    ("document", lambda client: client.store.import_document("{}")),
    ("draft", lambda client: client.create_connection({"name": "work"})),
    ("changes", lambda client: client.update_connection("work", None)),
    ("on_layer", lambda client: client.test_connection("work", on_layer=3)),
    ("on_layer", lambda client: client.test_connection("work", on_layer=_not_awaited)),
    ("api_key", draft(api_key=b"sk-canary")),
    ("api_key", draft(api_key="sk-canary\udce9")),
    ("enabled", draft(enabled="yes")),
    ("key_expires_at", draft(key_expires_at=datetime(2026, 1, 1))),  # noqa: DTZ001 - the subject
    ("headers", draft(headers={"X-Team": "canary"})),
    ("headers", draft(headers=(("X-Team", "canary"),))),
    ("headers", draft(headers=(Header("X-Team", cast("Any", None)),))),
    ("network", draft(network="direct")),
    ("proxy", draft(network=NetworkProfile(cast("Any", None)))),
    ("no_proxy", draft(network=NetworkProfile(no_proxy=cast("Any", "localhost,10.0.0.1")))),
    ("model_map", draft(model_map={"a": "b"})),
]


@pytest.mark.parametrize(("field", "call"), WRONG)
def test_a_wrong_argument_is_named_with_the_reason_and_the_next_step(
    client: Any, field: str, call: Wrong
) -> None:
    with pytest.raises(InvalidField) as refused:
        call(client)
    assert refused.value.field == field
    assert refused.value.message.startswith(f"{field}: ")
    assert refused.value.hint
    assert "canary" not in f"{refused.value!r} {refused.value.hint}"


@pytest.mark.parametrize(("field", "call"), WRONG)
def test_the_asyncio_client_refuses_the_same(field: str, call: Wrong) -> None:
    async def scenario() -> None:
        made = call(AsyncClient(NOWHERE))
        if inspect.isawaitable(made):
            await made

    with pytest.raises(InvalidField) as refused:
        asyncio.run(scenario())
    assert refused.value.field == field


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.health(iter(["work"])),
        lambda client: client.health({"work": 1}.keys()),
        lambda client: client.history("work", 3600),
        lambda client: client.resolve(workspace=Path("caf\udce9")),
        lambda client: client.resolve(workspace=Workspace(path="/tmp/caf\udce9")),
        draft(name="x", headers=[Header("X-Team", "blue")], model_map=[MappedModel("a", "b")]),
        draft(
            name="x", network=NetworkProfile(no_proxy=cast("Any", ["localhost"]), ca_bundle=Path("/ca.pem"))
        ),
    ],
)
def test_what_does_as_well_is_sent(client: Any, call: Wrong) -> None:
    with pytest.raises(DaemonNotRunning):
        call(client)


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_a_deadline_lies_ahead(timeout_s: float) -> None:
    async def on_asyncio() -> None:
        await _aio_connect(NOWHERE, timeout_s=timeout_s)

    for call in (
        lambda: connect(NOWHERE, timeout_s=timeout_s),
        lambda: Client(NOWHERE, timeout_s=timeout_s),
        lambda: AsyncClient(NOWHERE, timeout_s=timeout_s),
        lambda: asyncio.run(on_asyncio()),
    ):
        with pytest.raises(InvalidField) as refused:
            call()
        assert refused.value.field == "timeout_s"


def _aio_connect(*given: Any, **named: Any) -> Any:
    from nexo_client import aio

    return aio.connect(*given, **named)


class Named:
    """A path of another library."""

    def __fspath__(self) -> str:
        return NOWHERE


@pytest.mark.parametrize("socket", [NOWHERE, Path(NOWHERE), Named()])
def test_a_socket_is_given_as_any_kind_of_path(socket: Any) -> None:
    for made in (Client(socket), AsyncClient(socket)):
        assert made.socket == Path(NOWHERE)
    for call in (lambda: Client(socket).status(), lambda: connect(socket)):
        with pytest.raises(NexoError, match=NOWHERE):
            call()


def test_a_socket_is_found_as_connect_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXO_SOCKET", NOWHERE)
    assert Client().socket == AsyncClient().socket == Path(NOWHERE)
    monkeypatch.setenv("HOME", "/nonexistent")
    assert Client("~/nexod.sock").socket == Path(NOWHERE)
    with pytest.raises(InvalidField, match="home directory"):
        connect("~nobody-of-that-name/nexod.sock")


def test_a_path_in_a_removed_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for call in (lambda: Client("run/nexod.sock"), lambda: administration.backup_name("run/copy.db")):
        with pytest.raises(InvalidField, match="the current directory is gone"):
            call()


def test_a_socket_with_a_zero_byte_is_refused() -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.raises(InvalidField, match="zero byte"):
        channel.check(Path(directory) / "a\0b")


def test_files_are_given_as_any_kind_of_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = NetworkProfile(ca_bundle=Path("/etc/ca.pem"))
    assert profile == NetworkProfile(ca_bundle="/etc/ca.pem")
    assert codec.network_to_wire(profile).ca_bundle == "/etc/ca.pem"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    backup = administration.backup_name
    assert backup("connections-20261128T013819Z-1-request.db") == "connections-20261128T013819Z-1-request.db"
    assert backup("") == ""
    assert backup(Path("copy.db")) == backup("./copy.db") == str(tmp_path / "copy.db")
    assert backup("~/copy.db") == "/home/me/copy.db"
    with pytest.raises(InvalidField):
        backup(Path(os.fsdecode(b"caf\xe9")))


def test_the_client_of_a_package_follows_through_a_synchronous_client() -> None:
    """What an asyncio client returns has to be awaited first."""
    wrong: Any = AsyncClient(NOWHERE)
    for make in (nexo_client.openai_client, nexo_client.async_openai_client):
        with pytest.raises(InvalidField) as refused:
            make(client=wrong)
        assert refused.value.field == "client"
