"""A watched connection has one owner: only `watch_list` writes it, and only there is an answer judged."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from nexo_daemon.health import watch_list
from nexo_daemon.health.watch_list import WatchedConnection

HEALTH = Path(watch_list.__file__).parent
OWNER = Path(watch_list.__file__)
OF_A_SLOT = {field.name for field in fields(WatchedConnection)}


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def written_elsewhere(path: Path) -> list[str]:
    """Fields named like those of a watched connection that are written on anything but `self`."""
    return [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store | ast.Del)
        and node.attr in OF_A_SLOT
        and ast.unparse(node.value) not in ("self", "host")
    ]


def judgements(path: Path) -> int:
    return sum(
        isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "judge"
        for node in nodes(path)
    )


def test_only_the_owner_writes_a_slot() -> None:
    others = [path for path in HEALTH.glob("*.py") if path != OWNER]
    assert [line for path in others for line in written_elsewhere(path)] == []
    assert written_elsewhere(OWNER), "the rule sees what it looks for"


def test_an_answer_is_judged_in_one_place() -> None:
    assert {path.name: n for path in HEALTH.glob("*.py") if (n := judgements(path))} == {OWNER.name: 1}
