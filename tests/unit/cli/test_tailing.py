"""The end of a log, and what is added to it, through real rotations."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo_cli.tailing import tail
from nexo_daemon import logs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nexod.log"


@pytest.fixture
def handler(path: Path) -> Iterator[logging.Handler]:
    """What the daemon writes with, rotating after every few lines."""
    handler = logs._PrivateFile(path, maxBytes=40, backupCount=logs.KEEP, encoding="utf-8", delay=False)
    yield handler
    handler.close()


def write(handler: logging.Handler, *lines: str) -> None:
    for line in lines:
        handler.emit(logging.makeLogRecord({"msg": line}))


def test_nothing_is_lost_or_told_twice_through_many_rotations(path: Path, handler: logging.Handler) -> None:
    write(handler, "before")
    added = tail(path, 1, follow=True)
    told = [next(added)]
    written = [f"line {number} is written" for number in range(20)]
    for line in written:
        write(handler, line)
        told.append(next(added))
    assert told == ["before", *written]
    assert path.with_name("nexod.log.3").exists()


def test_the_rest_of_a_rotated_log_comes_before_the_new_one(path: Path, handler: logging.Handler) -> None:
    write(handler, "a")
    added = tail(path, 1, follow=True)
    assert next(added) == "a"
    write(handler, "the end of the old one", "the beginning of the new one")
    assert path.read_text() == "the beginning of the new one\n"
    assert [next(added), next(added)] == ["the end of the old one", "the beginning of the new one"]


def test_the_last_lines_reach_back_over_a_rotation(path: Path) -> None:
    path.with_name("nexod.log.1").write_text("1\n2\n3\n")
    path.write_text("4\n5\n")
    assert list(tail(path, 4, follow=False)) == ["2", "3", "4", "5"]
    assert list(tail(path, 1, follow=False)) == ["5"]
    assert list(tail(path, 0, follow=False)) == []
    assert list(tail(path, 99, follow=False)) == ["1", "2", "3", "4", "5"]


def test_an_emptied_log_is_read_from_its_beginning(path: Path) -> None:
    path.write_text("long enough to be longer\n")
    added = tail(path, 1, follow=True)
    assert next(added) == "long enough to be longer"
    path.write_text("new\n")
    assert next(added) == "new"


def test_a_line_is_told_once_it_is_complete(path: Path) -> None:
    path.write_text("one\nhal")
    added = tail(path, 9, follow=True)
    assert next(added) == "one"
    with path.open("a") as log:
        log.write("f a line\n")
    assert next(added) == "half a line"


def test_without_a_log_there_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(tail(path, 1, follow=True))
