"""Every way in which no answer arrives has its own name, and says if this computer's network is suspect."""

import asyncio
import errno
import socket
import ssl
from pathlib import Path

import certifi
import httpcore2
import pytest

import probing_help as ask
from answering_server import AnsweringServer, answer
from nexo.connections.errors import DaemonFailed
from nexo.connections.terms import Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.network import Signal, signal
from nexo_daemon.providers.classify import Subject
from nexo_daemon.providers.exchange import ExchangeFault
from nexo_daemon.providers.faults import FAULTS, FaultRow, chain, judge_fault, row_for
from nexo_daemon.providers.prober import Prober
from nexo_daemon.providers.tls import TlsContexts
from ports import free_port
from recorded_answers import LISTS


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


NOT_TLS = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
DNS, TCP, TLS, HTTP = Layer.DNS, Layer.TCP, Layer.TLS, Layer.HTTP

CASES: tuple[tuple[str, ExchangeFault], ...] = (
    ("proxy-auth", ExchangeFault(TCP, httpcore2.ProxyError("407 Proxy Authentication Required"))),
    ("proxy-auth", ExchangeFault(TCP, httpcore2.ProxyError("Invalid username/password"))),
    ("proxy-refuses", ExchangeFault(TCP, httpcore2.ProxyError("502 Bad Gateway"))),
    ("proxy-kind", ExchangeFault(TCP, httpcore2.RemoteProtocolError("x"), via_proxy=True, connected=True)),
    ("proxy-kind", ExchangeFault(TCP, ssl.SSLError(1, "[SSL] x"), via_proxy=True, connected=True)),
    ("proxy-kind", ExchangeFault(TCP, httpcore2.ConnectTimeout(), via_proxy=True, connected=True)),
    ("proxy-silent", ExchangeFault(TCP, httpcore2.ReadTimeout(), via_proxy=True, connected=True)),
    ("proxy-unreachable", ExchangeFault(TCP, httpcore2.ConnectTimeout(), via_proxy=True)),
    ("proxy-unreachable", ExchangeFault(TCP, ConnectionRefusedError(), via_proxy=True)),
    ("proxy-unreachable", ExchangeFault(DNS, socket.gaierror(socket.EAI_NONAME, "x"), via_proxy=True)),
    ("dns-temporary", ExchangeFault(DNS, socket.gaierror(socket.EAI_AGAIN, "x"))),
    ("dns", ExchangeFault(DNS, socket.gaierror(socket.EAI_NONAME, "x"))),
    ("dns", ExchangeFault(DNS, UnicodeError("label too long"))),
    ("dns-slow", ExchangeFault(DNS, TimeoutError())),
    ("refused", ExchangeFault(TCP, ConnectionRefusedError(errno.ECONNREFUSED, "x"))),
    ("no-route", ExchangeFault(TCP, OSError(errno.ENETUNREACH, "x"))),
    ("no-route", ExchangeFault(TCP, OSError(errno.EHOSTUNREACH, "x"))),
    ("connect-timeout", ExchangeFault(TCP, httpcore2.ConnectTimeout())),
    ("connect-timeout", ExchangeFault(TCP, TimeoutError())),
    ("tls-expired", ExchangeFault(TLS, certificate(10))),
    ("tls-not-yet-valid", ExchangeFault(TLS, certificate(9))),
    ("tls-self-signed", ExchangeFault(TLS, certificate(18))),
    ("tls-self-signed", ExchangeFault(TLS, certificate(19))),
    ("tls-unknown-ca", ExchangeFault(TLS, certificate(20))),
    ("tls-unknown-ca", ExchangeFault(TLS, certificate(21))),
    ("tls-hostname", ExchangeFault(TLS, certificate(62))),
    ("tls-hostname", ExchangeFault(TLS, certificate(64))),
    ("tls-certificate", ExchangeFault(TLS, certificate(23))),
    ("tls-not-spoken-here", ExchangeFault(TLS, NOT_TLS, host="localhost", loopback=True)),
    ("tls-not-spoken", ExchangeFault(TLS, NOT_TLS, host="api.example")),
    # The address is that of the proxy.
    ("tls-not-spoken", ExchangeFault(TLS, NOT_TLS, host="api.example", loopback=True)),
    ("tls-version", ExchangeFault(TLS, ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] alert"))),
    (
        "tls-client-certificate",
        ExchangeFault(TLS, ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] alert")),
    ),
    (
        "tls-client-certificate",
        ExchangeFault(HTTP, ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]")),
    ),
    ("tls-ended", ExchangeFault(TLS, ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] alert"))),
    ("tls-timeout", ExchangeFault(TLS, httpcore2.ConnectTimeout())),
    ("tls-other", ExchangeFault(TLS, ConnectionResetError())),
    ("answer-timeout", ExchangeFault(HTTP, httpcore2.ReadTimeout())),
    ("answer-timeout", ExchangeFault(HTTP, httpcore2.PoolTimeout())),
    ("not-http", ExchangeFault(HTTP, httpcore2.RemoteProtocolError("illegal status line"))),
    ("reset", ExchangeFault(HTTP, httpcore2.RemoteProtocolError("Server disconnected"))),
    ("reset", ExchangeFault(HTTP, httpcore2.ReadError())),
    ("reset", ExchangeFault(HTTP, ConnectionResetError())),
    ("other", ExchangeFault(HTTP, RuntimeError("anything"))),
)


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_each_fault_has_its_row(name: str, fault: ExchangeFault) -> None:
    assert row_for(fault).name == name


def test_every_row_has_a_case() -> None:
    assert {row.name for row in FAULTS} == {name for name, _ in CASES}


def test_the_cause_is_found_below_what_libraries_wrap_around_it() -> None:
    inner = certificate(10)
    middle = httpcore2.ConnectError("x")
    middle.__cause__ = inner
    outer = ExceptionGroup("several", [ValueError("no"), middle])
    inner.__context__ = outer
    assert list(chain(outer)).count(inner) == 1
    assert row_for(ExchangeFault(TLS, outer)).name == "tls-expired"


@pytest.mark.parametrize(
    ("fault", "suspect"),
    [
        (ExchangeFault(DNS, socket.gaierror(socket.EAI_AGAIN, "x")), True),
        (ExchangeFault(DNS, TimeoutError()), True),
        (ExchangeFault(TCP, OSError(errno.ENETUNREACH, "x")), True),
        (ExchangeFault(TCP, TimeoutError()), True),
        (ExchangeFault(TCP, ConnectionRefusedError(), via_proxy=True), True),
        (ExchangeFault(TCP, TimeoutError(), loopback=True), False),
        (ExchangeFault(TCP, ConnectionRefusedError()), False),
        (ExchangeFault(TLS, certificate(10)), False),
        (ExchangeFault(HTTP, httpcore2.ReadTimeout()), False),
    ],
)
def test_what_speaks_against_this_computers_network(fault: ExchangeFault, suspect: bool) -> None:
    assert judge_fault(fault, Subject("S", "api.example")).network_suspect is suspect


def test_only_a_cause_that_is_named_is_no_evidence_of_a_lost_network() -> None:
    def kind(row: FaultRow) -> Signal:
        return signal(Verdict(Outcome.UNREACHABLE, row.reason, network_suspect=row.suspect))

    assert {row.name for row in FAULTS if kind(row) is Signal.ANSWERED} == {
        "proxy-auth",
        "proxy-refuses",
        "tls-client-certificate",
        "tls-expired",
        "tls-not-yet-valid",
        "tls-version",
    }


def test_an_offline_computer_fails_the_dns_layer_and_is_suspected(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_args: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    report = ask.run_test(ask.target(Provider.OPENAI, "https://api.openai.com/v1"))
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.UNREACHABLE, "dns")
    assert report.verdict.network_suspect
    assert ask.layer(report, Layer.DNS).status is LayerStatus.FAILED
    assert ask.layer(report, Layer.TCP).status is LayerStatus.NOT_REACHED


@pytest.mark.parametrize(
    ("scheme", "status"), [("http", LayerStatus.SKIPPED), ("https", LayerStatus.NOT_REACHED)]
)
def test_tls_is_missed_only_where_there_would_be_some(scheme: str, status: LayerStatus) -> None:
    report = ask.run_test(ask.target(Provider.CUSTOM, f"{scheme}://127.0.0.1:9/v1"))
    assert ask.layer(report, Layer.TCP).status is LayerStatus.FAILED
    assert ask.layer(report, Layer.TLS).status is status


def test_the_first_address_that_answers_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a dead address first and a living one second, of either family."""
    with AnsweringServer(lambda _request, _connection: answer(200, LISTS[Provider.CUSTOM])) as server:
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", server.port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        report = ask.run_test(ask.target(Provider.CUSTOM, f"http://two-addresses.test:{server.port}/v1"))
    assert report.verdict.ok, report
    assert ask.layer(report, Layer.DNS).evidence == "::1, 127.0.0.1"
    assert ask.layer(report, Layer.TCP).evidence == f"127.0.0.1:{server.port}"


def test_all_addresses_dead_names_the_first_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    assert ask.check(ask.target(Provider.CUSTOM, f"http://three.test:{port}/v1")).reason == "refused"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_this_process_lacks_says_nothing_about_the_connection(host: str) -> None:
    async def scenario() -> None:
        prober = Prober(SystemClock())
        wanted = ask.target(Provider.CUSTOM, f"http://{host}:{free_port()}/v1")
        # Everything is imported by now.
        assert (await prober.check(wanted)).reason == "refused"
        with ask.no_file_can_be_opened(), pytest.raises(DaemonFailed):
            await prober.check(wanted)
        assert (await prober.check(wanted)).reason == "refused"

    asyncio.run(scenario())


def test_certificates_that_could_not_be_read_for_lack_of_files_are_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    async def scenario() -> None:
        contexts = TlsContexts()
        for asked in (str(bundle), ""):
            with ask.no_file_can_be_opened(), pytest.raises(DaemonFailed, match="certificates"):
                await contexts.for_bundle(asked)
            assert (await contexts.for_bundle(asked)).cert_store_stats()["x509_ca"] > 0

    asyncio.run(scenario())
