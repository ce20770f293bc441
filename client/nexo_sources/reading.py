"""How files of other programs are read: bounded, never changed, and never quoted in a complaint.

A parser's own message may repeat the line that it stumbled over, and that line may be the key. So a complaint
says the file, the kind of fault and the line number, nothing else.
"""

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from nexo_sources.keys import NOT_ASKED

# A configuration file that is larger is something else.
_LIMIT = 4 << 20

_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


class Unreadable(Exception):
    """A file cannot be used; the text says why and never quotes it."""


def shown(path: Path) -> str:
    """The path as people write it."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def here() -> Path:
    """The present directory; when it was removed, a place where nothing is."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.devnull) / "removed"


def text_of(path: Path, limit: int = _LIMIT) -> str | None:
    """The text of a file; None if there is none.

    Args:
        limit: the most bytes that are read.

    Raises:
        Unreadable: it is there and can't be read as text.
    """
    try:
        # A named pipe would wait for whoever writes to it; 1Password mounts a .env as one.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is no regular file")
            content = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            # Links in a circle: nothing is there (see `elsewhere`).
            return None
        raise Unreadable(f"it can't be read: {(error.strerror or 'unknown').lower()}") from None
    if len(content) > limit:
        raise Unreadable(f"it is larger than {limit >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is no UTF-8 text") from None


def json_of(text: str) -> Any:
    """Parsed JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is no valid JSON (line {error.lineno})") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def toml_of(text: str) -> dict[str, Any]:
    """Parsed TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise Unreadable("it is no valid TOML" + (f" (line {line[1]})" if line else "")) from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def yaml_of(text: str) -> Any:
    """Parsed YAML; needs the `import` extra."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise Unreadable(
            "reading YAML needs one more package: pip install 'nexo-connections[import]'"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable("it is no valid YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    except (RecursionError, ValueError):
        raise Unreadable("it is no valid YAML") from None


def variables_of(text: str) -> dict[str, str]:
    """The assignments of a .env file: `NAME=value`, quotes and `export` allowed, comments left out."""
    found = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        value = match[2]
        if len(value) >= 2 and value[0] in "'\"" and value.rfind(value[0]) > 0:
            value = value[1 : value.rfind(value[0])]
        else:
            value = re.sub(r"\s+#.*$", "", value)
        found[match[1]] = value
    return found


def table(value: object) -> dict[str, Any]:
    """`value` if it is a table, else an empty one: files of other programs hold anything."""
    return {str(name): entry for name, entry in value.items()} if isinstance(value, Mapping) else {}


def tables(value: object) -> Iterator[dict[str, Any]]:
    """The tables in a list."""
    if isinstance(value, list):
        yield from (table(entry) for entry in value if isinstance(entry, Mapping))


def word(value: object) -> str:
    """A text, trimmed; empty for anything else."""
    return value.strip() if isinstance(value, str) else ""


_closed: ContextVar[bool] = ContextVar("closed", default=False)


@contextmanager
def closed_shell() -> Iterator[None]:
    """Within it nothing looks a variable of the shell up: a file is read that may be somebody else's."""
    token = _closed.set(True)
    try:
        yield
    finally:
        _closed.reset(token)


# Part of the name of a variable that says where requests go.
ADDRESS = re.compile(r"BASE|URL|URI|HOST|ENDPOINT|PROXY")


def addresses() -> dict[str, str]:
    """Variables of the shell that say where requests go.

    Also for a file that may be somebody else's: the program that reads it heeds them, and a key of the file
    that went to the public host instead would go astray. They name a place: nothing may be looked up in them.
    """
    return {name: value for name, value in os.environ.items() if ADDRESS.search(name) and value.strip()}


def environment() -> Mapping[str, str]:
    """The variables of this process, which are those of the person's shell."""
    return NOT_ASKED if _closed.get() else os.environ
