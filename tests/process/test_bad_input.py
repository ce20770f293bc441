"""Bad input is refused with the field, the reason and the next step, and leaves nothing behind.

Through both doors: the SDK, and nexoctl with its exit status and its JSON error.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import nexo_client
from nexo_client.types import ConnectionDraft, Header
from surroundings import Nexod, Surroundings

KEY = "a-perfectly-good-key-0123456789"
GOOD = ConnectionDraft(name="new", provider="custom", base_url="http://127.0.0.1:1/v1", api_key=KEY)


@dataclass(frozen=True)
class Bad:
    """One mistake: as a draft, as flags of `nexoctl add`, and the field that the answer must name."""

    field: str
    draft: ConnectionDraft
    flags: dict[str, str] = field(default_factory=dict)
    stdin: str = KEY
    name: str = "new"


CASES = {
    "empty name": Bad("name", replace(GOOD, name=""), name=""),
    "blank name": Bad("name", replace(GOOD, name="  "), name="  "),
    "duplicate name": Bad("name", replace(GOOD, name="There"), name="There"),
    "unknown provider": Bad("provider", replace(GOOD, provider="skynet"), {"--provider": "skynet"}),
    "ftp": Bad(
        "base_url", replace(GOOD, base_url="ftp://127.0.0.1/v1"), {"--base-url": "ftp://127.0.0.1/v1"}
    ),
    "port 99999": Bad(
        "base_url",
        replace(GOOD, base_url="http://127.0.0.1:99999/v1"),
        {"--base-url": "http://127.0.0.1:99999/v1"},
    ),
    "space in the host": Bad(
        "base_url", replace(GOOD, base_url="http://my host/v1"), {"--base-url": "http://my host/v1"}
    ),
    "credentials in the URL": Bad(
        "base_url",
        replace(GOOD, base_url="http://me:hunter2@127.0.0.1/v1"),
        {"--base-url": "http://me:hunter2@127.0.0.1/v1"},
    ),
    "key with a newline": Bad("api_key", replace(GOOD, api_key="half\nhalf"), stdin="half\nhalf"),
    "malformed headers JSON": Bad(
        "headers", replace(GOOD, headers_json='{"X-A": "1",}'), {"--headers-json": '{"X-A": "1",}'}
    ),
    "headers JSON that is no object": Bad(
        "headers", replace(GOOD, headers_json='["X-A"]'), {"--headers-json": '["X-A"]'}
    ),
    "header value with CR LF": Bad(
        "headers",
        replace(GOOD, headers=(Header("X-A", "1\r\nHost: evil"),)),
        {"--headers-json": json.dumps({"X-A": "1\r\nHost: evil"})},
    ),
    "header name with CR LF": Bad(
        "headers",
        replace(GOOD, headers=(Header("X-A\r\nHost", "evil"),)),
        {"--headers-json": json.dumps({"X-A\r\nHost": "evil"})},
    ),
    "headers that differ in case only": Bad(
        "headers",
        replace(GOOD, headers=(Header("X-Team", "1"), Header("x-team", "2"))),
        {"--headers-json": '{"X-Team": "1", "x-team": "2"}'},
    ),
    "hop-by-hop header": Bad(
        "headers",
        replace(GOOD, headers=(Header("Connection", "close"),)),
        {"--headers-json": '{"Connection": "close"}'},
    ),
}


@pytest.fixture
def client(nexod: Nexod) -> Iterator[nexo_client.Client]:
    with nexod.client() as connected:
        connected.create_connection(replace(GOOD, name="there"))
        yield connected


def everything(client: nexo_client.Client) -> Any:
    connections = [replace(one, health=None) for one in client.list_connections()]  # type: ignore[arg-type]  # compared only
    return connections, client.status().revision


@pytest.mark.parametrize("case", CASES)
def test_the_sdk_refuses(client: nexo_client.Client, case: str) -> None:
    bad, before = CASES[case], everything(client)
    with pytest.raises(nexo_client.NexoError) as caught:
        client.create_connection(bad.draft)
    error = caught.value
    assert error.metadata["field"].startswith(bad.field)
    assert error.message
    assert error.hint
    assert KEY not in repr(error) + str(error) + str(error.metadata)
    assert "hunter2" not in repr(error) + str(error) + str(error.metadata)
    assert everything(client) == before


@pytest.mark.parametrize("case", [name for name in CASES if name != "unknown provider"])
def test_an_edit_is_held_to_the_same_rules(client: nexo_client.Client, case: str) -> None:
    client.create_connection(replace(GOOD, name="mine"))
    before = everything(client)
    with pytest.raises(nexo_client.NexoError) as caught:
        client.update_connection("mine", replace(CASES[case].draft, provider=None))
    assert caught.value.metadata["field"].startswith(CASES[case].field)
    assert everything(client) == before


@pytest.mark.parametrize("case", CASES)
def test_nexoctl_refuses(surroundings: Surroundings, client: nexo_client.Client, case: str) -> None:
    bad, before = CASES[case], everything(client)
    flags = {"--provider": "custom", "--base-url": "http://127.0.0.1:1/v1"} | bad.flags
    words = [word for pair in flags.items() for word in pair]
    done = surroundings.nexoctl(
        "--json", "add", bad.name, *words, "--api-key-stdin", "--no-test", stdin=bad.stdin, expect=None
    )
    assert done.code in ((7,) if case == "duplicate name" else (2,)), done
    assert done.error["reason"]
    assert done.error["message"].startswith(bad.field), done
    assert done.error["hint"], done
    assert "Traceback" not in done.err
    assert "hunter2" not in done.out + done.err
    assert everything(client) == before


def test_an_unknown_connection(surroundings: Surroundings, client: nexo_client.Client) -> None:
    before = everything(client)
    calls = {
        "show": lambda: client.get_connection("their"),
        "edit": lambda: client.update_connection("their", ConnectionDraft(default_model="m")),
        "remove": lambda: client.delete_connection("their"),
        "test": lambda: client.test_connection("their"),
        "default": lambda: client.set_default("their"),
        "models": lambda: client.list_models("their"),
        "health": lambda: client.health(["their"]),
    }
    flags = {"edit": ["--model", "m", "--no-test"]}
    for command, call in calls.items():
        with pytest.raises(nexo_client.ConnectionNotFound) as caught:
            call()
        assert "their" in str(caught.value)
        assert caught.value.hint
        done = surroundings.nexoctl("--json", command, "their", *flags.get(command, []), expect=5)
        assert done.error["reason"] == "CONNECTION_NOT_FOUND"
        assert "their" in done.error["message"]
        assert done.error["hint"]
    with pytest.raises(nexo_client.ConnectionNotFound):
        client.resolve("their")
    assert surroundings.nexoctl("--json", "resolve", "--connection", "their", expect=5).error["hint"]
    assert everything(client) == before


def test_a_stale_revision(client: nexo_client.Client) -> None:
    seen = client.get_connection("there").revision
    client.update_connection("there", ConnectionDraft(default_model="first"), revision=seen)
    before = everything(client)
    with pytest.raises(nexo_client.StaleRevision) as caught:
        client.update_connection("there", ConnectionDraft(default_model="second"), revision=seen)
    assert "there" in caught.value.message
    assert caught.value.hint
    with pytest.raises(nexo_client.StaleRevision):
        client.delete_connection("there", revision=seen)
    assert everything(client) == before
