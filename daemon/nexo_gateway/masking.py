"""Overwrites secrets in error bodies, because some providers repeat the rejected key.

The length stays the same, so that the headers stay valid. Good answers are passed on unchanged.
"""

import json
from collections.abc import Iterable
from urllib.parse import quote

_SHORTEST = 8
"""Minimum length: shorter keys are ordinary words, as used for local servers ("ollama")."""


class Masking:
    """A filter for the pieces of one body."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[bytes] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                written = (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))
                forms |= {form.encode("utf-8") for form in written}
        # The longest first, because one may contain another.
        self._forms = sorted(forms, key=len, reverse=True)
        self._held = b""
        self._reach = max(map(len, self._forms), default=1) - 1

    def feed(self, piece: bytes) -> bytes:
        """Add a piece; returns what can be passed on. The end is kept, because a secret may begin there."""
        whole = self.mask(self._held + piece)
        cut = max(0, len(whole) - self._reach)
        self._held = whole[cut:]
        return whole[:cut]

    def rest(self) -> bytes:
        """The remaining text."""
        held, self._held = self._held, b""
        return held

    def mask(self, text: bytes) -> bytes:
        """The text with secrets overwritten."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, b"*" * len(form))
        return text
