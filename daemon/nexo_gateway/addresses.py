"""Replaces addresses of the provider in an answer by the gateway's, where programs follow them.

Otherwise the program would leave the gateway: it would send its token to the provider in place of a key, and
would not use the proxy and the certificates of the connection. Which addresses the official packages follow
was read in their code, November 2026: Google's for the parts of an upload, and Anthropic's for the results
of a batch.
"""

import json
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import field
from urllib.parse import urlsplit

from nexo.connections.proxies import destination
from nexo.connections.values import frozen
from nexo_gateway.admission import Admitted
from nexo_gateway.router import DialectEndpoint

HEADERS = frozenset({b"x-goog-upload-url", b"x-goog-upload-control-url", b"location", b"operation-location"})
"""Headers of good answers whose address a program follows. Redirects are not passed on."""

MOST_COLLECTED = 4 * 1024 * 1024
"""Maximum bytes of a document that is searched: a list of a thousand batches has less than one MB."""

_IN_BATCH = re.compile(rb'("results_url"\s*:\s*)("[^"\\]*")')


def names_results(admitted: Admitted) -> bool:
    """Whether the answer is a batch, or a list of batches, with the addresses of their results."""
    path = admitted.path
    batches = admitted.dialect.name == "anthropic" and path.startswith("/v1/messages/batches")
    return batches and not path.endswith("/results")


@frozen
class AddressRewriter:
    """Leads the addresses below one endpoint to the gateway."""

    endpoint: DialectEndpoint
    admitted: Admitted = field(repr=False)

    def header(self, value: bytes) -> bytes:
        """The value of one of `HEADERS`, with the token, which not every package sends to such an address."""
        return self._led(value.decode("latin-1"), self.admitted.token).encode("latin-1")

    async def document(self, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The body of an answer for which `names_results`; a larger one stays as it is."""
        collected: bytearray | None = bytearray()
        async for piece in pieces:
            if collected is None:
                yield piece
                continue
            collected += piece
            if len(collected) > MOST_COLLECTED:
                yield bytes(collected)
                collected = None
        if collected is not None:
            yield _IN_BATCH.sub(self._replaced, bytes(collected))

    def _replaced(self, found: re.Match[bytes]) -> bytes:
        token = self.admitted.token if self.admitted.in_path else ""
        address = found[2][1:-1].decode("utf-8", "surrogateescape")
        led = self._led(address, token)
        return found[0] if led == address else found[1] + json.dumps(led).encode()

    def _led(self, address: str, token: str) -> str:
        endpoint = self.endpoint
        own_origin = endpoint.scheme, endpoint.host, endpoint.port
        try:
            parts = urlsplit(address)
            origin = destination(address)
        except ValueError:
            return address
        if (parts.scheme or parts.netloc) and origin != own_origin:
            return address
        path = parts.path.removeprefix(endpoint.path)
        if not path.startswith("/") or (endpoint.path and path == parts.path):
            return address
        # Added again to the next request; the program may not see it, because it can hold a key.
        own = endpoint.query.split("&")
        query = "&".join(part for part in parts.query.split("&") if part not in own)
        prefix = f"/t/{token}" if token else ""
        host = self.admitted.host.decode("latin-1")
        return f"http://{host}{prefix}/{self.admitted.dialect.name}{path}" + (f"?{query}" if query else "")
