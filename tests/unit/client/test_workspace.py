"""What a program may say, and which workspace that is."""

import os
from pathlib import Path
from typing import ClassVar

import pytest

from nexo_client.errors import InvalidField
from nexo_client.types import Workspace
from nexo_client.workspace import locate, stored_case


def test_nothing_is_no_workspace() -> None:
    assert locate(None) is None


@pytest.mark.parametrize("text", [".", "..", "./sub", "a/b", "~", "~/projects", "/tmp/x"])
def test_what_looks_like_a_path_is_a_directory(text: str) -> None:
    place = locate(text)
    assert place is not None
    assert place.name == ""
    assert place.path == os.path.realpath(Path(text).expanduser())


def test_every_other_string_is_a_name_even_if_a_directory_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("notes") == Workspace(name="notes")
    assert locate(Path("notes")) == Workspace(path=str(tmp_path.resolve() / "notes"))


def test_links_are_resolved_and_a_directory_need_not_exist(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    expected = Workspace(path=str(tmp_path.resolve() / "real" / "later"))
    assert locate(tmp_path / "link" / "later") == expected
    assert locate(Workspace(path=str(tmp_path / "link" / "later"))) == expected


@pytest.mark.parametrize("bad", ["", "  ", Workspace(), Workspace(path="/a", name="b")])
def test_nonsense_is_refused_by_field(bad: str | Workspace) -> None:
    with pytest.raises(InvalidField) as refused:
        locate(bad)
    assert refused.value.field == "workspace"
    assert refused.value.hint


class FoldingDirectory:
    """The part of a file system that ignores case which `stored_case` asks: /Work/Client-A."""

    tree: ClassVar = {"/": ["Work", "tmp"], "/Work": ["Client-A", "STRASSE"]}

    def exists(self, path: str) -> bool:
        parent, name = os.path.split(path)
        return name.casefold() in {entry.casefold() for entry in self.tree.get(parent, [])}

    def entries(self, path: str) -> list[str]:
        return self.tree[path]


@pytest.mark.parametrize("spelling", ["/work/client-a/Src", "/WORK/CLIENT-A/Src", "/Work/Client-A/Src"])
def test_where_case_does_not_count_every_spelling_is_one_workspace(spelling: str) -> None:
    directory = FoldingDirectory()
    assert stored_case(spelling, directory.exists, directory.entries) == "/Work/Client-A/Src"


def test_where_case_counts_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "Client").mkdir()
    (tmp_path / "cLIENT").mkdir()
    for name in ("Client", "cLIENT", "client"):
        assert stored_case(str(tmp_path / name)) == str(tmp_path / name)


def test_where_case_counts_a_directory_that_is_not_there_is_not_another_one(tmp_path: Path) -> None:
    (tmp_path / "ACME").mkdir()
    for asked in ("acme", "aCME", "acme/src"):
        place = locate(tmp_path / asked)
        assert place is not None
        assert place.path == str(tmp_path.resolve() / asked)
    (tmp_path / "acme").mkdir()
    assert locate(tmp_path / "acme") == Workspace(path=str(tmp_path.resolve() / "acme"))


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff\xfe", b"ok/\x80"])
def test_a_directory_whose_name_is_not_utf_8_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    place = tmp_path / os.fsdecode(name)
    place.mkdir(parents=True)
    with pytest.raises(InvalidField, match="not UTF-8"):
        locate(place)
    monkeypatch.chdir(place)
    with pytest.raises(InvalidField, match="not UTF-8"):
        locate(".")


@pytest.mark.parametrize("text", [".", "./sub"])
def test_a_directory_that_was_removed_under_a_program_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidField, match="removed"):
        locate(text)
