"""Replaces a settings file by a changed one, and undoes that.

The file appears at once or not at all, keeps its mode, and stays a link if it was one. Before the first
change, a copy is kept beside it until `undo`: the file, or a note that there was none, with the directories
that were created for it.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nexo_cli.setups.edits import FileForm, PlacedValue, edited, says_nothing, values
from nexo_cli.setups.place import ABSENT
from nexo_sources import reading
from nexo_sources.reading import Unreadable

SUFFIX = ".before-nexo"
_ABSENT_SUFFIX = ".not-there-before-nexo"
_NEW_MODE = 0o600


def backup_of(path: Path) -> Path:
    """The path of the copy from before the first change."""
    real = path.resolve()
    return real.with_name(real.name + SUFFIX)


def write(path: Path, form: FileForm, changes: Sequence[PlacedValue]) -> bool:
    """Change the file, and keep a copy; returns whether anything changed.

    Raises:
        Unreadable: it cannot be read or changed safely; it was not changed.
        OSError: it cannot be written; likewise.
    """
    before = reading.text_of(path)
    after = edited(before or "", form, changes)
    if after == before:
        return False
    real = path.resolve()
    if before is None:
        _note_absence(real)
    elif not _absence_of(real).exists():
        # Never replaces an older copy, because that is from before the first change.
        with contextlib.suppress(FileExistsError):
            _create(backup_of(path), real.read_bytes(), _mode(real))
    _replace(real, before, after)
    return True


def undo(path: Path, form: FileForm, changes: Sequence[PlacedValue]) -> bool:
    """Restore the values from before `write`; returns whether anything changed.

    Other changes since then stay. If there were none, the file is the same as before, byte for byte.

    Raises:
        Unreadable, OSError: as `write`.
    """
    changed = _undone(path, form, changes)
    _leave(path.resolve())
    return changed


def _undone(path: Path, form: FileForm, changes: Sequence[PlacedValue]) -> bool:
    current, backup = reading.text_of(path), backup_of(path)
    before = reading.text_of(backup)
    if current is None:
        return False
    places = [change.place for change in changes]
    if before is not None and edited(before, form, values(current, form, places)) == current:
        backup.replace(path.resolve())
        return True
    former = (
        [PlacedValue(place, ABSENT) for place in places] if before is None else values(before, form, places)
    )
    after = edited(current, form, former)
    if before is None and after != current and says_nothing(after, form):
        path.resolve().unlink()
    elif after != current:
        _replace(path.resolve(), current, after)
    backup.unlink(missing_ok=True)
    return after != current


def _replace(real: Path, before: str | None, after: str) -> None:
    mode = _mode(real) if before is not None else _NEW_MODE
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after.encode())
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        if reading.text_of(real) != before:
            raise Unreadable("another program changed it at the same time; try again")
        Path(name).replace(real)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _absence_of(real: Path) -> Path:
    return real.with_name(real.name + _ABSENT_SUFFIX)


def _note_absence(real: Path) -> None:
    missing = [parent for parent in real.parents if not parent.exists()]
    real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        _create(_absence_of(real), b"".join(os.fsencode(one) + b"\0" for one in missing), _NEW_MODE)


def _leave(real: Path) -> None:
    """Remove the directories that `write` created for this file and that are empty now."""
    note = _absence_of(real)
    if not note.is_file() or note.is_symlink():
        return
    made = {Path(os.fsdecode(name)) for name in note.read_bytes().split(b"\0") if name}
    note.unlink()
    with contextlib.suppress(OSError):
        # The innermost first; stops at the first one that is not empty.
        for parent in real.parents:
            if parent not in made:
                return
            parent.rmdir()


def _create(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
