"""The findings of `nexoctl doctor`."""

import enum

from nexo.connections.values import frozen
from nexo_client import records


class Level(enum.StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@frozen
class DoctorFinding:
    """The result of a check.

    Attributes:
        fix: the command or step that mends it; empty if nothing has to be done.
    """

    topic: str
    level: Level
    text: str
    fix: str = ""


records.LAYOUTS["DoctorFinding"] = records.Layout(
    "doctor_finding", "What a check found.", notes={"fix": "Empty when nothing has to be done."}
)
