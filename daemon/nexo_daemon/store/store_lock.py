"""One daemon for each store: a lock beside it, held while it is open.

The lock of the daemon (`nexo_daemon.lock`) is in the state directory. It does not keep away a daemon with
another state directory, such as one in a container with the same data directory: each would save its own idea
of the settings over that of the other (seen).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexo.connections import file_locks
from nexo.connections.paths import private_directory
from nexo_daemon.store.files import StoreUnusable


@contextmanager
def held(store: Path) -> Iterator[None]:
    """Hold the lock file beside the store, which is never removed.

    There is no lock if its directory cannot be written: then nobody writes, and several may read.

    Raises:
        StoreUnusable: another daemon uses the store.
        UnsafePathError: its directory is not private.
    """
    file = _opened(store.with_name("store.lock"))
    try:
        if file is not None:
            _take(file, store)
        yield
    finally:
        if file is not None:
            os.close(file)


def _opened(path: Path) -> int | None:
    try:
        private_directory(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError:
        # Read-only, full or broken: opening the store finds that out and says it.
        return None


def _take(file: int, store: Path) -> None:
    try:
        file_locks.take(file)
    except BlockingIOError:
        raise StoreUnusable(
            f"another nexod uses the store {store}",
            "stop that one (it may run in a container, or with another NEXO_STATE_DIR), or choose another "
            "place here: export NEXO_DATA_DIR=…",
        ) from None
    except OSError:
        # This file system has no locks: see `files.require_locks`.
        return
