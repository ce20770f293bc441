"""Recognises tabs: a tab exchanges the one-time token in its address for a secret, which it keeps.

The token is in the fragment of the address, which browsers never send to a server. It is visible in the
arguments of the browser's process, so it can be used only once and for a short time. Only digests of tokens
and secrets are stored.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable

TOKEN_S = 60.0
"""How long a token is valid."""
MOST_TOKENS = 16
MOST_TABS = 64


class Sessions:
    """The valid tokens and the secrets of the tabs.

    Args:
        now: a monotonic clock, in seconds.
    """

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
        """Exchange a token for the secret of a new tab; None if the token is unknown, used or expired."""
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
        """Whether a tab has this secret."""
        wanted = _digest(secret)
        return any(hmac.compare_digest(known, wanted) for known in self._tabs)

    def _forget_old(self) -> None:
        now = self._now()
        self._tokens = {token: until for token, until in self._tokens.items() if until > now}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
