"""What was tested is saved by its ticket: as it was tested, once, and while it is remembered."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nexo.connections.errors import ConnectionNotFound, InvalidField, NexoError, StaleRevision, VaultLocked
from nexo.connections.terms import KeyVerdict, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import Fact
from nexo_daemon.domain.probing import TestReport, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.tested import KEPT_S, LIMIT, Proposal
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References

CANARY = "sk-canary-7f3a"
DRAFT = Draft(
    name="work", provider=Provider.CUSTOM, base_url="http://127.0.0.1:1/v1", api_key=Secret(f" {CANARY}")
)
FACTS = frozenset({Fact.LIST_PUBLIC})
REPORT = TestReport(verdict=Verdict(Outcome.OK), key=KeyVerdict.VERIFIED, layers=(), facts=FACTS)
PROPOSAL = Proposal(DRAFT, ("strip_white_space",))


class Clock(SystemClock):
    """One whose monotonic time is set by hand."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


Body = Callable[[Registry, Clock], Awaitable[None]]
Live = Callable[[Body], None]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    """Runs a body with a registry on a store of its own."""

    async def life(body: Body) -> None:
        clock = Clock()
        store = Store.open(tmp_path / "data" / "connections.db", key_file=tmp_path / "vault.key", clock=clock)
        references = References(clock)
        registry = Registry(store, references, clock)
        try:
            await body(registry, clock)
        finally:
            await registry.close()
            await references.aclose()
            store.close()

    return lambda body: asyncio.run(life(body))


def ticket_for(registry: Registry, proposal: Proposal = PROPOSAL, report: TestReport = REPORT) -> str:
    """A ticket of a test that began and ended now."""
    return registry.ticket(proposal, report, registry.tickets.era)


