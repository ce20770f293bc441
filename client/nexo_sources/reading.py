"""Reads files of other programs: with a size limit, without changing them, without quoting them in errors.

A parser's own message may quote the faulty line, and that line may contain the key. Therefore an error has
only the file, the kind of fault and the line number.
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

from nexo.connections.values import frozen
from nexo_sources.keys import NOT_ASKED

# No configuration file is larger.
_LIMIT = 4 << 20
# The parser for YAML takes some ten seconds for a mebibyte.
_YAML_LIMIT = 1 << 20

# A value in quotes may have several lines; behind it there is nothing or a comment.
_ASSIGNMENT = re.compile(
    r"""^[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_]\w*)[^\S\n]*=
    (?:[^\S\n]*(?P<quoted>'[^']*'|"(?:\\.|[^"\\])*")(?=[^\S\n]*(?:\#[^\n]*)?$)|(?P<bare>[^\n]*))""",
    re.VERBOSE | re.MULTILINE | re.DOTALL | re.ASCII,
)

# Python limits the digits of a number, because it would be slow.
_LONG_NUMBER = "it holds a number with too many digits"


class Unreadable(Exception):
    """A file cannot be used. The message says why and quotes nothing from the file."""


def shown(path: Path) -> str:
    """The path for display, with `~` for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def here() -> Path:
    """The current directory; if it was deleted, a path that does not exist."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.devnull) / "removed"


def text_of(path: Path, limit: int = _LIMIT) -> str | None:
    """The text of a file; None if it does not exist.

    Args:
        limit: the largest accepted size, in bytes.

    Raises:
        Unreadable: the file exists but cannot be read as UTF-8 text.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe waits for a writer; 1Password mounts .env files as pipes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is not a regular file")
            content = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            # A cycle of links counts as a missing file; `elsewhere` reports dangling links.
            return None
        raise Unreadable(f"it can't be read: {(error.strerror or 'unknown').lower()}") from None
    if len(content) > limit:
        raise Unreadable(f"it is larger than {limit >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None


def json_of(text: str) -> Any:
    """Parsed JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not valid JSON (line {error.lineno})") from None
    except ValueError:
        raise Unreadable(_LONG_NUMBER) from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def toml_of(text: str) -> dict[str, Any]:
    """Parsed TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise Unreadable("it is not valid TOML" + (f" (line {line[1]})" if line else "")) from None
    except ValueError:
        raise Unreadable(_LONG_NUMBER) from None
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
    if len(text) > _YAML_LIMIT:
        raise Unreadable("it is larger than 1 MiB")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable("it is not valid YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    except (RecursionError, ValueError):
        raise Unreadable("it is not valid YAML") from None


@frozen
class Assignment:
    """A variable in the text of a .env file; `start` and `end` are the positions of its value as written."""

    name: str
    value: str
    start: int
    end: int


def assignments(text: str) -> Iterator[Assignment]:
    """The assignments in the text of a .env file; quotes, `export` and comments are understood."""
    for match in _ASSIGNMENT.finditer(text):
        if match["quoted"]:
            yield Assignment(match["name"], match["quoted"][1:-1], *match.span("quoted"))
            continue
        written = re.split(r"\s#", match["bare"], maxsplit=1)[0].rstrip()
        value = written.lstrip()
        end = match.start("bare") + len(written)
        yield Assignment(match["name"], value, end - len(value), end)


def variables_of(text: str) -> dict[str, str]:
    """The variables in the text of a .env file; the last assignment of each counts."""
    return {one.name: one.value for one in assignments(text)}


def table(value: object) -> dict[str, Any]:
    """`value` if it is a table, else an empty table."""
    return {str(name): entry for name, entry in value.items()} if isinstance(value, Mapping) else {}


def tables(value: object) -> Iterator[dict[str, Any]]:
    """The tables in a list."""
    if isinstance(value, list):
        yield from (table(entry) for entry in value if isinstance(entry, Mapping))


def word(value: object) -> str:
    """A string without surrounding white space; empty for any other value."""
    return value.strip() if isinstance(value, str) else ""


_closed: ContextVar[bool] = ContextVar("closed", default=False)


@contextmanager
def closed_shell() -> Iterator[None]:
    """Hides the shell's variables from `environment` while an untrusted file is read."""
    token = _closed.set(True)
    try:
        yield
    finally:
        _closed.reset(token)


# Matches names of variables that set an address.
ADDRESS = re.compile(r"BASE|URL|URI|HOST|ENDPOINT|PROXY")


def addresses() -> dict[str, str]:
    """Variables of the shell that set an address.

    They are used for untrusted files as well: the program that owns the file obeys them, so without them a
    key from the file would be sent to the public host. Pointers in a file must not be looked up in them.
    """
    return {name: value for name, value in os.environ.items() if ADDRESS.search(name) and value.strip()}


def environment() -> Mapping[str, str]:
    """The environment variables; empty within `closed_shell`."""
    return NOT_ASKED if _closed.get() else os.environ
