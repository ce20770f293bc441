"""A query for a name is lost on its way, and the system's resolver sends it again.

Run as a program, in namespaces of its own with a name server that loses queries, this file is what the test
looks at.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import probing_help as ask
from answering_server import AnsweringServer, answer
from nexo.connections.terms import Provider
from recorded_answers import LISTS
from surroundings import PATIENCE_S

PREPARING = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


@pytest.mark.needs("container")
@pytest.mark.parametrize(("loses", "end"), [("once", "ok"), ("always", "dns")])
def test_a_lost_query_is_not_the_end(loses: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    alone = ("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", PREPARING, "sh")
    done = subprocess.run(
        [*alone, str(tmp_path / "resolv.conf"), sys.executable, __file__, loses],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=PATIENCE_S,
    )
    assert (done.stdout.strip(), done.returncode) == (end, 0), done.stderr


class NameServer(asyncio.DatagramProtocol):
    """Knows that every name is 127.0.0.1, and loses the first query of each kind, or all."""

    def __init__(self, loses: str) -> None:
        self._loses = loses
        self._asked: set[bytes] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        question = data[12 : data.index(0, 12) + 5]
        if self._loses == "always" or question not in self._asked:
            self._asked.add(question)
            return
        found = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1" if question[-4:-2] == b"\0\1" else b""
        counts = bytes((0, 1, 0, bool(found), 0, 0, 0, 0))
        self._transport.sendto(data[:2] + b"\x81\x80" + counts + question + found, peer)


async def _check(loses: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: NameServer(loses), ("127.0.0.1", 53))
    target = ask.target(Provider.CUSTOM, f"http://api.provider.example:{port}/v1")
    verdict = await asyncio.to_thread(ask.check, target)
    return verdict.reason or verdict.outcome.value


if __name__ == "__main__":
    with AnsweringServer(lambda _request, _connection: answer(200, LISTS[Provider.CUSTOM])) as server:
        print(asyncio.run(_check(sys.argv[1], server.port)), flush=True)
