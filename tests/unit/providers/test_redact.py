"""No secret, whole or in part, ours or somebody's, survives redaction."""

import pytest

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
def test_our_secret_is_masked_whole_and_in_part(text: str) -> None:
    redacted = Redactor([KEY])(text)
    assert MASK in redacted
    assert KEY[:8] not in redacted
    assert KEY[-8:] not in redacted


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
