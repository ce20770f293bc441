"""The place of a value in a settings file: a path of names, of which the last may be an entry of a list."""

import enum
from typing import Any, Final

from nexo.connections.values import frozen


class _Absent(enum.Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""There is no value."""


@frozen
class ListEntry:
    """The list entry with this value in this field."""

    field: str
    value: str

    def is_(self, entry: Any) -> bool:
        """Whether an entry is the one meant."""
        return isinstance(entry, dict) and entry.get(self.field) == self.value


Place = tuple[str | ListEntry, ...]
