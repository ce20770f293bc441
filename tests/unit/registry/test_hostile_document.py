"""A document is somebody else's file: nothing in it decides about keys without consent for exactly that."""

import asyncio
import contextlib
import copy
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.errors import InvalidField, StoreFull
from nexo.connections.terms import ImportAction, Provider
from nexo_daemon.domain.model import NetworkProfile, StoredConnection, WorkspaceKey, WorkspaceKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.document import read_document, write_document
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.imports import bring_in, preview
from nexo_daemon.registry.merging import MergeStep
from nexo_daemon.registry.registry import Registry
from nexo_daemon.vault import derivation
from nexo_daemon.vault.references import References
from store_parts import CANARY, HandClock, StorePlace

VECTORS = json.loads(Path(__file__).with_name("exports.json").read_text())
NOTHING = Secret("")
WORDS = Secret("correct horse battery")
CUSTOMER = WorkspaceKey(WorkspaceKind.PATH, "/home/ann/customer")


class Fetching(References):
    """Fails the test that looks a reference up."""

    async def fetch(self, text: str) -> Secret:
        """See `References`."""
        raise AssertionError(f"looked up {text}")


Body = Callable[[Registry], Awaitable[None]]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[[Body], None]]:
    """Runs a body on a store with 'work' (with a key, bound to a directory, the default) and 'other'."""

    def run(body: Body) -> None:
        async def life() -> None:
            store = StorePlace(tmp_path / "store", HandClock()).open()
            registry = Registry(store, Fetching(HandClock()), HandClock())
            for name in ("work", "other"):
                await registry.create(entry(name, api_key=Secret(CANARY)))
            await registry.bind(CUSTOMER, "work", allow_fallback=False)
            try:
                await body(registry)
            finally:
                await registry.close()
                store.close()

        asyncio.run(life())

    return run


def entry(name: str, **fields: Any) -> Draft:
    return Draft(name=name, provider=Provider.CUSTOM, base_url=f"https://{name}.example.com/v1", **fields)


def exported(registry: Registry) -> dict[str, Any]:
    """What this computer would export, readable."""
    parsed = json.loads(write_document(registry.snapshot, None, NOTHING, HandClock().now()))
    assert isinstance(parsed, dict)
    return parsed


def hostile(document: dict[str, Any], name: str, /, **fields: Any) -> bytes:
    """The document with fields of one connection replaced; a new connection if there is none of the name."""
    made = copy.deepcopy(document)
    found = [one for one in made["connections"] if one["name"] == name]
    if not found:
        found = [copy.deepcopy(made["connections"][0]) | {"name": name, "api_key": "none"}]
        made["connections"] += found
    found[0].update(fields)
    return json.dumps(made).encode()


async def take(
    registry: Registry, content: bytes, *ids: str, overwrite: bool = True
) -> tuple[MergeStep, ...]:
    return await bring_in(
        registry, read_document(content, NOTHING), overwrite=overwrite, consents=frozenset(ids)
    )


def planned(registry: Registry, content: bytes, *, overwrite: bool = True) -> tuple[MergeStep, ...]:
    return preview(registry, read_document(content, NOTHING), overwrite=overwrite)


# -- the whole matrix

PROXY = {"proxy": "url", "proxy_url": "http://proxy.evil.example:3128", "no_proxy": [], "ca_bundle": ""}
DIRECT = {**PROXY, "proxy": "direct", "proxy_url": ""}
SYSTEM = {**DIRECT, "proxy": "system"}
DECIDING: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "command": ({"api_key_ref": "command:sh -c 'id > /tmp/x'"}, ("sh -c 'id > /tmp/x'",)),
    "command-with-spaces": ({"api_key_ref": "command:  cat /etc/passwd"}, ("cat /etc/passwd",)),
    "file": ({"api_key_ref": "file:/home/ann/.netrc"}, ("/home/ann/.netrc",)),
    "file-of-home": ({"api_key_ref": "file:~/.netrc"}, ("~/.netrc",)),
    "keyring": ({"api_key_ref": "keyring:Nexo Connections vault/1"}, ("Nexo Connections vault/1",)),
    "proxy": ({"network": PROXY}, ("http://proxy.evil.example:3128",)),
    "socks": ({"network": {**PROXY, "proxy_url": "socks5h://evil.example:1"}}, ("socks5h://evil.example:1",)),
    "proxy-with-password": (
        {"network": {**PROXY, "proxy_url": "http://me:x@evil.example"}},
        ("evil.example",),
    ),
    "direct": ({"network": DIRECT}, ("without any proxy",)),
    "no-proxy": ({"network": {**SYSTEM, "no_proxy": ["example.com"]}}, ("example.com",)),
    "ca": ({"network": {**SYSTEM, "ca_bundle": "/home/ann/customer/ca.pem"}}, ("/home/ann/customer/ca.pem",)),
    "all": (
        {
            "api_key_ref": "command:id",
            "base_url": "https://evil.example/v1",
            "network": {**PROXY, "ca_bundle": "/ca.pem"},
        },
        ("id", "https://evil.example/v1", "http://proxy.evil.example:3128", "/ca.pem"),
    ),
}
"""Fields that decide what runs, what is read, and through what a key goes; and what must be said of them."""
MOVING: dict[str, dict[str, Any]] = {
    "host": {"base_url": "https://evil.example/v1"},
    "port": {"base_url": "https://work.example.com:8443/v1"},
    "scheme": {"base_url": "http://work.example.com/v1"},
    "path": {"base_url": "https://work.example.com/other-account/v1"},
}


