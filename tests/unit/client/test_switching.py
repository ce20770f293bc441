"""A request of your own client follows, and its key goes nowhere else."""

import asyncio
from types import SimpleNamespace
from typing import Any

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


@pytest.mark.parametrize("location", ["https://other.example/", "/v2/models", "//other.example/#part"])
@pytest.mark.parametrize("follows", [True, False])
def test_no_key_follows_a_redirect_over_any_transport(location: str, follows: bool) -> None:
    """A transport of one's own need not know the extensions of httpcore."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(307, headers={"Location": location})

    auth = FollowingAuth(SimpleNamespace(current=CONNECTION))
    own: dict[str, Any] = {"base_url": FOLLOWED, "auth": auth, "follow_redirects": follows}
    with (
        httpx.Client(transport=httpx.MockTransport(answer), **own) as sync,
        pytest.raises(InvalidField, match="redirect"),
    ):
        sync.get("/models")

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), **own) as asynchronous:
            with pytest.raises(InvalidField, match="redirect"):
                await asynchronous.get("/models")

    asyncio.run(ask())
    assert [str(one.url) for one in asked] == ["https://api.example/v1/models"] * 2
    assert {one.headers["x-api-key"] for one in asked} == {"sk-one"}
