"""Checks that a workspace is spelled in its canonical form.

Workspaces are compared as text. Another spelling of a bound workspace would not match, and the program would
get the default, maybe another account: such spellings are refused. The caller resolves symbolic links,
because only the caller is sure to see the directory.
"""

import unicodedata

from nexo.connections import names
from nexo.connections.errors import InvalidField
from nexo.connections.ranges import STICKY_S
from nexo_daemon.domain.model import WorkspaceKey, WorkspaceKind

PATH_LIMIT = 4096
NAME_LIMIT = 256

_RESOLVE = "resolve it first, for example with realpath; nexo_client and nexoctl do"


def check_workspace(workspace: WorkspaceKey) -> WorkspaceKey:
    """Return the workspace if it is spelled canonically.

    Raises:
        InvalidField: says what is wrong with it.
    """
    is_path = workspace.kind is WorkspaceKind.PATH
    size, limit = len(workspace.value.encode()), PATH_LIMIT if is_path else NAME_LIMIT
    if not workspace.value.strip():
        raise InvalidField.of("workspace", "is empty", "give a directory or a name, or no workspace at all")
    if size > limit:
        raise InvalidField.of("workspace", f"has {size} bytes", f"use at most {limit}")
    problem = _path_problem(workspace.value) if is_path else _name_problem(workspace.value)
    if problem:
        raise InvalidField.of("workspace", problem, _RESOLVE if is_path else "give the name that was bound")
    return workspace


def check_sticky(sticky_s: float | None) -> None:
    """Raise `InvalidField` unless a conversation may keep its connection for that time; None is valid."""
    if sticky_s is not None and not STICKY_S[0] <= sticky_s <= STICKY_S[1]:
        raise InvalidField.of("sticky", f"is {sticky_s:g} s", "use a minute to 30 days, for example 12h")


def _path_problem(path: str) -> str:
    if "\0" in path:
        return "the path has a zero byte in it"
    if not path.startswith("/"):
        return "the path is not absolute"
    if path == "/":
        return ""
    parts = path[1:].split("/")
    if "" in parts:
        return "the path ends with a slash" if "" not in parts[:-1] else "the path has '//' in it"
    if "." in parts or ".." in parts:
        return "the path has '.' or '..' in it"
    return ""


def _name_problem(name: str) -> str:
    if problem := names.invisible(name):
        return f"the name {problem}"
    if name != name.strip():
        return "the name has white space around it"
    if not unicodedata.is_normalized("NFC", name):
        return "the name is not in Unicode's normalization form C"
    return ""
