"""No secret, whole or in part, ours or somebody's, survives redaction."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexo_daemon.domain.model import Credentials
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.redact import MASK, Redactor, redactor_for

KEY = "Zk9-plain/key+with=odd%chars0123"


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} is bad",
        f"key {KEY[:12]} is bad",
        f"key {KEY[-12:]} is bad",
        f"...{KEY[5:20]}...",
        'json "Zk9-plain/key+with=odd%chars0123"',
        "url ?key=Zk9-plain%2Fkey%2Bwith%3Dodd%25chars0123&x=1",
    ],
)
@pytest.mark.parametrize("around", ["", "many words " * 10], ids=["short", "long"])
def test_our_secret_is_masked_whole_and_in_part(text: str, around: str) -> None:
    redacted = Redactor([KEY])(around + text)
    assert MASK in redacted
    assert KEY[:8] not in redacted
    assert KEY[-8:] not in redacted


def _in_pieces(text: str, size: int, between: str) -> str:
    return between.join(text[i : i + size] for i in range(0, len(text), size))


QUOTATIONS: dict[str, Callable[[str], str]] = {
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(b"~~?" + key.encode()).decode(),
    "user and key, as proxies echo them": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "one character before it": lambda key: base64.b64encode(f"x{key}".encode()).decode(),
    "two characters before it": lambda key: base64.b64encode(f"xy{key}z".encode()).decode(),
    "base64 without padding": lambda key: base64.b64encode(key.encode()).decode().rstrip("="),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal, large": lambda key: key.encode().hex().upper(),
    "hexadecimal with colons": lambda key: key.encode().hex(":"),
    "JSON escapes": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "JSON in JSON": lambda key: json.dumps(json.dumps({"k": "".join(f"\\u{ord(c):04x}" for c in key)})),
    "Python escapes": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "every character for a URL": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "for a URL in a URL": lambda key: quote("".join(f"%{ord(c):02X}" for c in key)),
    "HTML": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "in capitals": lambda key: key.upper(),
    "groups of four": lambda key: _in_pieces(key, 4, " "),
    "groups of seven": lambda key: _in_pieces(key, 7, "\n"),
    "two strings": lambda key: _in_pieces(key, 9, '" + "'),
    "with dots": lambda key: _in_pieces(key, 1, "."),
    "with soft hyphens": lambda key: _in_pieces(key, 3, "\u00ad"),
}


@pytest.mark.parametrize("quotation", QUOTATIONS)
@given(key=st.text("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=24, max_size=48))
@settings(max_examples=30, deadline=None)
def test_no_quotation_of_a_secret_survives(quotation: str, key: str) -> None:
    shown = QUOTATIONS[quotation](key)
    redacted = Redactor([key])(f"The server said: {shown} is wrong.", limit=2000)
    assert MASK in redacted
    assert redacted.startswith("The server said: ")
    assert redacted.endswith("is wrong.")
    middle = len(shown) // 2
    assert shown[middle - 8 : middle + 8] not in redacted


def test_pieces_of_a_secret_among_words_are_found() -> None:
    text = Redactor([KEY])("first Zk9-pla then key+wit and odd%cha last rs0123 done")
    assert "Zk9" not in text
    assert "0123" not in text


def test_of_a_long_text_no_more_is_searched_than_is_shown_and_may_be_quoted() -> None:
    read: list[slice] = []

    class Page(str):
        def __getitem__(self, index: object) -> str:
            read.append(index)
            return super().__getitem__(index)

    assert len(Redactor([KEY])(Page("<p>" * 1_000_000))) == 300
    assert [one.stop for one in read] == [2648]


@pytest.mark.parametrize(
    "foreign",
    [
        "sk-abcd1234",
        "sk-proj-ab***yz",
        "gsk_abcdef",
        "AIzaSyAbCdEf",
        "AQ.Ab8RN6",
        "Bearer abc.def",
        "xx***yy",
        "hf_abcdefgh",
    ],
)
def test_what_looks_like_a_key_is_masked(foreign: str) -> None:
    redacted = Redactor()(f"Incorrect API key provided: {foreign}. See the docs.")
    assert foreign.removeprefix("Bearer ") not in redacted
    assert redacted.endswith("See the docs.")


def test_words_stay_readable() -> None:
    text = "Missing scopes: api.model.read. Check that you have the correct role in your organization."
    assert Redactor([KEY, "no"])(text) == text


def test_bounded_single_line_without_control_characters() -> None:
    text = Redactor()("a\x1b[31m\r\nb\u202ec\ud800d" + "x" * 10_000, 40)
    assert len(text) == 40
    assert text.startswith("a [31m bcdx")
    text.encode()


def test_every_credential_of_a_connection_is_known() -> None:
    redact = redactor_for(
        Credentials(
            api_key=Secret("the-api-key-0001"),
            headers=(("Authorization", Secret("Bearer header-token-0002")), ("X-Team", Secret("team-0003"))),
            proxy_credentials=Secret("proxyuser:proxypass-0004"),
            previous_api_key=Secret("previous-key-0005"),
        )
    )
    text = redact("the-api-key-0001 header-token-0002 team-0003 proxypass-0004 previous-key-0005 rest")
    assert text == " ".join([MASK] * 5) + " rest"
