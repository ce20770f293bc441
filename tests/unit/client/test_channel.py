"""Which sockets are trusted, and what is said of the others."""

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import nexo_client
from nexo.connections import paths
from nexo_client import aio, channel
from nexo_client.errors import DaemonNotRunning, DaemonUnsafe, InvalidField
from surroundings import PATIENCE_S


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


class Fickle:
    """Accepts on a socket and hangs up, and is gone after as many callers as it has patience for."""

    def __init__(self, path: Path, patience: int) -> None:
        self._listening = listen(path)
        self._thread = threading.Thread(target=self._serve, args=(path, patience))
        self._thread.start()

    def _serve(self, path: Path, patience: int) -> None:
        with self._listening:
            for _ in range(patience):
                self._listening.accept()[0].close()
            path.unlink()

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("patience", [3, 4, 5, 6])
def test_a_daemon_that_ends_while_it_is_asked_again_is_noticed(directory: Path, patience: int) -> None:
    """However far the second try has come: as a time-out it would be told only after a minute or more."""
    fickle = Fickle(directory / "s", patience)
    with nexo_client.Client(directory / "s", timeout_s=300) as client, pytest.raises(DaemonNotRunning):
        client.check_now()
    fickle.join()


def test_a_daemon_that_ends_while_it_is_asked_again_is_noticed_on_asyncio(directory: Path) -> None:
    async def scenario() -> None:
        async with aio.AsyncClient(directory / "s", timeout_s=300) as client:
            with pytest.raises(DaemonNotRunning):
                await client.check_now()

    fickle = Fickle(directory / "s", 4)
    asyncio.run(scenario())
    fickle.join()
