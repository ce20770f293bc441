"""`setup --write` and `--undo` leave the directories of a home as they were."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_cli.setups import writing
from nexo_cli.setups.edits import PlacedValue
from nexo_cli.setups.programs import PROGRAMS

SETTING = next(setting for program in PROGRAMS for setting in program.settings)
FORM = SETTING.form
PLACE = SETTING.entries[0][0]
TEMPLATES = [PlacedValue(PLACE, "{token}")]


@given(
    there=st.integers(0, 3),
    others=st.sets(st.integers(0, 3), max_size=2),
    again=st.sampled_from(["", "over it", "anew"]),
    deleted=st.booleans(),
)
def test_what_was_not_there_goes_and_what_was_stays(
    tmp_path_factory: pytest.TempPathFactory, there: int, others: set[int], again: str, deleted: bool
) -> None:
    root = tmp_path_factory.mktemp("home")
    levels = [root, root / "a", root / "a" / "b", root / "a" / "b" / "c"]
    levels[there].mkdir(parents=True, exist_ok=True)
    before = set(root.rglob("*"))
    file = levels[3] / "settings"
    writing.write(file, FORM, TEMPLATES, {"token": "nexo_written"})
    if again == "anew":
        file.unlink()
    if again:
        writing.write(file, FORM, TEMPLATES, {"token": "nexo_again"})
    mine = {levels[level] / "mine" for level in others}
    for path in mine:
        path.touch()
    if deleted:
        file.unlink()
    writing.undo(file, FORM, TEMPLATES)
    left = set(root.rglob("*"))
    needed = {parent for path in mine for parent in path.parents if root in parent.parents}
    assert left == before | mine | needed


def test_a_note_that_names_other_directories_removes_none_of_them(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    file = tmp_path / "new" / "settings"
    writing.write(file, FORM, TEMPLATES, {"token": "nexo_written"})
    (note,) = [path for path in file.parent.iterdir() if path != file]
    note.write_bytes(bytes(other) + b"\0" + bytes(tmp_path) + b"\0")
    writing.undo(file, FORM, TEMPLATES)
    assert other.is_dir()
    assert file.parent.is_dir()
