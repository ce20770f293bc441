"""Replaces a settings file by a changed one, and undoes that.

The file appears at once or not at all, keeps its mode, and stays a link if it was one. Before the first
change, a copy is kept beside it until `undo`: the file, or a note that there was none, with the directories
that were created for it.
"""

import codecs
import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from nexo.connections import files
from nexo.connections.values import frozen
from nexo_cli.setups.edits import FileForm, PlacedValue, edited, says_nothing, values
from nexo_cli.setups.place import ABSENT
from nexo_cli.setups.templates import filled, has_words, made_from
from nexo_sources import reading
from nexo_sources.reading import Unreadable

SUFFIX = ".before-nexo"
_ABSENT_SUFFIX = ".not-there-before-nexo"
_NEW_MODE = 0o600
_COMMENT_MARKS = ("#", "//", "/*")


def backup_of(path: Path) -> Path:
    """The path of the copy from before the first change."""
    real = _real(path)
    return real.with_name(real.name + SUFFIX)


def write(
    path: Path,
    form: FileForm,
    templates: Sequence[PlacedValue],
    words: Mapping[str, str],
    *,
    start: str = "",
) -> bool:
    """Change the file, and keep a copy; returns whether anything changed.

    Args:
        start: the text of a new file, before the changes.

    Raises:
        Unreadable: it cannot be read or changed safely; it was not changed.
        OSError: it cannot be written; likewise.
    """
    before = reading.text_of(path)
    changes = [PlacedValue(one.place, filled(one.value, words)) for one in templates]
    after = edited(before or start, form, changes)
    if after == before:
        return False
    real = _real(path)
    if before is None:
        backup_of(path).unlink(missing_ok=True)
        _note_absence(real)
    elif not _holds_ours(before, form, templates):
        # An older copy is from another set-up, which the person has undone by hand.
        files.replace(backup_of(path), real.read_bytes(), _mode(real))
        _absence_of(real).unlink(missing_ok=True)
    _replace(real, before, after)
    return True


def undo(path: Path, form: FileForm, templates: Sequence[PlacedValue], *, start: str = "") -> bool:
    """Restore the values from before `write`; returns whether anything changed.

    Other changes since then stay. If there were none, the file is the same as before, byte for byte. A value
    that the person has changed since then stays, too. In that case the old addresses and keys are not
    restored, because an old key must not meet a new address; the copy then stays.

    Raises:
        Unreadable, OSError: as `write`.
    """
    real = _real(path)
    for one in (real, backup_of(path), _absence_of(real)):
        files.discard_unfinished(one)
    changed = _undone(path, form, templates, start)
    _leave(real)
    return changed


def _undone(path: Path, form: FileForm, templates: Sequence[PlacedValue], start: str) -> bool:
    real, backup = _real(path), backup_of(path)
    current, before = reading.text_of(path), reading.text_of(backup)
    if current is None:
        return False
    if current == before:
        # A killed `write` had made the copy, and nothing else.
        backup.unlink()
        return False
    is_new = _absence_of(real).exists()
    has_copy = before is not None or is_new
    if not has_copy and not _holds_ours(current, form, templates):
        return False
    spots = _spots(current, before or "", form, templates)
    whole = all(spot.is_ours for spot in spots if spot.is_of_account)
    if before is not None and _is_only_changed_by_us(current, before or start, form, spots):
        _require_unchanged(real, current)
        backup.replace(real)
        return True
    after = edited(current, form, [spot.undone(whole=whole) for spot in spots if spot.is_ours])
    if has_copy:
        after = _without_tables_of_ours(after, form, templates, before or "")
    if after != current:
        # A comment in it is the person's.
        empty = says_nothing(after, form) and not any(mark in after for mark in _COMMENT_MARKS)
        if is_new and (empty or after == start):
            _require_unchanged(real, current)
            real.unlink()
        else:
            _replace(real, current, after)
    if whole:
        backup.unlink(missing_ok=True)
    return after != current


