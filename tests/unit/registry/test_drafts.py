"""Bad input is refused with the field, the reason and the next step, and never quotes a secret."""

from pathlib import Path

import pytest

from nexo.connections.errors import InvalidField
from nexo.connections.model.connection import MappedModel
from nexo.connections.terms import AuthScheme, Provider
from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nexo_daemon.domain.secret import Secret
from nexo_daemon.domain.url import normalize_base_url, origin, split_proxy_url, with_credentials
from nexo_daemon.registry.drafts import (
    MODEL_MAP_LIMIT,
    Draft,
    check_draft,
    check_network,
    parse_headers_json,
)

CANARY = "sk-canary-7f3a"


def refused(draft: Draft) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        check_draft(draft)
    error = caught.value
    assert error.hint
    assert error.field in error.message
    assert CANARY not in error.message + error.hint
    return error


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 65, "-rf", "bell\a"])
def test_a_bad_name_is_refused(name: str) -> None:
    assert refused(Draft(name=name)).field == "name"


def test_a_name_loses_the_white_space_around_it() -> None:
    assert check_draft(Draft(name="  work ")).name == "work"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://host/v1", "scheme"),
        ("localhost:11434", "scheme"),
        ("https://", "host"),
        ("https://host:99999/v1", "port"),
        ("https://host:0/v1", "port"),
        ("https://host:port/v1", "port"),
        ("https://ho st/v1", "space"),
        ("https://host /v1", "space"),
        ("https://host\x00/v1", "control"),
        ("https://user:sk-canary-7f3a@host/v1", "user name or password"),
        ("https://sk-canary-7f3a@host/v1", "user name or password"),
        ("https://host/v1?key=sk-canary-7f3a", "query"),
        ("https://host/v1#x", "fragment"),
        ("https://host..example/v1", "host"),
        ("https://[::1/v1", "malformed"),
        ("https://exa$mple/v1", "host"),
    ],
)
def test_a_bad_base_url_is_refused(url: str, word: str) -> None:
    error = refused(Draft(base_url=url))
    assert error.field == "base_url"
    assert word in error.message


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("HTTPS://API.Example.com:443/v1/", "https://api.example.com/v1"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        (" https://bücher.example/v1 ", "https://bücher.example/v1"),
    ],
)
def test_a_base_url_is_normalised(given: str, normal: str) -> None:
    assert normalize_base_url(given) == normal


def test_an_origin_always_has_its_port() -> None:
    assert origin("https://api.example.com/v1") == "https://api.example.com:443"
    assert origin("http://[::1]/v1") == "http://[::1]:80"


@pytest.mark.parametrize(
    "key",
    [
        f"{CANARY}\n",
        f"{CANARY}\r\nX-Evil: 1",
        f" {CANARY}",
        f"Bearer {CANARY}",
        f"“{CANARY}”",
        f"{CANARY}\x07",
    ],
)
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    assert refused(Draft(api_key=Secret(key))).field == "api_key"


def test_a_key_and_a_reference_exclude_each_other() -> None:
    assert refused(Draft(api_key=Secret(CANARY), api_key_ref="file:/x")).field == "api_key_ref"


