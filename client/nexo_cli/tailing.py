"""Yields the end of the daemon's log and new lines, through rotations. Not for printing."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PAUSE_S = 0.2


def tail(path: Path, count: int, *, follow: bool) -> Iterator[str]:
    """The last lines, also from before a recent rotation; then, with `follow`, every new line for ever.

    A log that is rotated meanwhile is read to its end, then the new one from its beginning.

    Raises:
        OSError: there is no log, or it cannot be read.
    """
    log: BinaryIO = path.open("rb")
    try:
        present = log.readlines()
        begun = present.pop() if follow and present and not present[-1].endswith(b"\n") else b""
        yield from map(_text, _last(_before(path, count - len(present)) + present, count))
        while follow:
            # Looked up before the old file is read to its end, because nothing is written to it after a
            # rotation.
            newer = _replacement(log, path)
            while added := log.readline():
                begun += added
                if begun.endswith(b"\n"):
                    yield _text(begun)
                    begun = b""
            if newer is None:
                time.sleep(_PAUSE_S)
                continue
            if begun:
                yield _text(begun)
            log.close()
            log, begun = newer, b""
    finally:
        log.close()


def _before(path: Path, count: int) -> list[bytes]:
    """The last lines of the rotated log."""
    if count <= 0:
        return []
    try:
        return _last(path.with_name(f"{path.name}.1").read_bytes().splitlines(keepends=True), count)
    except FileNotFoundError:
        return []


def _last(lines: list[bytes], count: int) -> list[bytes]:
    return lines[max(len(lines) - count, 0) :]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\n").decode("utf-8", errors="replace")


def _replacement(log: BinaryIO, path: Path) -> BinaryIO | None:
    """The file that replaced an open one; the same one again if it was truncated."""
    was = os.fstat(log.fileno())
    try:
        newer = path.open("rb")
    except FileNotFoundError:
        # The rotation is between its two steps.
        return None
    now = os.fstat(newer.fileno())
    if not os.path.samestat(now, was) or now.st_size < log.tell():
        return newer
    newer.close()
    return None
