"""Finds the known word that a person probably meant: a command, an option, a name, a model."""

from collections.abc import Iterable
from itertools import islice

# A comparison takes about 50 µs, and some providers list thousands of models.
_MOST = 2000
# The share of equal characters that `difflib` takes by default.
_LEAST = 0.6


def most_similar(word: str, known: Iterable[str]) -> str:
    """The most similar known word, ignoring case and the dashes of an option; "" if none is similar."""
    # Imported here because it is needed only after a mistake.
    import difflib

    by_key = {_key(candidate): candidate for candidate in islice(known, _MOST)}
    close = difflib.get_close_matches(_key(word), list(by_key), n=1, cutoff=_LEAST)
    return by_key[close[0]] if close else ""


def _key(word: str) -> str:
    return word.casefold().lstrip("-")