@pytest.mark.parametrize("reference", ["vault:x", "keyring:service", "file:relative", "command:"])
def test_a_bad_reference_is_refused(reference: str) -> None:
    assert refused(Draft(api_key_ref=reference)).field == "api_key_ref"


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ((("X Team", "a"),), "header name"),
        ((("", "a"),), "header name"),
        ((("X-A", f"{CANARY}\r\nEvil: 1"),), "line break"),
        ((("X-A", f"{CANARY}ü"),), "ASCII"),
        ((("X-A", "1"), ("x-a", "2")), "same header"),
        ((("Connection", "close"),), "single hop"),
        ((("Host", "evil.example"),), "HTTP library"),
        ((("Transfer-Encoding", "chunked"),), "single hop"),
        ((("X-A", "v" * 9000),), "characters"),
        (tuple((f"X-{n}", "v") for n in range(65)), "at most"),
    ],
)
def test_bad_headers_are_refused(headers: tuple[tuple[str, str], ...], word: str) -> None:
    error = refused(Draft(headers=tuple((name, Secret(value)) for name, value in headers)))
    assert error.field == "headers"
    assert word in error.message + error.hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"X-A": "1",}', "line 1, column"),
        ("{'X-A': '1'}", "line 1, column 2"),
        ('["X-A"]', "not a JSON object"),
        ('"X-A"', "not a JSON object"),
        ('{"X-A": 1}', "not a string"),
        ('{"X-A": {"b": "c"}}', "not a string"),
        ("[" * 100_000, "nested"),
    ],
)
def test_malformed_headers_json_is_refused_with_its_position(text: str, word: str) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_headers_json(text)
    assert caught.value.field == "headers_json"
    assert word in caught.value.message


def test_headers_json_keeps_duplicates_so_that_they_can_be_refused() -> None:
    headers = parse_headers_json('{"X-A": "1", "x-a": "2"}')
    assert refused(Draft(headers=headers)).field == "headers"


def test_a_proxy_url_gives_up_its_password() -> None:
    profile, credentials = check_network(
        mode=ProxyMode.URL, proxy_url="http://ada:s%40cret@Proxy:3128", no_proxy=(" .corp ",), ca_bundle=""
    )
    assert profile == NetworkProfile("http://proxy:3128", (".corp",))
    assert credentials is not None
    assert with_credentials(profile.proxy_url, credentials.reveal()) == "http://ada:s%40cret@proxy:3128"


@pytest.mark.parametrize("url", ["ftp://p:1", "http://", "http://p:1/path", "p:3128", "http://p:70000"])
def test_a_bad_proxy_is_refused(url: str) -> None:
    with pytest.raises(InvalidField):
        split_proxy_url(url)


def test_a_ca_bundle_has_to_exist(tmp_path: Path) -> None:
    for bundle in ("relative.pem", str(tmp_path / "missing.pem")):
        with pytest.raises(InvalidField) as caught:
            check_network(mode=ProxyMode.SYSTEM, proxy_url="", no_proxy=(), ca_bundle=bundle)
        assert caught.value.field == "ca_bundle"


@pytest.mark.parametrize("interval", [1.0, 100_000.0, -5.0])
def test_a_check_interval_has_bounds(interval: float) -> None:
    assert refused(Draft(check_interval_s=interval)).field == "check_interval"


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([("nexo", "m")], "default model"),
        ([("a", "")], "empty"),
        ([(" ", "m")], "empty"),
        ([("a", "m"), ("a ", "n")], "twice"),
        ([("a\x1b", "m")], "control"),
        ([("a", "m" * 257)], "too long"),
        ([(str(number), "m") for number in range(MODEL_MAP_LIMIT + 1)], "101 rows"),
    ],
)
def test_a_bad_model_map_is_refused(rows: list[tuple[str, str]], word: str) -> None:
    error = refused(Draft(model_map=tuple(MappedModel(*row) for row in rows)))
    assert error.field == "model_map"
    assert word in error.message


def test_a_model_map_is_kept_in_the_order_of_what_is_asked() -> None:
    rows = (MappedModel("b", " m "), MappedModel("a", "b"))
    assert check_draft(Draft(model_map=rows)).model_map == (MappedModel("a", "b"), MappedModel("b", "m"))


def test_a_valid_draft_passes_unchanged() -> None:
    draft = Draft(
        name="work",
        provider=Provider.OPENAI,
        base_url="https://api.example.com/v1",
        auth_scheme=AuthScheme.BEARER,
        api_key=Secret(CANARY),
        headers=(("X-Team", Secret("a b")),),
        default_model="gpt-x",
    )
    assert check_draft(draft) == draft
