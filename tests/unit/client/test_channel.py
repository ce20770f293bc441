"""Which sockets are trusted, and what is said of the others."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from nexo.connections import paths
from nexo_client import channel
from nexo_client.errors import DaemonNotRunning, DaemonUnsafe, InvalidField


@pytest.fixture
def directory() -> Iterator[Path]:
    # Directly below /tmp: pytest's own directories are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="nexo-") as name:
        yield Path(name)


def listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)
    return server


def test_a_listening_socket_of_ours_is_fine(directory: Path) -> None:
    with listen(directory / "s"):
        channel.probe(directory / "s")
        assert channel.diagnose(directory / "s") is None


def test_a_full_queue_is_a_daemon_that_is_busy_and_not_one_that_is_away(directory: Path) -> None:
    with listen(directory / "s"):
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(str(directory / "s"))
            except BlockingIOError:
                break
        channel.probe(directory / "s")
        for one in waiting:
            one.close()


def test_a_missing_and_a_dead_socket_are_told_apart(directory: Path) -> None:
    with pytest.raises(DaemonNotRunning, match="no such socket"):
        channel.probe(directory / "s")
    with pytest.raises(DaemonNotRunning, match="no such socket"):
        channel.probe(directory / "none" / "s")
    listen(directory / "s").close()
    with pytest.raises(DaemonNotRunning, match="nothing listens") as dead:
        channel.probe(directory / "s")
    assert dead.value.hint == channel.START_HINT


def test_a_directory_that_others_may_enter_is_not_trusted(directory: Path) -> None:
    with listen(directory / "s"):
        directory.chmod(0o755)
        with pytest.raises(DaemonUnsafe) as refused:
            channel.probe(directory / "s")
    assert str(directory) in str(refused.value)
    assert "chmod 700" in refused.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["directory", "socket"])
def test_what_belongs_to_somebody_else_is_not_trusted(directory: Path, what: str) -> None:
    with listen(directory / "s"):
        os.chown(directory if what == "directory" else directory / "s", 12345, -1)
        with pytest.raises(DaemonUnsafe, match="12345"):
            channel.probe(directory / "s")
        os.chown(directory, 0, -1)


def test_a_file_in_its_place_is_not_a_socket(directory: Path) -> None:
    (directory / "s").write_text("")
    with pytest.raises(DaemonUnsafe, match="not a socket"):
        channel.probe(directory / "s")


def test_a_path_that_is_too_long_is_said_to_be(directory: Path) -> None:
    with pytest.raises(InvalidField) as refused:
        channel.probe(directory / ("x" * paths.SOCKET_PATH_LIMIT))
    assert "NEXO_SOCKET" in refused.value.hint
    assert str(paths.SOCKET_PATH_LIMIT) in str(refused.value)


@pytest.mark.parametrize("name", ["plain", "a space", "100%41", "hash#mark", "query?x", "smörgås"])
def test_grpc_takes_any_name_for_what_it_is(directory: Path, name: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = directory / name
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port(channel.target(path))
    server.start()
    try:
        assert path.exists()
        channel.probe(path)
        with grpc.insecure_channel(channel.target(path), options=channel.OPTIONS) as line:
            grpc.channel_ready_future(line).result(10)
    finally:
        server.stop(None).wait()
