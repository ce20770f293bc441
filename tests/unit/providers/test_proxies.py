"""Which proxy a request takes, and what it looks like when the proxy is the problem."""

import json
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from certificates import make_authority
from nexo.connections.proxies import SystemProxies, bypasses, is_loopback, system_proxies
from nexo.connections.terms import Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.proxies import choose_proxy
from ports import free_port
from proxy_servers import HttpProxy, SocksProxy
from recorded_answers import LISTS

PASSWORD = "user:pass word"
ENCODED = "user:pass%20word"


def good(_request: Request, _connection: object) -> bytes:
    return answer(200, LISTS[Provider.CUSTOM])


LONG = json.dumps({"object": "list", "data": [{"id": "m", "description": "x" * 600_000}]}).encode()
"""More than the head of an answer may have."""


def through(url: str, *, ca_bundle: str = "", no_proxy: tuple[str, ...] = ()) -> NetworkProfile:
    return NetworkProfile(proxy=url, ca_bundle=ca_bundle, no_proxy=no_proxy)


# -- on the wire


def test_a_plain_request_goes_through_the_http_proxy() -> None:
    with AnsweringServer(good) as server, HttpProxy() as proxy:
        network = through(f"http://127.0.0.1:{proxy.port}")
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=network))
        assert report.verdict.ok
        assert proxy.requests[0].target == f"{server.origin}/v1/models"
    assert "proxy" in ask.layer(report, Layer.TCP).evidence
    assert ask.layer(report, Layer.DNS).status is LayerStatus.SKIPPED


def test_https_goes_through_a_tunnel_with_the_password(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with AnsweringServer(good, tls=authority.server("good")) as server, HttpProxy(PASSWORD) as proxy:
        network = through(f"http://127.0.0.1:{proxy.port}", ca_bundle=authority.bundle)
        wanted = ask.target(
            Provider.CUSTOM, f"{server.origin}/v1", network=network, proxy_credentials=ENCODED
        )
        report = ask.run_test(wanted)
        assert report.verdict.ok, report
        assert {request.method for request in proxy.requests} == {"CONNECT"}
        # The key is for the service, not for the proxy.
        assert all(not request.key for request in proxy.requests)
    assert ask.layer(report, Layer.TLS).status is LayerStatus.PASSED


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("credentials", ["", "user:wrong-password"])
def test_a_proxy_that_demands_a_password(tmp_path: Path, scheme: str, credentials: str) -> None:
    with HttpProxy(PASSWORD) as proxy:
        network = through(f"http://127.0.0.1:{proxy.port}")
        wanted = ask.target(
            Provider.OPENAI, f"{scheme}://127.0.0.1:1/v1", network=network, proxy_credentials=credentials
        )
        report = ask.run_test(wanted)
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.UNREACHABLE, "proxy_auth")
    assert "wrong-password" not in repr(report)


def test_a_proxy_that_cannot_reach_the_service() -> None:
    with HttpProxy() as proxy:
        network = through(f"http://127.0.0.1:{proxy.port}")
        report = ask.run_test(ask.target(Provider.OPENAI, "https://127.0.0.1:1/v1", network=network))
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.UNREACHABLE, "proxy")
    assert ask.layer(report, Layer.TCP).status is LayerStatus.FAILED


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there(scheme: str) -> None:
    network = through(f"{scheme}://127.0.0.1:{free_port()}")
    verdict = ask.check(ask.target(Provider.OPENAI, "https://api.openai.com/v1", network=network))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNREACHABLE, "proxy")


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("entered", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_a_proxy_of_another_kind_than_was_entered_is_said_and_its_kind_is_found(
    tmp_path: Path, kind: type[HttpProxy] | type[SocksProxy], entered: str, secure: bool
) -> None:
    authority = make_authority(tmp_path)
    tls = authority.server("good") if secure else None
    with AnsweringServer(lambda *_: answer(200, LONG), tls=tls) as server, kind() as proxy:
        scheme = "http" if kind is HttpProxy else "socks5"
        network = through(f"{entered}://127.0.0.1:{proxy.port}", ca_bundle=authority.bundle)
        started = time.monotonic()
        report = ask.run_test(
            ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=network), timeout_s=30.0
        )
        if entered.removesuffix("h") == scheme:
            assert report.verdict.ok
            return
        assert report.verdict.outcome is Outcome.UNREACHABLE
        assert time.monotonic() - started < 15
        found = [(one.value, one.verified) for one in report.suggestions if one.field == "proxy"]
        assert found == [(f"{scheme}://127.0.0.1:{proxy.port}", True)]
        if secure or entered != "http":
            assert report.verdict.reason == "proxy_kind"
            assert "kind of proxy" in report.verdict.advice
        followed = replace(network, proxy=found[0][0])
        assert ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=followed)).ok


