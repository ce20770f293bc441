"""A new key that the provider rejects, twice and half a minute apart, gives way to the one it replaced."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexo.connections.terms import HealthState, KeyVerdict, Provider
from nexo_cli.demo.provider import REVOKED, WORK, ExampleProvider
from nexo_daemon.domain.model import SecretKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.prober import Prober
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References
from surroundings import PATIENCE_S


class HurriedClock:
    """A minute in two seconds."""

    SPEED = 30.0

    def __init__(self) -> None:
        self._began, self._at = time.monotonic(), datetime.now(UTC)

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self.SPEED

    def elapsed(self) -> float:
        return self.monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.SPEED)


@asynccontextmanager
async def living(directory: Path) -> AsyncIterator[tuple[Registry, HealthBoard]]:
    """A registry whose lights are looked after, as in the daemon."""
    clock = HurriedClock()
    store = Store.open(
        directory / "data" / "connections.db", key_file=directory / "config" / "vault.key", clock=clock
    )
    references, prober = References(clock), Prober(clock)
    registry = Registry(store, references, clock)
    journal = Journal(store, clock, registry.on_store_thread)
    health_board = HealthBoard(registry, prober, journal, clock, random.Random(5))
    task = asyncio.create_task(health_board.monitor.run())
    try:
        yield registry, health_board
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await health_board.close()
        await references.aclose()
        await registry.close()
        store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("worked_before", [False, True], ids=["never worked", "worked before"])
def test_only_a_new_key_that_never_worked_gives_way(tmp_path: Path, worked_before: bool) -> None:
    async def scenario(url: str) -> None:
        async with living(tmp_path) as (registry, health_board):

            def light() -> HealthState:
                return health_board.of(registry.snapshot.get("work")).state

            async def key() -> str:
                found = (await registry.credentials(registry.snapshot.get("work"))).api_key
                return found.reveal() if found else ""

            draft = Draft(name="work", provider=Provider.OPENAI, base_url=url, api_key=Secret(WORK.key))
            await registry.create(draft)
            await until(lambda: light() is HealthState.HEALTHY)
            new, _ = await registry.update("work", Draft(api_key=Secret(REVOKED.key)))
            if worked_before:
                await registry.set_key_facts(new.id, verdict=KeyVerdict.VERIFIED, proven=True)
            assert await key() == REVOKED.key

            def is_back() -> bool:
                return not registry.snapshot.get("work").has(SecretKind.PREVIOUS_API_KEY)

            async def looked_at() -> None:
                """The monitor waits in real time; a request half a minute later is as good."""
                while not (light() is HealthState.UNHEALTHY or is_back()):
                    await registry.clock.sleep(31)
                    await health_board.check_now([registry.snapshot.get("work")])

            await asyncio.wait_for(looked_at(), PATIENCE_S)
            if worked_before:
                # Commands are done in their order: had it been put back, that would be over after this one.
                await registry.set_key_facts(new.id, verdict=None, proven=True)
                # It was revoked, and so may be the old one; a person has to look.
                assert not is_back()
                assert await key() == REVOKED.key
            else:
                await until(is_back)
                assert await key() == WORK.key
                await until(lambda: light() is HealthState.HEALTHY)

    with ExampleProvider() as provider:
        asyncio.run(scenario(provider.base_url(Provider.OPENAI)))
        refused = [one for one in provider.requests() if one.account == REVOKED.name]
    # One refusal may be a hiccup of the provider.
    assert len(refused) >= 2
