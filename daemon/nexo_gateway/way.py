"""How is a host reached? The values that say so, for those who never send anything themselves."""

import ssl
from dataclasses import field

from nexo.connections.values import frozen


@frozen
class ProxyHop:
    """A proxy on the way."""

    scheme: str
    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


@frozen
class Way:
    """How a host is reached. Requests of one connection on equal ways share connections."""

    proxy: ProxyHop | None = None
    tls: ssl.SSLContext | None = None
