"""Values for one HTTP request: what is sent, what is received, and what can fail.

`transport` sends requests, `classify` judges answers.
"""

import enum
from dataclasses import field
from typing import TYPE_CHECKING

from nexo.connections.terms import Layer
from nexo.connections.values import frozen

if TYPE_CHECKING:
    import httpx


@frozen
class Outgoing:
    """A complete request. Its headers hold secrets, so its repr shows neither headers nor body.

    Attributes:
        target: path and query, as in the request line.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


class Cut(enum.StrEnum):
    """Why a body is incomplete; the values are shown to users."""

    NO = ""
    CLOSED = "the connection was closed before the end of the body"
    INCOMPLETE = "the compressed body is not complete"
    TOO_LARGE = "the body is too large"
    TOO_MANY_HEADERS = "there are too many headers"
    ENCODING = "the body has an encoding that was not requested"


@frozen
class HttpAnswer:
    """A response, read to its end or to a limit.

    Attributes:
        body: decompressed.
        elapsed_s: from the start of the request to the end of the body.
    """

    status: int
    headers: "httpx.Headers" = field(repr=False)
    body: bytes = field(repr=False)
    cut: Cut = Cut.NO
    elapsed_s: float = 0.0


class ExchangeFault(Exception):
    """No usable answer arrived.

    Attributes:
        layer: the layer that failed.
        cause: the original exception; its text is never shown, because it may quote header values.
        host: the host of the failed connection, which may be a proxy.
        via_proxy: whether that host is a proxy.
        connected: whether the TCP connection was established.
        loopback: whether that host is this computer.
        elapsed_s: since the start of the request.
    """

    def __init__(
        self,
        layer: Layer,
        cause: BaseException,
        *,
        host: str = "",
        via_proxy: bool = False,
        connected: bool = False,
        loopback: bool = False,
        elapsed_s: float = 0.0,
        detail: str = "",
    ) -> None:
        super().__init__(layer.value)
        self.layer = layer
        self.cause = cause
        self.host = host
        self.via_proxy = via_proxy
        self.connected = connected
        self.loopback = loopback
        self.elapsed_s = elapsed_s
        self.detail = detail


class ConfigFault(Exception):
    """The request cannot be made because of a bad URL, key or header. The text holds no secrets.

    Attributes:
        field: the field of the draft.
        reason: stable identifier.
    """

    def __init__(self, field: str, reason: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.reason = reason
        self.text = text
