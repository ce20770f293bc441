"""What the log says of an exception that nobody expected: its type and its place, never its text."""

import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "sk-canary-in-an-exception"

SCRIPT = """
import asyncio, logging, sys, threading
from pathlib import Path
from nexo_daemon.logs import LoopHandler, start_logging

start_logging(Path(sys.argv[1]), "")

def fail():
    raise ValueError(sys.argv[3])

async def loop():
    asyncio.get_running_loop().set_exception_handler(LoopHandler())
    asyncio.get_running_loop().call_soon(fail)
    task = asyncio.create_task(asyncio.to_thread(fail))
    await asyncio.wait([task])
    del task
    await asyncio.sleep(0)

class Falls:
    def __del__(self):
        fail()

if sys.argv[2] == "loop":
    asyncio.run(loop())
elif sys.argv[2] == "thread":
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
elif sys.argv[2] == "finaliser":
    Falls()
elif sys.argv[2] == "logged":
    try:
        fail()
    except ValueError:
        logging.getLogger("nexod").exception("seen")
else:
    fail()
"""


@pytest.mark.parametrize("how", ["loop", "thread", "finaliser", "logged", "main"])
def test_an_unexpected_exception_is_named_without_its_text(tmp_path: Path, how: str) -> None:
    path = tmp_path / "log" / "nexod.log"
    path.parent.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), how, CANARY], capture_output=True, text=True, check=False
    )
    said = path.read_text()
    assert said.count("ValueError") >= (2 if how == "loop" else 1), said + done.stderr
    assert "<string>:" in said
    assert CANARY not in said + done.stdout + done.stderr
    assert "Traceback" not in said + done.stderr
    assert done.returncode == (1 if how == "main" else 0)


STARVED = """
import asyncio, os, resource, socket, sys
from pathlib import Path
from nexo_daemon.logs import LoopHandler, start_logging

start_logging(Path(sys.argv[1]), "")

async def main():
    asyncio.get_running_loop().set_exception_handler(LoopHandler())
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    callers = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(3)]
    held = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            os.dup(0)
    except OSError:
        pass
    # The callers are in the queue, so the loop tries to accept them in its first rounds.
    for _ in range(20):
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_callers_that_cannot_be_accepted_do_not_fill_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log" / "nexod.log"
    path.parent.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(path)], capture_output=True, text=True, check=False
    )
    said = path.read_text()
    assert said.count("Too many open files") == 1, said + done.stderr
    assert "unexpected" not in said
