"""A program that follows: it hears of every change, and survives the daemon, a fork and its own end."""

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

import nexo_client
from nexo_client import Client, OnStale, follow_stream
from nexo_client.errors import DaemonFailed, DaemonNotRunning, LimitReached, NoDefaultConnection
from nexo_client.types import ConnectionDraft, ResolvedConnection
from nexo_client.watch import Link, LinkEvent, watch_forever
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for
from threads import no_more_threads


def add(client: Client, name: str) -> None:
    client.create_connection(
        ConnectionDraft(name=name, provider="custom", base_url="http://127.0.0.1:9/v1", api_key=f"k-{name}")
    )


@pytest.fixture
def client(nexod: Nexod) -> Iterator[Client]:
    with nexod.client() as connected:
        add(connected, "one")
        add(connected, "two")
        yield connected


def our_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("nexo-")}


def test_a_switch_reaches_a_follower_before_the_switch_returns(client: Client) -> None:
    with client.follow() as live:
        assert live.current.name == "one"
        switch = client.set_default("two", wait_s=30)
        assert (switch.followers, switch.pending_followers) == (1, ())
        assert live.current.name == "two"
        assert live.current.api_key == "k-two"
        assert live.revision == live.current.revision == switch.revision


def test_current_is_one_immutable_object_until_something_changes(client: Client) -> None:
    with client.follow() as live:
        first = live.current
        assert live.current is first
        with pytest.raises(AttributeError):
            first.name = "else"  # type: ignore[misc]  # that is the point
        with pytest.raises(TypeError):
            first.headers["x"] = "y"


def test_two_followers_of_one_process_share_a_stream(client: Client, tmp_path: Path) -> None:
    client.bind(tmp_path, "two")
    with client.follow() as default, client.follow(workspace=tmp_path) as bound:
        (program,) = client.status().followers
        assert program.client.pid == os.getpid()
        assert [str(workspace) for workspace in program.workspaces] == [str(tmp_path.resolve())]
        assert (default.current.name, bound.current.name) == ("one", "two")
        assert program.connections == ("one", "two")
        bound.close()
        wait_for(lambda: not client.status().followers[0].workspaces, "the daemon forgets the workspace")
        assert client.list_workspaces()[1][0].connections == ("one",)
        assert client.set_default("two", wait_s=30).pending_followers == ()
        assert default.current.name == "two"


def test_a_watcher_hears_which_connection_a_program_has(client: Client) -> None:
    def told(connections: tuple[str, ...]) -> None:
        for event in events:
            if event.status and [one.connections for one in event.status.followers] == [connections]:
                return
        raise AssertionError("the daemon ended the stream")

    with client.watch() as events:
        # Otherwise the follower could be part of the snapshot, and not be told again.
        assert next(events).snapshot
        with client.follow():
            told(("one",))
            client.set_default("two")
            told(("two",))
            for name in ("two", "one"):
                client.delete_connection(name, force=True)
            told(())


def test_a_watcher_hears_of_each_hand_out(client: Client) -> None:
    began = datetime.now(UTC)
    with client.watch() as events:
        assert not next(events).handout
        client.resolve("two")
        told = next(event.handout for event in events if event.handout)
    assert (told.connection, told.method, told.client.pid) == ("two", "ResolveConnection", os.getpid())
    assert client.handouts(since=began) == (told,)
    assert client.handouts(since=told.last_at + timedelta(seconds=1)) == ()


def test_callbacks_come_for_what_a_program_notices_and_one_that_fails_stops_nobody(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str | None, str, str]] = []

    def failing(_: ResolvedConnection | None) -> None:
        raise RuntimeError("a bug of the program")

    def keeping(connection: ResolvedConnection | None) -> None:
        name = connection.name if connection else None
        seen.append((name, live.current.name, threading.current_thread().name))

    with client.follow() as live:
        live.on_change(failing)
        remove = live.on_change(keeping)
        client.set_default("two")
        wait_for(lambda: seen, "the callback")
        assert seen == [("two", "two", "nexo-callbacks")]
        assert "a bug of the program" in caplog.text
        # Another connection changes: nothing that this program would notice.
        client.update_connection("one", ConnectionDraft(default_model="m"))
        remove()
        client.set_default("one", wait_s=30)
        assert len(seen) == 1


