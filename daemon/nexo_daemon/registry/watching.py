"""Does the store still lie where it was opened? Looked at every few seconds, and said to whoever watches."""

import contextlib
import logging
from collections.abc import Callable

from nexo_daemon.domain.clock import Clock
from nexo_daemon.logs import StandingFailure
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.store import Look

log = logging.getLogger("nexod")

EVERY_S = 2.0


async def watch_the_store(writer: Writer, changed: Callable[[], None], clock: Clock) -> None:
    """Until cancelled. A file that was removed, replaced or made read-only is no store to say "Saved" of.

    Args:
        changed: told that it takes changes, or takes none, other than before.
    """
    failure = StandingFailure(log, "the store is back and cannot be opened")
    store = writer.store
    said = store.problem
    while True:
        await clock.sleep(EVERY_S)
        look = await writer.on_store_thread(store.look)
        if look is Look.BACK:
            try:
                await writer.reload(store.reopen)
            except StoreUnusable as error:
                failure.came(error.message)
            else:
                failure.is_over()
                log.warning("the store is back: %s", store.path)
        elif look is Look.CHANGED:
            if store.problem:
                log.error("the store takes no changes: %s", store.problem)
            else:
                log.warning("the store takes changes again: %s", store.path)
            writer.publish(writer.snapshot, status=True)
        if store.problem != said:
            # By this look, or by a restore since the last one.
            said = store.problem
            with contextlib.suppress(OSError):
                changed()
