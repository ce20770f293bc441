"""Commands against a real store: what they change, what they refuse, and what they publish."""

import asyncio
import gc
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.errors import (
    BindingBroken,
    ConnectionInUse,
    InvalidField,
    KeyOriginChanged,
    NameTaken,
    NexoError,
    NothingToUndo,
    SecretTampered,
    ShuttingDown,
    StaleRevision,
    WorkspaceNotFound,
)
from nexo.connections.terms import AuthScheme, KeyVerdict, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import Fact, NetworkProfile, ProxyMode, SecretKind, WorkspaceKey, WorkspaceKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.bus import ConnectionChanged, ConnectionRemoved, Sign
from nexo_daemon.registry.document import read_document, write_document
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.resolution import Question, resolve
from nexo_daemon.registry.upkeep import forget_due
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References

CANARY = "sk-canary-7f3a"
Body = Callable[[Registry], Awaitable[None]]


def draft(name: str = "work", **fields: object) -> Draft:
    given: dict[str, object] = {
        "provider": Provider.CUSTOM,
        "base_url": "http://127.0.0.1:1/v1",
        "api_key": Secret(CANARY),
        **fields,
    }
    return Draft(name=name, **given)  # type: ignore[arg-type]  # fields of a draft, by name


class House:
    """A registry on a store in a directory of its own; opened anew for each body, as a restart would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def live(self, body: Body) -> None:
        async def life() -> None:
            clock = SystemClock()
            store = Store.open(
                self.directory / "data" / "connections.db",
                key_file=self.directory / "config" / "vault.key",
                clock=clock,
            )
            references = References(clock)
            registry = Registry(store, references, clock)
            try:
                await body(registry)
            finally:
                await registry.close()
                await references.aclose()
                store.close()

        asyncio.run(life())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_first_connection_becomes_the_default_and_survives_a_restart(house: House) -> None:
    async def first(registry: Registry) -> None:
        connection, warnings = await registry.create(draft())
        assert registry.snapshot.default == connection
        assert not warnings
        await registry.create(draft("second"))
        assert registry.snapshot.default == connection

    async def second(registry: Registry) -> None:
        assert [c.name for c in registry.snapshot.connections.values()] == ["work", "second"]
        default = registry.snapshot.default
        assert default is not None
        assert default.name == "work"
        assert (await registry.credentials(default)).api_key == Secret(CANARY)

    house.live(first)
    house.live(second)


@pytest.mark.parametrize("name", ["work", "WORK", " Work "])
def test_a_name_is_taken_without_regard_to_case(house: House, name: str) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft("work"))
        with pytest.raises(NameTaken) as caught:
            await registry.create(draft(name))
        assert caught.value.metadata["field"] == "name"
        assert len(registry.snapshot.connections) == 1

    house.live(body)


def test_of_two_edits_that_saw_the_same_revision_the_second_is_refused(house: House) -> None:
    async def body(registry: Registry) -> None:
        connection, _ = await registry.create(draft())
        edited, _ = await registry.update("work", Draft(default_model="a"), revision=connection.revision)
        with pytest.raises(StaleRevision):
            await registry.update("work", Draft(default_model="b"), revision=connection.revision)
        assert registry.snapshot.get("work") == edited
        assert edited.default_model == "a"

    house.live(body)


def test_a_stored_key_goes_to_a_new_origin_only_with_consent(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft())
        move = Draft(base_url="http://127.0.0.1:2/v1")
        with pytest.raises(KeyOriginChanged) as caught:
            await registry.update("work", move)
        assert caught.value.metadata["new_origin"] == "http://127.0.0.1:2"
        assert registry.snapshot.get("work").base_url == "http://127.0.0.1:1/v1"
        # Another path of the same host is no new destination.
        await registry.update("work", Draft(base_url="http://127.0.0.1:1/v2"))
        await registry.update("work", move, keep_key_for_new_origin=True)
        moved = registry.snapshot.get("work")
        assert (await registry.credentials(moved)).api_key == Secret(CANARY)

    house.live(body)


def test_header_values_are_held_back_from_a_new_origin_too(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft(api_key=None, headers=(("X-Team", Secret("blue")),)))
        with pytest.raises(KeyOriginChanged):
            await registry.update("work", Draft(base_url="http://127.0.0.1:2/v1"))
        await registry.update("work", Draft(base_url="http://127.0.0.1:2/v1", headers=()))
        assert registry.snapshot.get("work").header_names == ()

    house.live(body)


def test_a_new_provider_brings_its_address_only_where_the_old_default_was_used(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(Draft(name="a", provider=Provider.OPENAI))
        await registry.create(Draft(name="b", provider=Provider.OPENAI, base_url="http://127.0.0.1:1/v1"))
        a, _ = await registry.update("a", Draft(provider=Provider.ANTHROPIC))
        b, _ = await registry.update("b", Draft(provider=Provider.ANTHROPIC))
        assert a.base_url == "https://api.anthropic.com"
        assert b.base_url == "http://127.0.0.1:1/v1"

    house.live(body)


def test_custom_without_an_address_is_refused(house: House) -> None:
    async def body(registry: Registry) -> None:
        with pytest.raises(InvalidField) as caught:
            await registry.create(Draft(name="x", provider=Provider.CUSTOM))
        assert caught.value.field == "base_url"
        with pytest.raises(InvalidField) as caught:
            await registry.create(Draft(name="x", provider=Provider.CUSTOM, preset="opnrouter"))
        assert caught.value.field == "preset"
        assert "openrouter" in caught.value.hint

    house.live(body)


def test_a_preset_is_enough_for_a_new_connection_and_for_an_edit(house: House) -> None:
    async def body(registry: Registry) -> None:
        made, _ = await registry.create(Draft(name="x", preset="groq"))
        await registry.create(Draft(name="y", provider=Provider.OPENAI))
        edited, _ = await registry.update("y", Draft(preset="groq"))
        for one in (made, edited):
            assert (one.provider, one.preset) == (Provider.CUSTOM, "groq")
            assert one.base_url == "https://api.groq.com/openai/v1"
        exported = json.loads(write_document(registry.snapshot, None, Secret(""), registry.clock.now()))
        for entry in exported["connections"]:
            del entry["provider"]
        read = read_document(json.dumps(exported).encode(), Secret(""))
        assert {one.provider for one in read.drafts} == {Provider.CUSTOM}
        for entry in exported["connections"]:
            del entry["preset"]
        with pytest.raises(InvalidField, match="damaged"):
            read_document(json.dumps(exported).encode(), Secret(""))

    house.live(body)


def test_a_key_over_plain_http_to_another_computer_is_warned_about(house: House) -> None:
    async def body(registry: Registry) -> None:
        _, warnings = await registry.create(draft(base_url="http://gateway.example/v1"))
        assert [w.field for w in warnings] == ["base_url"]

    house.live(body)


def test_a_header_is_set_or_removed_and_the_others_keep_place_and_value(house: House) -> None:
    one, two, three = (("X-One", Secret("1")), ("X-Two", Secret("2")), ("X-Three", Secret("3")))

    async def body(registry: Registry) -> None:
        async def after(**changes: Any) -> object:
            saved, _ = await registry.update("work", Draft(**changes))
            return (await registry.credentials(saved)).headers

        await registry.create(draft(headers=(one, two)))
        fresh = ("x-one", Secret("another"))
        assert await after(headers=(fresh, three), keep_other_headers=True) == (fresh, two, three)
        assert await after(remove_headers=("X-ONE",)) == (two, three)
        assert await after(remove_headers=("X-Two",), headers=(one,)) == (three, one)
        with pytest.raises(InvalidField, match="is not there") as caught:
            await registry.update("work", Draft(remove_headers=("X-Gone",)))
        assert "X-Three, X-One" in caught.value.hint
        # Whose value stays is asked about before it goes elsewhere.
        elsewhere = "http://127.0.0.1:2/v1"
        with pytest.raises(KeyOriginChanged, match="header values"):
            await registry.update(
                "work",
                Draft(base_url=elsewhere, api_key=Secret("k"), headers=(one,), keep_other_headers=True),
            )
        change = {"base_url": elsewhere, "api_key": Secret("k"), "headers": (one,)}
        assert await after(**change, remove_headers=("X-Three",)) == (one,)

    house.live(body)


def test_what_is_in_use_is_not_deleted(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft("a"))
        await registry.create(draft("b"))
        place = WorkspaceKey(WorkspaceKind.PATH, "/home/ada")
        await registry.bind(place, "a", allow_fallback=False)
        with pytest.raises(ConnectionInUse) as caught:
            await registry.delete("a")
        assert caught.value.metadata["used_by"].splitlines() == ["the default", "/home/ada"]
        await registry.delete("a", replace_with="b")
        assert [c.name for c in registry.snapshot.connections.values()] == ["b"]
        assert registry.snapshot.default is not None
        assert resolve(registry.snapshot, Question(workspace=place)).require().name == "b"

    house.live(body)


def test_a_forced_deletion_leaves_bindings_that_fail_closed_after_a_restart_too(house: House) -> None:
    place = WorkspaceKey(WorkspaceKind.NAME, "client-a")

    async def first(registry: Registry) -> None:
        await registry.create(draft("a"))
        await registry.create(draft("b"))
        await registry.bind(place, "b", allow_fallback=False)
        await registry.delete("b", force=True)
        await registry.create(draft("b"))

    async def second(registry: Registry) -> None:
        problem = resolve(registry.snapshot, Question(workspace=place)).problem
        assert isinstance(problem, BindingBroken)

    house.live(first)
    house.live(second)


def test_a_binding_has_the_new_name_of_its_connection_after_a_restart_too(house: House) -> None:
    place = WorkspaceKey(WorkspaceKind.NAME, "client-a")

    async def first(registry: Registry) -> None:
        await registry.create(draft("a"))
        await registry.bind(place, "a", allow_fallback=False)
        await registry.update("a", Draft(name="b"))
        await second(registry)

    async def second(registry: Registry) -> None:
        assert registry.snapshot.bindings[place].connection_name == "b"

    house.live(first)
    house.live(second)


def test_a_switch_can_be_undone_and_undoing_twice_is_a_redo(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft("a"))
        with pytest.raises(NothingToUndo):
            await registry.undo_default()
        await registry.create(draft("b"))
        now, before = await registry.set_default("b")
        assert (now.name, before.name if before else None) == ("b", "a")
        revision = registry.snapshot.revision
        await registry.set_default("b")
        assert registry.snapshot.revision == revision
        assert (await registry.undo_default())[0].name == "a"
        assert (await registry.undo_default())[0].name == "b"

    house.live(body)


def test_concurrent_switches_end_in_one_default_and_every_revision_is_used_once(house: House) -> None:
    async def body(registry: Registry) -> None:
        for name in "abcd":
            await registry.create(draft(name))
        start = registry.snapshot.revision
        seen: list[int] = []

        async def switch(name: str) -> None:
            before = registry.snapshot.revision
            await registry.set_default(name)
            assert registry.snapshot.revision >= before
            seen.append(registry.snapshot.revision)

        await asyncio.gather(*(switch(name) for name in "bcdabcdabcd"))
        assert registry.snapshot.default is not None
        assert registry.snapshot.default.name == "d"
        assert registry.snapshot.revision == start + 11
        assert seen == sorted(seen)

    house.live(body)


def test_a_caller_that_goes_away_does_not_leave_the_snapshot_behind_the_store(house: House) -> None:
    async def first(registry: Registry) -> None:
        task = asyncio.ensure_future(registry.create(draft("a")))
        while not registry._commands:  # the command has its turn
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await registry.create(draft("b"))
        assert [c.name for c in registry.snapshot.connections.values()] == ["a", "b"]

    async def second(registry: Registry) -> None:
        assert [c.name for c in registry.snapshot.connections.values()] == ["a", "b"]

    house.live(first)
    house.live(second)


@pytest.mark.parametrize("leaves", [True, False])
def test_a_change_is_not_made_if_its_caller_has_gone_before_its_turn(house: House, leaves: bool) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft("a"))
        await registry.create(draft("b"))
        may_end = asyncio.Event()
        slow = asyncio.ensure_future(registry.command(may_end.wait()))
        switch = asyncio.ensure_future(registry.set_default("b"))
        await asyncio.sleep(0)
        later = asyncio.ensure_future(registry.set_default("a"))
        await asyncio.sleep(0)
        if leaves:
            switch.cancel()
        may_end.set()
        await asyncio.wait([slow, switch, later])
        assert registry.snapshot.default is not None
        assert registry.snapshot.default.name == "a"
        previous = registry.snapshot.settings.previous_default_id
        assert (previous is None) is leaves

    house.live(body)


def test_a_stop_finishes_what_has_begun_and_refuses_what_waits(house: House) -> None:
    async def body(registry: Registry) -> None:
        may_end = asyncio.Event()
        begun = asyncio.ensure_future(registry.command(may_end.wait()))
        waiting = asyncio.ensure_future(registry.create(draft("late")))
        while not registry._commands:
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(registry.close())
        await asyncio.sleep(0)
        may_end.set()
        await closing
        assert await begun
        with pytest.raises(ShuttingDown):
            await waiting
        assert not registry.snapshot.connections

    house.live(body)


@pytest.mark.parametrize("refused", [True, False])
def test_of_a_change_whose_caller_has_gone_only_the_unexpected_is_reported(
    house: House, refused: bool
) -> None:
    reported: list[object] = []

    async def body(registry: Registry) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["exception"])
        )
        may_end = asyncio.Event()

        async def work() -> None:
            await may_end.wait()
            raise InvalidField.of("name", "is taken", "choose another") if refused else ZeroDivisionError

        change = asyncio.ensure_future(registry.command(work()))
        while not registry._commands:
            await asyncio.sleep(0)
        change.cancel()
        await asyncio.wait([change])
        del change
        may_end.set()
        while registry._commands:
            await asyncio.sleep(0)
        gc.collect()

    house.live(body)
    assert [type(one) for one in reported] == ([] if refused else [ZeroDivisionError])


def test_a_replaced_key_is_kept_and_can_be_rolled_back(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft())
        new, _ = await registry.update("work", Draft(api_key=Secret("sk-new")))
        assert new.has(SecretKind.PREVIOUS_API_KEY)
        assert new.previous_key_until is not None
        restored = await registry.roll_back_key(new.id)
        assert restored is not None
        credentials = await registry.credentials(restored)
        assert credentials.api_key == Secret(CANARY)
        assert credentials.previous_api_key is None
        assert await registry.roll_back_key(new.id) is None

    house.live(body)


def test_a_secret_that_does_not_open_is_mended_by_entering_everything_again(house: House) -> None:
    async def first(registry: Registry) -> None:
        await registry.create(draft(headers=(("X-Token", Secret("of-the-header")),)))

    async def second(registry: Registry) -> None:
        with pytest.raises(SecretTampered):
            await registry.credentials(registry.snapshot.get("work"))
        with pytest.raises(SecretTampered) as caught:
            await registry.update("work", Draft(api_key=Secret("sk-again")))
        assert "header values" in caught.value.hint
        headers = (("X-Token", Secret("again")),)
        mended, _ = await registry.update("work", Draft(api_key=Secret("sk-again"), headers=headers))
        credentials = await registry.credentials(mended)
        assert (credentials.api_key, credentials.headers) == (Secret("sk-again"), headers)
        assert credentials.previous_api_key is None

    house.live(first)
    with closing(sqlite3.connect(house.directory / "data" / "connections.db", isolation_level=None)) as db:
        db.execute("UPDATE secrets SET ciphertext=zeroblob(40)")
    house.live(second)


def test_a_replaced_key_goes_when_its_grace_time_is_over(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft(headers=(("X-Token", Secret("of-the-header")),)))
        new, _ = await registry.update("work", Draft(api_key=Secret("sk-new")))
        assert new.previous_key_until is not None
        hour = timedelta(hours=1)
        assert await forget_due(registry, new.previous_key_until - hour) == 0
        assert registry.snapshot.get("work").has(SecretKind.PREVIOUS_API_KEY)
        # It needs no key to forget one.
        registry.store.key_manager.lock()
        assert await forget_due(registry, new.previous_key_until + hour) == 1
        assert await forget_due(registry, new.previous_key_until + hour) == 0
        await registry.on_store_thread(registry.store.key_manager.unlock)

    async def after(registry: Registry) -> None:
        kept = registry.snapshot.get("work")
        assert kept.previous_key_until is None
        assert {one.kind for one in kept.sealed} == {SecretKind.API_KEY, SecretKind.HEADER}
        assert await registry.roll_back_key(kept.id) is None
        assert (await registry.credentials(kept)).api_key == Secret("sk-new")

    async def both(registry: Registry) -> None:
        await body(registry)
        await after(registry)

    house.live(both)
    house.live(after)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (Draft(api_key=Secret("sk-new")), True),
        (Draft(default_model="m"), True),
        (Draft(name="other"), True),
        (Draft(auth_scheme=AuthScheme.API_KEY), False),
        (Draft(headers=(("X-Team", Secret("blue")),)), False),
        (Draft(network=NetworkProfile(proxy=ProxyMode.DIRECT)), False),
        (Draft(base_url="https://elsewhere.example/v1"), False),
        (Draft(provider=Provider.ANTHROPIC), False),
    ],
)
def test_what_a_test_learned_about_an_endpoint_outlives_the_daemon_but_not_the_endpoint(
    house: House, change: Draft, kept: bool
) -> None:
    facts = frozenset({Fact.LIST_PUBLIC, Fact.REFUSED_TELLS})

    async def learn(registry: Registry) -> None:
        connection, _ = await registry.create(draft())
        await registry.set_key_facts(connection.id, verdict=None, proven=False, facts=facts)
        await registry.set_key_facts(
            connection.id, verdict=KeyVerdict.VERIFIED, proven=True, revision=connection.revision
        )
        stale = connection.revision + 7
        await registry.set_key_facts(
            connection.id, verdict=None, proven=False, facts=frozenset(), revision=stale
        )

    async def edit(registry: Registry) -> None:
        found = registry.snapshot.get("work")
        assert (found.facts, found.key_verdict) == (facts, KeyVerdict.VERIFIED)
        assert (await registry.target(found)).facts == facts
        changed, _ = await registry.update("work", change, keep_key_for_new_origin=True)
        assert changed.facts == (facts if kept else frozenset())

    house.live(learn)
    house.live(edit)


def test_what_was_proven_about_a_key_is_no_new_revision_and_is_forgotten_with_the_key(
    house: House,
) -> None:
    async def body(registry: Registry) -> None:
        connection, _ = await registry.create(draft())
        await registry.set_key_facts(connection.id, verdict=KeyVerdict.VERIFIED, proven=True)
        proven = registry.snapshot.get("work")
        assert proven.revision == connection.revision
        assert proven.key_verdict is KeyVerdict.VERIFIED
        assert proven.key_proven_at is not None
        changed, _ = await registry.update("work", Draft(api_key=Secret("sk-new")))
        assert changed.key_verdict is KeyVerdict.UNVERIFIED
        assert changed.key_proven_at is None

    house.live(body)


@pytest.mark.parametrize(
    "workspace",
    [
        WorkspaceKey(WorkspaceKind.PATH, "relative"),
        WorkspaceKey(WorkspaceKind.PATH, ""),
        WorkspaceKey(WorkspaceKind.NAME, "a\nb"),
    ],
)
def test_a_bad_workspace_is_refused(house: House, workspace: WorkspaceKey) -> None:
    async def body(registry: Registry) -> None:
        await registry.create(draft())
        with pytest.raises(InvalidField):
            await registry.bind(workspace, "work", allow_fallback=False)
        with pytest.raises(WorkspaceNotFound):
            await registry.unbind(WorkspaceKey(WorkspaceKind.NAME, "nowhere"))

    house.live(body)


def test_watchers_are_told_of_whole_objects_and_conflated(house: House) -> None:
    async def body(registry: Registry) -> None:
        with registry.bus.subscribe() as watcher:
            a, _ = await registry.create(draft("a"))
            b, _ = await registry.create(draft("b"))
            await registry.update("a", Draft(default_model="x"))
            await registry.bind(WorkspaceKey(WorkspaceKind.NAME, "w"), "a", allow_fallback=False)
            await registry.delete("b")
            registry.bus.close()
            events = [event async for event in watcher.events()]
        assert [e for e in events if isinstance(e, ConnectionChanged)] == [ConnectionChanged(a.id)]
        assert ConnectionRemoved(b.id, "b") in events
        assert Sign.BINDINGS_CHANGED in events

    house.live(body)


def test_after_close_a_command_is_refused(house: House) -> None:
    async def body(registry: Registry) -> None:
        await registry.close()
        with pytest.raises(ShuttingDown):
            await registry.create(draft())

    async def refused(registry: Registry) -> None:
        try:
            await body(registry)
        except RuntimeError:
            raise AssertionError("closing twice must be harmless") from None

    house.live(refused)


def test_errors_of_the_registry_never_quote_a_key(house: House) -> None:
    async def body(registry: Registry) -> None:
        for bad in (draft(api_key=Secret(CANARY + "\n")), draft(name=""), draft(base_url="ftp://x")):
            with pytest.raises(NexoError) as caught:
                await registry.create(bad)
            assert CANARY not in f"{caught.value} {caught.value.hint} {caught.value.metadata}"

    house.live(body)


PROXY = NetworkProfile("http://proxy.example.com:3128")
BUNDLE = "/etc/ssl/company.pem"


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        (NetworkProfile(), PROXY, "proxy"),
        (NetworkProfile(ProxyMode.DIRECT), PROXY, "proxy"),
        (PROXY, replace(PROXY, proxy="http://proxy.example.com:3129"), "proxy"),
        (PROXY, replace(PROXY, proxy="https://proxy.example.com:3128"), "proxy"),
        # The proxy was there, and passed by until now.
        (replace(PROXY, no_proxy=("127.0.0.0/8",)), PROXY, "proxy"),
        (NetworkProfile(), NetworkProfile(ca_bundle=BUNDLE), "ca_bundle"),
        (NetworkProfile(ca_bundle=BUNDLE), NetworkProfile(ca_bundle="/etc/ssl/other.pem"), "ca_bundle"),
        (PROXY, replace(PROXY, ca_bundle=BUNDLE), "ca_bundle"),
        # Nobody new sees the key.
        (PROXY, NetworkProfile(), ""),
        (PROXY, NetworkProfile(ProxyMode.DIRECT), ""),
        (PROXY, replace(PROXY, no_proxy=("127.0.0.1",)), ""),
        (NetworkProfile(), replace(PROXY, no_proxy=("127.0.0.1",)), ""),
        (NetworkProfile(ca_bundle=BUNDLE), NetworkProfile(), ""),
    ],
)
@pytest.mark.parametrize("secret", ["key", "headers", "reference"])
def test_a_stored_key_goes_through_a_new_proxy_or_under_new_certificates_only_with_consent(
    house: House, before: NetworkProfile, after: NetworkProfile, field: str, secret: str
) -> None:
    kept = {
        "key": {},
        "headers": {"api_key": None, "headers": (("X-Key", Secret(CANARY)),)},
        "reference": {"api_key": None, "api_key_ref": "file:/home/ann/key"},
    }[secret]

    async def body(registry: Registry) -> None:
        await registry.create(draft(network=before, **kept))
        if field:
            with pytest.raises(KeyOriginChanged) as caught:
                await registry.update("work", Draft(network=after))
            assert caught.value.metadata["field"] == field
            assert registry.snapshot.get("work").network == before
            # What is entered anew is entered for there.
            await registry.update(
                "work", Draft(network=after, api_key=Secret("sk-new"), headers=(("X-Key", Secret("new")),))
            )
            assert not registry.snapshot.get("work").has(SecretKind.PREVIOUS_API_KEY)
            await registry.update("work", Draft(network=before), keep_key_for_new_origin=True)
        await registry.update("work", Draft(network=after), keep_key_for_new_origin=bool(field))
        assert registry.snapshot.get("work").network == after

    house.live(body)