def test_no_default_is_a_state_and_not_the_end(client: Client) -> None:
    with client.follow() as live:
        changes: list[ResolvedConnection | None] = []
        live.on_change(changes.append)
        client.delete_connection("two")
        client.delete_connection("one", force=True)
        wait_for(lambda: live.problem, "the follower hears of it")
        with pytest.raises(NoDefaultConnection):
            _ = live.current
        add(client, "three")
        wait_for(lambda: live.problem is None, "the follower hears of the new one")
        assert live.current.name == "three"
        wait_for(lambda: changes and changes[-1] is not None, "the callback")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_follower_survives_the_daemon(
    client: Client, nexod: Nexod, surroundings: Surroundings, how: int
) -> None:
    with client.follow() as keeps, client.follow(on_stale=OnStale.RAISE) as raises:
        revision = keeps.revision
        nexod.signal(how)
        nexod.wait()
        wait_for(lambda: keeps.stale and raises.stale, "both know that the daemon is away")
        assert keeps.current.name == "one"
        assert keeps.stale_since is not None
        with pytest.raises(DaemonNotRunning):
            _ = raises.current

        surroundings.start_nexod()
        wait_for(lambda: not keeps.stale and not raises.stale, "both are back")
        assert keeps.current.name == raises.current.name == "one"
        assert keeps.revision >= revision
        assert client.set_default("two", wait_s=30).pending_followers == ()
        assert keeps.current.name == raises.current.name == "two"


def test_a_change_made_while_the_daemon_was_away_from_us_is_not_missed(
    client: Client, nexod: Nexod, surroundings: Surroundings
) -> None:
    """The follower stands still (as in a suspended computer) while the default moves."""
    with client.follow() as live:
        changes: list[str] = []
        live.on_change(lambda connection: changes.append(connection.name if connection else ""))
        nexod.kill()
        again = surroundings.start_nexod()
        with again.client() as other:
            other.set_default("two")
        wait_for(lambda: live.current.name == "two", "the follower catches up")
        wait_for(lambda: changes == ["two"], "one callback")


def test_a_forked_child_follows_on_a_stream_of_its_own(client: Client, surroundings: Surroundings) -> None:
    # Before 1.85 grpc itself hangs now and then in a child (docs/known-issues.md).
    old = tuple(int(part) for part in grpc.__version__.split(".")[:2]) < (1, 85)
    env = {"GRPC_ENABLE_FORK_SUPPORT": "1"} if old else {}
    ended = surroundings.run([sys.executable, str(Path(__file__).parent / "forking.py")], env=env)
    assert ended.out.splitlines() == ["child one two False two", "child []", "parent two two"]


def test_many_threads_follow_and_close_at_once(client: Client) -> None:
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(5):
                with client.follow() as live:
                    assert live.current.name in ("one", "two")
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for name in ("two", "one") * 5:
        client.set_default(name)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failures == []
    assert our_threads() == set()


def test_closing_leaves_no_thread_and_no_follower(client: Client) -> None:
    before = threading.active_count()
    live = client.follow()
    live.on_change(lambda _: None)
    client.set_default("two", wait_s=30)
    live.close()
    live.close()
    with pytest.raises(DaemonFailed):
        _ = live.current
    assert our_threads() == set()
    wait_for(lambda: not client.status().followers, "the daemon knows that nobody follows")
    wait_for(lambda: threading.active_count() <= before + 1, "grpc's own threads end")


def test_a_callback_may_close_its_follower(client: Client) -> None:
    live = client.follow()
    closed = threading.Event()

    def close(_: ResolvedConnection | None) -> None:
        live.close()
        closed.set()

    live.on_change(close)
    client.set_default("two")
    assert closed.wait(PATIENCE_S)
    wait_for(lambda: not our_threads(), "the threads end")


def test_closing_the_client_closes_its_followers(nexod: Nexod) -> None:
    client = nexod.client()
    live = client.follow()
    client.close()
    with pytest.raises(DaemonFailed):
        _ = live.current
    with pytest.raises(DaemonFailed):
        client.follow()
    with pytest.raises(DaemonFailed):
        client.status()


def test_a_program_that_closes_nothing_still_ends(client: Client, surroundings: Surroundings) -> None:
    program = "import nexo_client; live = nexo_client.connect().follow(); print(live.current.name)"
    ended = surroundings.run([sys.executable, "-c", program])
    assert (ended.out.strip(), ended.err) == ("one", "")


def test_asyncio_follows_by_iteration_and_by_callback(client: Client) -> None:
    async def scenario() -> tuple[list[str | None], list[str | None], str]:
        iterated: list[str | None] = []
        called: list[str | None] = []
        async with (
            nexo_client.aio.connect(client.socket) as asynchronous,
            asynchronous.follow() as live,
        ):
            live.on_change(lambda connection: called.append(connection.name if connection else None))

            async def iterate() -> None:
                async for connection in live:
                    iterated.append(connection.name if connection else None)  # noqa: PERF401 - read as it grows

            async def until(count: int) -> None:
                async with asyncio.timeout(PATIENCE_S):
                    while len(iterated) < count:
                        await asyncio.sleep(0.005)

            task = asyncio.create_task(iterate())
            await until(1)
            switch = await asynchronous.set_default("two", wait_s=30)
            assert switch.pending_followers == ()
            await until(2)
            await asynchronous.delete_connection("two", force=True)
            await until(3)
            problem = type(live.problem).__name__
        await asyncio.wait_for(task, PATIENCE_S)
        return iterated, called, problem

    iterated, called, problem = asyncio.run(scenario())
    assert iterated == ["one", "two", None]
    assert called == ["two", None]
    assert problem == "NoDefaultConnection"
    assert our_threads() == set()
    gc.collect()


