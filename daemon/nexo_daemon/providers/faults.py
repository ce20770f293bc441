"""Classifies failures without an answer: a table over the layer and the system's error."""

import errno
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator

import httpcore2

from nexo.connections.proxies import is_loopback
from nexo.connections.terms import Layer, Outcome
from nexo.connections.values import frozen
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.domain.shortages import LACKS
from nexo_daemon.providers.classify import Subject
from nexo_daemon.providers.exchange import ConfigFault, ExchangeFault
from nexo_daemon.providers.table import CLIENT_CERTIFICATE_ADVICE, PROXY_AUTH_ADVICE

Test = Callable[[ExchangeFault, BaseException], bool]


def _is(*kinds: type[BaseException]) -> Test:
    return lambda _, cause: isinstance(cause, kinds)


def _errno(*numbers: int) -> Test:
    return lambda _, cause: isinstance(cause, OSError) and cause.errno in numbers


def _gai(*numbers: int) -> Test:
    return lambda _, cause: isinstance(cause, socket.gaierror) and cause.errno in numbers


def _verify(*codes: int) -> Test:
    return lambda _, cause: isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in codes


def _tls(*words: str) -> Test:
    return lambda _, cause: (
        isinstance(cause, ssl.SSLError) and any(word in str(cause).upper() for word in words)
    )


def _proxy(*words: str) -> Test:
    return lambda _, cause: (
        isinstance(cause, httpcore2.ProxyError) and any(word in str(cause).lower() for word in words)
    )


def _not_http(_: ExchangeFault, cause: BaseException) -> bool:
    # httpcore2 has one type for this and for a peer that closes the connection, and only texts to tell them.
    words = str(cause).lower()
    return isinstance(cause, httpcore2.RemoteProtocolError) and not (
        "disconnected" in words or "closed" in words
    )


def _timeout(_: ExchangeFault, cause: BaseException) -> bool:
    return isinstance(cause, TimeoutError | httpcore2.TimeoutException)


def _all(*tests: Test) -> Test:
    return lambda fault, cause: all(test(fault, cause) for test in tests)


def _at(*layers: Layer) -> Test:
    return lambda fault, _: fault.layer in layers


def _via_proxy(fault: ExchangeFault, _: BaseException) -> bool:
    return fault.via_proxy


def _connected(fault: ExchangeFault, _: BaseException) -> bool:
    return fault.connected


def _to_this_computer(fault: ExchangeFault, _: BaseException) -> bool:
    return is_loopback(fault.host)


def _another_kind(fault: ExchangeFault, _: BaseException) -> bool:
    # A time-out while the proxy waits for the service is not meant; a proxy answers the greeting at once.
    waits = _timeout(fault, fault.cause) and not isinstance(fault.cause, httpcore2.ConnectTimeout)
    return fault.via_proxy and fault.connected and not waits


