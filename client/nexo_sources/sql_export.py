"""Loads two tables of an SQL export into a database in memory.

An SQL file can run anything that its author wants. Therefore only statements that create or fill the two
tables are run, and SQLite denies everything else: other files, functions, endless queries.
"""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from nexo_sources import reading
from nexo_sources.reading import Unreadable

# The export also contains a log of requests, so it can be large.
_LIMIT = 64 << 20
_TABLES = ("providers", "settings")
_NAME = rf"[\"`\[]?(?:{'|'.join(_TABLES)})[\"`\]]?"
_WANTED = re.compile(
    rf"(?:CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*\(|INSERT\s+INTO\s+{_NAME}\s*[(V])",
    re.IGNORECASE,
)
# CREATE TABLE writes into SQLite's own tables, and a primary key creates an index.
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
    """The two tables of the export, in a database in memory.

    Raises:
        Unreadable: it is not such an export; the text quotes nothing from the file.
    """
    text = reading.text_of(path, _LIMIT)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.set_authorizer(_may)
    # No statement of a real export takes this many steps.
    connection.set_progress_handler(lambda: 1, _STEPS)
    try:
        for statement in _statements(text or ""):
            if _WANTED.match(statement):
                connection.execute(statement)
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        connection.close()
        raise Unreadable(f"it is not a readable SQL export ({type(error).__name__})") from None
    return connection


def _may(action: int, first: str | None, *_rest: str | None) -> int:
    # CAST in a value is not a function for SQLite; zeroblob and load_extension are, and are denied.
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _statements(text: str) -> Iterator[str]:
    """Split at lines that end in `;`, unless a string literal is open (its quotes are doubled)."""
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
