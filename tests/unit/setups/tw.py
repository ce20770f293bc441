"""A settings file is replaced whole or not at all; `undo` takes back what `write` did, and nothing else."""

import codecs
import json
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexo_cli.setups import writing
from nexo_cli.setups.edits import FileForm, PlacedValue, edited, value_at, values
from nexo_cli.setups.place import ABSENT, ListEntry
from nexo_cli.setups.programs import PROGRAMS, Setting
from nexo_cli.setups.templates import has_words
from nexo_sources import reading
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable

WORDS = {
    "openai": "http://127.0.0.1:20100/openai/v1",
    "anthropic": "http://127.0.0.1:20100/anthropic",
    "google": "http://127.0.0.1:20100/google",
    "token": "nexo_a-token",
    "model": "model-a",
}
LATER = {name: text.replace("20100", "20200") for name, text in WORDS.items()} | {"token": "nexo_another"}
SETTINGS = [setting for program in PROGRAMS for setting in program.settings]

FILES = [
    (FileForm.JSON, '{\n  // mine\n  "env": {"ANTHROPIC_API_KEY": "sk-old"}, "b": 1\n}\n'),
    (FileForm.ENV, "# mine\nANTHROPIC_API_KEY=sk-old\n"),
]
PARSE = {
    FileForm.JSON: loose_json_of,
    FileForm.TOML: tomllib.loads,
    FileForm.YAML: reading.yaml_of,
    FileForm.ENV: reading.variables_of,
}
TEMPLATES = {
    FileForm.JSON: [
        PlacedValue(("env", "ANTHROPIC_API_KEY"), ABSENT),
        PlacedValue(("env", "TOKEN"), "{token}"),
    ],
    FileForm.ENV: [PlacedValue(("ANTHROPIC_API_KEY",), ABSENT), PlacedValue(("TOKEN",), "{token}")],
}


def write(path: Path, form: FileForm) -> bool:
    return writing.write(path, form, TEMPLATES[form], WORDS)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize(("form", "text"), FILES)
def test_a_file_keeps_its_mode_mark_and_line_ends_and_undo_gives_it_back_to_the_byte(
    form: FileForm, text: str, mark: bytes, line_end: str, tmp_path: Path
) -> None:
    path = tmp_path / "settings"
    content = mark + text.replace("\n", line_end).encode()
    path.write_bytes(content)
    path.chmod(0o640)
    assert write(path, form)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    written = path.read_bytes()
    assert written.startswith(codecs.BOM_UTF8) is bool(mark)
    assert written.count(b"\n") == written.count(line_end.encode()) > 0
    assert not write(path, form)
    assert writing.undo(path, form, TEMPLATES[form])
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["settings"]


