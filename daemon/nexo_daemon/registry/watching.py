"""Does the store still lie where it was opened? Looked at every few seconds, and said to whoever watches."""

import logging
from collections.abc import Callable

from nexo_daemon.domain.clock import Clock
from nexo_daemon.logs import StandingFailure
from nexo_daemon.registry.change import Effects
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.store import Store

log = logging.getLogger("nexod")

EVERY_S = 2.0


async def watch_the_store(writer: Writer, clock: Clock) -> None:
    """Until cancelled. A file that was removed, replaced or made read-only is no store to say "Saved" of."""
    failure = StandingFailure(log, "the store is back and cannot be opened")
    store = writer.store
    said = store.problem
    while True:
        await clock.sleep(EVERY_S)
        if await writer.on_store_thread(store.look):
            try:
                await writer.reload(store.reopen)
            except StoreUnusable as error:
                failure.came(error.message)
            else:
                failure.is_over()
        if store.problem != said:
            # By this look, or by one of somebody who asked for the status.
            said = store.problem
            if said:
                log.error("the store takes no changes: %s", said)
            else:
                log.warning("the store takes changes again: %s", store.path)
            writer.tell(Effects())


class Told:
    """Tells when the problem of the store becomes another one, or goes. Listener of the registry."""

    def __init__(self, store: Store, tell: Callable[[str], None]) -> None:
        self._store = store
        self._tell = tell
        self._said = store.problem

    def on_routing(self) -> None:
        """See `RoutingListener`."""
        problem = self._store.problem
        if problem != self._said:
            self._said = problem
            self._tell(problem)
