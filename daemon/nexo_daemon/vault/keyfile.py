"""The key file: one line for each slot, mode 0600, replaced as a whole, never truncated.

It is in another directory tree than the database, so that a copy of one does not include the other. It may
hold keys of several stores (NEXO_DATA_DIR), so a line is removed only by the slot that owns it.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexo.connections import account, file_locks, files
from nexo.connections.paths import UnsafePathError, hint_if_denied, private_directory
from nexo_daemon.vault.sealing import key_from_text, key_to_text

_TITLE = "# Key of the Nexo Connections vault. Without it the stored API keys are lost. Keep it private."
_LIMIT = 1 << 20
# Bytes of a damaged line are kept as they are, because a person may still repair the line.
_ENCODING = ("utf-8", "surrogateescape")


class KeyFileUnreadableError(Exception):
    """There is a key file that cannot be used; the text says why, `hint` the next step."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def read(path: Path, slot_id: str) -> bytes | None:
    """Read the key of a slot; None if the file or the line is missing.

    Raises:
        KeyFileUnreadableError: wrong owner, mode or kind of file, or a malformed line.
    """
    encoded = _entries(path).get(slot_id)
    if encoded is None:
        return None
    key = key_from_text(encoded)
    if key is None:
        raise KeyFileUnreadableError(
            f"the line of slot {slot_id} in {path} is damaged",
            "put a copy of the file from a backup in place",
        )
    return key


def add(path: Path, slot_id: str, key: bytes) -> None:
    """Add a line, and keep the others. Synced to the disk when it returns.

    Raises:
        KeyFileUnreadableError: the existing file is not private.
        OSError: not written; the old file is unchanged.
    """
    with _locked(path):
        entries = _entries(path)
        if slot_id in entries:
            raise KeyFileUnreadableError(f"{path} already has a key for slot {slot_id}", "")
        entries[slot_id] = key_to_text(key)
        _replace(path, entries)


def remove(path: Path, slot_id: str) -> None:
    """Remove the line of a slot, if there is one, and the file with its last line."""
    if not path.parent.is_dir():
        return
    with _locked(path):
        entries = _entries(path)
        if entries.pop(slot_id, None) is None:
            return
        if entries:
            _replace(path, entries)
        else:
            path.unlink()
            files.sync(path.parent)


def _entries(path: Path) -> dict[str, str]:
    try:
        # Through a symbolic link we could read, or overwrite, a file that somebody else chose.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KeyFileUnreadableError(
            f"the key file {path} cannot be opened: {error.strerror}",
            hint_if_denied(path) or f"look at it: ls -l '{path}'",
        ) from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise KeyFileUnreadableError(f"the key file {path} is not a regular file", f"ls -l '{path}'")
        if problem := account.other_owner(info):
            raise KeyFileUnreadableError(f"the key file {path} {problem}", account.claim(path))
        if problem := account.others_may("read", info):
            raise KeyFileUnreadableError(
                f"the key file {path}: {problem}",
                f"chmod 600 '{path}', then nexoctl vault rekey --to key_file",
            )
        text = os.read(descriptor, _LIMIT).decode(*_ENCODING)
    finally:
        os.close(descriptor)
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {words[0]: words[1] if len(words) > 1 else "" for words in lines if words}


def _replace(path: Path, entries: dict[str, str]) -> None:
    text = "".join([_TITLE, "\n", *(f"{slot} {key}\n" for slot, key in entries.items())])
    files.replace(path, text.encode(*_ENCODING))
    files.sync(path.parent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Two daemons of one user may share the configuration directory but not the store.
    try:
        directory = private_directory(path.parent)
    except UnsafePathError as error:
        raise KeyFileUnreadableError(str(error), error.hint) from None
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file_locks.take(descriptor, within_s=file_locks.WRITING_S)
        # A killed daemon leaves a copy with its keys, which must not outlive them.
        files.discard_unfinished(path)
        yield
    finally:
        os.close(descriptor)
