"""The floor for the gateway: a forwarder from uvicorn and httpcore2: `floor_gateway.py UPSTREAM_PORT`.

It forwards method, target and body, and returns the status and the chunks. It has no tokens, routes, headers
or records. Prints its port.
"""

import asyncio
import socket
import sys
from typing import Any

import httpcore2
import uvicorn

UPSTREAM = int(sys.argv[1])
pool = httpcore2.AsyncConnectionPool(max_connections=256, max_keepalive_connections=8)


async def app(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    url = httpcore2.URL(scheme="http", host="127.0.0.1", port=UPSTREAM, target=scope["raw_path"])
    headers = [(b"host", b"127.0.0.1"), (b"content-length", str(len(body)).encode())]
    request = httpcore2.Request(scope["method"], url, headers=headers, content=body)
    response = await pool.handle_async_request(request)
    # Otherwise a stream would never end after its caller has left, because uvicorn silently drops its data.
    gone = asyncio.ensure_future(receive())
    try:
        kept = [(name.lower(), value) for name, value in response.headers]
        kept = [pair for pair in kept if pair[0] != b"transfer-encoding"]
        await send({"type": "http.response.start", "status": response.status, "headers": kept})
        async for piece in response.aiter_stream():
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        await response.aclose()


def main() -> None:
    # As in nexod; otherwise the delay of Nagle's algorithm would be measured.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(256)
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False, timeout_keep_alive=120
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
