"""Does a text hold a secret, and how is it shown without? The only way out for words of others.

Providers echo keys, whole or in part, and error texts of libraries quote header values. So everything that a
server or a library said goes through a `Redactor` before it becomes evidence, advice or a message.
"""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import groupby

from nexo_daemon.domain.model import Credentials

MASK = "[secret]"

_SHORTEST = 4
"""Shorter secrets are words; masking them would make texts unreadable and protect nothing."""
_ECHO = 8
"""So many characters of a secret in a row are an echo of it."""
_RANDOM_ECHO = 6
"""The same, if letters and digits are mixed: that is no word."""
_SPLIT_ECHO = 12
"""The same, if white space lies between them: "the api key" is a text."""
_FEW = 64
"""In a text of so many characters each piece is searched for in the secrets; in a longer one, in a table."""
_ROUNDS = 3
"""So often a text may be quoted within a quotation."""

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
_QUOTED = re.compile(r"&#?\w{1,8};|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|\\[^\s]")
_ENDS = frozenset(" \"'<>")


def _plain(text: str) -> str:
    """One line of printable characters; invisible ones vanish, so that none can hide within a secret."""
    shown = "".join(
        c if c.isprintable() else "" if unicodedata.category(c) in ("Cf", "Cs") else " " for c in text
    )
    return " ".join(shown.split())


def _unquoted(text: str, places: list[int]) -> tuple[str, list[int]]:
    """The text without one layer of quoting (URL, JSON, HTML), and the place of each character before."""
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
        # Two thousand names of characters, which few answers use.
        import html

        return html.unescape(quoted)
    if quoted[0] == "%" or (quoted[1] in "ux" and len(quoted) > 2):
        return chr(int(quoted.lstrip("%\\ux"), 16))
    return quoted[1]


def _letters(text: str) -> list[tuple[int, str]]:
    """The letters and digits with their places, in one case: whoever splits or dumps a key keeps those."""
    return [(place, c.lower()) for place, c in enumerate(text) if c.isalnum()]


def _squeezed(text: str) -> str:
    if text.isascii():
        return "".join(filter(str.isalnum, text)).lower()
    return "".join(c for _, c in _letters(text))


def _spellings(secret: str) -> set[str]:
    """The secret as it is, in hexadecimal, and what base64 makes of it at each place in a longer text."""
    raw = secret.encode()
    found = {secret, raw.hex()}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        # The characters at both ends depend on the neighbours, too.
        inner = encoded[(0, 2, 3)[before] : len(encoded) - 4 * bool((before + len(raw)) % 3)]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {_squeezed(one) for one in found}


def _grams(text: str, length: int) -> set[str]:
    return {text[i : i + length] for i in range(len(text) - length + 1)}


def _is_random(text: str) -> bool:
    return any(c.isdigit() for c in text) and not text.isdigit()


class Redactor:
    """Masks the given secrets, in whatever quotation, and whatever looks like a key."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        given = {secret for secret in secrets if len(secret) >= _SHORTEST}
        self._exact = sorted(given, key=len, reverse=True)
        # Made when a text comes, and a good answer has none: with a key of 168 characters, as OpenAI's have,
        # they took as long as all the rest of a check (0.57 ms, 2026-11-27).
        self._spelt: tuple[str, str] | None = None
        self._echoes: set[str] | None = None

    def _spelt_out(self) -> tuple[str, str]:
        """All that is an echo when eight characters of it are repeated, and when six are; lines."""
        if self._spelt is None:
            every = (spelling for secret in self._exact for spelling in _spellings(secret))
            self._spelt = "\n".join(every), "\n".join(map(_squeezed, self._exact))
        return self._spelt

    def _is_echo(self, squeezed: str) -> Callable[[str], bool]:
        """Tells a piece of the text that is an echo of a secret."""
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
        """One line without secrets, control characters and lone surrogates, at most `limit` long."""
        # Bounded before the search, so that a page of megabytes costs nothing; longer than what is shown, so
        # that a secret is not cut in half before it is found.
        text = _plain(text[: 2 * limit + 2048])
        for secret in self._exact:
            text = text.replace(secret, MASK)
        for start, end in reversed(self._found(text)):
            text = text[:start] + MASK + text[end:]
        text = _KEY_SHAPES.sub(MASK, text)
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def _found(self, text: str) -> list[tuple[int, int]]:
        """Where echoes of secrets are, widened to whole words, in order and apart."""
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
