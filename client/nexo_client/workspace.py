"""Which workspace does a program mean? Turns what it says into an absolute directory or a name.

Free of grpc. The daemon compares paths as text, so everything that makes two spellings of one directory
equal happens here, where the directory is visible.
"""

import os
from collections.abc import Callable
from functools import lru_cache

from nexo.connections.model.workspace import Workspace
from nexo_client.errors import InvalidField

WorkspaceLike = str | os.PathLike[str] | Workspace | None


def locate(value: WorkspaceLike) -> Workspace | None:
    """The workspace that `value` names; None stays None (no workspace: only the default applies).

    A `Path`, and a string that is "." or "..", starts with "~" or holds a separator, is a directory: it is
    made absolute and its symbolic links are resolved; it need not exist. Every other string is a name,
    whatever directories happen to exist: the meaning must not depend on where a program was started.
    `Workspace(path=…)` and `Workspace(name=…)` say it outright.

    Raises:
        InvalidField: empty, or both a path and a name.
    """
    if value is None:
        return None
    if isinstance(value, Workspace):
        if bool(value.path) == bool(value.name):
            raise _invalid("is empty" if not value.path else "has both a path and a name")
        return Workspace(path=canonical(value.path)) if value.path else value
    if isinstance(value, str):
        if not value.strip():
            raise _invalid("is empty")
        if not _is_path(value):
            return Workspace(name=value)
    return Workspace(path=canonical(os.fspath(value)))


def nearest(value: WorkspaceLike) -> Workspace | None:
    """What to ask with: as `locate`, but for a directory that is not UTF-8 the one that holds it.

    It cannot be bound itself (see `canonical`), so what it gets is what the directory above it gets.
    """
    try:
        return locate(value)
    except NotUtf8 as error:
        return Workspace(path=error.holder)


def _is_path(text: str) -> bool:
    return text in (".", "..") or text.startswith("~") or os.sep in text


class NotUtf8(InvalidField):
    """The contract has paths as text, and these bytes are none.

    Attributes:
        holder: the deepest directory above that can be named.
    """

    def __init__(self, whole: str) -> None:
        error = _invalid("the name of the directory is not UTF-8, which the contract needs")
        super().__init__(error.message, hint=error.hint, metadata=error.metadata)
        while not _is_utf8(whole):
            whole = os.path.dirname(whole)  # noqa: PTH120 - no more than text
        self.holder = whole


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _invalid(problem: str) -> InvalidField:
    return InvalidField(
        f"workspace: {problem}",
        hint="give a directory (a Path, '.', '~/x', 'a/b') or the name of a workspace",
        metadata={"field": "workspace"},
    )


def canonical(path: str) -> str:
    """The one spelling of a directory: absolute, links resolved, in the letter case of the file system.

    Raises:
        InvalidField: the path is relative and the present directory is gone, or the path is not UTF-8.
    """
    try:
        # The kernel keeps "." absolute and free of links; this is in every resolve().
        whole = os.getcwd() if path == "." else os.path.realpath(os.path.expanduser(path))  # noqa: PTH109, PTH111 - see above
    except FileNotFoundError:
        raise _invalid("the present directory has been removed") from None
    except ValueError:
        raise _invalid("the path has a zero byte in it") from None
    if not _is_utf8(whole):
        raise NotUtf8(whole)
    # Of what is not there yet, another spelling may come to be the one.
    return _stored_case(whole) if os.path.lexists(whole) else stored_case(whole)


@lru_cache(maxsize=256)
def _stored_case(path: str) -> str:
    return stored_case(path)


def stored_case(
    path: str,
    exists: Callable[[str], bool] = os.path.lexists,
    entries: Callable[[str], list[str]] = os.listdir,
) -> str:
    """`path` with each part spelled as the directory that holds it spells it.

    Only where a file system ignores case (macOS, ext4 with casefold): there "Project" and "project" are one
    directory and must be one workspace. Costs one lstat for each part elsewhere.
    """
    result = os.sep
    for part in path.split(os.sep):  # noqa: PTH206 - in every resolve()
        if not part:
            continue
        prefix = result if result == os.sep else result + os.sep
        name, swapped = part, part.swapcase()
        # Both spellings lead somewhere, and only one of them is listed: they are one directory.
        if swapped != part and exists(prefix + swapped) and exists(prefix + part):
            try:
                names = entries(result)
            except OSError:
                names = []
            if part not in names:
                name = next((entry for entry in names if entry.casefold() == part.casefold()), part)
        result = prefix + name
    return result
