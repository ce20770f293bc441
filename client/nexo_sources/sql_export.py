"""An SQL export as a database in memory: two of its tables, and nothing that SQL could do besides.

A file of SQL is a program of whoever wrote it. So only statements that make or fill the wanted tables are
run, and SQLite is told to allow nothing else: no other file, no function, no query without an end.
"""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from nexo_sources import reading
from nexo_sources.reading import Unreadable

# With the records of requests that it keeps, such a file can be large.
_LIMIT = 64 << 20
_TABLES = ("providers", "settings")
_NAME = rf"[\"`\[]?(?:{'|'.join(_TABLES)})[\"`\]]?"
_WANTED = re.compile(
    rf"(?:CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*\(|INSERT\s+INTO\s+{_NAME}\s*[(V])",
    re.IGNORECASE,
)
# Making a table writes into SQLite's own; its primary key makes an index.
_ALLOWED = frozenset(
    (
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_REINDEX,
    )
)
_STEPS = 1_000_000


def database_of(path: Path) -> sqlite3.Connection:
    """The tables of the export.

    Raises:
        Unreadable: it is none; without a word of what stands in it.
    """
    text = reading.text_of(path, _LIMIT)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.set_authorizer(_may)
    # A statement that takes so long is none of an export's.
    connection.set_progress_handler(lambda: 1, _STEPS)
    try:
        for statement in _statements(text or ""):
            if _WANTED.match(statement):
                connection.execute(statement)
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        connection.close()
        raise Unreadable(f"it is no SQL export that can be read ({type(error).__name__})") from None
    return connection


def _may(action: int, first: str | None, *_rest: str | None) -> int:
    # A function in a value, such as CAST of an odd text, is none; zeroblob and load_extension are.
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _statements(text: str) -> Iterator[str]:
    """The statements: a line that ends in `;` ends one, unless a text is open (its quotes are doubled)."""
    lines: list[str] = []
    quotes = 0
    for line in text.splitlines(keepends=True):
        if not lines and line.lstrip().startswith("--"):
            continue
        lines.append(line)
        quotes += line.count("'")
        if quotes % 2 == 0 and line.rstrip().endswith(";"):
            yield "".join(lines).strip()
            lines, quotes = [], 0
