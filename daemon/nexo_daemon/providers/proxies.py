"""Which proxy does a request take? Pure rules over a network profile and the settings of the system."""

import ipaddress
import os
import sys
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.exchange import ConfigFault

SCHEMES = ("http", "https", "socks5", "socks5h")
_VARIABLES = tuple(
    cased
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")
    for cased in (name, name.upper())
)
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class SystemProxies:
    """What the operating system or the environment of the daemon says.

    Attributes:
        urls: proxy URL by scheme ("http", "https", "all"); may hold passwords.
        bypass: hosts that take no proxy.
    """

    urls: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    bypass: tuple[str, ...] = ()


def system_proxies() -> SystemProxies:
    """Reads the settings now: environment variables, and on macOS the network settings."""
    if sys.platform == "darwin":
        return _read_system(())
    # `getproxies` decodes the whole environment, a tenth of the cost of a check: it is asked anew only when
    # one of the variables that it looks for has changed.
    return _read_system_once(tuple(map(os.environ.get, _VARIABLES)))


def _read_system(_: tuple[str | None, ...]) -> SystemProxies:
    urls = urllib.request.getproxies()
    bypass = tuple(part for part in urls.pop("no", "").replace(",", " ").split() if part)
    return SystemProxies(tuple(urls.items()), bypass)


_read_system_once = lru_cache(maxsize=1)(_read_system)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy to speak to. `credentials` are user and password, decoded."""

    scheme: str
    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def is_socks(self) -> bool:
        """SOCKS 5: the proxy resolves the name, whichever of the two spellings was used."""
        return self.scheme.startswith("socks")

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
    """The proxy for one origin; None to go there directly.

    A system proxy is never used for this computer's own addresses: no proxy can reach them, and every
    browser does the same. A proxy that the person gave for this connection is used for them as well.

    Raises:
        ConfigFault: the URL of the proxy cannot be used.
    """
    if profile.proxy is ProxyMode.DIRECT or bypasses(host, port, profile.no_proxy):
        return None
    if profile.proxy is ProxyMode.URL:
        return _parse(profile.proxy_url, credentials.reveal() if credentials else "")
    if is_loopback(host) or bypasses(host, port, system.bypass):
        return None
    urls = dict(system.urls)
    url = urls.get(scheme) or urls.get("all", "")
    if not url:
        return None
    try:
        return _parse(url if "://" in url else f"http://{url}", "")
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
    scheme = "socks5h" if parts.scheme == "socks" else parts.scheme
    if scheme not in SCHEMES or not parts.hostname:
        raise ConfigFault(
            "network.proxy_url",
            "proxy_url",
            "The URL of the proxy has to look like http://HOST:PORT or socks5://HOST:PORT.",
        )
    user, _, password = (credentials or parts.netloc.rpartition("@")[0]).partition(":")
    pair = (unquote(user), unquote(password)) if user else None
    return Proxy(scheme, parts.hostname, port or _PORTS[scheme], pair)


def is_loopback(host: str) -> bool:
    """Whether the name or address always means this computer (RFC 6761 for names)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def bypasses(host: str, port: int, patterns: Iterable[str]) -> bool:
    """Whether a list in the manner of NO_PROXY names the host.

    "*" is everything; "example.com" and ".example.com" are the domain and what is below it; an address or a
    network (10.0.0.0/8) is compared as a number; ":PORT" after a name restricts it to that port.
    """
    name = host.strip("[]").rstrip(".").lower()
    address = _address(name)
    return any(_matches(pattern.strip().lower(), name, address, port) for pattern in patterns)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _matches(pattern: str, name: str, address: _Address | None, port: int) -> bool:
    if not pattern:
        return False
    if pattern == "*":
        return True
    head, colon, tail = pattern.rpartition(":")
    if colon and tail.isdecimal() and (":" not in head or head.endswith("]")):
        if int(tail) != port:
            return False
        pattern = head
    pattern = pattern.strip("[]")
    if address is not None:
        try:
            network = ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
        return address.version == network.version and address in network
    domain = pattern.removeprefix("*").strip(".")
    return bool(domain) and (name == domain or name.endswith("." + domain))


def _address(name: str) -> _Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
