"""The life of the daemon from top to bottom: its parts, and the order of start and stop.

umask → lock → log → store and vault → registry, health board, services → socket → a call through the socket
→ READY → health checks … stop: refuse → end streams → cancel checks → write → checkpoint → socket → lock
"""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import random
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexo.connections import limits, paths, processes
from nexo.connections.errors import NexoError
from nexo.connections.hardening import harden
from nexo.connections.lock_note import Note
from nexo.connections.version import __version__
from nexo_daemon.domain.clock import Clock, SystemClock
from nexo_daemon.domain.thread_pool import IMPORTS
from nexo_daemon.gateway.daemon_router import DaemonRouter
from nexo_daemon.gateway.ledger import Ledger
from nexo_daemon.gateway.process_watch import ProcessWatch
from nexo_daemon.gateway.routes import Routes
from nexo_daemon.gateway.switch import GatewaySwitch
from nexo_daemon.gateway.tokens import Tokens
from nexo_daemon.kept_sockets import KeptSockets
from nexo_daemon.lock import AlreadyRunning, InstanceLock
from nexo_daemon.logs import LoopHandler, leave_stderr, start_logging
from nexo_daemon.notify import feed_watchdog, gave_up, notify, watchdog_interval_s
from nexo_daemon.providers.prober import Prober
from nexo_daemon.providers.tls import TlsContexts
from nexo_daemon.registry.auto_lock import AutoLocker
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.upkeep import (
    forget_when_due,
    keep_in_order,
    steadily,
    try_seals,
    watch_the_store,
)
from nexo_daemon.rpc.calls import Calls, TellingLoop
from nexo_daemon.rpc.connections import ConnectionService
from nexo_daemon.rpc.daemon import DaemonService
from nexo_daemon.rpc.follow import FollowHub
from nexo_daemon.rpc.gateway import GatewayService
from nexo_daemon.rpc.health import HealthService
from nexo_daemon.rpc.presence import stay_present
from nexo_daemon.rpc.resolver import Resolver
from nexo_daemon.rpc.server import Server
from nexo_daemon.rpc.store import StoreService
from nexo_daemon.rpc.vault import VaultService, look_after_the_vault
from nexo_daemon.rpc.view import View
from nexo_daemon.rpc.workspaces import WorkspaceService
from nexo_daemon.stopping import Stop
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.store import Store
from nexo_daemon.store.store_lock import held
from nexo_daemon.vault.references import References
from nexo_gateway.server import Listener

if TYPE_CHECKING:
    from nexo_gateway.upstream import Upstream

log = logging.getLogger("nexod")

# A client of gRPC that waits for a socket tries again every 0.1 s.
_FIRST_CALLS_S = 0.25


def run(wanted: Callable[[], Path], kept: KeptSockets, *, background: bool = False) -> int:
    """Run until told to stop; returns the exit code. In the background, stderr is left once it is ready.

    Args:
        wanted: returns the path of the socket; called again, because the run-time directory may come and go.
        kept: sockets of an earlier daemon.
    """
    socket = wanted()
    stop = Stop()
    stop.listen()
    harden()
    limits.raise_files()
    try:
        with (
            InstanceLock(paths.lock_file(), socket.parent / paths.lock_file().name) as lock,
            held(paths.database()),
        ):
            lock.note(socket, ready=False)
            start_logging(paths.log_file(), os.environ.get("NEXO_LOG", ""))
            log.info("nexod %s starts (pid %d, socket %s)", __version__, os.getpid(), socket)
            for problem in kept.problems:
                log.warning("%s", problem)
            clock = SystemClock()
            store = Store.open(
                paths.database(),
                key_file=paths.key_file(),
                clock=clock,
                known_stores=paths.known_stores(),
            )
            try:
                calls = Calls()
                with asyncio.Runner(loop_factory=lambda: TellingLoop(calls.woken)) as runner:
                    return runner.run(
                        _serve(store, lock, wanted, kept, clock, stop, calls, background=background)
                    )
            finally:
                store.rescue()
                store.close()
                log.info("nexod stopped")
    except AlreadyRunning as error:
        return gave_up(str(error), _hint_about(error.holder))
    except (paths.UnsafePathError, StoreUnusable, NexoError) as error:
        return gave_up(str(error), error.hint)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        hint = paths.hint_for_error(error) if error.errno == errno.EACCES else ""
        return gave_up(f"{where}{error.strerror or error}", hint or "nexoctl doctor says what to do about it")