def essence(one: StoredConnection) -> tuple[object, ...]:
    return one.base_url, one.network, one.key_reference, one.sealed, one.revision


@pytest.mark.parametrize(
    ("kind", "name"),
    # An address of its own is what a new connection is.
    [*((kind, name) for kind in DECIDING for name in ("work", "team")), *((kind, "work") for kind in MOVING)],
)
def test_what_a_document_decides_is_shown_and_not_done_without_consent(
    live: Callable[[Body], None], kind: str, name: str
) -> None:
    fields, said = DECIDING.get(kind) or (MOVING[kind], (str(MOVING.get(kind, {}).get("base_url")),))

    async def body(registry: Registry) -> None:
        before = registry.snapshot
        content = hostile(exported(registry), name, **fields)
        (step,) = (one for one in planned(registry, content) if one.does_something)
        assert step.needs
        words = " ".join(need.text for need in step.needs)
        assert all(word in words for word in said)
        assert name in words
        for ids in ((), ("",), ("0" * 24,), tuple(need.id for need in step.needs)[1:]):
            steps = await take(registry, content, *ids)
            (left,) = (one for one in steps if one.name == name and one.kind == "connection")
            assert left.action is ImportAction.SKIP
            assert left.needs == step.needs
            assert registry.snapshot == before
        await take(registry, content, *(need.id for need in step.needs))
        taken = registry.snapshot.get(name)
        assert taken.key_reference == fields.get("api_key_ref", "").strip()
        assert taken.base_url == fields.get("base_url", before.get("work").base_url)
        # And again: there is nothing left to agree to.
        assert not any(one.needs for one in planned(registry, content))

    live(body)


