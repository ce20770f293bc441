"""A secret is handed out on what is true at that moment, however long the look-up of its key took.

A scheduler holds the look-ups, so that anything can happen in the middle of one.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexo.connections.errors import NexoError, RetryLater
from nexo.connections.terms import Provider, Reason, VaultState
from nexo.connections.v1 import workspace_pb2 as pb
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import ClientInfo, WorkspaceKey, WorkspaceKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.prober import Prober
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.resolution import Question
from nexo_daemon.rpc.follow import FollowHub
from nexo_daemon.rpc.resolver import SHARED_FOR_S, SHARED_LIMIT, ResolvedAnswer, Resolver
from nexo_daemon.store.store import Store
from nexo_daemon.vault.references import References
from surroundings import PATIENCE_S

DEFAULT = Question()


class HeldReferences(References):
    """Real but for the looking itself, which ends when the test says so. The key of `x` is `key-x`."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.held: dict[str, asyncio.Event] = {}
        self.begun: list[str] = []

    def hold(self, text: str) -> asyncio.Event:
        return self.held.setdefault(text, asyncio.Event())

    async def _look_up(self, text: str) -> Secret:
        self.begun.append(text)
        if text in self.held:
            await self.held[text].wait()
        return Secret(f"key-{text}")


class Daemon:
    """The rooms that a hand-out passes through, without the wire."""

    def __init__(self, store: Store) -> None:
        clock = SystemClock()
        self.store = store
        self.references = HeldReferences()
        self.registry = Registry(store, self.references, clock)
        self.journal = Journal(store, clock, self.registry.on_store_thread)
        self.health_board = HealthBoard(self.registry, Prober(clock), self.journal, clock, random.Random(1))
        self.resolver = Resolver(self.registry, self.health_board, self.journal, clock)
        self.hub = FollowHub(self.resolver, clock, self.registry.status_changed)
        self.registry.listen_to_routing(self.resolver.on_routing)
        self.registry.listen_to_routing(self.hub.on_routing)

    async def add(self, name: str, reference: str = "") -> None:
        key = {"api_key_ref": reference} if reference else {"api_key": Secret(f"key-{name}")}
        draft = Draft(name=name, provider=Provider.CUSTOM, base_url="http://127.0.0.1:9/v1", **key)  # type: ignore[arg-type]
        await self.registry.create(draft)

    def lock(self) -> None:
        self.store.key_manager.lock()
        self.registry.vault_changed()

    def unlock(self) -> None:
        self.store.key_manager.unlock()
        self.registry.vault_changed()

    async def begun(self, text: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.references.begun.count(text) < times:
                await asyncio.sleep(0)


@asynccontextmanager
async def living(directory: Path) -> AsyncIterator[Daemon]:
    store = Store.open(
        directory / "data" / "connections.db",
        key_file=directory / "config" / "vault.key",
        clock=SystemClock(),
    )
    daemon = Daemon(store)
    try:
        yield daemon
    finally:
        await daemon.health_board.close()
        await daemon.references.aclose()
        await daemon.registry.close()
        store.close()


def said(answer: ResolvedAnswer) -> str:
    """The key that was handed out, or the reason why there is none."""
    assert (answer.connection is None) is (answer.problem is not None)
    return answer.problem.reason.value if answer.problem else answer.connection.api_key  # type: ignore[union-attr]


Happening = Callable[[Daemon], Awaitable[object]]


async def _lock(daemon: Daemon) -> None:
    daemon.lock()


async def _lock_and_unlock(daemon: Daemon) -> None:
    daemon.lock()
    daemon.unlock()


async def _rotate(daemon: Daemon) -> None:
    def work() -> object:
        daemon.store.key_manager.rotate()
        return daemon.store.reload()

    await daemon.registry.reload(work)  # type: ignore[arg-type]


SLOW, OTHER = "command:slow", "command:other"
HAPPENINGS: dict[str, tuple[Happening, str]] = {
    "lock": (_lock, Reason.VAULT_LOCKED.value),
    "lock and unlock": (_lock_and_unlock, f"key-{SLOW}"),
    "disable": (lambda d: d.registry.update("slow", Draft(enabled=False)), Reason.CONNECTION_DISABLED.value),
    "switch": (lambda d: d.registry.set_default("plain"), "key-plain"),
    "another reference": (lambda d: d.registry.update("slow", Draft(api_key_ref=OTHER)), f"key-{OTHER}"),
    "a key of its own": (lambda d: d.registry.update("slow", Draft(api_key=Secret("sk-own"))), "sk-own"),
    "remove": (lambda d: d.registry.delete("slow", replace_with="plain"), "key-plain"),
    "rename": (lambda d: d.registry.update("slow", Draft(name="renamed")), f"key-{SLOW}"),
    "rotate": (_rotate, f"key-{SLOW}"),
    "nothing": (lambda d: asyncio.sleep(0), f"key-{SLOW}"),
}


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_what_happens_during_a_look_up_decides_the_answer(tmp_path: Path, happening: str) -> None:
    happens, expected = HAPPENINGS[happening]

    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            gate = daemon.references.hold(SLOW)
            await daemon.add("slow", SLOW)
            await daemon.add("plain")
            asking = asyncio.create_task(daemon.resolver.answer(DEFAULT))
            await daemon.begun(SLOW)
            await happens(daemon)
            gate.set()
            assert said(await asyncio.wait_for(asking, PATIENCE_S)) == expected
            # Nothing of the earlier world was kept for those who ask next.
            assert said(await daemon.resolver.answer(DEFAULT)) == expected

    asyncio.run(scenario())


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_a_follower_hears_only_what_is_true_when_it_is_sent(tmp_path: Path, happening: str) -> None:
    happens, expected = HAPPENINGS[happening]

    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            gate = daemon.references.hold(SLOW)
            await daemon.add("slow", SLOW)
            await daemon.add("plain")
            async with following(daemon, {1: DEFAULT}) as heard:
                await daemon.begun(SLOW)
                await happens(daemon)
                gate.set()
                assert await heard(1) == expected

    asyncio.run(scenario())


@pytest.mark.parametrize("happening", ["lock", "disable", "remove", "another reference"])
def test_a_probe_gets_no_secret_of_an_earlier_world(tmp_path: Path, happening: str) -> None:
    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            gate = daemon.references.hold(SLOW)
            await daemon.add("slow", SLOW)
            await daemon.add("plain")
            slow = daemon.registry.snapshot.get("slow")
            opening = asyncio.create_task(daemon.registry.credentials(slow))
            await daemon.begun(SLOW)
            await HAPPENINGS[happening][0](daemon)
            gate.set()
            with pytest.raises(NexoError):
                await opening

    asyncio.run(scenario())


def _to_wire(question: Question) -> pb.Inquiry:
    place = question.workspace
    return pb.Inquiry(
        workspace=None if place is None else pb.Workspace(path=place.value),
        connection=question.connection or None,
    )


@asynccontextmanager
async def following(
    daemon: Daemon, questions: dict[int, Question]
) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
    """A stream with these followers; yields what tells the next news of one of them."""
    news: dict[int, asyncio.Queue[str]] = {number: asyncio.Queue() for number in questions}

    async def requests() -> AsyncIterator[pb.FollowConnectionRequest]:
        hello = pb.FollowConnectionRequest.Hello(client=pb.ClientInfo(program="test"))
        yield pb.FollowConnectionRequest(hello=hello)
        for number, question in questions.items():
            subscribe = pb.FollowConnectionRequest.Subscribe(follower=number, inquiry=_to_wire(question))
            yield pb.FollowConnectionRequest(subscribe=subscribe)
        await asyncio.Event().wait()

    async def send(message: pb.FollowConnectionResponse) -> None:
        for number in message.followers:
            news[number].put_nowait(
                message.connection.api_key if message.HasField("connection") else message.problem.reason
            )

    async def heard(number: int) -> str:
        return await asyncio.wait_for(news[number].get(), PATIENCE_S)

    serving = asyncio.create_task(daemon.hub.serve(requests(), send))
    try:
        yield heard
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_one_look_up_that_hangs_delays_no_other_follower_of_the_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            daemon.references.hold(SLOW)
            await daemon.add("plain")
            await daemon.add("second")
            await daemon.add("slow", SLOW)
            slow = Question(connection="slow")
            async with following(daemon, {1: slow, 2: DEFAULT, 3: Question(connection="second")}) as heard:
                assert await heard(2) == "key-plain"
                assert await heard(3) == "key-second"
                await daemon.begun(SLOW)
                for name in ("second", "plain", "second"):
                    await daemon.registry.set_default(name)
                    assert await heard(2) == f"key-{name}"
                    revision = daemon.registry.snapshot.revision
                    for stream in daemon.hub._streams:
                        stream.acknowledge(revision)
                    assert await daemon.hub.wait_applied(revision, PATIENCE_S) == (1, [])

    asyncio.run(scenario())


def test_a_switch_makes_no_new_look_up_for_a_follower_that_named_its_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            await daemon.add("plain")
            await daemon.add("second")
            await daemon.add("kept", OTHER)
            async with following(daemon, {1: Question(connection="kept"), 2: DEFAULT}) as heard:
                assert await heard(1) == f"key-{OTHER}"
                assert await heard(2) == "key-plain"
                daemon.references.forget()
                await daemon.registry.set_default("second")
                assert await heard(2) == "key-second"
                assert daemon.references.begun == [OTHER]

    asyncio.run(scenario())


def test_questions_about_many_directories_leave_memory(tmp_path: Path) -> None:
    """After one slow look-up, too: it once kept every later answer with its key."""

    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            gate = daemon.references.hold(SLOW)
            await daemon.add("slow", SLOW)
            asking = asyncio.create_task(daemon.resolver.answer(DEFAULT))
            await daemon.begun(SLOW)
            began = time.monotonic()
            while time.monotonic() - began < SHARED_FOR_S * 1.5:
                await asyncio.sleep(0.05)
            gate.set()
            await asking
            for number in range(30_000):
                place = WorkspaceKey(WorkspaceKind.PATH, f"/home/ada/{number}")
                await daemon.resolver.answer(Question(workspace=place))
            shared = daemon.resolver._shared
            assert len(shared) <= SHARED_LIMIT
            async with asyncio.timeout(PATIENCE_S):
                while len(shared):
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_a_key_that_is_kept_elsewhere_leaves_memory_when_the_vault_is_locked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            await daemon.add("slow", SLOW)
            await daemon.resolver.answer(DEFAULT)
            assert daemon.references.known(SLOW) is not None
            daemon.lock()
            assert daemon.references.known(SLOW) is None
            daemon.unlock()
            # One that is on its way when the vault is locked is not remembered either.
            gate = daemon.references.hold(SLOW)
            asking = asyncio.create_task(daemon.resolver.answer(DEFAULT))
            await daemon.begun(SLOW, 2)
            daemon.lock()
            gate.set()
            await asking
            assert daemon.references.known(SLOW) is None

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(30))
def test_no_order_of_events_hands_out_what_is_not_true(tmp_path: Path, seed: int) -> None:
    """Questions, ends of look-ups, locks, switches, edits; each answer is held against its moment."""
    chance = random.Random(seed)
    names = ("a", "b", "c")

    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            for name in names:
                await daemon.add(name, f"command:{name}" if name != "c" else "")
            asked: set[asyncio.Task[None]] = set()

            async def ask(question: Question) -> None:
                try:
                    answer = await daemon.resolver.answer(question)
                except RetryLater:
                    return
                # No await since the answer was made.
                if answer.connection is not None:
                    truth = daemon.resolver.explain(question).require()
                    assert daemon.store.vault.state is VaultState.UNLOCKED
                    assert answer.connection.name == truth.name
                    assert answer.revision == daemon.registry.snapshot.revision
                    reference = truth.key_reference
                    assert answer.connection.api_key == (f"key-{reference}" if reference else "key-c")

            def release() -> None:
                for gate in daemon.references.held.values():
                    gate.set()
                daemon.references.held.clear()

            async def edit(name: str) -> None:
                if name != "c":
                    await daemon.registry.update(name, Draft(api_key_ref=f"command:{name} {chance.random()}"))

            async def happen() -> None:
                name = chance.choice(names)
                match chance.randrange(8):
                    case 0 | 1:
                        question = chance.choice([DEFAULT, Question(connection=name)])
                        task = asyncio.create_task(ask(question))
                        asked.add(task)
                    case 2:
                        release()
                    case 3:
                        for text in {c.key_reference for c in daemon.registry.snapshot.connections.values()}:
                            daemon.references.hold(text)
                        if chance.random() < 0.5:
                            daemon.references.forget()
                    case 4:
                        daemon.lock()
                    case 5:
                        daemon.unlock()
                    case 6:
                        await daemon.registry.set_default(name)
                    case 7:
                        if daemon.store.vault.state is VaultState.UNLOCKED:
                            enabled = daemon.registry.snapshot.get(name).enabled
                            if chance.random() < 0.5:
                                await daemon.registry.update(name, Draft(enabled=not enabled))
                            else:
                                await edit(name)
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)

            for _ in range(120):
                await happen()
            daemon.unlock()
            async with asyncio.timeout(PATIENCE_S):
                while any(not task.done() for task in asked):
                    release()
                    await asyncio.sleep(0)
            for task in asked:
                task.result()

    asyncio.run(scenario())


def test_a_record_is_made_of_each_hand_out_and_of_no_refusal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with living(tmp_path) as daemon:
            await daemon.add("plain")
            await daemon.resolver.record(
                await daemon.resolver.answer(DEFAULT), method="ResolveConnection", client=ClientInfo()
            )
            await daemon.journal.flush()
            assert len(daemon.store.handouts(None, 10)) == 1

    asyncio.run(scenario())
