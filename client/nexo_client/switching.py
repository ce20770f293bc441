"""How an HTTP client that was made once sends each request to the connection of the moment.

The client is made for `FOLLOWED`, a host that cannot exist, with a key that is none. Just before a request
leaves, its address and its headers are exchanged for those of `live.current`; from then on nothing about it
changes, so a request (or a stream) in flight ends where it began. What has no such address is never given
a key. Works with httpx and with httpx2, whose classes are passed in: this module imports neither.
"""

import inspect
import sys
import threading
from typing import Any, Protocol
from urllib.parse import urlsplit

from nexo.connections import faces
from nexo_client import adapters
from nexo_client.errors import InvalidField
from nexo_client.types import NetworkProfile, ResolvedConnection

FOLLOWED = "http://nexo.invalid"
"""Base URL for a client that follows; `.invalid` is reserved, so nothing ever reaches it (RFC 6761)."""

_HOST = "nexo.invalid"
# Of the hop that the client itself makes, or of an account: what one server set is not for the next.
_DROPPED = adapters.CREDENTIAL_HEADERS | {"host", "cookie"}


class Live(Protocol):
    """A `LiveConnection` or an `AsyncLiveConnection`."""

    @property
    def current(self) -> ResolvedConnection: ...


def aim(
    connection: ResolvedConnection, dialect: str, target: str, headers: list[tuple[str, str]]
) -> tuple[str, list[tuple[str, str]]]:
    """Address and headers of a request for `connection`.

    Args:
        dialect: "openai", "anthropic", "google" or "ollama".
        target: path and query of the request, beginning with a slash.

    Raises:
        InvalidField: the provider of the connection has no such face.
    """
    mine = adapters.headers_of(connection, dialect)
    replaced = _DROPPED | {name.lower() for name in mine}
    base = adapters.base_of(connection, dialect)
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    return base + target, [("Host", urlsplit(base).netloc), *kept, *mine.items()]


class FollowingAuth:
    """`auth=` for an httpx or httpx2 client of your own: each request goes to the connection of the moment.

        httpx.Client(base_url=nexo_client.FOLLOWED, auth=nexo_client.FollowingAuth(live))

    The proxy and the CA bundle of a connection are not used; the ready-made clients (`openai_client` …) do.
    """

    def __init__(self, live: Live, dialect: str = "openai") -> None:
        if dialect not in faces.DIALECTS:
            raise InvalidField(
                f"dialect: '{dialect}' is unknown",
                hint=f"use one of: {', '.join(faces.DIALECTS)}",
                metadata={"field": "dialect"},
            )
        self._live = live
        self._dialect = dialect

    def __call__(self, request: Any) -> Any:
        """Exchanges address and headers of a request to `FOLLOWED`.

        Raises:
            InvalidField: the request goes to another host, which must not get the key.
            NexoError: as `LiveConnection.current`.
        """
        if request.url.host != _HOST:
            raise InvalidField(
                f"url: {request.url.host} is not the address that follows the connection",
                hint="make the client with base_url=nexo_client.FOLLOWED and give it relative URLs",
                metadata={"field": "url"},
            )
        target = request.url.raw_path.decode("ascii")
        url, headers = aim(self._live.current, self._dialect, target, list(request.headers.multi_items()))
        request.url = type(request.url)(url)
        request.headers = type(request.headers)(headers)
        request.extensions = {**request.extensions, "trace": _no_redirect}
        return request


def _no_redirect(event: str, info: dict[str, Any]) -> Any:
    """Ends a request that is answered with a redirect, before a client follows it with the key.

    httpx takes nothing but `Authorization` out of a request to another host. It offers no place between an
    answer and the redirect but this one, which asyncio clients await and others do not.
    """
    if event.endswith("receive_response_headers.complete"):
        status = info["return_value"][1]
        if status in (301, 302, 303, 307, 308):
            raise InvalidField(
                f"base_url: the server answers with a redirect ({status}), which a key must not follow",
                hint="give the connection its final address: nexoctl edit NAME --base-url URL",
                metadata={"field": "base_url"},
            )
    awaited = sys._getframe(1).f_code.co_flags & inspect.CO_COROUTINE
    return _nothing() if awaited else None


async def _nothing() -> None:
    return None


class _Clients:
    """One inner client for each host and network profile; a TLS context is expensive to make."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._made: dict[tuple[str, NetworkProfile], Any] = {}
        self._lock = threading.Lock()

    def of(self, connection: ResolvedConnection) -> Any:
        key = (connection.base_url, connection.network)
        with self._lock:
            found = self._made.get(key)
            if found is None:
                arguments = adapters.network_arguments(connection)
                found = self._made[key] = self._make(follow_redirects=False, **arguments)
            return found

    def take_all(self) -> list[Any]:
        with self._lock:
            made, self._made = list(self._made.values()), {}
            return made


def _aimed(http: Any, request: Any, connection: ResolvedConnection, dialect: str) -> Any:
    target = request.url.raw_path.decode("ascii")
    url, headers = aim(connection, dialect, target, list(request.headers.multi_items()))
    return http.Request(
        request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
    )


def _answered(http: Any, response: Any) -> Any:
    """The answer for the program's client, which must not keep cookies: its next request is another's."""
    headers = [
        (name, value) for name, value in response.headers.multi_items() if name.lower() != "set-cookie"
    ]
    return http.Response(
        response.status_code, headers=headers, stream=response.stream, extensions=response.extensions
    )


def _refuse_foreign(request: Any) -> None:
    if request.url.host != _HOST:
        raise InvalidField(
            f"url: this client follows a connection of Nexo and does not talk to {request.url.host}",
            hint="use a client of its own for other addresses",
            metadata={"field": "url"},
        )


def transport(http: Any, live: Live, dialect: str, on_close: Any) -> Any:
    """A transport for `http.Client`; `http` is the module httpx or httpx2."""

    class FollowingTransport(http.BaseTransport):  # type: ignore[misc]  # the module is chosen at run time
        def __init__(self) -> None:
            self._clients = _Clients(http.Client)

        def handle_request(self, request: Any) -> Any:
            _refuse_foreign(request)
            connection = live.current
            inner = self._clients.of(connection)
            return _answered(http, inner.send(_aimed(http, request, connection, dialect), stream=True))

        def close(self) -> None:
            for client in self._clients.take_all():
                client.close()
            on_close()

    return FollowingTransport()


def async_transport(http: Any, live: Live, dialect: str, on_close: Any) -> Any:
    """A transport for `http.AsyncClient`; `http` is the module httpx or httpx2."""

    class AsyncFollowingTransport(http.AsyncBaseTransport):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            self._clients = _Clients(http.AsyncClient)

        async def handle_async_request(self, request: Any) -> Any:
            _refuse_foreign(request)
            connection = live.current
            inner = self._clients.of(connection)
            return _answered(http, await inner.send(_aimed(http, request, connection, dialect), stream=True))

        async def aclose(self) -> None:
            for client in self._clients.take_all():
                await client.aclose()
            on_close()

    return AsyncFollowingTransport()
