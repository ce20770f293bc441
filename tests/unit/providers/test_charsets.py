"""Whatever charset a provider names, reading its answer takes time in proportion to its size."""

import encodings
import pkgutil
from encodings.aliases import aliases

import httpx
import pytest

from nexo_daemon.providers import bodies
from nexo_daemon.providers.exchange import HttpAnswer

NAMES = sorted({*(module.name for module in pkgutil.iter_modules(encodings.__path__)), *aliases.values()})
SIZES = (5_000, 100_000)


def answer(name: str, size: int) -> HttpAnswer:
    headers = httpx.Headers({"content-type": f"text/plain; charset={name}"})
    return HttpAnswer(500, headers, b"abc-xyz." * (size // 8))


@pytest.mark.parametrize("name", NAMES)
def test_no_charset_of_python_is_used_but_those_of_text(name: str) -> None:
    for spelling in (name, name.upper(), name.replace("_", "-"), f'"{name}"'):
        assert bodies.charset(f"text/plain; charset={spelling}") in bodies.CODECS
    for size in SIZES:
        assert bodies.read(answer(name, size)).message


@pytest.mark.parametrize(
    ("named", "codec"),
    [
        ("utf-8", "utf_8"),
        ("ISO-8859-1", "latin_1"),
        ("windows-1252", "cp1252"),
        ("GB2312", "gb2312"),
        ("gb18030", "gb18030"),
        ("Shift_JIS", "shift_jis"),
        ("punycode", "utf_8"),
        ("idna", "utf_8"),
        ("bz2", "utf_8"),
        ("no-such-charset", "utf_8"),
        ("unicode_escape", "utf_8"),
    ],
)
def test_the_charsets_of_the_web_are_known_and_others_are_read_as_utf_8(named: str, codec: str) -> None:
    assert bodies.charset(f"text/html; charset={named}") == codec