def test_undo_keeps_what_was_changed_since(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    form, text = FILES[0]
    path.write_text(text)
    write(path, form)
    path.write_text(path.read_text().replace('"b": 1', '"b": 2, "c": 3'))
    assert writing.undo(path, form, TEMPLATES[form])
    assert loose_json_of(path.read_text()) == {"env": {"ANTHROPIC_API_KEY": "sk-old"}, "b": 2, "c": 3}
    assert [one.name for one in tmp_path.iterdir()] == ["settings"]


@pytest.mark.parametrize(
    "setting",
    [one for one in SETTINGS if not isinstance(one.entries[0][0][0], ListEntry)],
    ids=lambda setting: setting.file().name,
)
@pytest.mark.parametrize("there", [False, True])
def test_undo_leaves_no_empty_table_in_a_file_that_its_program_has_changed(
    tmp_path: Path, setting: Setting, there: bool
) -> None:
    path, form, entries = tmp_path / "settings", setting.form, setting.templates
    theirs = [PlacedValue(("written_by_the_program",), "x")]
    if there:
        path.write_text(edited("", form, [PlacedValue(("own",), "y")]))
    writing.write(path, form, entries, WORDS)
    path.write_text(edited(path.read_text(), form, theirs))
    writing.undo(path, form, entries)
    assert PARSE[form](path.read_text()) == ({"own": "y"} if there else {}) | {"written_by_the_program": "x"}


@pytest.mark.parametrize(
    ("form", "text", "place", "comment"),
    [
        (FileForm.JSON, '{"a": 1}', ("env", "TOKEN"), '"env": { /* mine */'),
        (FileForm.JSON, '{"a": 1}', ("env", "TOKEN"), '"env": { // mine\n'),
        (FileForm.YAML, "a: 1\n", ("env", "TOKEN"), "env:\n  # mine"),
    ],
)
def test_undo_keeps_a_comment_in_a_table_that_it_made(
    form: FileForm, text: str, place: tuple[str, ...], comment: str, tmp_path: Path
) -> None:
    path, templates = tmp_path / "settings", [PlacedValue(place, "{token}")]
    path.write_text(text)
    writing.write(path, form, templates, WORDS)
    written = path.read_text()
    path.write_text(written.replace('"env": {' if form is FileForm.JSON else "env:", comment))
    writing.undo(path, form, templates)
    assert "mine" in path.read_text()
    assert "TOKEN" not in path.read_text()


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("form", "comment"), [(FileForm.ENV, "# TOKEN=sk-mine\n"), (FileForm.JSON, "// sk-mine\n")]
)
def test_undo_keeps_a_file_that_holds_a_comment(
    form: FileForm, comment: str, there: bool, tmp_path: Path
) -> None:
    path = tmp_path / "settings"
    if there:
        path.write_text("# mine\n" if form is FileForm.ENV else "{} // mine\n")
    write(path, form)
    path.write_text(path.read_text() + comment)
    writing.undo(path, form, TEMPLATES[form])
    assert path.read_text().endswith(("// mine\n" if form is FileForm.JSON else "# mine\n") * there + comment)
    assert "nexo_a-token" not in path.read_text()


def test_undo_keeps_an_empty_table_that_was_there(tmp_path: Path) -> None:
    path, form = tmp_path / "settings", FileForm.JSON
    path.write_text('{"env": {}, "b": 1}')
    write(path, form)
    path.write_text(path.read_text().replace('"b": 1', '"b": 2'))
    writing.undo(path, form, TEMPLATES[form])
    assert loose_json_of(path.read_text()) == {"env": {}, "b": 2}


def test_undo_without_a_copy_removes_only_what_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    (setting,) = next(program.settings for program in PROGRAMS if program.name == "shell-gpt")
    # A constant that `write` sets, too.
    path.write_text("USE_LITELLM=false\n")
    assert not writing.undo(path, setting.form, setting.templates)
    assert path.read_text() == "USE_LITELLM=false\n"
    writing.write(path, setting.form, setting.templates, WORDS)
    writing.backup_of(path).unlink()
    assert writing.undo(path, setting.form, setting.templates)
    assert WORDS["token"] not in path.read_text()


def test_a_file_that_was_deleted_since_counts_as_new(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    form, text = FILES[0]
    path.write_text(text)
    write(path, form)
    path.unlink()
    write(path, form)
    writing.undo(path, form, TEMPLATES[form])
    assert list(tmp_path.iterdir()) == []


class Meanwhile(list[PlacedValue]):
    """Templates; when they are read, another program has just changed the file."""

    def __init__(self, templates: list[PlacedValue], path: Path, text: str) -> None:
        super().__init__(templates)
        self._path, self._text = path, text

    def __iter__(self) -> Iterator[PlacedValue]:
        self._path.write_text(self._text)
        return super().__iter__()


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("change", ["write", "undo", "undo after another change"])
def test_what_another_program_writes_at_the_same_time_is_not_lost(
    there: bool, change: str, tmp_path: Path
) -> None:
    path = tmp_path / "settings"
    form, text = FILES[0]
    if there:
        path.write_text(text)
    if change != "write":
        write(path, form)
    theirs = edited(path.read_text() if path.exists() else "", form, [PlacedValue(("theirs",), 1)])
    if change == "undo after another change":
        path.write_text(edited(path.read_text(), form, [PlacedValue(("mine",), 1)]))
    meanwhile = Meanwhile(TEMPLATES[form], path, theirs)
    do = partial(writing.write, words=WORDS) if change == "write" else writing.undo
    with pytest.raises(Unreadable, match="at the same time"):
        do(path, form, meanwhile)
    assert path.read_text() == theirs


@pytest.mark.parametrize("there", [False, True])
def test_a_new_file_begins_with_what_its_program_requires_and_goes_again(tmp_path: Path, there: bool) -> None:
    (continue_,) = [one for one in SETTINGS if one.start]
    path, form, entries, start = tmp_path / "f", continue_.form, continue_.templates, continue_.start
    if there:
        path.write_text("")
    writing.write(path, form, entries, WORDS, start=start)
    assert {"name", "version", "models"} <= PARSE[form](path.read_text()).keys()
    writing.write(path, form, entries, LATER, start=start)
    writing.undo(path, form, entries, start=start)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == ([("f", "")] if there else [])


def own(place: Any, number: int) -> Any:
    """A value that a person may have at a place."""
    last = place[-1]
    if isinstance(last, ListEntry):
        return {last.field: last.value, "apiBase": f"https://{number}.example"}
    return f"mine {number}"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.file().name)