_NOT_TLS = _tls("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


@frozen(kw_only=True)
class FaultRow:
    """One row; the first row whose test is true for an error in the chain of causes is used.

    Attributes:
        suspect: the cause may be the local network (see `Verdict.network_suspect`).
        said: the evidence.
    """

    name: str
    test: Test
    reason: str
    advice: str
    said: str
    suspect: bool = False


FAULTS: tuple[FaultRow, ...] = (
    FaultRow(
        name="proxy-auth",
        # httpcore2 has only texts for these cases; "but got" means another SOCKS authentication method.
        test=_proxy("407", "invalid username/password", "but got"),
        reason="proxy_auth",
        said="the proxy refuses without user name and password",
        advice=PROXY_AUTH_ADVICE,
    ),
    FaultRow(
        name="proxy-refuses",
        test=_proxy(""),
        reason="proxy",
        said="the proxy did not connect",
        advice="The proxy does not connect to {host}; check its rules, or use another proxy or none.",
    ),
    FaultRow(
        name="proxy-kind",
        test=_another_kind,
        reason="proxy_kind",
        said="the server at the proxy's address is not this kind of proxy",
        advice=(
            "The server at the proxy's address is not the kind of proxy in the URL; check the scheme"
            " (http, https or socks5) and the port, or use --proxy direct."
        ),
        suspect=True,
    ),
    FaultRow(
        name="proxy-silent",
        test=_all(_via_proxy, _connected),
        reason="proxy",
        said="the proxy did not answer in time",
        advice="The proxy does not connect to {host} in time; check it, or use another proxy or none.",
        suspect=True,
    ),
    FaultRow(
        name="proxy-unreachable",
        test=_all(_via_proxy, _at(Layer.DNS, Layer.TCP)),
        reason="proxy",
        said="the proxy cannot be reached",
        advice="The proxy itself cannot be reached; check its address, or use --proxy direct.",
        suspect=True,
    ),
    FaultRow(
        name="dns-temporary",
        test=_gai(socket.EAI_AGAIN),
        reason="dns",
        said="name resolution fails for now",
        advice="The name {host} cannot be resolved at the moment; check this computer's network.",
        suspect=True,
    ),
    FaultRow(
        name="dns",
        test=_is(socket.gaierror, UnicodeError),
        reason="dns",
        said="no such name",
        # macOS also reports this without any network; Linux then reports EAI_AGAIN.
        suspect=sys.platform == "darwin",
        advice=(
            "There is no host named {host}; check the spelling of the base URL, and VPN if it is internal."
        ),
    ),
    FaultRow(
        name="dns-slow",
        test=_all(_at(Layer.DNS), _timeout),
        reason="dns",
        said="the name server did not answer in time",
        advice="The name {host} was not resolved in time; check this computer's network and name server.",
        suspect=True,
    ),
    FaultRow(
        name="refused",
        test=_is(ConnectionRefusedError),
        reason="refused",
        said="connection refused",
        advice=(
            "Nothing listens at that port of {host}; start the server, or correct the port of the base URL."
        ),
    ),
    FaultRow(
        name="no-route",
        test=_errno(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL),
        reason="no_route",
        said="no route to the host",
        advice="This computer has no route to {host}; check its network and VPN.",
        suspect=True,
    ),
    FaultRow(
        name="connect-timeout",
        test=_all(_at(Layer.TCP), _timeout),
        reason="timeout",
        said="no answer to the connection attempt",
        advice="{host} does not answer; check the address, a firewall, VPN or proxy.",
        suspect=True,
    ),
    FaultRow(
        name="tls-expired",
        test=_verify(10),
        reason="tls_expired",
        said="the certificate has expired",
        advice=(
            "The certificate of {host} has expired; the operator has to renew it. Check this"
            " computer's clock too."
        ),
    ),
    FaultRow(
        name="tls-not-yet-valid",
        test=_verify(9),
        reason="tls_not_yet_valid",
        said="the certificate is not valid yet",
        advice="The certificate of {host} is not valid yet; check this computer's clock.",
    ),
    FaultRow(
        name="tls-self-signed",
        test=_verify(18, 19),
        reason="tls_self_signed",
        said="the certificate is signed by itself or by an unknown root",
        advice=(
            "{host} has a self-signed certificate; sign in with a browser if this network requires it, or"
            " give the certificate, or its root's, with --ca-bundle if you trust it."
        ),
    ),
    FaultRow(
        name="tls-unknown-ca",
        test=_verify(2, 20, 21),
        reason="tls_unknown_ca",
        said="the certificate is signed by an unknown authority",
        advice=(
            "The certificate of {host} is signed by an authority that this computer does not know, for"
            " example that of a company proxy or of a network that requires you to sign in first; give its"
            " root certificate with --ca-bundle if you trust it."
        ),
    ),
    FaultRow(
        name="tls-hostname",
        test=_verify(62, 64),
        reason="tls_hostname",
        said="the certificate is for another name",
        advice=(
            "The certificate is not for {host}; sign in with a browser if this network requires it, or use a"
            " host name of the certificate in the base URL."
        ),
    ),
    FaultRow(
        name="tls-certificate",
        test=_is(ssl.SSLCertVerificationError),
        reason="tls_certificate",
        said="the certificate is not accepted",
        advice="The certificate of {host} cannot be verified; ask its operator.",
    ),
    FaultRow(
        name="tls-not-spoken-here",
        test=_all(_NOT_TLS, _to_this_computer),
        reason="tls_not_spoken",
        said="the port does not speak TLS",
        advice="This port of {host} does not speak HTTPS; use http:// in the base URL.",
    ),
    FaultRow(
        name="tls-not-spoken",
        test=_NOT_TLS,
        reason="tls_not_spoken",
        said="the port does not speak TLS",
        # Something else may answer: a portal or a proxy. It would get the key over http://.
        advice=(
            "What answers at this port of {host} does not speak HTTPS; check the port, whether this network"
            " requires you to sign in, and any proxy. Use http:// only for a server of your own network."
        ),
    ),
    FaultRow(
        name="tls-version",
        test=_tls("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"),
        reason="tls_wrong_version",
        said="no common TLS version",
        advice="{host} speaks only an outdated version of TLS; its operator has to allow TLS 1.2 or newer.",
    ),
    FaultRow(
        name="tls-client-certificate",
        test=_tls("CERTIFICATE_REQUIRED"),
        reason="tls_client_certificate",
        said="the server demands a client certificate",
        advice=CLIENT_CERTIFICATE_ADVICE,
    ),
    FaultRow(
        name="tls-ended",
        test=_tls("BAD_CERTIFICATE", "HANDSHAKE_FAILURE"),
        reason="tls_handshake",
        said="the server ended the TLS handshake",
        advice=(
            "{host} ends the TLS handshake; it may require another host name, or a client certificate,"
            " which connections do not support."
        ),
    ),
    FaultRow(
        name="tls-timeout",
        test=_all(_at(Layer.TLS), _timeout),
        reason="timeout",
        said="no answer in the TLS handshake",
        advice=(
            "{host} accepts connections but does not begin TLS; check http:// or https:// and the port. A VPN"
            " that loses large packets looks the same: try without it, or lower its MTU."
        ),
    ),
    FaultRow(
        name="tls-other",
        test=_at(Layer.TLS),
        reason="tls_handshake",
        said="the TLS handshake broke off",
        advice=(
            "The TLS handshake with {host} breaks off; check http:// or https://, the port, and any proxy."
        ),
    ),
    FaultRow(
        name="answer-timeout",
        test=_timeout,
        reason="timeout",
        said="no complete answer in time",
        advice="{host} took the request but did not answer in time; try again, or with a longer --timeout.",
    ),
    FaultRow(
        name="not-http",
        test=_not_http,
        reason="protocol",
        said="what it sent is not valid HTTP",
        advice="What {host} sends is not valid HTTP; check http:// or https://, the port, and any proxy.",
    ),
    FaultRow(
        name="reset",
        test=_is(
            httpcore2.RemoteProtocolError,
            httpcore2.ReadError,
            httpcore2.WriteError,
            ConnectionError,
        ),
        reason="reset",
        said="the connection was closed without an answer",
        advice=(
            "{host} closed the connection instead of answering; try again, and check its log, the port and"
            " any proxy."
        ),
    ),
    FaultRow(
        name="other",
        test=lambda _fault, _cause: True,
        reason="connection",
        said="the connection failed",
        advice="The connection to {host} failed; check the network, VPN and proxy.",
    ),
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, with exception groups expanded; each once."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        queue += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
        if isinstance(current, BaseExceptionGroup):
            queue += current.exceptions


def row_for(fault: ExchangeFault) -> FaultRow:
    """The first matching row; there always is one."""
    causes = list(chain(fault.cause))
    return next(row for row in FAULTS if any(row.test(fault, cause) for cause in causes))


def shortage(fault: ExchangeFault) -> str:
    """What this computer or process has too little of for a request; empty if that is not the cause."""
    for cause in chain(fault.cause):
        # glibc answers a look-up without a free descriptor with a plain OSError: EBUSY (seen) or EMFILE.
        if isinstance(cause, OSError) and (
            cause.errno in LACKS or (fault.layer is Layer.DNS and type(cause) is OSError)
        ):
            return os.strerror(cause.errno or 0)
    return ""


def judge_fault(fault: ExchangeFault, subject: Subject) -> Verdict:
    """The verdict on a fault. The error's own text is not used, because it may quote header values."""
    row = row_for(fault)
    detail = f" ({fault.detail})" if fault.detail else ""
    return Verdict(
        Outcome.UNREACHABLE,
        reason=row.reason,
        advice=subject.fill(row.advice),
        evidence=f"{fault.host or subject.host}: {row.said}{detail}",
        # A failure of a service on this computer says nothing about its network.
        network_suspect=row.suspect and not fault.loopback,
    )


def judge_config(fault: ConfigFault) -> Verdict:
    """The verdict on a request that could not be made."""
    return Verdict(Outcome.CONFIG_ERROR, reason=fault.reason, advice=fault.text, evidence=fault.field)
