"""Remembers where stores have been, so that a missing one is noticed and not replaced by an empty one.

Kept with the lock and the log, in another directory tree: removing the store does not remove it.
"""

import json
from contextlib import suppress
from pathlib import Path

from nexo.connections import files

_MOST = 64


class KnownStores:
    """A file with paths, the newest last. If it cannot be written, new stores are not remembered."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def knows(self, path: Path) -> bool:
        """Whether there was a store at `path`."""
        return str(path) in self._paths()

    def add(self, path: Path) -> None:
        """Remember the store at `path`."""
        paths = self._paths()
        if self._file is None or str(path) in paths:
            return
        text = json.dumps({"stores": [*paths, str(path)][-_MOST:]})
        with suppress(OSError):
            files.replace(self._file, text.encode())
            files.sync(self._file.parent)

    def _paths(self) -> list[str]:
        if self._file is None or not self._file.is_file():
            return []
        try:
            found = json.loads(self._file.read_bytes())["stores"]
            return [one for one in found if isinstance(one, str)]
        except (OSError, ValueError, KeyError, TypeError):
            return []
