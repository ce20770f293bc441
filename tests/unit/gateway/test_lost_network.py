"""The network is lost without a word while a connection to a provider is open: its interface goes down.

Run as a program, in namespaces of its own, this file is what the tests look at.
"""

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from certificates import make_authority
from nexo_gateway import streams, upstream
from nexo_gateway.upstream import Broken, Fault, OutgoingRequest, Upstream
from nexo_gateway.way import Way
from surroundings import PATIENCE_S

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin"
MUCH = 16 * 1024 * 1024
"""Bytes: more than both ends of a connection on loopback hold."""

pytestmark = pytest.mark.needs("container")


@pytest.mark.parametrize("encrypted", ["plain", "tls"])
@pytest.mark.parametrize(
    ("moment", "end"),
    [
        # The request leaves on a kept connection, and nobody acknowledges it.
        ("before", "Fault timeout can no longer be reached, 1 request came"),
        ("thinking", "Fault timeout can no longer be reached, 1 request came"),
        ("uploading", "Fault timeout can no longer be reached, 1 request came"),
        ("streaming", "Broken, 1 request came"),
    ],
)
def test_a_lost_network_ends_a_request_which_is_not_sent_again(
    moment: str, end: str, encrypted: str, tmp_path: Path
) -> None:
    alone = ("unshare", "--user", "--map-root-user", "--net")
    done = subprocess.run(
        [*alone, sys.executable, __file__, moment, encrypted, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=PATIENCE_S,
    )
    assert (done.stdout.strip(), done.returncode) == (end, 0), done.stderr


def _interface(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


async def _lose(moment: str, encrypted: bool, directory: Path) -> str:
    authority = make_authority(directory)
    came, requests = asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while await reader.readuntil(b"\r\n\r\n"):
            requests += 1
            if moment == "before":
                writer.write(ANSWER)
            elif moment == "streaming":
                writer.write(BEGINNING)
            if moment != "streaming":
                came.set()
            if moment != "before":
                await asyncio.Event().wait()

    scheme, way = "http", Way()
    if encrypted:
        scheme, way = "https", Way(tls=ssl.create_default_context(cafile=authority.bundle))

    def outgoing(body: bytes) -> OutgoingRequest:
        headers = [(b"host", b"h"), (b"content-length", str(len(body)).encode())]
        return OutgoingRequest("a", way, scheme, "127.0.0.1", port, "POST", "/x", headers, body, lambda: True)

    async def ask(body: bytes = b"") -> None:
        async with sender.send(outgoing(body)) as sent:
            async for _ in sent.body:
                came.set()

    _interface("up")
    tls = authority.server("good") if encrypted else None
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    sender = Upstream()
    if moment == "before":
        await ask()
        _interface("down")
    going = asyncio.create_task(ask(bytes(MUCH) if moment == "uploading" else b""))
    await came.wait()
    _interface("down")
    try:
        await asyncio.wait_for(going, PATIENCE_S)
    except Broken:
        end = "Broken"
    except Fault as fault:
        end = f"Fault {fault.kind} {fault.text}"
    else:
        end = "an answer"
    _interface("up")
    return f"{end}, {requests} request came"


if __name__ == "__main__":
    streams.LOST_S, streams.LOOK_S = 2, 0.1
    streams._ASK_AFTER_S = streams._ASK_EVERY_S = 1
    # The time-out is shorter here, and has to be later than this.
    upstream.REPLAY_WITHIN_S = 0.5
    loop = asyncio.new_event_loop()
    print(loop.run_until_complete(_lose(sys.argv[1], sys.argv[2] == "tls", Path(sys.argv[3]))), flush=True)
    # The server still waits for requests.
    os._exit(0)
