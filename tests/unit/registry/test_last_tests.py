"""The last test of a connection is remembered until what it was about changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nexo.connections.terms import KeyVerdict, Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import StoredConnection
from nexo_daemon.domain.probing import LayerResult, Model, TestReport, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry import tested
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.tested import LastTests
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References
from store_parts import HandClock, StorePlace

URL = "http://127.0.0.1:1/v1"
LAYERS = (LayerResult(Layer.DNS, LayerStatus.PASSED, 0.01, "192.0.2.1"),)
REPORT = TestReport(Verdict(Outcome.OK), KeyVerdict.VERIFIED, LAYERS, models=(Model("m"),))

Body = Callable[[Registry, LastTests, StoredConnection], Awaitable[None]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty one."""
    store = StorePlace(tmp_path / "store", HandClock()).open()
    yield store
    store.close()


def live(store: Store, body: Body) -> None:
    async def life() -> None:
        references = References(SystemClock())
        registry = Registry(store, references, SystemClock())
        tests = registry.last_tests
        draft = Draft(name="work", provider=Provider.CUSTOM, base_url=URL, api_key=Secret("sk-one"))
        connection, _ = await registry.create(draft)
        tests.keep(connection, REPORT)
        await body(registry, tests, connection)
        await registry.close()
        await references.aclose()

    asyncio.run(life())


def test_it_is_told_without_the_models(store: Store) -> None:
    async def body(_registry: Registry, tests: LastTests, connection: StoredConnection) -> None:
        found = tests.of(connection)
        assert found is not None
        assert found.report == replace(REPORT, models=())

    live(store, body)


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        (Draft(name="another name"), True),
        (Draft(checks_paused=True), True),
        (Draft(api_key=Secret("sk-another")), False),
        (Draft(headers=(("X-Team", Secret("blue")),)), False),
        (Draft(base_url="https://elsewhere.example.com/v1"), False),
        (Draft(default_model="another"), False),
    ],
)
def test_it_goes_when_what_was_tested_changes(store: Store, change: Draft, stays: bool) -> None:
    async def body(registry: Registry, tests: LastTests, connection: StoredConnection) -> None:
        changed, _ = await registry.update(connection.name, change, keep_key_for_new_origin=True)
        assert (tests.of(changed) is not None) is stays

    live(store, body)


def test_a_test_of_what_was_changed_while_it_ran_is_not_kept(store: Store) -> None:
    async def body(registry: Registry, tests: LastTests, connection: StoredConnection) -> None:
        changed, _ = await registry.update(connection.name, Draft(api_key=Secret("sk-another")))
        tests.keep(connection, REPORT)
        assert tests.of(changed) is None

    live(store, body)


def test_there_is_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(registry: Registry, tests: LastTests, connection: StoredConnection) -> None:
        draft = Draft(name="second", provider=Provider.CUSTOM, base_url=URL)
        second, _ = await registry.create(draft)
        tests.keep(second, REPORT)
        assert (tests.of(connection), tests.of(second)) != (None, None)
        assert tests.of(connection) is None

    monkeypatch.setattr(tested, "LAST_TESTS_LIMIT", 1)
    live(store, body)
