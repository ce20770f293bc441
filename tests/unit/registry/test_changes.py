"""What is kept in memory after a change is what a restart would find, and whoever it concerns is told."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from tests.store_parts import NOON, HandClock

from nexo.connections.errors import NexoError
from nexo.connections.terms import KeyVerdict, Provider
from nexo_daemon.domain.model import HealthSettings, WorkspaceKey, WorkspaceKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry import commands
from nexo_daemon.registry.change import Change, Effects
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.edits import Plan
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References

STEPS = 60
NAMES = ("one", "two", "three", "four")
PLACES = tuple(WorkspaceKey(WorkspaceKind.NAME, f"place-{number}") for number in range(3))
ADDRESS = "http://127.0.0.1:1/v1"


def draft(name: str) -> Draft:
    return Draft(name=name, provider=Provider.CUSTOM, base_url=ADDRESS, api_key=Secret(f"sk-{name}"))


async def _any_command(registry: Registry, clock: HandClock, chance: Random) -> None:
    name, other = chance.choice(NAMES), chance.choice(NAMES)
    present = registry.snapshot.find(name)
    id_ = "" if present is None else present.id
    clock.turn(timedelta(hours=chance.choice((0, 0, 30))))
    await chance.choice(
        (
            lambda: registry.create(draft(name), make_default=chance.random() < 0.3),
            lambda: registry.create(draft(name)),
            lambda: registry.update(name, Draft(default_model=other)),
            lambda: registry.update(name, Draft(name=other)),
            lambda: registry.update(name, Draft(api_key=Secret(f"sk-{chance.random()}"))),
            lambda: registry.update(name, Draft(enabled=chance.random() < 0.5)),
            lambda: registry.delete(name, force=chance.random() < 0.5),
            lambda: registry.delete(name, replace_with=other),
            lambda: registry.set_default(name),
            registry.undo_default,
            lambda: registry.bind(chance.choice(PLACES), name, allow_fallback=chance.random() < 0.5),
            lambda: registry.unbind(chance.choice(PLACES)),
            lambda: registry.set_fallback([name, other]),
            lambda: registry.set_fallback([]),
            lambda: registry.set_health_settings(HealthSettings(paused=chance.random() < 0.5)),
            lambda: registry.set_key_facts(id_, verdict=KeyVerdict.VERIFIED, proven=True),
            lambda: registry.roll_back_key(id_),
            lambda: registry.forget_previous_key(id_, clock.now()),
            registry.stand_ins_changed,
        )
    )()


@pytest.mark.parametrize("seed", range(6))
def test_after_any_changes_memory_says_what_a_restart_would_find(tmp_path: Path, seed: int) -> None:
    async def life() -> None:
        clock, chance = HandClock(NOON), Random(seed)
        store = Store.open(tmp_path / "connections.db", key_file=tmp_path / "vault.key", clock=clock)
        references = References(clock)
        registry = Registry(store, references, clock)
        done = 0
        try:
            for _ in range(STEPS):
                before = registry.snapshot
                try:
                    await _any_command(registry, clock, chance)
                    done += 1
                except NexoError:
                    assert registry.snapshot is before, "what was refused changed nothing"
                found = RegistrySnapshot.of(store.reload())
                assert replace(registry.snapshot, routed_at=0) == replace(found, routed_at=0)
                assert registry.snapshot.revision >= before.revision
            assert done > STEPS / 4
        finally:
            await registry.close()
            await references.aclose()
            store.close()

    asyncio.run(life())


@pytest.mark.parametrize(
    ("decide", "changed", "again", "bindings", "status"),
    [
        (lambda s: commands.set_default(s, "two"), "one two", "", False, True),
        (lambda s: commands.set_default(s, "one"), "", "", False, False),
        (lambda s: _bound(s, PLACES[1]), "two", "", True, False),
        (
            lambda s: commands.bind(s, PLACES[0], "two", NOON, allow_fallback=True),
            "one two",
            "",
            True,
            False,
        ),
        (lambda s: commands.unbind(s, PLACES[0]), "one", "", True, False),
        (lambda s: commands.set_fallback(s, ["two"]), "", "", False, True),
        (lambda s: commands.set_health_settings(s, HealthSettings(paused=True)), "", "", False, True),
        (lambda s: _edited(s, "one", name="eins"), "one", "", True, True),
        (lambda s: _edited(s, "two", name="zwei"), "two", "", False, True),
        (lambda s: _edited(s, "one", default_model="m"), "one", "", False, True),
        (lambda s: _edited(s, "one", enabled=False), "one", "one", True, True),
        (lambda s: _edited(s, "two", base_url="http://127.0.0.1:1/v2"), "two", "two", False, True),
        (lambda s: commands.delete(s, s.get("one"), replace_with="two", force=False), "two", "", True, True),
        (lambda s: commands.delete(s, s.get("two"), replace_with="", force=False), "", "", False, True),
        (lambda _: Change(rerouted=True), "", "", False, True),
    ],
)
def test_whom_a_change_concerns_follows_from_it(
    tmp_path: Path,
    decide: Callable[[RegistrySnapshot], Change],
    changed: str,
    again: str,
    bindings: bool,
    status: bool,
) -> None:
    async def life() -> None:
        clock = HandClock(NOON)
        store = Store.open(tmp_path / "connections.db", key_file=tmp_path / "vault.key", clock=clock)
        references = References(clock)
        registry = Registry(store, references, clock)
        try:
            for name in ("one", "two"):
                await registry.create(draft(name))
            await registry.bind(PLACES[0], "one", allow_fallback=False)
            names = {one.id: one.name for one in registry.snapshot.connections.values()}
            done = await registry.run(decide)
            effects = Effects.of(done.change, done.before, done.after)
            assert {names[id_] for id_ in effects.changed} == set(changed.split())
            assert {names[id_] for id_ in effects.probe_again} == set(again.split())
            assert (effects.bindings, effects.status) == (bindings, status)
            gone = {one.id for one in effects.removed}
            assert gone == done.before.connections.keys() - done.after.connections.keys()
        finally:
            await registry.close()
            await references.aclose()
            store.close()

    asyncio.run(life())


def _edited(snapshot: RegistrySnapshot, which: str, /, **fields: object) -> Change:
    connection = replace(snapshot.get(which), **fields)  # type: ignore[arg-type]  # fields, by name
    return commands.update(snapshot, Plan(connection, None))


def _bound(snapshot: RegistrySnapshot, place: WorkspaceKey) -> Change:
    return commands.bind(snapshot, place, "two", NOON, allow_fallback=False)
