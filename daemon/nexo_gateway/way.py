"""Values that describe how a host is reached; they do not import the code that sends."""

import ssl
from dataclasses import field

from nexo.connections.values import frozen


@frozen
class ProxyHop:
    """A proxy on the way to a host."""

    scheme: str
    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


@frozen
class Way:
    """How a host is reached. Requests of one connection share sockets if their ways are equal."""

    proxy: ProxyHop | None = None
    tls: ssl.SSLContext | None = None
