"""Chooses and parses the proxy for a request."""

from dataclasses import field
from urllib.parse import unquote, urlsplit

from nexo.connections.proxies import DEFAULT_PORTS, SystemProxies, proxy_for
from nexo.connections.values import frozen
from nexo_daemon.domain.model import NetworkProfile
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.requests import ascii_host

SCHEMES = ("http", "https", "socks5", "socks5h")


@frozen
class Proxy:
    """A proxy. `credentials` are user and password, decoded."""

    scheme: str
    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def choose_proxy(
    scheme: str,
    host: str,
    port: int,
    profile: NetworkProfile,
    credentials: Secret | None,
    system: SystemProxies,
) -> Proxy | None:
    """The proxy for an origin, see `proxy_for`; None for a direct connection.

    Raises:
        ConfigFault: the URL of the proxy cannot be used.
    """
    url = proxy_for(scheme, host, port, proxy=profile.proxy, no_proxy=profile.no_proxy, system=system)
    if url is None:
        return None
    if profile.proxy_url:
        return _parse(url, credentials.reveal() if credentials else "")
    try:
        return _parse(url, "")
    except ConfigFault as fault:
        raise ConfigFault(
            "network",
            "system_proxy",
            "The proxy in the daemon's environment or the system's settings is not a usable URL; correct it"
            f" there and restart nexod, or use --proxy direct. {fault.text}",
        ) from fault


def _parse(url: str, credentials: str) -> Proxy:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigFault("network.proxy_url", "proxy_url", "The URL of the proxy is malformed.") from error
    scheme = parts.scheme
    if scheme not in SCHEMES or not parts.hostname:
        raise ConfigFault(
            "network.proxy_url",
            "proxy_url",
            "The URL of the proxy has to look like http://HOST:PORT or socks5://HOST:PORT.",
        )
    text = "The proxy has a host name that cannot exist; check its spelling."
    host = ascii_host(parts.hostname, ConfigFault("network.proxy_url", "proxy_url", text))
    user, _, password = (credentials or parts.netloc.rpartition("@")[0]).partition(":")
    pair = (unquote(user), unquote(password)) if user else None
    return Proxy(scheme, host, port or DEFAULT_PORTS[scheme], pair)
