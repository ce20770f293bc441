"""Decides which proxy a request uses, by the same rules in the daemon and in every program.

HTTP libraries interpret NO_PROXY differently. If each decided for itself, a connection that was checked
through a proxy might be used without it, or the other way round.
"""

import ipaddress
import sys
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from urllib.parse import urlsplit

from nexo.connections.values import frozen

DIRECT = "direct"
SYSTEM = "system"

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def destination(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a base URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


@frozen
class SystemProxies:
    """The proxy settings of the environment or the operating system.

    Attributes:
        urls: proxy URL by scheme ("http", "https", "all"); may hold passwords.
        bypass: hosts that use no proxy.
    """

    urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    bypass: tuple[str, ...] = ()


def system_proxies(environment: Mapping[str, str]) -> SystemProxies:
    """The proxy settings from these variables; without any, those of the system on macOS and Windows."""
    urls: dict[str, str] = {}
    for scheme in ("http", "https", "all", "no"):
        lower = environment.get(f"{scheme}_proxy")
        # In a CGI program, HTTP_PROXY holds the request header "Proxy", which the caller controls.
        upper = None if scheme == "http" and "REQUEST_METHOD" in environment else f"{scheme}_proxy".upper()
        value = environment.get(upper or "", "") if lower is None else lower
        if value:
            urls[scheme] = value
    if not urls and sys.platform in ("darwin", "win32"):
        import urllib.request

        urls = urllib.request.getproxies()
    listed = urls.pop("no", "").replace(",", " ").split()
    return SystemProxies({scheme: _complete(url) for scheme, url in urls.items()}, tuple(listed))


def _complete(url: str) -> str:
    if url.startswith("socks://"):
        return "socks5h" + url[len("socks") :]
    return url if "://" in url else f"http://{url}"


def proxy_for(
    scheme: str, host: str, port: int, *, proxy: str, no_proxy: Iterable[str], system: SystemProxies
) -> str | None:
    """The URL of the proxy for one origin; None for a direct connection.

    As in browsers, a system proxy is never used for this computer's own addresses, which no proxy can reach.
    A proxy that the person set for this connection is used for them, too.

    Args:
        scheme: scheme of the request's URL.
        host: host of the request's URL.
        port: port of the request's URL.
        proxy: setting of the connection: `SYSTEM`, `DIRECT` or a URL.
        no_proxy: hosts that bypass the proxy of the connection.
        system: settings of the system.
    """
    if proxy == DIRECT or bypasses(host, port, no_proxy):
        return None
    if proxy != SYSTEM:
        return proxy
    if is_loopback(host) or bypasses(host, port, system.bypass):
        return None
    return system.urls.get(scheme) or system.urls.get("all")


def is_loopback(host: str) -> bool:
    """Whether the name or address always means this computer (RFC 6761 for names)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def bypasses(host: str, port: int, patterns: Iterable[str]) -> bool:
    """Whether a NO_PROXY list contains the host.

    "*" matches everything; "example.com" and ".example.com" match the domain and its subdomains; addresses
    and networks (10.0.0.0/8) are compared numerically; ":PORT" restricts an entry to that port.
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


@lru_cache(maxsize=1024)
def _address(name: str) -> _Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
