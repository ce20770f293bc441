"""Converts a workspace argument into an absolute directory or a name.

The daemon compares paths as text. Therefore paths are made canonical here, where the directory is visible.
This module does not import grpc.
"""

import os
from collections.abc import Callable
from functools import lru_cache

from nexo.connections.model.workspace import Workspace
from nexo_client.arguments import is_utf8
from nexo_client.errors import InvalidField

WorkspaceLike = str | os.PathLike[str] | Workspace | None


def locate(value: WorkspaceLike) -> Workspace | None:
    """The workspace for an argument; None for None, which means the default connection.

    A `Path`, and a string that is "." or "..", starts with "~" or contains a separator, is a directory. It is
    made absolute and its symbolic links are resolved; it need not exist. Any other string is a name, even if
    a directory with this name exists, so that the meaning does not depend on the current directory.
    `Workspace(path=…)` and `Workspace(name=…)` are explicit.

    Raises:
        InvalidField: the value is empty, or has both a path and a name.
    """
    if value is None:
        return None
    if isinstance(value, Workspace):
        if bool(value.path) == bool(value.name):
            raise _invalid("is empty" if not value.path else "has both a path and a name")
        return Workspace(path=canonical(value.path)) if value.path else _named(value)
    if isinstance(value, str):
        if not value.strip():
            raise _invalid("is empty")
        if not is_path(value):
            return _named(Workspace(name=value))
    return Workspace(path=canonical(os.fspath(value)))


def _named(workspace: Workspace) -> Workspace:
    if not is_utf8(workspace.name):
        raise _invalid("the name is not UTF-8")
    return workspace


def nearest(value: WorkspaceLike) -> Workspace | None:
    """As `locate`, but for a directory whose name is not UTF-8 returns the nearest parent that is.

    Such a directory cannot be bound itself (see `canonical`), so it inherits the binding of that parent.
    """
    try:
        return locate(value)
    except NotUtf8 as error:
        return Workspace(path=error.holder)


def is_path(text: str) -> bool:
    """Whether the text is meant as a path, not as a name."""
    return text in (".", "..") or text.startswith("~") or os.sep in text


class NotUtf8(InvalidField):
    """The path is not UTF-8. The daemon's API has paths as text.

    Attributes:
        holder: the nearest parent directory whose path is UTF-8.
    """

    def __init__(self, whole: str) -> None:
        error = _invalid("the name of the directory is not UTF-8, which is required")
        super().__init__(error.message, hint=error.hint, metadata=error.metadata)
        while not is_utf8(whole):
            whole = os.path.dirname(whole)  # noqa: PTH120 - no more than text
        self.holder = whole


def _invalid(problem: str) -> InvalidField:
    return InvalidField.of(
        "workspace", problem, "give a directory (a Path, '.', '~/x', 'a/b') or the name of a workspace"
    )


def canonical(path: str) -> str:
    """The canonical path of a directory: absolute, without links, in the letter case of the file system.

    Raises:
        InvalidField: the path is relative and the current directory was removed, or the path is not UTF-8.
    """
    try:
        # getcwd() is already absolute and without links; this path is used in every resolve().
        whole = os.getcwd() if path == "." else os.path.realpath(os.path.expanduser(path))  # noqa: PTH109, PTH111 - see above
    except FileNotFoundError:
        raise _invalid("the current directory has been removed") from None
    except ValueError:
        raise _invalid("the path has a zero byte in it") from None
    except TypeError:
        raise _invalid(f"the path is of type {type(path).__name__}") from None
    if not is_utf8(whole):
        raise NotUtf8(whole)
    # The result for a path that does not exist is not cached, because its spelling may change.
    return _stored_case(whole) if os.path.lexists(whole) else stored_case(whole)


@lru_cache(maxsize=256)
def _stored_case(path: str) -> str:
    return stored_case(path)


def stored_case(
    path: str,
    exists: Callable[[str], bool] = os.path.lexists,
    entries: Callable[[str], list[str]] = os.listdir,
) -> str:
    """`path` in the letter case in which its directories list each part.

    This matters on a file system that ignores case (macOS, ext4 with casefold), where "Project" and "project"
    are the same directory and must be the same workspace. On others it costs one lstat for each part.
    """
    result = os.sep
    for part in path.split(os.sep):  # noqa: PTH206 - in every resolve()
        if not part:
            continue
        prefix = result if result == os.sep else result + os.sep
        name, swapped = part, part.swapcase()
        # If both spellings exist but only one is listed, they are the same directory.
        if swapped != part and exists(prefix + swapped) and exists(prefix + part):
            try:
                names = entries(result)
            except OSError:
                names = []
            if part not in names:
                name = next((entry for entry in names if entry.casefold() == part.casefold()), part)
        result = prefix + name
    return result
