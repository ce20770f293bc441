"""Removes secrets from texts. Texts from elsewhere are shown only after that.

Providers repeat keys, whole or in part, and error texts of libraries quote header values. So everything that
a server or library said passes a `Redactor` before it is used as evidence, advice or message.
"""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import groupby

from nexo_daemon.domain.model import Credentials

MASK = "[secret]"

_SHORTEST = 4
"""Shorter secrets are ordinary words; masking them would make texts unreadable and protect nothing."""
_ECHO = 8
"""So many consecutive characters of a secret are treated as the secret."""
_RANDOM_ECHO = 6
"""The same if letters and digits are mixed, which no word does."""
_SPLIT_ECHO = 12
"""The same if there is white space in between, because "the api key" is an ordinary text."""
_FEW = 64
"""Up to this length each piece of a text is searched for in the secrets; a longer text uses a table."""
_ROUNDS = 3
"""The maximum levels of quoting that are searched."""

# Formats of keys, so that unknown keys (of an organisation, of an upstream) are masked, too.
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
_QUOTED = re.compile(r"&#?\w{1,8};|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|\\[^\s]")
_ENDS = frozenset(" \"'<>")


def _plain(text: str) -> str:
    """One line of printable characters; invisible ones are removed, so that they cannot split a secret."""
    shown = "".join(
        c if c.isprintable() else "" if unicodedata.category(c) in ("Cf", "Cs") else " " for c in text
    )
    return " ".join(shown.split())


def _unquoted(text: str, places: list[int]) -> tuple[str, list[int]]:
    """The text without one level of quoting (URL, JSON, HTML), and each character's original position."""
    characters: list[str] = []
    origins: list[int] = []
    end = 0
    for match in _QUOTED.finditer(text):
        characters += text[end : match.start()]
        origins += places[end : match.start()]
        meant = _meaning(match.group())
        characters += meant
        origins += [places[match.start()]] * len(meant)
        end = match.end()
    return "".join([*characters, text[end:]]), origins + places[end:]


def _meaning(quoted: str) -> str:
    if quoted[0] == "&":
        # Imported here, because it has two thousand character names that few answers need.
        import html

        return html.unescape(quoted)
    if quoted[0] == "%" or (quoted[1] in "ux" and len(quoted) > 2):
        return chr(int(quoted.lstrip("%\\ux"), 16))
    return quoted[1]


def _letters(text: str) -> list[tuple[int, str]]:
    """Letters and digits in lower case with their positions; they survive when a key is split or dumped."""
    return [(place, c.lower()) for place, c in enumerate(text) if c.isalnum()]


def _squeezed(text: str) -> str:
    if text.isascii():
        return "".join(filter(str.isalnum, text)).lower()
    return "".join(c for _, c in _letters(text))


def _spellings(secret: str) -> set[str]:
    """The secret, in hexadecimal, and in base64 at each of the three offsets."""
    raw = secret.encode()
    found = {secret, raw.hex()}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        # The characters at both ends also depend on the surrounding text.
        inner = encoded[(0, 2, 3)[before] : len(encoded) - 4 * bool((before + len(raw)) % 3)]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {_squeezed(one) for one in found}


def _grams(text: str, length: int) -> set[str]:
    return {text[i : i + length] for i in range(len(text) - length + 1)}


def _is_random(text: str) -> bool:
    return any(c.isdigit() for c in text) and not text.isdigit()


