"""Where in a settings file a value stands: a path of names, of which the last may be an entry of a list."""

import enum
from typing import Any, Final

from nexo.connections.values import frozen


class _Absent(enum.Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""Nothing stands there."""


@frozen
class ListEntry:
    """The entry of a list that has this value in this field."""

    field: str
    value: str

    def is_(self, entry: Any) -> bool:
        """Whether an entry is the one."""
        return isinstance(entry, dict) and entry.get(self.field) == self.value


Place = tuple[str | ListEntry, ...]
