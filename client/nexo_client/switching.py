"""Makes an HTTP client send each request to the connection that is current at that time.

The client is created with the base URL `FOLLOWED`, a host that cannot exist, and a placeholder key. Just
before a request is sent, its address and headers are replaced by those of `live.current`. A request or stream
in flight does not change any more. Requests to other hosts never get a key. Works with httpx and httpx2,
which are passed in; this module imports neither.
"""

import threading
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from nexo.connections import faces
from nexo_client import adapters
from nexo_client.errors import InvalidField
from nexo_client.types import NetworkProfile, ResolvedConnection

FOLLOWED = "http://nexo.invalid"
"""Base URL for a client whose requests follow; `.invalid` is reserved and never resolves (RFC 6761)."""

_HOST = "nexo.invalid"
# Headers of the original address, or of an account: a cookie from one server must not be sent to another.
_DROPPED = adapters.CREDENTIAL_HEADERS | {"host", "cookie"}


class Live(Protocol):
    """A `LiveConnection` or an `AsyncLiveConnection`."""

    @property
    def current(self) -> ResolvedConnection: ...


def aim(
    connection: ResolvedConnection, dialect: str, target: str, headers: list[tuple[str, str]]
) -> tuple[str, list[tuple[str, str]]]:
    """The address and headers with which a request is sent to `connection`.

    Args:
        dialect: "openai", "anthropic", "google" or "ollama".
        target: path and query of the request, beginning with a slash.
        headers: the headers of the request.

    Raises:
        InvalidField: the provider of the connection does not support the dialect.
    """
    mine = adapters.headers_of(connection, dialect)
    replaced = _DROPPED | {name.lower() for name in mine}
    base = adapters.base_of(connection, dialect)
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    return base + target, [("Host", urlsplit(base).netloc), *kept, *mine.items()]


class FollowingAuth:
    """`auth=` for your own httpx or httpx2 client: each request goes to the current connection.

        httpx.Client(base_url=nexo_client.FOLLOWED, auth=nexo_client.FollowingAuth(live))

    It does not use the proxy and the CA bundle of a connection; `openai_client` and its siblings do.
    """

    def __init__(self, live: Live, dialect: str = "openai") -> None:
        faces.check_dialect(dialect)
        self._live = live
        self._dialect = dialect

    def __call__(self, request: Any) -> Any:
        """Replaces the address and headers of a request to `FOLLOWED`.

        Raises:
            InvalidField: the request goes to another host, which must not get the key.
            NexoError: as for `LiveConnection.current`.
        """
        if request.url.host != _HOST:
            raise InvalidField.of(
                "url",
                f"{request.url.host} is not the host of nexo_client.FOLLOWED",
                "make the client with base_url=nexo_client.FOLLOWED and give it relative URLs",
            )
        target = request.url.raw_path.decode("ascii")
        url, headers = aim(self._live.current, self._dialect, target, list(request.headers.multi_items()))
        # Any, because for mypy a type is not hashable.
        kind: Any = type(request.url)
        request.url = _final(kind)(url)
        request.headers = type(request.headers)(headers)
        return request


@cache
def _final(kind: Any) -> Any:
    """The class of URLs `kind`, changed so that a redirect from such a URL fails.

    httpx removes only `Authorization` from a redirected request. Its one step between the response and the
    redirect that no transport can leave out asks the URL for its fragment, and nothing else does (httpx 0.28,
    httpx2 2.16).
    """

    class FinalURL(kind):  # type: ignore[misc]  # the module is known at run time
        @property
        def fragment(self) -> str:
            raise InvalidField.of(
                "base_url",
                "the server answers with a redirect, to which the key must not be sent",
                "give the connection its final address: nexoctl edit NAME --base-url URL",
            )

    return FinalURL


class _Clients:
    """One inner client for each base URL and network profile, because creating a TLS context is expensive."""

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
    """The response without cookies, because the next request may go to another account."""
    headers = [
        (name, value) for name, value in response.headers.multi_items() if name.lower() != "set-cookie"
    ]
    return http.Response(
        response.status_code, headers=headers, stream=response.stream, extensions=response.extensions
    )


def _refuse_foreign(request: Any) -> None:
    if request.url.host != _HOST:
        raise InvalidField.of(
            "url",
            f"this client only sends requests to a connection of Nexo, not to {request.url.host}",
            "use a client of its own for other addresses",
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