class Redactor:
    """Masks the given secrets in any quoting, and everything that looks like a key."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        given = {secret for secret in secrets if len(secret) >= _SHORTEST}
        self._exact = sorted(given, key=len, reverse=True)
        # Computed for the first text, because a good answer has none: for a key of 168 characters, as
        # OpenAI's are, it took as long as the rest of a check (0.57 ms, 2026-11-27).
        self._spelt: tuple[str, str] | None = None
        self._echoes: set[str] | None = None

    def _spelt_out(self) -> tuple[str, str]:
        """Two texts with a secret in each line: pieces of eight, or of six characters, count as secrets."""
        if self._spelt is None:
            every = (spelling for secret in self._exact for spelling in _spellings(secret))
            self._spelt = "\n".join(every), "\n".join(map(_squeezed, self._exact))
        return self._spelt

    def _is_echo(self, squeezed: str) -> Callable[[str], bool]:
        """A function that tells whether a piece of the text is part of a secret."""
        if len(squeezed) <= _FEW and self._echoes is None:
            every, plain = self._spelt_out()
            return lambda piece: (
                piece in every if len(piece) == _ECHO else piece in plain and _is_random(piece)
            )
        if self._echoes is None:
            every, plain = self._spelt_out()
            self._echoes = {piece for line in every.split("\n") for piece in _grams(line, _ECHO)}
            short = {piece for line in plain.split("\n") for piece in _grams(line, _RANDOM_ECHO)}
            self._echoes |= set(filter(_is_random, short))
        return self._echoes.__contains__

    def __call__(self, text: str, limit: int = 300) -> str:
        """One line of at most `limit` characters without secrets, control characters and lone surrogates."""
        # Cut before the search, so that large pages cost nothing, but longer than shown, so that no secret is
        # cut in half before it is found.
        text = _plain(text[: 2 * limit + 2048])
        for secret in self._exact:
            text = text.replace(secret, MASK)
        for start, end in reversed(self._found(text)):
            text = text[:start] + MASK + text[end:]
        text = _KEY_SHAPES.sub(MASK, text)
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def _found(self, text: str) -> list[tuple[int, int]]:
        """The ranges of secrets, extended to whole words, in order and disjoint."""
        if not self._exact:
            return []
        marked: set[int] = set()
        view, places = text, list(range(len(text)))
        for _ in range(_ROUNDS + 1):
            marked |= self._echoed(view, places, text)
            inner, origins = _unquoted(view, places)
            if inner == view:
                break
            view, places = inner, origins
        spans: list[tuple[int, int]] = []
        for place in sorted(marked):
            if spans and place < spans[-1][1]:
                continue
            start = end = place
            while start > 0 and text[start - 1] not in _ENDS:
                start -= 1
            while end < len(text) and text[end] not in _ENDS:
                end += 1
            spans.append((start, end))
        return spans

    def _echoed(self, view: str, places: list[int], text: str) -> set[int]:
        letters = _letters(view)
        squeezed = "".join(c for _, c in letters)
        hit, is_echo_of_one = [False] * len(letters), self._is_echo(squeezed)
        for length in (_ECHO, _RANDOM_ECHO):
            starts = [
                i for i in range(len(squeezed) - length + 1) if is_echo_of_one(squeezed[i : i + length])
            ]
            for i in starts:
                hit[i : i + length] = [True] * length
        found: set[int] = set()
        for is_echo, run in groupby(range(len(letters)), key=hit.__getitem__):
            if is_echo:
                origins = [places[letters[i][0]] for i in run]
                together = " " not in text[origins[0] : origins[-1]]
                if together or len(origins) >= _SPLIT_ECHO:
                    found.update(origins)
        return found


def redactor_for(credentials: Credentials) -> Redactor:
    """A redactor for all secrets of a connection."""
    secrets = []
    for secret in (credentials.api_key, credentials.previous_api_key):
        if secret:
            secrets += [secret.reveal(), secret.reveal().strip()]
    for _, value in credentials.headers:
        text = value.reveal()
        secrets.append(text)
        # In "Bearer KEY", the key alone is a secret, too.
        scheme, _, rest = text.partition(" ")
        if rest and scheme.isalpha():
            secrets.append(rest.strip())
    if credentials.proxy_credentials:
        user, _, password = credentials.proxy_credentials.reveal().partition(":")
        secrets += [credentials.proxy_credentials.reveal(), password, user]
    return Redactor(secrets)