HARMLESS: dict[str, list[Any]] = {
    "preset": ["openrouter", "no-such-preset", ""],
    "default_model": ["gpt", "\x1b[31m", "x" * 5000],
    "model_map": [{"a": "b"}, {"a": ["b"]}, {"nexo": "b"}, {"a": "x" * 5000}, [["a", "b"]], "a=b"],
    "enabled": [False, True, "no", 0],
    "checks_paused": [True],
    "check_interval_s": [60, 0, -1, "60", 1e300, True],
    "key_expires_at": ["2020-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
    "auth_scheme": ["x-api-key", "none", "cookie"],
    "provider": ["openai", "ollama", "acme", None, []],
    "headers": [["Authorization"], "X", None],
    "api_key": ["stored", {"a": 1}],
    "name": ["", "-x", "a\nb", "id-1", None, [], "work", "WORK"],
    "base_url": ["https://a.example.com\\@b.example.com", "", None, "file:///etc/passwd", "https://a/\ud800"],
    "api_key_ref": ["op://a/b", "env:HOME", "command:", "command:'", "file:key", 1, ["command:id"]],
    "network": [None, {}, {"proxy": "pac"}, {**PROXY, "proxy_url": ""}, {**SYSTEM, "ca_bundle": 1}],
    "unknown": ["command:id"],
}


@pytest.mark.parametrize("field", HARMLESS)
def test_no_value_of_any_field_touches_a_key_that_is_here(live: Callable[[Body], None], field: str) -> None:
    async def body(registry: Registry) -> None:
        work, bindings = registry.snapshot.get("work"), registry.snapshot.bindings
        document = exported(registry)
        for name in ("work", "new"):
            for value in HARMLESS[field]:
                with contextlib.suppress(InvalidField):
                    await take(registry, hostile(document, name, **{field: value}))
                now = registry.snapshot.get("work")
                assert (now.base_url, now.network, now.key_reference) == (
                    work.base_url,
                    work.network,
                    work.key_reference,
                )
                assert (await registry.credentials(now)).api_key == Secret(CANARY)
                assert registry.snapshot.bindings == bindings
                assert not any(one.key_reference for one in registry.snapshot.connections.values())

    live(body)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_a_malformed_export_is_refused_by_the_field_that_is_wrong(case: dict[str, Any]) -> None:
    content = case.get("text")
    if content is None:
        document = copy.deepcopy(VECTORS["documents"][case["of"]])
        *way, last = case.get("at", ["version"])
        place = document
        for step in way:
            place = place[step]
        if "set" in case:
            place[last] = case["set"]
        elif "at" in case:
            del place[last]
        content = json.dumps(document)
    if case["refused"] is None:
        read = read_document(content.encode(), Secret(case["passphrase"]))
        assert [draft.name for draft in read.drafts] == ["Work 1", "Work 2"]
        assert (read.drafts[0].api_key == Secret("sk-vector-1")) is bool(case["passphrase"])
    else:
        with pytest.raises(InvalidField) as caught:
            read_document(content.encode(), Secret(case["passphrase"]))
        assert caught.value.field == case["refused"]
        assert caught.value.hint


# -- who gets what


def test_a_binding_does_not_lead_to_another_connection_of_the_same_name(live: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        document = exported(registry)
        document["default"] = "other"
        document["fallback"] = ["work", "gone", "other"]
        document["workspaces"] = [
            {"kind": "path", "value": "/home/ann/new", "connection": "WORK"},
            {"kind": "name", "value": "nightly", "connection": "gone"},
        ]
        for one in document["connections"]:
            one["base_url"] = "https://theirs.example.com/v1"
        before = registry.snapshot
        steps = await take(registry, json.dumps(document).encode(), overwrite=False)
        assert {step.action for step in steps} == {ImportAction.SKIP}
        texts = {(step.kind, step.name): step.text for step in steps}
        assert texts["binding", "/home/ann/new"] == "'work' of the document is left out"
        assert texts["binding", "nightly"] == "the document has no connection 'gone'"
        assert "left out" in texts["default", "other"]
        assert "left out" in texts["fallback", "work, gone, other"]
        assert registry.snapshot == before

    live(body)


def test_who_gets_which_connection_changes_only_with_consent(live: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        document = exported(registry)
        document["default"] = "other"
        document["fallback"] = ["other"]
        document["workspaces"] = [
            {"kind": "path", "value": "/", "connection": "other", "allow_fallback": True},
            {"kind": "path", "value": CUSTOMER.value, "connection": "other"},
        ]
        content = json.dumps(document).encode()
        before = registry.snapshot
        await take(registry, content)
        assert registry.snapshot == before
        steps = {(step.kind, step.name): step for step in planned(registry, content)}
        (need,) = steps["binding", CUSTOMER.value].needs
        assert need.text == f"programs in {CUSTOMER.value} get 'other' instead of 'work'"
        await take(registry, content, need.id)
        assert registry.snapshot.bindings[CUSTOMER].connection_name == "other"
        assert len(registry.snapshot.bindings) == 1
        assert registry.snapshot.default == before.default
        every = [need.id for step in planned(registry, content) for need in step.needs]
        await take(registry, content, *every)
        assert registry.snapshot.default == registry.snapshot.get("other")
        assert len(registry.snapshot.bindings) == 2
        assert registry.snapshot.settings.fallback_ids == (registry.snapshot.get("other").id,)

    live(body)


def test_consent_is_for_this_document_and_for_what_is_here_now(live: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        document = exported(registry)
        content = hostile(document, "work", network=PROXY)
        agreed = [need.id for step in planned(registry, content) for need in step.needs]
        assert len(agreed) == 1
        swapped = hostile(document, "work", network={**PROXY, "proxy_url": "http://other.evil.example:1"})
        steps = await take(registry, swapped, *agreed)
        assert not any(step.does_something for step in steps)
        # The connection became another one between the question and the answer.
        await registry.update("work", Draft(api_key=Secret("sk-new-and-precious")))
        steps = await take(registry, content, *agreed)
        assert not any(step.does_something for step in steps)
        assert registry.snapshot.get("work").network == NetworkProfile()

    live(body)


def test_two_connections_of_one_name_are_not_both_taken(live: Callable[[Body], None]) -> None:
    async def body(registry: Registry) -> None:
        document = exported(registry)
        twin = copy.deepcopy(document["connections"][0]) | {"name": "twin"}
        document["connections"] += [twin, twin | {"name": "TWIN", "base_url": "https://evil.example/v1"}]
        steps = await take(registry, json.dumps(document).encode())
        assert [step.action for step in steps if step.kind == "connection"][-2:] == [
            ImportAction.ADD,
            ImportAction.SKIP,
        ]
        assert registry.snapshot.get("twin").base_url == "https://work.example.com/v1"

    live(body)


# -- all or nothing


def test_on_a_full_disk_an_import_is_an_error_and_nothing_of_it_is_there(
    live: Callable[[Body], None],
) -> None:
    async def body(registry: Registry) -> None:
        document = exported(registry)
        first = document["connections"][0]
        document["connections"] += [first | {"name": f"more {n}"} for n in range(1500)]
        content = json.dumps(document).encode()
        before = registry.snapshot
        with registry.store.database.bare() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count={pages + 8}")
        with pytest.raises(StoreFull):
            await take(registry, content)
        assert registry.snapshot == before
        assert len(registry.store.reload().connections) == 2
        with registry.store.database.bare() as db:
            db.execute("PRAGMA max_page_count=1073741823")
        await take(registry, content)
        assert len(registry.store.reload().connections) == 1502

    live(body)


def test_an_import_is_there_after_a_restart_as_it_was_published(
    live: Callable[[Body], None], tmp_path: Path
) -> None:
    published = []

    async def body(registry: Registry) -> None:
        document = exported(registry)
        document["fallback"] = ["new"]
        document["workspaces"].append({"kind": "name", "value": "nightly", "connection": "new"})
        content = hostile(document, "new", api_key_ref="file:/home/ann/key")
        every = [need.id for step in planned(registry, content) for need in step.needs]
        steps = await take(registry, content, *every)
        assert sum(step.does_something for step in steps) == 3
        published.append(registry.snapshot)

    live(body)
    store = StorePlace(tmp_path / "store", HandClock()).open()
    state = store.load()
    store.close()
    (snapshot,) = published
    assert {one.name: essence(one) for one in state.connections} == {
        one.name: essence(one) for one in snapshot.connections.values()
    }
    assert {one.workspace: one for one in state.bindings} == snapshot.bindings
    assert state.settings == snapshot.settings


def test_on_a_new_computer_an_export_arrives_with_its_default_and_bindings(tmp_path: Path) -> None:
    async def life() -> None:
        store = StorePlace(tmp_path / "store", HandClock()).open()
        registry = Registry(store, Fetching(HandClock()), HandClock())
        document = json.dumps(VECTORS["documents"]["readable"]).encode()
        steps = await take(registry, document)
        assert {step.action for step in steps} == {ImportAction.ADD}
        default = registry.snapshot.default
        assert default is not None
        assert default.name == VECTORS["documents"]["readable"]["default"]
        await registry.close()
        store.close()

    asyncio.run(life())


# -- the cost of a passphrase


@pytest.mark.parametrize(
    ("n", "r", "p"),
    [
        (1 << 20, 8, 1),
        (1 << 17, 8, 5),
        (1 << 17, 33, 1),
        (2, 1 << 21, 1),
        (2, 1, 1 << 21),
        (1 << 22, 1, 2),
        (1 << 62, 1, 1),
    ],
)
def test_a_derivation_that_costs_more_than_four_times_ours_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, n: int, r: int, p: int
) -> None:
    monkeypatch.setattr("hashlib.scrypt", lambda *_, **__: pytest.fail("it was begun"))
    parameters = {**derivation.passphrase_parameters(), "n": n, "r": r, "p": p}
    with pytest.raises(derivation.BadWordsError, match="more memory and time"):
        derivation.from_passphrase("correct horse battery", parameters)


def test_what_we_write_is_accepted_and_so_is_a_cost_that_grew() -> None:
    ours = derivation.passphrase_parameters()
    assert len(derivation.from_passphrase("correct horse battery", ours)) == 32
    assert len(derivation.from_passphrase("correct horse battery", {**ours, "n": 1 << 19})) == 32


# -- every leaf of a sealed document


def leaves(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from leaves(part, (*way, name))
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from leaves(part, (*way, number))
    else:
        yield way


def test_nothing_of_a_sealed_export_can_be_changed_without_its_passphrase() -> None:
    sealed = VECTORS["documents"]["sealed"]
    for *front, last in leaves(sealed):
        for other in ("x", None, 1, [], {}, True):
            document = copy.deepcopy(sealed)
            place = document
            for step in front:
                place = place[step]
            if (type(place[last]), place[last]) != (type(other), other):
                place[last] = other
                with pytest.raises(InvalidField):
                    read_document(json.dumps(document).encode(), WORDS)
