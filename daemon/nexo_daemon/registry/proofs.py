"""What a test proved about a draft a moment ago, so that saving it does not forget it.

Holds no secret: a target is recognised by a keyed hash whose key lives as long as the process.
"""

import hashlib
import secrets
from collections import OrderedDict
from datetime import timedelta

from nexo_client.terms import KeyVerdict
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.probing import Target

LIMIT = 64
FRESH_FOR = timedelta(minutes=10)


class Proofs:
    """A short, bounded memory of tested drafts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, KeyVerdict]] = OrderedDict()

    def remember(self, target: Target, verdict: KeyVerdict) -> None:
        """A test of `target` ended well, with this verdict about its key."""
        mark = self._mark(target)
        self._known[mark] = (self._clock.monotonic(), verdict)
        self._known.move_to_end(mark)
        while len(self._known) > LIMIT:
            self._known.popitem(last=False)

    def about(self, target: Target) -> KeyVerdict | None:
        """What was proven of exactly this address, key and headers; None if nothing or too long ago."""
        at, verdict = self._known.get(self._mark(target), (0.0, KeyVerdict.NONE))
        if verdict is KeyVerdict.NONE or self._clock.monotonic() - at > FRESH_FOR.total_seconds():
            return None
        return verdict

    def _mark(self, target: Target) -> bytes:
        credentials = target.credentials
        parts = [
            target.provider,
            target.preset,
            target.base_url,
            target.auth_scheme,
            credentials.api_key.reveal() if credentials.api_key else "",
            *(f"{name.lower()}={value.reveal()}" for name, value in credentials.headers),
        ]
        return hashlib.blake2b("\0".join(parts).encode(), key=self._key, digest_size=16).digest()
