"""A refusal, as the page shows it."""

from typing import Any

Record = dict[str, Any]
"""A JSON object."""


def error(reason: str, message: str, hint: str = "", metadata: Any = None) -> Record:
    """`reason` is a stable word; `metadata` what the page may make a button of."""
    return {"error": {"reason": reason, "message": message, "hint": hint, "metadata": dict(metadata or {})}}
