"""Does a text hold a secret, and how is it shown without? The only way out for words of others.

Providers echo keys, whole or in part, and error texts of libraries quote header values. So everything that a
server or a library said goes through a `Redactor` before it becomes evidence, advice or a message.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from nexo_daemon.domain.model import Credentials

MASK = "[secret]"

_SHORTEST = 4
"""Shorter secrets are words; masking them would make texts unreadable and protect nothing."""
_ECHO = 8
"""A token that shares so many characters in a row with a secret counts as an echo of it."""

# Shapes of keys, so that also a key that is not ours (an organisation's, an upstream's) stays out.
_KEY_SHAPES = re.compile(
    r"""(?ix)
    (?: \b(?:sk|rk|pk|gsk|xai|fw|nvapi|csk|pplx|hf|tgp_v1|sess)[-_] [\w*.\-]{4,}
      | \bAIza[\w\-*.]{4,}
      | \bAQ\.[\w\-*.]{4,}
      | \beyJ[\w\-]{8,}\.[\w\-.]+
      | (?<=bearer\s)[^\s"',;]+
      | (?<=basic\s)[^\s"',;]+
      | [^\s"'<>:,;*]{0,64}\*{3,}[^\s"'<>,;]*
    )"""
)
_TOKEN = re.compile(r"[^\s\"'<>]{8,}")


def _plain(text: str) -> str:
    """One line of printable characters; invisible ones vanish, so that none can hide within a secret."""
    shown = "".join(
        c if c.isprintable() else "" if unicodedata.category(c) in ("Cf", "Cs") else " " for c in text
    )
    return " ".join(shown.split())


class Redactor:
    """Masks the given secrets and whatever looks like a key."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        exact: set[str] = set()
        echoes: set[str] = set()
        for secret in secrets:
            if len(secret) < _SHORTEST:
                continue
            exact |= {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
            echoes |= {secret[i : i + _ECHO] for i in range(len(secret) - _ECHO + 1)}
        self._exact = sorted(exact, key=len, reverse=True)
        self._echoes = echoes

    def __call__(self, text: str, limit: int = 300) -> str:
        """One line without secrets, control characters and lone surrogates, at most `limit` long."""
        # Bounded before the search, so that a page of megabytes costs nothing; twice the limit, so that
        # a secret is not cut in half before it is found.
        text = _plain(text[: 8 * limit + 4096])
        for secret in self._exact:
            text = text.replace(secret, MASK)
        if self._echoes:
            text = _TOKEN.sub(self._mask_echo, text)
        text = _KEY_SHAPES.sub(MASK, text)
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def _mask_echo(self, match: re.Match[str]) -> str:
        token = match.group()
        if any(token[i : i + _ECHO] in self._echoes for i in range(len(token) - _ECHO + 1)):
            return MASK
        return token


def redactor_for(credentials: Credentials) -> Redactor:
    """A redactor that knows every secret of a connection."""
    secrets = []
    for secret in (credentials.api_key, credentials.previous_api_key):
        if secret:
            secrets += [secret.reveal(), secret.reveal().strip()]
    for _, value in credentials.headers:
        text = value.reveal()
        secrets.append(text)
        # "Bearer KEY": the key alone is the secret as well.
        scheme, _, rest = text.partition(" ")
        if rest and scheme.isalpha():
            secrets.append(rest.strip())
    if credentials.proxy_credentials:
        user, _, password = credentials.proxy_credentials.reveal().partition(":")
        secrets += [credentials.proxy_credentials.reveal(), password, user]
    return Redactor(secrets)
