"""Another user of this computer: can neither connect nor read, nor put anything in our way that we trust."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexo_client
from answering_server import AnsweringServer, Request, answer
from gateway_parts import add, ask, opened
from surroundings import Nexod, Surroundings

OTHER = 12345
PYTHON = "/usr/bin/python3"

pytestmark = [
    pytest.mark.needs("linux"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user"),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs a Python that every user may run"),
]

TRY = """
import json, os, socket, sys
out = {}
for path in sys.argv[1:]:
    try:
        if path.endswith(".sock"):
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(path)
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path, "rb").close()
        out[path] = "let in"
    except OSError as error:
        out[path] = error.strerror
print(json.dumps(out))
"""


def as_other(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [PYTHON, "-c", script, *arguments],
        user=OTHER,
        group=OTHER,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def crossing(surroundings: Surroundings) -> Surroundings:
    """A home that everybody may walk through, as many systems have them: our own directories must hold."""
    surroundings.home.chmod(0o755)
    return surroundings


@pytest.fixture
def grabbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory like /tmp, in which the other user may make things first."""
    path = Path("/tmp") / f"nexo-shared-{os.getpid()}"
    path.mkdir()
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


def test_every_door_is_closed(crossing: Surroundings) -> None:
    daemon: Nexod = crossing.start_nexod()
    crossing.nexoctl(
        "add", "work", "--provider", "openai", "--api-key-stdin", "--no-test", stdin="sk-not-for-others"
    )
    crossing.nexoctl("store", "backup")
    places = [daemon.socket, *crossing.files()]
    places += [crossing.config_dir, crossing.data_dir, crossing.state_dir, daemon.socket.parent]
    ours = [str(path) for path in places if not path.name.startswith("nexod-")]
    found = json.loads(as_other(TRY, *ours))
    assert set(found.values()) == {"Permission denied"}
    assert {Path(path).name for path in found} >= {"nexod.sock", "connections.db", "vault.key", "nexod.log"}
    proc = [f"/proc/{daemon.pid}/{name}" for name in ("environ", "mem", "maps", "fd")]
    assert set(json.loads(as_other(TRY, *proc)).values()) == {"Permission denied"}


@pytest.mark.parametrize("variable", ["NEXO_STATE_DIR", "NEXO_DATA_DIR", "NEXO_SOCKET"])
def test_a_directory_that_somebody_made_first_is_not_used(
    surroundings: Surroundings, grabbed: Path, variable: str
) -> None:
    trap = grabbed / "nexo"
    as_other("import os, sys; os.mkdir(sys.argv[1], 0o777); os.chmod(sys.argv[1], 0o777)", str(trap))
    value = trap / "nexod.sock" if variable == "NEXO_SOCKET" else trap
    daemon = surroundings.spawn_nexod(env={variable: str(value)})
    assert daemon.wait() == 1
    assert str(trap) in daemon.output
    assert str(OTHER) in daemon.output
    assert "Traceback" not in daemon.output
    assert list(trap.iterdir()) == []


def test_a_key_file_directory_of_somebody_else_gets_no_key(surroundings: Surroundings, grabbed: Path) -> None:
    trap = grabbed / "config"
    as_other("import os, sys; os.mkdir(sys.argv[1], 0o777); os.chmod(sys.argv[1], 0o777)", str(trap))
    surroundings.start_nexod(env={"NEXO_CONFIG_DIR": str(trap)})
    shown = surroundings.nexoctl("--json", "vault", "status", expect=4).json
    assert shown["state"] == "locked"
    assert str(trap) in shown["problem"]
    assert list(trap.iterdir()) == []


def test_a_link_to_a_place_of_ours_is_not_followed(surroundings: Surroundings, grabbed: Path) -> None:
    ours = surroundings.home / "target"
    ours.mkdir(mode=0o700)
    link = grabbed / "data"
    as_other("import os, sys; os.symlink(sys.argv[1], sys.argv[2])", str(ours), str(link))
    daemon = surroundings.spawn_nexod(env={"NEXO_DATA_DIR": str(link)})
    assert daemon.wait() == 1
    assert "symbolic link" in daemon.output
    assert list(ours.iterdir()) == []


def test_the_client_does_not_talk_to_a_socket_that_somebody_else_put_there(grabbed: Path) -> None:
    trap = grabbed / "run"
    script = (
        "import os, socket, sys\n"
        "os.mkdir(sys.argv[1], 0o755); s = socket.socket(socket.AF_UNIX)\n"
        "s.bind(sys.argv[1] + '/nexod.sock')\n"
        "os.chmod(sys.argv[1] + '/nexod.sock', 0o777); s.listen()"
    )
    as_other(script, str(trap))
    with pytest.raises(nexo_client.DaemonUnsafe) as caught:
        nexo_client.connect(trap / "nexod.sock")
    assert str(trap) in caught.value.message


CONNECT = """
import socket, sys
port, token, times = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(times - 1):
    socket.create_connection(("127.0.0.1", port), timeout=30).close()
with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
    lines = ["GET /openai/v1/models HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}"]
    request = "\\r\\n".join([*lines, "", ""])
    try:
        line.sendall(request.encode())
        print(line.recv(4096).split(b"\\r\\n")[0].decode() or "closed")
    except ConnectionError:
        print("closed")
"""


def test_the_gateway_refuses_another_user_with_the_right_token(nexod: Nexod) -> None:
    def script(request: Request, _: object) -> bytes:
        return answer(200, b'{"object":"list","data":[]}', (("X-Inside", "yes"),))

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        assert ask(port, "/openai/v1/models", token, method="GET", body=None).headers["x-inside"] == "yes"
        assert as_other(CONNECT, str(port), token, "50").strip() in ("HTTP/1.1 403 Forbidden", "closed")
        assert ask(port, "/openai/v1/models", token, method="GET", body=None).status == 200
        # They could push everything else out of the log.
        assert nexod.output.count("a connection of another account to the gateway was refused") == 1
