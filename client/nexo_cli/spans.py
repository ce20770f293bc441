"""Spans of time as a person types them: "30s", "5m", "12h", "7d", or seconds."""

import argparse

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def span(text: str) -> float:
    """Seconds.

    Raises:
        argparse.ArgumentTypeError: it is no span.
    """
    number = text.strip().lower()
    unit = "s"
    for name in sorted(_UNITS, key=len, reverse=True):
        if number.endswith(name):
            number, unit = number.removesuffix(name).strip(), name
            break
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a valid duration; write 30s, 5m, 12h or 7d")
    return seconds