def test_the_password_of_a_proxy_with_tls_is_not_tried_without() -> None:
    with HttpProxy() as proxy:
        network = through(f"https://127.0.0.1:{proxy.port}")
        wanted = ask.target(
            Provider.OPENAI, "https://127.0.0.1:1/v1", network=network, proxy_credentials=ENCODED
        )
        report = ask.run_test(wanted)
        assert report.verdict.reason == "proxy_kind"
        assert not report.suggestions
        assert not proxy.requests


@pytest.mark.parametrize(("password", "encoded"), [("", ""), (PASSWORD, ENCODED)])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_resolves_the_name_and_takes_the_password(scheme: str, password: str, encoded: str) -> None:
    with AnsweringServer(good) as server, SocksProxy(password) as proxy:
        network = through(f"{scheme}://127.0.0.1:{proxy.port}")
        url = f"http://only-the-proxy-knows.invalid:{server.port}/v1"
        wanted = ask.target(Provider.CUSTOM, url, network=network, proxy_credentials=encoded)
        report = ask.run_test(wanted)
        assert report.verdict.ok, report
        # The OpenAI package says so with its first request only.
        assert "its own SOCKS support" in report.verdict.advice
        assert set(proxy.asked_for) == {"only-the-proxy-knows.invalid"}


@pytest.mark.parametrize("credentials", ["", "user:wrong-password"])
def test_socks_that_demands_a_password(credentials: str) -> None:
    with SocksProxy(PASSWORD) as proxy:
        network = through(f"socks5://127.0.0.1:{proxy.port}")
        wanted = ask.target(
            Provider.OPENAI, "https://api.openai.com/v1", network=network, proxy_credentials=credentials
        )
        verdict = ask.check(wanted)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNREACHABLE, "proxy_auth")


def test_tls_through_socks_is_still_verified(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with AnsweringServer(good, tls=authority.server("good")) as server, SocksProxy() as proxy:
        network = through(f"socks5://127.0.0.1:{proxy.port}")
        verdict = ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=network))
    assert verdict.reason == "tls_unknown_ca"


def test_no_proxy_of_the_connection_goes_around_its_proxy() -> None:
    with AnsweringServer(good) as server, HttpProxy() as proxy:
        network = through(f"http://127.0.0.1:{proxy.port}", no_proxy=("127.0.0.0/8",))
        assert ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=network)).ok
        assert proxy.requests == []


def test_the_system_proxy_is_not_used_for_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    with AnsweringServer(good) as server, HttpProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.delenv("no_proxy")
        assert ask.check(ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=NetworkProfile())).ok
        assert proxy.requests == []


def test_the_system_proxy_is_used_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpProxy() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        wanted = ask.target(Provider.OPENAI, "https://nowhere.invalid/v1", network=NetworkProfile())
        assert ask.check(wanted).reason == "proxy"
        assert [request.target for request in proxy.requests] == ["nowhere.invalid:443"]


# -- the rules

SYSTEM = SystemProxies({"https": "http://proxy:3128", "all": "socks5://u:p%40ss@socks"}, ("corp.example",))


def chosen(url: str, profile: NetworkProfile, credentials: str = "") -> str:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition(":")
    proxy = choose_proxy(
        scheme, host, int(port or 443), profile, Secret(credentials) if credentials else None, SYSTEM
    )
    return str(proxy) if proxy else ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com", "http://proxy:3128"),
        ("http://api.example", "socks5://socks:1080"),
        ("https://llm.corp.example", ""),
        ("https://localhost", ""),
        ("https://127.0.0.9", ""),
    ],
)
def test_system(url: str, expected: str) -> None:
    assert chosen(url, NetworkProfile()) == expected