def _hint_about(holder: Note | None) -> str:
    if holder is not None and not processes.alive(holder.pid):
        return (
            "it is in another container or on another machine that shares these directories: stop it there, "
            "or choose others here (NEXO_DATA_DIR, NEXO_STATE_DIR)"
        )
    return "talk to that one, or stop it with 'nexoctl daemon stop'"


class _Parts:
    """The parts of the daemon, connected with each other. Nothing runs yet."""

    def __init__(
        self, store: Store, kept: KeptSockets, clock: Clock, stop: Stop, calls: Calls, socket: Path
    ) -> None:
        self.clock = clock
        self.prober = Prober(clock)
        self.references = References(clock)
        self.registry = registry = Registry(store, self.references, clock)
        self.journal = Journal(store, clock, registry.on_store_thread)
        self.journal.recorded = registry.bus.publish
        self.health_board = HealthBoard(registry, self.prober, self.journal, clock, random.Random())  # noqa: S311 - jitter
        resolver = Resolver(registry, self.health_board, self.journal, clock)
        self.hub = FollowHub(resolver, clock, registry.status_changed)
        # The order matters: the resolver drops shared answers before a follower asks for one.
        registry.listen_to_routing(resolver.on_routing)
        registry.listen_to_routing(self.hub.on_routing)
        self.process_watch = ProcessWatch()
        self.tokens = Tokens(registry, self.process_watch, clock)
        self.view = View(
            registry,
            self.health_board,
            started_at=clock.now(),
            socket=socket,
            database=store.path,
            log_file=paths.log_file(),
            followers=self.hub.followers,
            gateway_programs=lambda: len(self.tokens.users()),
        )
        self.ledger = Ledger(registry, clock)
        routes = Routes(resolver, store.unseal, TlsContexts(), clock)
        router = DaemonRouter(self.tokens, routes, self.ledger, self.health_board.witnessed, clock)
        listener = Listener(router, lambda: _upstream(routes), kept, calls.are_under_way)
        self.tokens.cut = listener.cut
        self.health_board.other_network = listener.doubt
        self.switch = GatewaySwitch(registry, listener, lambda: paths.gateway_socket_path(self.view.socket))
        registry.is_own_address = routes.is_own_address = self.switch.is_own
        self.auto_lock = AutoLocker(registry, clock, lambda: resolver.used_at)
        self.server = Server(
            calls,
            ConnectionService(registry, self.health_board, self.prober, self.view, self.hub),
            WorkspaceService(registry, self.health_board, resolver, self.hub, self.view),
            HealthService(registry, self.health_board, self.journal, clock),
            DaemonService(registry, self.journal, self.view, stop),
            VaultService(registry, self.auto_lock),
            StoreService(registry, self.journal),
            GatewayService(registry, resolver, self.tokens, self.switch, self.ledger),
        )

    def run(self) -> set[asyncio.Task[None]]:
        """Start the work that goes on until the end, apart from the journal's and the socket's."""
        registry, clock = self.registry, self.clock
        work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "usage": self.ledger.run,
            "gateway": lambda: self.switch.stay_open(clock),
            "auto-lock": self.auto_lock.run,
            "vault": lambda: look_after_the_vault(registry, clock),
            "replaced keys": lambda: forget_when_due(registry, clock),
            "upkeep": lambda: keep_in_order(registry, clock),
            "store": lambda: watch_the_store(registry, clock),
        }
        started = {asyncio.create_task(steadily(name, one, clock), name=name) for name, one in work.items()}
        started.add(asyncio.create_task(self.health_board.monitor.run(), name="health"))
        interval_s = watchdog_interval_s()
        if interval_s is not None:
            started.add(asyncio.create_task(feed_watchdog(interval_s), name="watchdog"))
        return started

    async def stop(self, running: Collection[asyncio.Task[None]]) -> None:
        """Refuse new calls, end what runs, and write what is not written yet."""
        stopping = asyncio.create_task(self.server.stop())
        await self.switch.close()
        self.process_watch.close()
        self.registry.bus.close()
        self.hub.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await stopping
        await self.health_board.close()
        await self.references.aclose()
        await self.journal.flush()
        await self.ledger.flush()
        await self.registry.close()