@settings(max_examples=30)
@given(data=st.data())
def test_undo_takes_back_what_was_written_and_nothing_else(setting: Setting, data: st.DataObject) -> None:
    form, entries = setting.form, setting.templates
    # A table whose members are places, too, follows from them.
    tables = {one.place[:-1] for one in entries}
    leaves = [at for at, one in enumerate(entries) if one.place not in tables]
    some = st.sets(st.sampled_from(leaves))
    had, changed = data.draw(some, label="had"), data.draw(some, label="changed since")
    before = edited("", form, [PlacedValue(entries[at].place, own(entries[at].place, 1)) for at in had])
    mine = [PlacedValue(entries[at].place, own(entries[at].place, 2)) for at in changed]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "settings"
        if before or data.draw(st.booleans(), label="there"):
            path.write_text(before)
        assert not writing.undo(path, form, entries, start=setting.start), "nothing was written yet"
        assert before == (path.read_text() if path.exists() else "")
        for words in data.draw(st.sampled_from([(WORDS,), (WORDS, LATER)]), label="writes"):
            writing.write(path, form, entries, words, start=setting.start)
        path.write_text(edited(path.read_text(), form, mine))
        writing.undo(path, form, entries, start=setting.start)
        after = path.read_text() if path.exists() else ""
        left = after
        if path.exists():
            assert not writing.undo(path, form, entries, start=setting.start), "it is undone already"
            assert path.read_text() == after
    account = {at for at, entry in enumerate(entries) if entry.value is ABSENT or has_words(entry.value)}
    for at, (was, now) in enumerate(
        zip(
            values(before, form, [entry.place for entry in entries]),
            values(left, form, [entry.place for entry in entries]),
            strict=True,
        )
    ):
        if at not in leaves:
            continue
        if at in changed:
            assert now.value == own(now.place, 2)
        elif changed & account and at in account:
            # An old key never meets a new address.
            assert now.value is ABSENT
        else:
            assert now.value == was.value
    if not changed:
        assert after == before


@pytest.mark.parametrize(
    "auth",
    [
        '[model_providers.nexo.auth]\ncommand = "nexoctl"\nargs = ["resolve", "--format", "key"]\n',
        'auth = { command = "nexoctl", args = ["resolve"], timeout_ms = 5000 }\n',
        'env_key = "OPENAI_API_KEY"\n',
    ],
)
def test_codex_with_the_key_helper_of_the_readme_gets_the_token_and_has_it_back(
    auth: str, tmp_path: Path
) -> None:
    (setting,) = next(program.settings for program in PROGRAMS if program.name == "codex")
    text = f'model = "m"\n\n[model_providers.nexo]\nbase_url = "https://a.example/v1"\n{auth}\n[tui]\na = 1\n'
    path = tmp_path / "config.toml"
    path.write_text(text)
    writing.write(path, setting.form, setting.templates, WORDS)
    provider = tomllib.loads(path.read_text())["model_providers"]["nexo"]
    assert provider["experimental_bearer_token"] == WORDS["token"]
    assert not {"auth", "env_key"} & provider.keys()
    path.write_text(path.read_text() + "b = 2\n")
    writing.undo(path, setting.form, setting.templates)
    before = tomllib.loads(text)
    assert tomllib.loads(path.read_text()) == {**before, "tui": {"a": 1, "b": 2}}


