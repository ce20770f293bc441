"""Programs in a container and behind ssh use the gateway, and no key gets there.

The container is one of namespaces: its own users, mounts, network and processes, in which of everything that
is the person's only the directory of the gateway's socket is left.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexo.connections import paths
from nexo_cli.demo.provider import WORK, ExampleProvider
from nexo_client import errors
from nexo_client.client import Client
from nexo_client.types import ConnectionDraft
from ports import free_port
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for

PYTHON = "/usr/bin/python3"

OVER_THE_SOCKET = """
import http.client, socket, sys
class Line(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(sys.argv[1])
line = Line("localhost")
line.request("GET", "/openai/v1/models", headers={"Authorization": "Bearer " + sys.argv[2]})
answer = line.getresponse()
print(answer.status, answer.read().decode())
"""

OVER_A_PORT = """
import sys, urllib.request
asked = urllib.request.Request("http://127.0.0.1:" + sys.argv[1] + "/openai/v1/models")
asked.add_header("Authorization", "Bearer " + sys.argv[2])
answer = urllib.request.urlopen(asked, timeout=30)
print(answer.status, answer.read().decode())
"""


@contextmanager
def gateway(nexod: Nexod) -> Iterator[tuple[Client, str, Path, int]]:
    """A client, a container's token, the socket and the port; a connection whose key is `WORK.key`."""
    with ExampleProvider() as provider, nexod.client() as client:
        client.create_connection(
            ConnectionDraft(
                name="work", provider="openai", base_url=provider.origin + "/v1", api_key=WORK.key
            )
        )
        found = client.gateway.switch(True)
        made = client.gateway.create_token("sandbox", connection="work", lifetime_s=3600)
        yield client, made.secret, Path(found.socket_path), found.port


class Container:
    """A shell in namespaces of its own; the home of the test is an empty directory there."""

    def __init__(self, hidden: Path, shared: Path) -> None:
        preparing = f"""
            set -e
            mkdir -p /tmp/.nexo-shared && mount --bind {shared} /tmp/.nexo-shared
            mount -t tmpfs tmpfs {hidden}
            mkdir {hidden}/nexo && mount --move /tmp/.nexo-shared {hidden}/nexo
            ip link set lo up
            mount -t proc proc /proc
            echo ready
            exec sh
        """
        self.shared = hidden / "nexo"
        self._process = subprocess.Popen(
            [
                *(
                    "unshare",
                    "--user",
                    "--map-root-user",
                    "--mount",
                    "--net",
                    "--pid",
                    "--fork",
                    "--kill-child",
                ),
                *("sh", "-c", preparing),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ["PATH"]},
            cwd="/",
        )
        assert self._line() == "ready"

    def run(self, *words: str) -> str:
        """What a command says, on one line."""
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
        return self.shell(f"{quoted} 2>&1 | tr '\\n' ' '; echo")

    def shell(self, text: str) -> str:
        """The first line that some shell text prints."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """Everything in it ends with its first process."""
        self._process.kill()
        self._process.communicate(timeout=PATIENCE_S)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def container(hidden: Path, shared: Path) -> Iterator[Container]:
    """One that ends."""
    made = Container(hidden, shared)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.needs("container")
def test_a_container_uses_the_gateway_and_sees_no_key(nexod: Nexod, surroundings: Surroundings) -> None:
    with (
        gateway(nexod) as (client, token, path, port),
        container(surroundings.home, path.parent) as inside,
    ):
        here = str(inside.shared / "gateway.sock")
        answer = inside.run(PYTHON, "-c", OVER_THE_SOCKET, here, token)
        assert answer.startswith("200 ")
        assert WORK.key not in answer
        assert inside.run(PYTHON, "-c", OVER_THE_SOCKET, here, "nexo_guessed").startswith("401 ")
        # All that is the person's, and all that a process there can see of the others.
        assert inside.run("find", str(surroundings.home), "-type", "s").split() == [here]
        assert inside.run("find", str(surroundings.home), "-type", "f") == ""
        assert inside.shell("cat /proc/*/cmdline /proc/*/environ | tr '\\0' ' ' | grep -c '[n]exod'") == "0"

        # Without a network: the port of the gateway is not the container's, until socat makes it so.
        assert "refused" in inside.run(PYTHON, "-c", OVER_A_PORT, str(port), token)
        inside.shell(
            f"socat TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr UNIX-CONNECT:{here} >/dev/null 2>&1 &"
            " echo"
        )
        wait_for(
            lambda: inside.run(PYTHON, "-c", OVER_A_PORT, str(port), token).startswith("200 "), "an answer"
        )

        client.gateway.revoke_token("sandbox")
        assert inside.run(PYTHON, "-c", OVER_THE_SOCKET, here, token).startswith("401 ")


@pytest.mark.needs("container")
def test_a_container_outlives_a_restart_of_the_daemon(nexod: Nexod, surroundings: Surroundings) -> None:
    with (
        gateway(nexod) as (_, token, path, _port),
        container(surroundings.home, path.parent) as inside,
    ):
        here = str(inside.shared / "gateway.sock")
        assert inside.run(PYTHON, "-c", OVER_THE_SOCKET, here, token).startswith("200 ")
        nexod.stop()
        assert "FileNotFoundError" in inside.run(PYTHON, "-c", OVER_THE_SOCKET, here, token)
        surroundings.start_nexod()
        wait_for(
            lambda: inside.run(PYTHON, "-c", OVER_THE_SOCKET, here, token).startswith("200 "), "an answer"
        )


def test_the_directory_of_the_gateway_holds_nothing_else(nexod: Nexod) -> None:
    with gateway(nexod) as (_, _token, path, _port):
        assert path == paths.gateway_socket_path(nexod.socket)
        assert [one.name for one in path.parent.iterdir()] == ["gateway.sock"]
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(errors.NexoError):
            Client(path).resolve()


@contextmanager
def sshd(directory: Path) -> Iterator[list[str]]:
    """An sshd on a loopback port that lets this account in; gives the words of an ssh to it."""
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    port = free_port()
    settings = directory / "sshd_config"
    settings.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {directory}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {directory}/person.pub\nStrictModes no\nPasswordAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (directory / "sshd.log").open("wb") as log:
        server = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", settings], stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        wait_for(lambda: b"listening on" in (directory / "sshd.log").read_bytes(), "sshd")
        yield [
            *("ssh", "-F", "none", "-i", str(directory / "person"), "-p", str(port)),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
            *("-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes"),
        ]
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def behind_ssh(words: list[str], forward: str, code: str, *arguments: str) -> str:
    """What a program at the other end of ssh says; its text and arguments go there by stdin."""
    told = f"import sys; sys.argv = ['-', *{json.dumps(arguments)}]\n{code}"
    done = subprocess.run(
        [*words, "-R", forward, "127.0.0.1", PYTHON, "-"],
        input=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return done.stdout + done.stderr


@pytest.mark.needs("sshd")
def test_a_program_behind_ssh_uses_the_forwarded_socket_and_port(nexod: Nexod, tmp_path: Path) -> None:
    with gateway(nexod) as (_, token, path, port), sshd(tmp_path) as words:
        there = nexod.surroundings.home / "there.sock"
        answer = behind_ssh(words, f"{there}:{path}", OVER_THE_SOCKET, str(there), token)
        assert answer.startswith("200 "), answer
        assert WORK.key not in answer
        # sshd leaves the file behind, unless its own settings say otherwise.
        there.unlink()
        answer = behind_ssh(words, f"{there}:{path}", OVER_THE_SOCKET, str(there), "nexo_guessed")
        assert answer.startswith("401 "), answer
        # The other machine is this one, so its port has to be another one: with the Host of the gateway's.
        elsewhere = OVER_A_PORT.replace(
            "asked.add_header", f"asked.add_header('Host', '127.0.0.1:{port}')\nasked.add_header", 1
        )
        other = free_port()
        answer = behind_ssh(words, f"{other}:127.0.0.1:{port}", elsewhere, str(other), token)
        assert answer.startswith("200 "), answer


def test_devcontainer_settings_hold_no_token(nexod: Nexod, surroundings: Surroundings) -> None:
    with gateway(nexod) as (client, _token, path, port):
        told = surroundings.nexoctl("gateway", "setup", "devcontainer", "--write").out
        (token,) = [word for word in told.replace("=", " ").split() if word.startswith("nexo_")]
        lines = [line for line in told.splitlines() if line.startswith('  "')]
        document = json.loads("{" + "\n".join(lines) + "}")
        assert document["mounts"] == [f"source={path.parent},target=/run/nexo,type=bind"]
        assert document["containerEnv"]["OPENAI_BASE_URL"] == f"http://127.0.0.1:{port}/openai/v1"
        assert f"TCP-LISTEN:{port}," in document["postStartCommand"]
        assert token not in json.dumps(document)
        assert [one.name for one in client.gateway.tokens()] == ["sandbox", "devcontainer"]
        surroundings.nexoctl("gateway", "setup", "devcontainer", "--undo")
        assert [one.name for one in client.gateway.tokens()] == ["sandbox"]