def test_what_was_tested_is_saved_once_with_what_was_proven(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        ticket = ticket_for(registry)
        assert CANARY not in repr(PROPOSAL)
        saved, _ = await registry.create(Draft(), ticket=ticket)
        assert (saved.name, saved.key_verdict, saved.facts) == ("work", KeyVerdict.VERIFIED, FACTS)
        assert saved.key_proven_at is not None
        last = registry.last_tests.of(saved)
        assert last is not None
        assert last.report == REPORT
        assert (await registry.credentials(saved)).api_key == Secret(CANARY)
        with pytest.raises(InvalidField) as caught:
            await registry.create(Draft(name="again"), ticket=ticket)
        assert caught.value.field == "ticket"

    live(body)


def test_a_failed_test_proves_nothing_and_can_be_saved(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        rejected = replace(REPORT, verdict=Verdict(Outcome.AUTH_ERROR, "invalid_key"))
        saved, _ = await registry.create(Draft(), ticket=ticket_for(registry, report=rejected))
        assert (saved.key_verdict, saved.key_proven_at) == (KeyVerdict.UNVERIFIED, None)

    live(body)


def test_what_no_test_looks_at_may_change_after_it_and_nothing_else(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        ticket = ticket_for(registry, replace(PROPOSAL, draft=replace(DRAFT, default_model="tested")))
        for changed in (
            Draft(base_url="http://127.0.0.1:2/v1"),
            Draft(api_key=Secret("sk-other")),
            Draft(headers=()),
            Draft(provider=Provider.OPENAI),
        ):
            with pytest.raises(InvalidField) as caught:
                await registry.create(changed, ticket=ticket)
            assert caught.value.field == "ticket"
        saved, _ = await registry.create(Draft(name="home", default_model=""), ticket=ticket)
        assert (saved.name, saved.default_model) == ("home", "")
        # That test was about another model.
        assert registry.last_tests.of(saved) is None

    live(body)


def test_an_edit_is_saved_if_the_connection_is_as_it_was_tested(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        await registry.create(DRAFT, fixes=("strip_white_space",))
        other, _ = await registry.create(replace(DRAFT, name="other"), fixes=("strip_white_space",))

        def edit() -> str:
            now = registry.snapshot.get("work")
            moved = Draft(base_url="http://127.0.0.1:2/v1")
            proposal = Proposal(moved, consent=True, connection_id=now.id, revision=now.revision)
            return ticket_for(registry, proposal)

        ticket = edit()
        for name, problem in {other.name: InvalidField, "nobody": ConnectionNotFound}.items():
            with pytest.raises(problem):
                await registry.update(name, Draft(), ticket=ticket)
        with pytest.raises(InvalidField):
            await registry.create(Draft(name="new"), ticket=ticket)
        with pytest.raises(InvalidField):
            await registry.update("work", Draft(), ticket=ticket_for(registry))
        saved, _ = await registry.update("work", Draft(name="moved"), ticket=ticket)
        assert (saved.name, saved.base_url) == ("moved", "http://127.0.0.1:2/v1")
        assert (saved.key_verdict, saved.facts) == (KeyVerdict.VERIFIED, FACTS)
        assert (await registry.credentials(saved)).api_key == Secret(CANARY)
        await registry.update("moved", Draft(name="work"))
        ticket = edit()
        await registry.update("work", Draft(default_model="another"))
        with pytest.raises(StaleRevision):
            await registry.update("work", Draft(), ticket=ticket)

    live(body)


def test_what_could_not_be_saved_can_be_saved_later(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        ticket = ticket_for(registry)
        await registry.create(DRAFT, fixes=("strip_white_space",))
        with pytest.raises(NexoError):
            await registry.create(Draft(), ticket=ticket)
        saved, _ = await registry.create(Draft(name="second"), ticket=ticket)
        assert saved.key_verdict is KeyVerdict.VERIFIED

    live(body)


def test_it_is_forgotten_in_time_and_of_too_many_the_oldest(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        tickets = [ticket_for(registry) for _ in range(LIMIT + 1)]
        assert len(set(tickets)) == LIMIT + 1
        with pytest.raises(InvalidField):
            registry.tickets.look(tickets[0])
        assert registry.tickets.look(tickets[1]) == replace(PROPOSAL, report=REPORT)
        clock.seconds = KEPT_S
        for ticket in tickets:
            with pytest.raises(InvalidField):
                registry.tickets.look(ticket)

    live(body)


def test_a_locked_vault_ends_all_tickets_and_gives_none(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        ticket, era = ticket_for(registry), registry.tickets.era
        registry.store.key_manager.lock()
        registry.vault_changed()
        assert ticket_for(registry) == ""
        with pytest.raises(VaultLocked):
            await registry.create(DRAFT, fixes=("strip_white_space",))
        registry.store.key_manager.unlock()
        registry.vault_changed()
        with pytest.raises(InvalidField):
            await registry.create(Draft(), ticket=ticket)
        # That of a test which was running when the vault was locked.
        assert registry.ticket(PROPOSAL, REPORT, era) == ""
        assert ticket_for(registry)

    live(body)


def test_what_was_tested_before_the_store_was_replaced_is_forgotten(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        ticket = ticket_for(registry)
        await registry.reload(registry.store.reload)
        with pytest.raises(InvalidField):
            registry.tickets.look(ticket)

    live(body)


def test_a_draft_of_unusual_size_is_not_kept(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        large = Secret("x" * 8192)
        headers = tuple((f"X-{number}", large) for number in range(9))
        assert not ticket_for(registry, replace(PROPOSAL, draft=replace(DRAFT, headers=headers)))
        assert ticket_for(registry, replace(PROPOSAL, draft=replace(DRAFT, headers=headers[:8])))

    live(body)


def test_a_stopped_daemon_keeps_nothing(live: Live) -> None:
    async def body(registry: Registry, clock: Clock) -> None:
        ticket = ticket_for(registry)
        await registry.close()
        with pytest.raises(InvalidField):
            registry.tickets.look(ticket)

    live(body)
