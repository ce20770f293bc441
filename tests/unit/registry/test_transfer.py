"""An export says everything but secrets, and an import merges: what it would do is what it does."""

import json
from dataclasses import replace

import pytest

from nexo.connections.errors import InvalidField
from nexo.connections.model.connection import MappedModel
from nexo.connections.terms import ImportAction
from nexo_daemon.domain.model import (
    Binding,
    Credentials,
    NetworkProfile,
    Settings,
    StoredConnection,
    StoredState,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.document import read_document, write_document
from nexo_daemon.registry.merging import MergeStep, plan_import
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.vault import derivation
from store_parts import NOON, connection, credentials

WORDS = Secret("correct horse battery")
NOTHING = Secret("")
NIGHTLY = WorkspaceKey(WorkspaceKind.NAME, "nightly")


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real derivation at a cost that a test can pay."""
    monkeypatch.setitem(derivation._SCRYPT, "n", 1 << 10)


def snapshot(*connections: StoredConnection, default: str | None = None, bound: str = "") -> RegistrySnapshot:
    bindings = (Binding(NIGHTLY, bound, "Work 1", NOON, True, 3600.0),) if bound else ()
    return RegistrySnapshot.of(StoredState(Settings(1, default), connections, bindings, {}))


FULL = snapshot(
    connection(
        1,
        network=NetworkProfile("http://proxy.example.com:1", (".local",), ""),
        model_map=(MappedModel("asked", "theirs"), MappedModel("b", "c")),
    ),
    connection(2, key_reference="keyring:openai/me", enabled=False, check_interval_s=30.0),
    default="id-2",
    bound="id-1",
)
SECRETS = {"id-1": replace(credentials(), proxy_credentials=Secret("user:word")), "id-2": Credentials()}
EMPTY = snapshot()


def document(passphrase: Secret = WORDS) -> bytes:
    return write_document(FULL, SECRETS, passphrase, NOON)


def actions(steps: tuple[MergeStep, ...]) -> dict[tuple[str, str], ImportAction]:
    return {(step.kind, step.name): step.action for step in steps}


def test_without_a_passphrase_there_is_no_secret_in_it() -> None:
    text = write_document(FULL, None, NOTHING, NOON).decode()
    for secret in ("sk-canary", "user:word", "plain"):
        assert secret not in text
    parsed = json.loads(text)
    assert "secrets" not in parsed
    assert parsed["default"] == "Work 2"
    assert parsed["connections"][1]["api_key_ref"] == "keyring:openai/me"
    assert read_document(text.encode(), NOTHING).drafts[0].api_key is None


def test_with_a_passphrase_everything_comes_back() -> None:
    content = document()
    assert b"sk-canary" not in content
    read = read_document(content, WORDS)
    first, second = read.drafts
    assert (first.api_key, first.headers) == (SECRETS["id-1"].api_key, SECRETS["id-1"].headers)
    assert first.proxy_credentials == Secret("user:word")
    assert first.network == FULL.connections["id-1"].network
    assert (second.api_key_ref, second.enabled, second.check_interval_s) == ("keyring:openai/me", False, 30.0)
    assert read.bindings == ((NIGHTLY, "Work 1", True, 3600.0),)
    assert read.default == "Work 2"


def test_into_an_empty_store_everything_is_added() -> None:
    steps = plan_import(read_document(document(), WORDS), EMPTY, {}, overwrite=False)
    assert set(actions(steps).values()) == {ImportAction.ADD}
    assert {step.kind for step in steps} == {"connection", "binding", "default"}


def test_the_same_again_changes_nothing() -> None:
    steps = plan_import(read_document(document(), WORDS), FULL, SECRETS, overwrite=True)
    assert set(actions(steps).values()) == {ImportAction.KEEP}


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"base_url": "https://other.example.com"}, "base URL"),
        ({"default_model": "model-z"}, "default model"),
        ({"model_map": (MappedModel("asked", "sent"),)}, "model map"),
        ({"enabled": False}, "enabled"),
    ],
)
def test_what_differs_is_named_and_left_alone_unless_told(changed: dict[str, object], word: str) -> None:
    here = snapshot(connection(1, **changed), default="id-1")
    read = read_document(document(), WORDS)
    (kept,) = (s for s in plan_import(read, here, {}, overwrite=False) if s.name == "Work 1")
    assert kept.action is ImportAction.SKIP
    assert word in kept.text
    (told,) = (s for s in plan_import(read, here, {}, overwrite=True) if s.name == "Work 1")
    assert told.action is ImportAction.CHANGE
    assert told.draft is not None


def test_another_key_is_a_difference_that_is_not_shown() -> None:
    other = {"id-1": credentials("sk-other"), "id-2": Credentials()}
    steps = plan_import(read_document(document(), WORDS), FULL, other, overwrite=False)
    (step,) = (s for s in steps if s.action is ImportAction.SKIP)
    assert "API key" in step.text
    assert "sk-" not in step.text


def test_the_present_default_and_bindings_stay_unless_told() -> None:
    here = snapshot(connection(9), default="id-9")
    read = read_document(document(), WORDS)
    assert actions(plan_import(read, here, {}, overwrite=False))["default", "Work 2"] is ImportAction.SKIP
    assert actions(plan_import(read, here, {}, overwrite=True))["default", "Work 2"] is ImportAction.CHANGE


def test_a_wrong_passphrase_and_an_edited_address_are_refused() -> None:
    with pytest.raises(InvalidField, match="does not open"):
        read_document(document(), Secret("wrong words here"))
    edited = document().replace(b"api1.example.com", b"evil.example.com")
    with pytest.raises(InvalidField, match="edited"):
        read_document(edited, WORDS)
    # Without the passphrase the rest of it still can be read.
    assert read_document(edited, NOTHING).drafts[0].api_key is None


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(InvalidField, match="at least 8"):
        document(Secret("short"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"format": "other"}',
        b'{"format": "nexo-connections", "version": 2}',
        b'{"format": "nexo-connections", "version": 1}',
        b'{"format": "nexo-connections", "version": 1, "connections": [{}]}',
        b'{"format": "nexo-connections", "version": 1, "connections": [], "secrets": []}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(InvalidField) as caught:
        read_document(content, WORDS)
    assert caught.value.hint


def test_a_connection_in_it_obeys_the_same_rules_as_one_typed_in() -> None:
    content = write_document(FULL, None, NOTHING, NOON)
    for good, bad, field in (
        (b"https://api1.example.com/v1", b"ftp://x", "base_url"),
        (b"http://proxy.example.com:1", b"gopher://x", "proxy"),
        (b'"ca_bundle": ""', b'"ca_bundle": "ca.pem"', "ca_bundle"),
    ):
        with pytest.raises(InvalidField, match=field):
            read_document(content.replace(good, bad), NOTHING)


def test_a_fallback_list_survives_names_with_commas_and_names_that_are_gone() -> None:
    text = json.loads(write_document(FULL, None, NOTHING, NOON))
    text["connections"][0]["name"] = "Work, spare"
    text["fallback"] = ["Gone", "Work, spare"]
    read = read_document(json.dumps(text).encode(), NOTHING)
    (step,) = (s for s in plan_import(read, EMPTY, {}, overwrite=False) if s.kind == "fallback")
    assert (step.action, step.fallback) == (ImportAction.ADD, ("Work, spare",))
    nobody = replace(read, fallback=("Gone",))
    (step,) = (s for s in plan_import(nobody, EMPTY, {}, overwrite=False) if s.kind == "fallback")
    assert (step.action, step.fallback) == (ImportAction.SKIP, ())
