"""A request of your own client follows, and its key goes nowhere else."""

from types import SimpleNamespace

import httpx
import pytest

from nexo.connections.codec import read
from nexo.connections.v1 import connection_pb2, workspace_pb2
from nexo_client import FOLLOWED, FollowingAuth
from nexo_client.errors import InvalidField
from nexo_client.types import ResolvedConnection

CONNECTION = read(
    ResolvedConnection,
    workspace_pb2.ResolvedConnection(
        name="one",
        provider=connection_pb2.PROVIDER_CUSTOM,
        base_url="https://api.example/v1",
        auth_scheme=connection_pb2.AUTH_SCHEME_X_API_KEY,
        api_key="sk-one",
    ),
)


# What httpcore tells when the headers of an answer have arrived; for HTTP/2 it needs a package of its own.
@pytest.mark.parametrize(
    ("event", "arrived"),
    [
        ("http11.receive_response_headers.complete", (b"HTTP/1.1", 307, b"", [], b"")),
        ("http2.receive_response_headers.complete", (307, [(b"location", b"https://other.example/")])),
    ],
)
def test_no_key_follows_a_redirect_over_any_version_of_http(event: str, arrived: tuple[object, ...]) -> None:
    request = FollowingAuth(SimpleNamespace(current=CONNECTION))(httpx.Request("GET", f"{FOLLOWED}/models"))
    assert request.headers["x-api-key"] == "sk-one"
    with pytest.raises(InvalidField, match="redirect"):
        request.extensions["trace"](event, {"return_value": arrived})
