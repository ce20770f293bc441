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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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
from nexo_daemon.store.holding import held
from nexo_daemon.store.store import Store
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
                remembered=paths.known_stores(),
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
        return gave_up(str(error), _way_round(error.holder))
    except (paths.UnsafePathError, StoreUnusable, NexoError) as error:
        return gave_up(str(error), error.hint)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        hint = paths.way_back_from(error) if error.errno == errno.EACCES else ""
        return gave_up(f"{where}{error.strerror or error}", hint or "nexoctl doctor says what to do about it")


def _way_round(holder: Note | None) -> str:
    if holder is not None and not processes.alive(holder.pid):
        return (
            "it is in another container or on another machine that shares these directories: stop it there, "
            "or choose others here (NEXO_DATA_DIR, NEXO_STATE_DIR)"
        )
    return "talk to that one, or stop it with 'nexoctl daemon stop'"


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

    prober = Prober(clock)
    references = References(clock)
    registry = Registry(store, references, clock)
    journal = Journal(store, clock, registry.on_store_thread)
    journal.recorded = registry.bus.publish
    health_board = HealthBoard(registry, prober, journal, clock, random.Random())  # noqa: S311 - jitter
    resolver = Resolver(registry, health_board, journal, clock)
    hub = FollowHub(resolver, clock)
    # The order matters: the resolver drops shared answers before a follower asks for one.
    registry.listen_to_routing(resolver.on_routing)
    registry.listen_to_routing(hub.on_routing)
    view = View(
        registry,
        health_board,
        started_at=clock.now(),
        socket=socket,
        database=store.path,
        log_file=paths.log_file(),
    )
    view.followers = hub.followers
    process_watch = ProcessWatch()
    tokens = Tokens(registry, process_watch, clock)
    ledger = Ledger(registry, clock)
    routes = Routes(resolver, store.unseal, TlsContexts(), clock)
    router = DaemonRouter(tokens, routes, ledger, health_board.witnessed, clock)
    listener = Listener(router, lambda: _upstream(routes), kept, calls.are_under_way)
    tokens.cut = listener.cut
    health_board.other_network = listener.doubt
    view.gateway_programs = lambda: len(tokens.users())
    hub.changed = tokens.changed = registry.status_changed
    switch = GatewaySwitch(registry, listener, lambda: paths.gateway_socket_path(view.socket))
    registry.is_own_address = routes.is_own_address = switch.is_own
    auto_lock = AutoLocker(registry, clock, lambda: resolver.used_at)
    server = Server(
        calls,
        ConnectionService(registry, health_board, prober, view, hub),
        WorkspaceService(registry, health_board, resolver, hub, view),
        HealthService(registry, health_board, journal, clock),
        DaemonService(registry, journal, view, stop),
        VaultService(registry, auto_lock),
        StoreService(registry, journal),
        GatewayService(registry, resolver, tokens, switch, ledger),
    )

    def moved(to: Path) -> None:
        view.socket = to
        lock.note(to, ready=True)

    def note() -> None:
        with contextlib.suppress(OSError):
            lock.note(view.socket, ready=True, problem=store.problem)

    def note_change() -> None:
        if store.problem != lock.problem:
            note()

    await tokens.load()
    await auto_lock.load()
    # Started before any secret is handed out.
    owned = {asyncio.create_task(steadily("journal", journal.run, clock), name="journal")}
    await server.start(socket)
    await switch.load()
    note()
    registry.listen_to_routing(note_change)
    registry.listen_to_reload(lambda: try_seals(registry))
    log.info("ready with %d connections", len(registry.snapshot.connections))
    if background:
        leave_stderr()
    count = len(registry.snapshot.connections)
    notify(f"READY=1\nSTATUS={count} connection{'' if count == 1 else 's'}")
    told = asyncio.create_task(stop.wait(), name="stop")
    # Programs that waited for the daemon call now; imports would slow the first answers down.
    await asyncio.wait({told}, timeout=_FIRST_CALLS_S)
    # If it fails, the loop's handler logs that, and the first check imports what it needs.
    await asyncio.wait(
        {
            asyncio.create_task(_prepare(registry, prober), name="prepare"),
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
    owned |= {
        asyncio.create_task(health_board.monitor.run(), name="health"),
        *(
            asyncio.create_task(steadily(name, work, clock), name=name)
            for name, work in {
                "usage": ledger.run,
                "gateway": lambda: switch.stay_open(clock),
                "auto-lock": auto_lock.run,
                "vault": lambda: look_after_the_vault(registry, clock),
                "replaced keys": lambda: forget_when_due(registry, clock),
                "upkeep": lambda: keep_in_order(registry, clock),
                "store": lambda: watch_the_store(registry, clock),
            }.items()
        ),
        asyncio.create_task(stay_present(server, lock, wanted, moved, clock), name="socket"),
    }
    interval_s = watchdog_interval_s()
    if interval_s is not None:
        owned.add(asyncio.create_task(feed_watchdog(interval_s), name="watchdog"))
    await asyncio.wait({told, *owned}, return_when=asyncio.FIRST_COMPLETED)
    exit_code = 0
    for task in owned:
        if task.done():
            # Checks, socket and watchdog: without them the health would be outdated, or the daemon
            # unreachable.
            log.critical("the task '%s' ended unexpectedly (%s)", task.get_name(), _cause(task))
            exit_code = 1
    stop.must_end(exit_code)

    notify("STOPPING=1")
    told.cancel()
    stopping = asyncio.create_task(server.stop())
    await switch.close()
    process_watch.close()
    registry.bus.close()
    hub.close()
    for task in owned:
        task.cancel()
    await asyncio.gather(*owned, return_exceptions=True)
    await stopping
    await health_board.close()
    await references.aclose()
    await journal.flush()
    await ledger.flush()
    await registry.close()
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