def test_old_values_that_are_not_restored_stay_in_the_copy_until_the_next_set_up(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    form, text = FILES[0]
    path.write_text(text)
    write(path, form)
    path.write_text(path.read_text().replace("nexo_a-token", "sk-new"))
    assert not writing.undo(path, form, TEMPLATES[form])
    assert writing.backup_of(path).read_text() == text
    mine = path.read_text()
    write(path, form)
    assert writing.backup_of(path).read_text() == mine
    writing.undo(path, form, TEMPLATES[form])
    assert path.read_text() == mine
    assert [one.name for one in tmp_path.iterdir()] == ["settings"]


def test_a_file_that_was_not_there_is_made_private_and_goes_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    write(path, FileForm.JSON)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    writing.undo(path, FileForm.JSON, TEMPLATES[FileForm.JSON])
    assert not path.exists()


def test_the_first_backup_stays_over_a_second_change(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    form, text = FILES[0]
    path.write_text(text)
    write(path, form)
    writing.write(path, form, TEMPLATES[form], LATER)
    assert writing.backup_of(path).read_text() == text
    writing.undo(path, form, TEMPLATES[form])
    assert path.read_text() == text


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_the_file_stays_and_no_half_of_a_copy_is_left(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    text = json.dumps({"env": {"ANTHROPIC_API_KEY": "sk-old"}, "more": "x" * 5000})
    path.write_text(text)
    with full_disk(1000), pytest.raises(OSError):
        write(path, FileForm.JSON)
    assert not writing.undo(path, FileForm.JSON, TEMPLATES[FileForm.JSON])
    assert path.read_text() == text
    assert [one.name for one in tmp_path.iterdir()] == ["settings"]


DIES_BEFORE_A_FILE_IS_THERE = """
import os, signal, sys
from pathlib import Path
from nexo_cli.setups import writing
from nexo_cli.setups.edits import FileForm, PlacedValue
path, name = Path(sys.argv[1]), sys.argv[2]
sys.addaudithook(
    lambda event, words: event == "os.rename"
    and Path(words[1]).name == name
    and os.kill(os.getpid(), signal.SIGKILL)
)
writing.write(path, FileForm.ENV, [PlacedValue(("TOKEN",), "{token}")], {"token": "nexo_a-token"})
"""


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize(
    ("there", "name"),
    [
        (True, "settings.before-nexo"),
        (True, "settings"),
        (False, "settings.not-there-before-nexo"),
        (False, "settings"),
    ],
)
def test_what_a_killed_set_up_left_goes_with_the_next_one_and_with_undo(
    tmp_path: Path, there: bool, name: str, again: bool
) -> None:
    """Beside the file lay its new content with the token, or a copy of the old one with the person's key."""
    path = tmp_path / "settings"
    if there:
        path.write_text("ANTHROPIC_API_KEY=sk-old\n")
    before = set(tmp_path.iterdir())
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", DIES_BEFORE_A_FILE_IS_THERE, path, name], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert set(tmp_path.iterdir()) > before
    if again:
        write(path, FileForm.ENV)
        assert len(list(tmp_path.iterdir())) == 2
    writing.undo(path, FileForm.ENV, TEMPLATES[FileForm.ENV])
    assert set(tmp_path.iterdir()) == before


def test_a_file_is_written_beside_itself_wherever_temporary_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cannot be renamed to another file system."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert write(tmp_path / "settings", FileForm.JSON)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "settings"
    real.write_text("{}")
    path = tmp_path / "settings"
    path.symlink_to(real)
    write(path, FileForm.JSON)
    assert path.is_symlink()
    assert value_at(loose_json_of(real.read_text()), ("env", "TOKEN")) == "nexo_a-token"


def test_a_link_that_leads_back_to_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.symlink_to(path)
    for change in (write, lambda path, form: writing.undo(path, form, TEMPLATES[form])):
        with pytest.raises((Unreadable, OSError)):
            change(path, FileForm.JSON)
    assert path.is_symlink()


def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_text('{"a": ')
    with pytest.raises(Unreadable):
        write(path, FileForm.JSON)
    assert path.read_text() == '{"a": '
    assert [one.name for one in tmp_path.iterdir()] == ["settings"]
