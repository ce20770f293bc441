"""Every way in which no answer arrives has its own name, and says if this computer's network is suspect."""

import errno
import socket
import ssl

import httpcore
import pytest

import probing_help as ask
from answering_server import AnsweringServer, answer
from nexo_client.terms import Layer, LayerStatus, Outcome, Provider
from nexo_daemon.providers.classify import Subject
from nexo_daemon.providers.exchange import Fault
from nexo_daemon.providers.faults import FAULTS, chain, judge_fault, row_for
from recorded_answers import LISTS


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


DNS, TCP, TLS, HTTP = Layer.DNS, Layer.TCP, Layer.TLS, Layer.HTTP

CASES: tuple[tuple[str, Fault], ...] = (
    ("proxy-auth", Fault(TCP, httpcore.ProxyError("407 Proxy Authentication Required"))),
    ("proxy-auth", Fault(TCP, httpcore.ProxyError("Invalid username/password"))),
    ("proxy-refuses", Fault(TCP, httpcore.ProxyError("502 Bad Gateway"))),
    ("proxy-unreachable", Fault(TCP, ConnectionRefusedError(), via_proxy=True)),
    ("proxy-unreachable", Fault(DNS, socket.gaierror(socket.EAI_NONAME, "x"), via_proxy=True)),
    ("dns-temporary", Fault(DNS, socket.gaierror(socket.EAI_AGAIN, "x"))),
    ("dns", Fault(DNS, socket.gaierror(socket.EAI_NONAME, "x"))),
    ("dns", Fault(DNS, UnicodeError("label too long"))),
    ("dns-slow", Fault(DNS, TimeoutError())),
    ("refused", Fault(TCP, ConnectionRefusedError(errno.ECONNREFUSED, "x"))),
    ("no-route", Fault(TCP, OSError(errno.ENETUNREACH, "x"))),
    ("no-route", Fault(TCP, OSError(errno.EHOSTUNREACH, "x"))),
    ("connect-timeout", Fault(TCP, httpcore.ConnectTimeout())),
    ("connect-timeout", Fault(TCP, TimeoutError())),
    ("tls-expired", Fault(TLS, certificate(10))),
    ("tls-not-yet-valid", Fault(TLS, certificate(9))),
    ("tls-self-signed", Fault(TLS, certificate(18))),
    ("tls-self-signed", Fault(TLS, certificate(19))),
    ("tls-unknown-ca", Fault(TLS, certificate(20))),
    ("tls-unknown-ca", Fault(TLS, certificate(21))),
    ("tls-hostname", Fault(TLS, certificate(62))),
    ("tls-hostname", Fault(TLS, certificate(64))),
    ("tls-certificate", Fault(TLS, certificate(23))),
    ("tls-not-spoken", Fault(TLS, ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"))),
    ("tls-version", Fault(TLS, ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] alert"))),
    ("tls-client-certificate", Fault(TLS, ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] alert"))),
    ("tls-timeout", Fault(TLS, httpcore.ConnectTimeout())),
    ("tls-other", Fault(TLS, ConnectionResetError())),
    ("answer-timeout", Fault(HTTP, httpcore.ReadTimeout())),
    ("answer-timeout", Fault(HTTP, httpcore.PoolTimeout())),
    ("reset", Fault(HTTP, httpcore.RemoteProtocolError("Server disconnected"))),
    ("reset", Fault(HTTP, httpcore.ReadError())),
    ("reset", Fault(HTTP, ConnectionResetError())),
    ("other", Fault(HTTP, RuntimeError("anything"))),
)


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_each_fault_has_its_row(name: str, fault: Fault) -> None:
    assert row_for(fault).name == name


def test_every_row_has_a_case() -> None:
    assert {row.name for row in FAULTS} == {name for name, _ in CASES}


def test_the_cause_is_found_below_what_libraries_wrap_around_it() -> None:
    inner = certificate(10)
    middle = httpcore.ConnectError("x")
    middle.__cause__ = inner
    outer = ExceptionGroup("several", [ValueError("no"), middle])
    inner.__context__ = outer
    assert list(chain(outer)).count(inner) == 1
    assert row_for(Fault(TLS, outer)).name == "tls-expired"


@pytest.mark.parametrize(
    ("fault", "suspect"),
    [
        (Fault(DNS, socket.gaierror(socket.EAI_AGAIN, "x")), True),
        (Fault(DNS, TimeoutError()), True),
        (Fault(TCP, OSError(errno.ENETUNREACH, "x")), True),
        (Fault(TCP, TimeoutError()), True),
        (Fault(TCP, ConnectionRefusedError(), via_proxy=True), True),
        (Fault(TCP, TimeoutError(), loopback=True), False),
        (Fault(TCP, ConnectionRefusedError()), False),
        (Fault(TLS, certificate(10)), False),
        (Fault(HTTP, httpcore.ReadTimeout()), False),
    ],
)
def test_what_speaks_against_this_computers_network(fault: Fault, suspect: bool) -> None:
    assert judge_fault(fault, Subject("S", "api.example")).network_suspect is suspect


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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    assert ask.check(ask.target(Provider.CUSTOM, f"http://three.test:{port}/v1")).reason == "refused"