def test_direct_and_given() -> None:
    assert chosen("https://api.openai.com", NetworkProfile(proxy=ProxyMode.DIRECT)) == ""
    assert chosen("https://localhost", through("http://p")) == "http://p:80"
    assert chosen("https://localhost", through("http://bücher.example")) == "http://xn--bcher-kva.example:80"
    assert chosen("https://x", through("https://p")) == "https://p:443"
    assert chosen("https://x", through("socks5h://[::1]:9")) == "socks5h://[::1]:9"


def test_credentials_are_decoded_and_not_shown() -> None:
    proxy = choose_proxy("https", "x", 443, through("http://p"), Secret("me:p%40ss%3Aword"), SYSTEM)
    assert proxy is not None
    assert proxy.credentials == ("me", "p@ss:word")
    assert "p@ss" not in repr(proxy) + str(proxy)
    system = choose_proxy("http", "x.example", 80, NetworkProfile(), None, SYSTEM)
    assert system is not None
    assert system.credentials == ("u", "p@ss")
    assert "p%40ss" not in repr(SYSTEM)


@pytest.mark.parametrize("url", ["ftp://p", "http://", "http://p:99999", "p:3128", "http://p:x", "http://☃"])
def test_a_bad_proxy_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        choose_proxy("https", "x", 443, through(url), None, SYSTEM)
    assert caught.value.field == "network.proxy_url"


def test_an_unusable_system_proxy_is_named_as_such() -> None:
    system = SystemProxies({"https": "socks4://p:1"})
    with pytest.raises(ConfigFault, match="environment") as caught:
        choose_proxy("https", "api.example", 443, NetworkProfile(), None, system)
    assert caught.value.reason == "system_proxy"


@pytest.mark.parametrize(
    ("host", "patterns", "expected"),
    [
        ("api.example.com", ["example.com"], True),
        ("api.example.com", [".example.com"], True),
        ("api.example.com", ["*.example.com"], True),
        ("example.com", [".example.com"], True),
        ("notexample.com", ["example.com"], False),
        ("API.Example.COM.", ["example.com"], True),
        ("anything", ["*"], True),
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["10.1.2.3"], True),
        ("::1", ["::1"], True),
        ("[::1]", ["[::1]:443"], True),
        ("fd00::1", ["fd00::/8"], True),
        ("api.example.com", ["example.com:443"], True),
        ("api.example.com", ["example.com:8443"], False),
        ("api.example.com", ["", " "], False),
        ("api.example.com", ["10.0.0.0/8", "other"], False),
        ("example.com", ["10.0.0.1.example.com"], False),
    ],
)
def test_no_proxy_patterns(host: str, patterns: list[str], expected: bool) -> None:
    assert bypasses(host, 443, patterns) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("a.localhost", True), ("127.1.2.3", True), ("::1", True), ("10.0.0.1", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("environment", "urls", "bypass"),
    [
        ({}, {}, ()),
        (
            {"HTTPS_PROXY": "p:1", "NO_PROXY": "a.example, b.example,,c"},
            {"https": "http://p:1"},
            ("a.example", "b.example", "c"),
        ),
        ({"https_proxy": "http://low", "HTTPS_PROXY": "http://up"}, {"https": "http://low"}, ()),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up"}, {}, ()),
        ({"all_proxy": "socks://s:1"}, {"all": "socks5h://s:1"}, ()),
        ({"HTTP_PROXY": "http://of-a-caller", "REQUEST_METHOD": "GET"}, {}, ()),
        ({"http_proxy": "http://ours", "REQUEST_METHOD": "GET"}, {"http": "http://ours"}, ()),
    ],
)
def test_the_environment_is_read(
    environment: dict[str, str], urls: dict[str, str], bypass: tuple[str, ...]
) -> None:
    assert system_proxies(environment) == SystemProxies(urls, bypass)


def test_what_answers_without_tls_behind_a_proxy_is_not_to_get_the_key_in_plain_text() -> None:
    def portal(_request: Request, connection: socket.socket) -> bytes:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.recv(65536)
        return b"HTTP/1.1 403 Forbidden\r\n\r\n"

    with AnsweringServer(portal) as proxy:
        network = through(f"http://127.0.0.1:{proxy.port}")
        report = ask.run_test(
            ask.target(Provider.CUSTOM, "https://api.example/v1", "a-key-123456", network=network)
        )
    assert report.verdict.reason == "tls_not_spoken"
    assert "Use http:// only for a server of your own network" in report.verdict.advice
    assert report.suggestions == ()
