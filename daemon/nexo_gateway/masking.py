"""Some providers repeat the key that they reject: an error body passes with every secret overwritten.

The length stays, so that what the headers say of it stays true. Not for good answers, which pass untouched.
"""

import json
from collections.abc import Iterable
from urllib.parse import quote

_SHORTEST = 8
"""Shorter ones are words, as those that local servers are given for a key ("ollama")."""


class Masking:
    """A filter for the pieces of one body."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[bytes] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                written = (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))
                forms |= {form.encode("utf-8") for form in written}
        # The longest first: one may hold another.
        self._forms = sorted(forms, key=len, reverse=True)
        self._held = b""
        self._reach = max(map(len, self._forms), default=1) - 1

    def feed(self, piece: bytes) -> bytes:
        """What may go on of all that was fed; the end is held, as a secret may begin there."""
        whole = self.mask(self._held + piece)
        cut = max(0, len(whole) - self._reach)
        self._held = whole[cut:]
        return whole[:cut]

    def rest(self) -> bytes:
        """What was held."""
        held, self._held = self._held, b""
        return held

    def mask(self, text: bytes) -> bytes:
        """The same text, with secrets overwritten."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, b"*" * len(form))
        return text
