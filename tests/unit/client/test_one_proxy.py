"""The daemon and the programs take the same proxy for the same host, however the list is spelled."""

import os
import ssl
from collections.abc import Iterator

import httpx
import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections import run_marks
from nexo.connections.terms import Provider
from nexo_client import adapters
from nexo_client.types import NetworkProfile, ResolvedConnection
from proxy_servers import HttpProxy
from recorded_answers import LISTS
from unit.client.test_values import resolved


def good(_request: Request, _connection: object) -> bytes:
    return answer(200, LISTS[Provider.CUSTOM])


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpProxy]:
    for name in run_marks.NETWORK:
        monkeypatch.delenv(name, raising=False)
    with HttpProxy() as running:
        yield running


def sdk(base_url: str, network: NetworkProfile | None = None) -> ResolvedConnection:
    return resolved(provider=Provider.CUSTOM, base_url=base_url, network=network or NetworkProfile())


def went_through(proxy: HttpProxy, conn: ResolvedConnection) -> bool:
    """Whether a request of the program's library reached the proxy."""
    before = len(proxy.requests)
    with httpx.Client(**adapters.network_arguments(conn), timeout=10) as http:
        assert http.get(f"{conn.base_url}/models").status_code == 200
    return len(proxy.requests) > before


LISTED = [
    ("*", False),
    ("127.0.0.1", False),
    ("127.0.0.0/8", False),
    ("10.0.0.0/8", True),
    ("127.0.0.1:{port}", False),
    ("127.0.0.1:1", True),
    ("::1", True),
    ("fd00::/8", True),
    ("[::1]:8080", True),
    (".corp.example", True),
    ("example.com.", True),
    (" 127.0.0.1 ", False),
    ("27.0.0.1", True),
]


@pytest.mark.parametrize(("entry", "expected"), LISTED)
def test_an_entry_of_no_proxy_means_the_same_to_both(proxy: HttpProxy, entry: str, expected: bool) -> None:
    with AnsweringServer(good) as server:
        entry = entry.format(port=server.port)
        base_url = f"{server.origin}/v1"
        network = NetworkProfile(f"http://127.0.0.1:{proxy.port}", (entry,))
        assert went_through(proxy, sdk(base_url, network)) is expected
        before = len(proxy.requests)
        assert ask.check(ask.target(Provider.CUSTOM, base_url, network=network)).ok
        assert (len(proxy.requests) > before) is expected


@pytest.mark.parametrize("pattern", [".example", "nowhere.example:80", "nowhere.example."])
def test_the_systems_list_is_read_as_the_daemon_reads_it(
    proxy: HttpProxy, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", pattern)
    arguments = adapters.network_arguments(sdk("http://nowhere.example/v1"))
    assert arguments == {"mounts": {"all://": None, "http://": None, "https://": None}}
    arguments = adapters.network_arguments(sdk("http://nowhere.example.org:81/v1"))
    assert arguments == {"proxy": f"http://127.0.0.1:{proxy.port}"}


def test_this_computer_takes_no_proxy_of_the_system(
    proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    with AnsweringServer(good) as server:
        assert not went_through(proxy, sdk(f"{server.origin}/v1"))


def test_without_proxies_the_library_keeps_its_defaults(proxy: HttpProxy) -> None:
    assert adapters.network_arguments(sdk("https://api.example/v1")) == {}


def test_in_the_shell_of_a_run_another_connection_takes_nothing_of_its_network(
    proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_a = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "SSL_CERT_FILE": "/the/ca/of/a.pem"}
    for name, value in run_marks.marked(of_a, {}, "a").items():
        monkeypatch.setenv(name, value)
    assert adapters.network_arguments(sdk("http://b.example/v1")) == {"trust_env": False}
    assert os.environ["SSL_CERT_FILE"] == "/the/ca/of/a.pem"
    with AnsweringServer(good) as server:
        assert not went_through(proxy, sdk(f"{server.origin}/v1"))


def test_in_the_shell_of_a_run_the_systems_own_network_counts(
    proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = ssl.get_default_verify_paths().openssl_cafile
    outside = {"HTTP_PROXY": "http://company:8080", "SSL_CERT_FILE": bundle}
    of_a = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "SSL_CERT_FILE": "/the/ca/of/a.pem"}
    for name, value in run_marks.marked(of_a, outside, "a").items():
        monkeypatch.setenv(name, value)
    arguments = adapters.network_arguments(sdk("http://b.example/v1"))
    assert arguments.pop("verify").get_ca_certs is not None
    assert arguments == {"proxy": "http://company:8080", "trust_env": False}
