"""The record of an error for the page."""

from typing import Any

Record = dict[str, Any]
"""A JSON object."""


def error(reason: str, message: str, hint: str = "", metadata: Any = None) -> Record:
    """The record of an error.

    Args:
        reason: a stable identifier.
        message: a sentence for the user.
        hint: what the user can do.
        metadata: details that the page evaluates.
    """
    return {"error": {"reason": reason, "message": message, "hint": hint, "metadata": dict(metadata or {})}}
