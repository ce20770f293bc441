"""Which tabs are ours? A token in the address is traded once for a secret that the tab keeps.

The token stands in the fragment of the address, which a browser sends to nobody; it may be seen in the
arguments of the browser's process, so it is good once and not for long. Only digests are kept.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable

TOKEN_S = 60.0
"""How long an address may lie about before it is opened."""
MOST_TOKENS = 16
MOST_TABS = 64


class Sessions:
    """The tokens that were given out, and the secrets of the tabs. `now` is monotonic, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tokens: dict[bytes, float] = {}
        self._tabs: list[bytes] = []

    def token(self) -> str:
        """A new token for an address."""
        made = secrets.token_urlsafe(32)
        self._forget_old()
        while len(self._tokens) >= MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[_digest(made)] = self._now() + TOKEN_S
        return made

    def trade(self, token: str) -> str | None:
        """The secret of a new tab; None if the token is unknown, used or too old."""
        self._forget_old()
        wanted = _digest(token)
        found = [known for known in self._tokens if hmac.compare_digest(known, wanted)]
        if not found:
            return None
        del self._tokens[found[0]]
        secret = secrets.token_urlsafe(32)
        self._tabs = [*self._tabs, _digest(secret)][-MOST_TABS:]
        return secret

    def knows(self, secret: str) -> bool:
        """Whether a tab of ours has this secret."""
        wanted = _digest(secret)
        return any(hmac.compare_digest(known, wanted) for known in self._tabs)

    def _forget_old(self) -> None:
        now = self._now()
        self._tokens = {token: until for token, until in self._tokens.items() if until > now}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
