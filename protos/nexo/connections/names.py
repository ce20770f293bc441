"""Which characters of a name a reader sees, how others are shown, and when two names are the same.

Characters that nobody sees make two names look alike, and those that turn the direction of text make a name
look like another. Some invisible ones are part of what is written, and stay where they have a visible effect
(compare RFC 5892, A.1 and A.2, and UTS #51):

- the joiners (U+200C, U+200D) beside a virama of an Indic script, between Arabic letters, between emoji;
- the selectors of a text or emoji form (U+FE0E, U+FE0F) after a symbol, and in a keycap;
- the tags in the flags of England, Scotland and Wales.
"""

import re
import unicodedata
from collections.abc import Callable

_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe0e\ufe0f"
# Letters, marks and symbols without a look, which Python calls printable: fillers, a blank Braille pattern,
# and selectors of forms.
_BLANK = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef"
)
_SPECIAL = re.compile(f"[{_BLANK}]")
_TAGS = {region: "".join(chr(0xE0000 + ord(c)) for c in region) for region in ("gbeng", "gbsct", "gbwls")}
_PIECE = re.compile(f"\U0001f3f4(?:{'|'.join(_TAGS.values())})\U000e007f|.", re.DOTALL)
_VIRAMA = 9


def key(name: str) -> str:
    """The key by which names are compared: without case, joiners, and white space around it."""
    return re.sub(f"[{_JOINERS}]", "", name).strip().casefold()


def unseen(text: str) -> str:
    """The first character that a reader does not see, or that turns the direction of text; "" if none."""
    found: list[str] = []

    def note(character: str) -> str:
        found.append(character)
        return ""

    replaced(text, note)
    return found[0] if found else ""


def invisible(text: str) -> str:
    """What is wrong with a name that holds a character as `unseen` finds it; "" if it holds none."""
    found = unseen(text)
    return f"has an invisible character in it (U+{ord(found):04X})" if found else ""


def replaced(text: str, by: Callable[[str], str]) -> str:
    """The text in which `by` replaces each character that `unseen` would find."""
    if text.isprintable() and (text.isascii() or not _SPECIAL.search(text)):
        return text
    return _PIECE.sub(lambda found: found[0] if _is_seen(found) else by(found[0]), text)


def _is_seen(found: re.Match[str]) -> bool:
    piece, text = found[0], found.string
    if len(piece) > 1:
        return True
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    if piece in _JOINERS:
        return _joins(before, after)
    if piece in _SELECTORS:
        return _is_symbol(before) or (before != "" and before in "0123456789#*" and after == "\u20e3")
    return (piece.isprintable() and not _SPECIAL.match(piece)) or _is_new_emoji(piece)


def _joins(before: str, after: str) -> bool:
    if not before or _VIRAMA in (unicodedata.combining(before), unicodedata.combining(after or " ")):
        return before != ""
    if not after:
        return False
    if _is_arabic(before) and _is_arabic(after):
        return True
    return (_is_symbol(before) or before in _SELECTORS) and _is_symbol(after)


def _is_arabic(character: str) -> bool:
    """A letter of a script whose letters join, or a mark."""
    return unicodedata.bidirectional(character) in ("AL", "NSM") and not _SPECIAL.match(character)


def _is_symbol(character: str) -> bool:
    """A symbol or a punctuation mark that may be an emoji."""
    if not character or character.isascii():
        return False
    return unicodedata.category(character)[0] in "SP" or character == "ℹ" or _is_new_emoji(character)


def _is_new_emoji(character: str) -> bool:
    """Not assigned in Python's version of Unicode, in the blocks that are reserved for emoji."""
    return "\U0001f000" <= character <= "\U0001faff" and unicodedata.category(character) == "Cn"
