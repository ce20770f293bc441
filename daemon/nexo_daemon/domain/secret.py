"""A string that is not shown by accident."""

from typing import Any, NoReturn


class Secret:
    """Wraps a secret so that printing, logging, pickling or an accidental comparison does not reveal it.

    Only `reveal()` returns the text; search for it to find all code that uses plaintext secrets.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self


def sendable(text: str) -> bool:
    """Whether the text is valid in an HTTP header (RFC 9110: visible ASCII, inner blanks)."""
    return text.isascii() and text.isprintable() and text == text.strip()
