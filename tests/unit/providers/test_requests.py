"""What is written on the wire: URLs, headers, and what is refused before anything is sent."""

import pytest

import probing_help as ask
from nexo.connections.terms import AuthScheme, Provider
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.requests import compose, parse_base, sends_credential

KEY = "a-good-key-0123456789"


def headers_of(*args: object, with_credentials: bool = True, **options: object) -> dict[str, str]:
    wanted = ask.target(*args, **options)  # type: ignore[arg-type]  # passed through
    outgoing = compose(wanted, parse_base(wanted.base_url), with_credentials=with_credentials)
    assert len({name.lower() for name, _ in outgoing.headers}) == len(outgoing.headers)
    assert KEY not in repr(outgoing)
    return {name.lower(): value for name, value in outgoing.headers}


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [
        (AuthScheme.BEARER, "authorization", f"Bearer {KEY}"),
        (AuthScheme.X_API_KEY, "x-api-key", KEY),
        (AuthScheme.X_GOOG_API_KEY, "x-goog-api-key", KEY),
        (AuthScheme.API_KEY, "api-key", KEY),
    ],
)
def test_auth_schemes(scheme: AuthScheme, header: str, value: str) -> None:
    headers = headers_of(Provider.CUSTOM, "http://h/v1", KEY, scheme=scheme)
    assert headers[header] == value
    assert sum(KEY in sent for sent in headers.values()) == 1
    assert KEY not in str(
        headers_of(Provider.CUSTOM, "http://h/v1", KEY, scheme=scheme, with_credentials=False)
    )


def test_scheme_none_sends_no_key() -> None:
    wanted = ask.target(Provider.CUSTOM, "http://h/v1", KEY, scheme=AuthScheme.NONE)
    assert not sends_credential(wanted)
    assert KEY not in str(headers_of(Provider.CUSTOM, "http://h/v1", KEY, scheme=AuthScheme.NONE))


def test_custom_headers_replace_ours_whatever_the_case() -> None:
    custom = (("authorization", "Token mine"), ("USER-AGENT", "me/1"), ("OpenAI-Organization", "org-1"))
    headers = headers_of(Provider.OPENAI, "http://h/v1", KEY, headers=custom)
    assert headers["authorization"] == "Token mine"
    assert headers["user-agent"] == "me/1"
    assert headers["openai-organization"] == "org-1"


def test_the_control_request_leaves_out_the_key_alone() -> None:
    custom = (("X-Gateway-Token", "t"), ("Cookie", "c"), ("X-Team", "blue"))
    headers = headers_of(Provider.CUSTOM, "http://h/v1", KEY, headers=custom, with_credentials=False)
    assert {name: headers[name] for name in ("x-gateway-token", "cookie", "x-team")} == {
        "x-gateway-token": "t",
        "cookie": "c",
        "x-team": "blue",
    }
    assert "authorization" not in headers


@pytest.mark.parametrize("key", [None, KEY])
def test_without_a_key_that_is_sent_the_control_leaves_out_what_stands_in_its_place(key: str | None) -> None:
    custom = (("authorization", "Basic dTpw"), ("X-Team", "blue"))
    headers = headers_of(Provider.CUSTOM, "http://h/v1", key, headers=custom, with_credentials=False)
    assert headers["x-team"] == "blue"
    assert "authorization" not in headers


def test_the_host_header_and_the_url() -> None:
    base = parse_base("https://[::1]:8443/path/v1/?api-version=2")
    assert base.authority == "[::1]:8443"
    assert base.url("/models") == "https://[::1]:8443/path/v1/models?api-version=2"
    assert base.target("/models", "limit=1") == "/path/v1/models?api-version=2&limit=1"
    assert parse_base("http://h").target("", "limit=1") == "/?limit=1"
    assert parse_base("https://Example.COM:443").authority == "example.com"
    assert parse_base("https://bücher.example/v1").host == "xn--bcher-kva.example"
    assert parse_base("http://h/ä").url() == "http://h/%C3%A4"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://x/v1",
        "https://",
        "https:///v1",
        "http://127.0.0.1:4100 /v1",
        "http://a b/v1",
        "http://x:99999/v1",
        "http://x:0/v1",
        "http://x:port/v1",
        "https://user:password@x/v1",
        "https://[::1/v1",
        "https://x\n/v1",
        "https://x\x00/v1",
        "https://a\\b/v1",
        "https://\u2603\u2603.\u202e/v1",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        parse_base(url)
    assert caught.value.field == "base_url"
    assert "password" not in caught.value.text or "user name or password" in caught.value.text


@pytest.mark.parametrize("key", ["abc\n", " abc", "a\x00b", "schlüssel", "smart“quote”"])
def test_keys_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        compose(ask.target(Provider.OPENAI, "http://h", key), parse_base("http://h"))
    assert caught.value.field == "api_key"
    assert key not in caught.value.text


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "a\r\nX-B: b"),
        ("Bad Name", "x"),
        ("", "x"),
        ("X-Ä", "x"),
        ("X-A", "ü"),
        ("Content-Length", "5"),
    ],
)
def test_headers_that_cannot_be_sent(header: tuple[str, str]) -> None:
    with pytest.raises(ConfigFault) as caught:
        compose(ask.target(Provider.OPENAI, "http://h", headers=(header,)), parse_base("http://h"))
    assert caught.value.field == "headers"