def test_watching_goes_on_through_a_restart(client: Client, nexod: Nexod, surroundings: Surroundings) -> None:
    steps: list[LinkEvent] = []
    watcher = watch_forever(client)

    def watch() -> None:
        for step in watcher:
            steps.append(step)  # noqa: PERF402 - read by the other thread while it grows

    thread = threading.Thread(target=watch)
    thread.start()

    def last() -> LinkEvent | None:
        return steps[-1] if steps else None

    wait_for(lambda: steps and steps[0].event and steps[0].event.snapshot, "a snapshot first")
    client.set_default("two")
    wait_for(
        lambda: any(s.event and s.event.connection and s.event.connection.is_default for s in steps),
        "the switch is an event",
    )
    nexod.kill()
    wait_for(lambda: (s := last()) is not None and s.link is Link.AWAY, "the end is a step")
    count = len(steps)
    assert isinstance(steps[-1].error, DaemonNotRunning)
    surroundings.start_nexod()
    # In between the reason of being away may change, and that is told too.
    again = wait_for(lambda: next((s for s in steps[count:] if s.link is Link.CONNECTED), None), "it is back")
    assert again.event is not None
    assert again.event.snapshot is not None
    assert again.event.snapshot.status.default_connection == "two"
    watcher.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_program_that_was_refused_a_thread_follows_and_watches_again(
    client: Client, nexod: Nexod, surroundings: Surroundings
) -> None:
    with no_more_threads(), pytest.raises(LimitReached, match="thread"):
        client.follow()
    with watch_forever(client) as watcher:
        steps = iter(watcher)
        with no_more_threads():
            assert isinstance(next(steps).error, LimitReached)
        step = next(steps)
        assert step.event is not None
        assert step.event.snapshot
    with client.follow() as live:
        nexod.stop()
        wait_for(lambda: live.stale, "the daemon is away")
        with no_more_threads():
            surroundings.start_nexod()
            stream = follow_stream._STREAMS[client.socket]
            wait_for(lambda: isinstance(stream.problem, LimitReached), "the stream is not opened")
        wait_for(lambda: not live.stale, "it follows again")
        client.set_default("two", wait_s=30)
        assert live.current.name == "two"


def test_a_client_calls_a_restarted_daemon_as_if_nothing_had_happened(
    client: Client, nexod: Nexod, surroundings: Surroundings
) -> None:
    assert client.resolve().name == "one"
    nexod.kill()
    with pytest.raises(DaemonNotRunning) as away:
        client.resolve()
    assert "nexoctl daemon start" in away.value.hint
    assert str(client.socket) in str(away.value)
    surroundings.start_nexod()
    assert client.resolve().name == "one"
    client.set_default("two")


def test_a_switch_returns_when_the_last_of_many_different_followers_has_it(
    client: Client, tmp_path: Path
) -> None:
    """Each directory is a question of its own, so the switch reaches this process in as many messages."""
    lives = [client.follow(workspace=tmp_path / str(number)) for number in range(40)]
    for name in ("two", "one") * 10:
        assert client.set_default(name, wait_s=30).pending_followers == ()
        assert [live.current.name for live in lives] == [name] * len(lives)


def test_a_machine_that_is_slow_to_connect_is_no_daemon_that_is_away(nexod: Nexod, client: Client) -> None:
    """64 programs that start at once: the first frame of the daemon takes its time."""
    slow = nexod.socket.with_name("slow.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(slow))
        listener.listen()
        listener.settimeout(30)

        def forward_later() -> None:
            near, _ = listener.accept()
            # Whichever side ends first, the other may still be sending.
            with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(ConnectionError):
                threading.Event().wait(0.4)
                far.connect(os.fspath(nexod.socket))
                while True:
                    for end in select.select([near, far], [], [], 30)[0]:
                        some = end.recv(65536)
                        if not some:
                            return
                        (far if end is near else near).sendall(some)

        forwarder = threading.Thread(target=forward_later)
        forwarder.start()
        with Client(slow) as through:
            assert through.resolve().name == "one"
        forwarder.join(PATIENCE_S)
