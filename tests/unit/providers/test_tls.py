"""What is wrong with the encryption is told apart, and no key is sent before it is right."""

import asyncio
import ssl
from pathlib import Path

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from certificates import DAY, Authority, make_authority
from nexo.connections.terms import Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nexo_daemon.providers.tls import TlsContexts
from recorded_answers import LISTS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("certificates"))


def good(_request: Request, _connection: object) -> bytes:
    return answer(200, LISTS[Provider.CUSTOM])


def trusting(authority: Authority) -> NetworkProfile:
    return NetworkProfile(proxy=ProxyMode.DIRECT, ca_bundle=authority.bundle)


def test_a_good_certificate_passes_and_says_its_version(authority: Authority) -> None:
    with AnsweringServer(good, tls=authority.server("good")) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", network=trusting(authority)))
    assert report.verdict.ok
    tls = ask.layer(report, Layer.TLS)
    assert tls.status is LayerStatus.PASSED
    assert tls.elapsed_s is not None
    assert tls.evidence.startswith("TLSv1.3, ")
    assert "valid until" in tls.evidence


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("expired", "tls_expired"),
        ("future", "tls_not_yet_valid"),
        ("self-signed", "tls_self_signed"),
        ("unknown-ca", "tls_unknown_ca"),
        ("wrong-host", "tls_hostname"),
        ("wrong-address", "tls_hostname"),
        ("old-version", "tls_wrong_version"),
    ],
)
def test_a_bad_certificate_is_named(authority: Authority, case: str, reason: str) -> None:
    make = {
        "expired": lambda: authority.server("expired", starts=-2 * DAY, ends=-DAY),
        "future": lambda: authority.server("future", starts=DAY, ends=2 * DAY),
        "self-signed": lambda: authority.server("self", self_signed=True),
        "unknown-ca": lambda: authority.server("unknown"),
        "wrong-host": lambda: authority.server("host", hosts=("other.example",)),
        "wrong-address": lambda: authority.server("address", hosts=("10.1.2.3",)),
        "old-version": lambda: outdated(authority.server("old")),
    }
    network = ask.DIRECT if case == "unknown-ca" else trusting(authority)
    with AnsweringServer(good, tls=make[case]()) as server:
        host = "localhost" if case == "wrong-host" else "127.0.0.1"
        report = ask.run_test(
            ask.target(Provider.CUSTOM, f"https://{host}:{server.port}/v1", network=network)
        )
        assert server.requests == [], "no request may leave before the certificate is accepted"
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.UNREACHABLE, reason)
    assert not report.verdict.network_suspect
    assert report.verdict.advice
    assert ask.statuses(report) == {
        Layer.CONFIGURATION: LayerStatus.PASSED,
        Layer.DNS: LayerStatus.PASSED if case == "wrong-host" else LayerStatus.SKIPPED,
        Layer.TCP: LayerStatus.PASSED,
        Layer.TLS: LayerStatus.FAILED,
        Layer.HTTP: LayerStatus.NOT_REACHED,
        Layer.AUTHENTICATED: LayerStatus.NOT_REACHED,
        Layer.MODEL_LISTED: LayerStatus.NOT_REACHED,
        Layer.COMPLETION: LayerStatus.NOT_REACHED,
    }


def outdated(context: ssl.SSLContext) -> ssl.SSLContext:
    # The versions are the point of this test.
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("key", [None, "a-good-key-0123456789"])
def test_https_to_a_plain_port_says_http_and_proves_it_without_the_key(key: str | None) -> None:
    with AnsweringServer(good) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"https://127.0.0.1:{server.port}/v1", key))
        assert all(not request.key for request in server.requests)
    assert report.verdict.reason == "tls_not_spoken"
    (suggestion,) = report.suggestions
    assert suggestion.verified is (key is None)
    assert suggestion.value == f"http://127.0.0.1:{server.port}/v1"


@pytest.mark.parametrize("key", [None, "a-good-key-0123456789"])
def test_http_to_a_tls_port_says_https_and_proves_it_without_the_key(
    authority: Authority, key: str | None
) -> None:
    with AnsweringServer(good, tls=authority.server("plain")) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        report = ask.run_test(ask.target(Provider.CUSTOM, url, key, network=trusting(authority)))
        assert all(not request.key for request in server.requests)
    assert report.verdict.reason == "reset"
    (suggestion,) = report.suggestions
    assert suggestion.verified is (key is None)
    assert suggestion.value == f"https://127.0.0.1:{server.port}/v1"


def test_a_bundle_that_is_missing_or_no_bundle_is_a_configuration_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("not a certificate")
    for path, words in ((tmp_path / "none.pem", "cannot be read"), (empty, "no certificate")):
        network = NetworkProfile(proxy=ProxyMode.DIRECT, ca_bundle=str(path))
        report = ask.run_test(ask.target(Provider.OPENAI, "https://127.0.0.1:9/v1", network=network))
        assert (report.verdict.outcome, report.verdict.reason) == (Outcome.CONFIG_ERROR, "ca_bundle")
        assert words in report.verdict.advice
        assert ask.layer(report, Layer.CONFIGURATION).status is LayerStatus.FAILED


def test_checks_that_start_together_share_one_context(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = ssl.create_default_context

    def counting(cafile: str | None = None) -> ssl.SSLContext:
        made.append(cafile or "")
        return real(cafile=cafile)

    monkeypatch.setattr(ssl, "create_default_context", counting)

    async def run() -> None:
        contexts = TlsContexts()
        first = await asyncio.gather(*(contexts.for_bundle(authority.bundle) for _ in range(50)))
        assert len(set(map(id, first))) == 1
        Path(authority.bundle).touch()
        assert await contexts.for_bundle(authority.bundle) is not first[0], "a changed file is read again"

    asyncio.run(run())
    assert made == [authority.bundle] * 2