@frozen
class _Spot:
    """A place that `write` changes, with its present and its former value."""

    template: PlacedValue
    now: PlacedValue
    before: PlacedValue

    @property
    def is_ours(self) -> bool:
        """Whether the present value is from `write`."""
        return made_from(self.template.value, self.now.value)

    @property
    def is_of_account(self) -> bool:
        """Whether it holds an address, a key or a model; such values belong together."""
        return self.template.value is ABSENT or has_words(self.template.value)

    def undone(self, *, whole: bool) -> PlacedValue:
        """The value to restore; `whole`: the account can be restored, because all of it is from `write`."""
        if whole or not self.is_of_account:
            return self.before
        return PlacedValue(self.before.place, ABSENT)


def _spots(current: str, before: str, form: FileForm, templates: Sequence[PlacedValue]) -> list[_Spot]:
    places = [one.place for one in templates]
    rows = zip(templates, values(current, form, places), values(before, form, places), strict=True)
    return [_Spot(*row) for row in rows]


def _is_only_changed_by_us(current: str, before: str, form: FileForm, spots: Sequence[_Spot]) -> bool:
    return (
        all(spot.is_ours for spot in spots) and edited(before, form, [spot.now for spot in spots]) == current
    )


def _without_tables_of_ours(text: str, form: FileForm, templates: Sequence[PlacedValue], before: str) -> str:
    """The text without the tables that `write` created and that are empty now.

    For some programs even an empty table is a setting: OpenCode offers the models of each provider with one.
    """
    parents = {one.place[:end] for one in templates for end in range(1, len(one.place))}
    for place in sorted(parents, key=len, reverse=True):
        (was,), (now,) = values(before, form, [place]), values(text, form, [place])
        if was.value is not ABSENT or now.value not in ({}, [], None):
            continue
        less = edited(text, form, [PlacedValue(place, ABSENT)])
        # As above.
        if all(less.count(mark) == text.count(mark) for mark in _COMMENT_MARKS):
            text = less
    return text


def _holds_ours(text: str, form: FileForm, templates: Sequence[PlacedValue]) -> bool:
    """Whether an address or a token of the gateway is in one of the places."""
    now = values(text, form, [one.place for one in templates])
    return any(
        has_words(template.value) and made_from(template.value, value.value)
        for template, value in zip(templates, now, strict=True)
    )


def _real(path: Path) -> Path:
    """The file behind the links; it may not exist."""
    try:
        return path.resolve(strict=True)
    except FileNotFoundError:
        return path.resolve()
    except RuntimeError:
        # As Python before 3.13 reports ELOOP.
        raise Unreadable("it is a link that leads back to itself") from None


def _require_unchanged(real: Path, text: str | None) -> None:
    if reading.text_of(real) != text:
        raise Unreadable("another program changed it at the same time; try again")


def _replace(real: Path, before: str | None, after: str) -> None:
    marked = before is not None and real.read_bytes().startswith(codecs.BOM_UTF8)
    mode = _mode(real) if before is not None else _NEW_MODE
    content = after.encode("utf-8-sig" if marked else "utf-8")
    files.replace(real, content, mode, lambda: _require_unchanged(real, before))


def _absence_of(real: Path) -> Path:
    return real.with_name(real.name + _ABSENT_SUFFIX)


def _note_absence(real: Path) -> None:
    missing = [parent for parent in real.parents if not parent.exists()]
    real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _absence_of(real).exists():
        files.replace(_absence_of(real), b"".join(os.fsencode(one) + b"\0" for one in missing))


def _leave(real: Path) -> None:
    """Remove the directories that `write` created for this file and that are empty now."""
    note = _absence_of(real)
    if not note.is_file():
        return
    made = {Path(os.fsdecode(name)) for name in note.read_bytes().split(b"\0")}
    note.unlink()
    with contextlib.suppress(OSError):
        # The innermost first; stops at the first one that is not empty.
        for parent in real.parents:
            if parent not in made:
                return
            parent.rmdir()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
