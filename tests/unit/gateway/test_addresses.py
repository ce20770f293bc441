"""Addresses of the provider in answers lead to the gateway; all others, and all other bytes, stay."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from nexo_gateway.addresses import MOST_COLLECTED, AddressRewriter, names_results
from nexo_gateway.admission import admit
from nexo_gateway.router import DialectEndpoint

HOST = b"127.0.0.1:20000"


def rewriter(target: str, *, path: str = "", query: str = "") -> AddressRewriter:
    headers = ((b"host", HOST), (b"x-api-key", b"nexo_token"))
    admitted = admit("GET", target.encode(), b"", headers, hosts=frozenset({HOST}))
    return AddressRewriter(DialectEndpoint("https", "api.test", 443, "api.test", path, query, ()), admitted)


@pytest.mark.parametrize(
    ("address", "led"),
    [
        ("https://api.test/upload/v1beta/files?upload_id=a%2Fb", "/upload/v1beta/files?upload_id=a%2Fb"),
        ("https://API.test:443/upload/x", "/upload/x"),
        ("https://api.test/up?upload_id=a&key=sk-real&z=1", "/up?upload_id=a&z=1"),
        ("https://api.test:8443/up", None),
        ("http://api.test/up", None),
        ("https://api.test.evil/up", None),
        ("https://api.test@evil/up", None),
        ("https://api.test:port/up", None),
        ("/up?a=b", "/up?a=b"),
        ("//evil/up", None),
        ("up", None),
        ("mailto:up", None),
    ],
)
def test_an_address_of_the_provider_leads_to_the_gateway_with_the_token(
    address: str, led: str | None
) -> None:
    found = rewriter("/google/upload/v1beta/files", query="key=sk-real").header(address.encode())
    here = f"http://{HOST.decode()}/t/nexo_token/google"
    assert found.decode() == (address if led is None else here + led)


def test_only_what_is_below_the_base_url_is_led() -> None:
    post = rewriter("/openai/v1/x", path="/proxy/v1")
    assert post.header(b"https://api.test/proxy/v1/y") == b"http://" + HOST + b"/t/nexo_token/openai/y"
    for elsewhere in (b"https://api.test/other", b"https://api.test/proxy/v10", b"https://api.test/proxy"):
        assert post.header(elsewhere) == elsewhere


def batches(count: int) -> bytes:
    one = {
        "id": "b",
        "results_url": "https://api.test/v1/messages/batches/b/results",
        "note": "https://api.test",
    }
    return json.dumps({"data": [one] * count, "none": {"results_url": None}}, indent=1).encode()


def passed(post: AddressRewriter, body: bytes, size: int) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    async def whole() -> bytes:
        return b"".join([piece async for piece in post.document(pieces())])

    return asyncio.run(whole())


@pytest.mark.parametrize("prefix", ["", "/t/nexo_token"])
def test_results_of_batches_are_led_as_the_program_came_however_the_answer_is_cut(prefix: str) -> None:
    post = rewriter(f"{prefix}/anthropic/v1/messages/batches")
    there, here = (
        b"https://api.test/v1/messages",
        b"http://" + HOST + prefix.encode() + b"/anthropic/v1/messages",
    )
    assert names_results(post.admitted)
    for size in (7, 100_000):
        assert passed(post, batches(3), size) == batches(3).replace(there, here)


def test_what_is_too_long_or_a_result_itself_passes_as_it_is() -> None:
    long = batches(MOST_COLLECTED // 100)
    assert passed(rewriter("/anthropic/v1/messages/batches"), long, 65_536) == long
    assert not names_results(rewriter("/anthropic/v1/messages/batches/b/results").admitted)
    assert not names_results(rewriter("/anthropic/v1/messages").admitted)
