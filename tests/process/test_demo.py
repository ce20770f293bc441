"""`nexoctl demo` keeps its promises: it works, touches nothing of the user's, and leaves nothing behind."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nexo_cli.demo.provider import ACCOUNTS
from nexo_client.types import ConnectionDraft
from surroundings import PATIENCE_S, Surroundings, wait_for

DEMO = [sys.executable, "-m", "nexo_cli", "demo"]


def contents(surroundings: Surroundings) -> dict[str, bytes]:
    """The user's own files; the demo's captured output and what SQLite and the log do by themselves aside."""
    own = (path for path in surroundings.files() if path.suffix not in (".out", ".log"))
    return {str(path): path.read_bytes() for path in own if not path.name.endswith(("-shm", "-wal"))}


def collect(process: "subprocess.Popen[bytes]", lines: list[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        # One by one: the test looks on.
        lines.append(line.decode(errors="replace"))  # noqa: PERF401


def processes_naming(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            told = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in told:
            found.append(path.name)
    return found


@pytest.fixture
def users_own(surroundings: Surroundings) -> dict[str, bytes]:
    """A user who has connections already; their daemon is not running while the demo runs."""
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        client.create_connection(
            ConnectionDraft(
                name="mine", provider="custom", base_url="http://127.0.0.1:9/v1", api_key="my-own-key"
            )
        )
    assert daemon.stop() == 0
    return contents(surroundings)


def test_it_works_and_leaves_nothing_behind(surroundings: Surroundings, users_own: dict[str, bytes]) -> None:
    done = surroundings.run(DEMO, patience_s=120)
    for sentence in (
        "$ nexoctl add work",
        "the key was rejected",
        "rate limited",
        "home: Hello from example-small, billed to the account 'home'.",
        "$ nexoctl run -- python stranger.py",
        "The provider agrees; it billed: work, home, work, work, home.",
        "Done in",
    ):
        assert sentence in done.out, done
    assert "my-own-key" not in done.out + done.err
    assert "mine" not in done.out
    for account in ACCOUNTS:
        assert account.key not in done.out + done.err
    assert done.err == "" or "Testing" in done.err, done
    assert contents(surroundings) == users_own
    assert list((surroundings.home / "tmp").iterdir()) == []
    assert not surroundings.socket.exists()


def test_a_daemon_of_the_user_is_not_disturbed(surroundings: Surroundings) -> None:
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        before = client.status()
        surroundings.run(DEMO, patience_s=120)
        after = client.status()
    assert (after.pid, after.revision, after.connections) == (before.pid, before.revision, 0)
    assert list((surroundings.home / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "$ nexod --foreground"),
        (signal.SIGINT, "$ nexoctl add work"),
        (signal.SIGTERM, "$ nexoctl test --draft"),
        (signal.SIGINT, "billed to the account 'work'"),
        (signal.SIGHUP, "$ nexoctl default home"),
        (signal.SIGINT, "$ nexoctl run --"),
    ],
)
def test_it_cleans_up_when_it_is_interrupted(
    surroundings: Surroundings, number: signal.Signals, moment: str
) -> None:
    directory = surroundings.home / "tmp"
    process = surroundings.spawn(DEMO, env={"PYTHONUNBUFFERED": "1"})
    lines: list[str] = []
    reader = threading.Thread(target=collect, args=(process, lines))
    reader.start()
    wait_for(lambda: any(moment in line for line in list(lines)), f"the demo has come to {moment!r}")
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 130
    reader.join(PATIENCE_S)
    assert not reader.is_alive(), "a process of the demo still holds its output"
    assert "Traceback" not in "".join(lines)
    assert "All files of the demo were removed" in "".join(lines)
    assert list(directory.iterdir()) == []
    assert processes_naming(f"{directory}/nexo-demo-") == []


def test_without_the_daemon_extra_it_is_one_sentence(surroundings: Surroundings) -> None:
    blocker = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'sqlalchemy' else find(name, *rest);"
        "from nexo_cli.demo import main; sys.exit(main())"
    )
    done = surroundings.run([sys.executable, "-c", blocker], expect=1)
    assert "pip install 'nexo-connections[daemon]'" in done.err
    assert "Traceback" not in done.err
