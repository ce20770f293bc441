"""A port to another system is a list of files and not a hunt: docs/contributing.md names all of them."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

# How the source shows that it knows of a concern: an import, an attribute, the beginning of a string.
SIGNS: dict[str, set[str]] = {
    "locks on files": {"import fcntl", "import msvcrt"},
    "umask, core dumps, the environment in /proc": {".umask", "prctl", "/proc/self/stat"},
    "limits of the process": {"import resource", "/proc/self/cgroup"},
    "the process table, process groups": {"/proc/", ".killpg", ".setsid", "import psutil"},
    "the kernel's tables and timers": {"/proc/net", ".AF_NETLINK", ".pidfd_open", "timerfd_create"},
    "signals": {"import signal", ".add_signal_handler"},
    "Unix sockets, and who is at the other end": {".AF_UNIX", ".SO_PEERCRED"},
    "the account": {".geteuid", ".getuid", "import pwd", "import grp"},
    "hidden input": {"import termios", "import tty", "import pty"},
    "the keyring": {"import secretstorage", "import keyring"},
    "which system it is": {"sys.platform", "import platform"},
}


def signs_of(path: Path) -> Iterator[str]:
    """What the file imports, its attributes, and its strings, but for what only explains."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    explains = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {name.name.partition('.')[0]}" for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield f"import {node.module.partition('.')[0]}"
        elif isinstance(node, ast.Attribute):
            yield f".{node.attr}"
            yield ast.unparse(node)
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explains:
            yield node.value


def concern(sign: str) -> str:
    """Which concern it is a sign of; of two beginnings the longer one tells."""
    known = {mark: name for name, marks in SIGNS.items() for mark in marks}
    if sign in known:
        return known[sign]
    begins = [mark for mark in known if mark.startswith("/") and sign.startswith(mark)]
    return known[max(begins, key=len)] if begins else ""


@functools.cache
def found() -> dict[str, set[str]]:
    modules: dict[str, set[str]] = {name: set() for name in SIGNS}
    for room in ("protos", "daemon", "client", "tray"):
        for path in (REPOSITORY / room).rglob("*.py"):
            name = ".".join(path.relative_to(REPOSITORY / room).with_suffix("").parts)
            for sign in signs_of(path):
                if concern(sign):
                    modules[concern(sign)].add(name.removesuffix(".__init__"))
    return modules


def told() -> dict[str, set[str]]:
    page = (REPOSITORY / "docs" / "contributing.md").read_text(encoding="utf-8")
    section = page.partition("## What depends on the system\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|`]+) \| (`[^|]+) \|", section, re.MULTILINE)
    return {name: set(re.findall(r"`([\w.]+)`", modules)) for name, modules in rows}


@pytest.mark.parametrize("name", SIGNS)
def test_the_page_names_each_module_that_depends_on_the_system(name: str) -> None:
    assert told().get(name) == found()[name], (
        f"| {name} | {', '.join(f'`{m}`' for m in sorted(found()[name]))} |"
    )


def test_the_page_names_nothing_else() -> None:
    assert told().keys() == SIGNS.keys()


def test_the_account_locks_groups_and_the_umask_are_known_by_one_module_each() -> None:
    modules = found()
    assert modules["the account"] == {"nexo.connections.account"}
    assert modules["locks on files"] == {"nexo.connections.file_locks"}
    assert modules["umask, core dumps, the environment in /proc"] == {"nexo.connections.hardening"}
    assert modules["the process table, process groups"] == {"nexo.connections.processes"}