async def _serve(
    store: Store,
    lock: InstanceLock,
    wanted: Callable[[], Path],
    kept: KeptSockets,
    clock: Clock,
    stop: Stop,
    calls: Calls,
    *,
    background: bool,
) -> int:
    socket = wanted()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(LoopHandler())
    stop.attach(loop)
    parts = _Parts(store, kept, clock, stop, calls, socket)
    registry, view = parts.registry, parts.view

    def moved(to: Path) -> None:
        view.socket = to
        lock.note(to, ready=True)

    def note() -> None:
        with contextlib.suppress(OSError):
            lock.note(view.socket, ready=True, problem=store.problem)

    def note_change() -> None:
        if store.problem != lock.problem:
            note()

    await parts.tokens.load()
    await parts.auto_lock.load()
    # Started before any secret is handed out.
    running = {asyncio.create_task(steadily("journal", parts.journal.run, clock), name="journal")}
    await parts.server.start(socket)
    await parts.switch.load()
    note()
    registry.listen_to_routing(note_change)
    registry.listen_to_reload(lambda: try_seals(registry))
    count = len(registry.snapshot.connections)
    log.info("ready with %d connections", count)
    if background:
        leave_stderr()
    notify(f"READY=1\nSTATUS={count} connection{'' if count == 1 else 's'}")
    told = asyncio.create_task(stop.wait(), name="stop")
    # Programs that waited for the daemon call now; imports would slow the first answers down.
    await asyncio.wait({told}, timeout=_FIRST_CALLS_S)
    # If it fails, the loop's handler logs that, and the first check imports what it needs.
    await asyncio.wait(
        {
            asyncio.create_task(_prepare(registry, parts.prober), name="prepare"),
            asyncio.create_task(try_seals(registry), name="seals"),
        }
    )
    # A full collection over modules, schema and stored connections delays every call by 45 ms (1 000
    # connections, 2026-11-23), again and again, and finds nothing.
    gc.freeze()
    # A switch that reaches 1 000 followers creates tens of thousands of objects that live for milliseconds:
    # with the default of 700, the search for garbage took a sixth of its CPU (2026-11-23).
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    running |= parts.run()
    running.add(asyncio.create_task(stay_present(parts.server, lock, wanted, moved, clock), name="socket"))
    await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
    # Checks, socket and watchdog: without them the health would be outdated, or the daemon unreachable.
    ended = [task for task in running if task.done()]
    for task in ended:
        log.critical("the task '%s' ended unexpectedly (%s)", task.get_name(), _cause(task))
    exit_code = 1 if ended else 0
    stop.must_end(exit_code)
    notify("STOPPING=1")
    told.cancel()
    await parts.stop(running)
    return exit_code or stop.exit_code


async def _prepare(registry: Registry, prober: Prober) -> None:
    """Import what the first answer did not need, one after the other, so that calls can run in between."""
    await IMPORTS.run(registry.store.load_what_writes)
    # The first change reports the problem.
    with contextlib.suppress(NexoError):
        await registry.on_store_thread(registry.store.prepare)
    await prober.prepare()


def _upstream(routes: Routes) -> "Upstream":
    from nexo_daemon.gateway.backend import Backend
    from nexo_gateway.upstream import Upstream

    return Upstream(lambda: Backend(routes.is_own_address))


def _cause(task: asyncio.Task[None]) -> str:
    if task.cancelled():
        return "cancelled"
    return type(task.exception()).__name__
