"""What can come next on a command line; `tests/process/test_completion.py` asks the shells, with a daemon."""

import shutil
import subprocess
import sys

import pytest

from surroundings import Surroundings


def complete(surroundings: Surroundings, line: str) -> list[str]:
    """What nexoctl offers for the end of the line."""
    output = surroundings.home / "completions"
    how = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(output),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    surroundings.run([sys.executable, "-m", "nexo_cli"], env=how)
    return sorted(output.read_text().splitlines())


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("nexoctl li", ["list"]),
        ("nexoctl LI", ["list"]),
        ("nexoctl --js", ["--json"]),
        ("nexoctl --json sho", ["show"]),
        ("nexoctl --socket /x stat", ["status"]),
        ("nexoctl --socket=/x stat", ["status"]),
        ("nexoctl help sho", ["show"]),
        ("nexoctl resolve --format ", ["env", "json", "key"]),
        ("nexoctl resolve --format=k", ["--format=key"]),
        ("nexoctl add x --provider an", ["anthropic"]),
        ("nexoctl add x --api-key-s", ["--api-key-stdin"]),
        ("nexoctl add x --json --he", ["--header", "--headers-json", "--help"]),
        ("nexoctl import open", ["openclaw", "opencode"]),
        ("nexoctl workspace b", ["bind"]),
        ("nexoctl workspace bind --allow", ["--allow-fallback"]),
        ("nexoctl run --conn", ["--connection"]),
        ("nexoctl completion f", ["fish"]),
        ("nexoctl show ", []),
        ("nexoctl token add ", []),
        ("nexoctl nonsense ", []),
        ("nexoctl add x --base-url ", []),
    ],
)
def test_what_can_come_next(surroundings: Surroundings, line: str, wanted: list[str]) -> None:
    assert complete(surroundings, line) == wanted
    assert not surroundings.socket.exists()


@pytest.mark.parametrize(
    "line",
    [
        "nexoctl run -- ./fi",
        "nexoctl run -- ls ./fi",
        "nexoctl which ./fi",
        "nexoctl add x --ca-bundle ./fi",
        "nexoctl workspace bind ./fi",
        "nexoctl import ./fi",
        "nexoctl --socket ./fi",
    ],
)
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_file_names_come_next(surroundings: Surroundings, line: str) -> None:
    (surroundings.home / "file").write_text("")
    assert complete(surroundings, line) == ["./file"]


def test_only_the_module_of_the_command_is_imported() -> None:
    probe = (
        "import sys; from nexo_cli.completing import parser_for; parser_for(['--json', 'add', 'x']);"
        " print(*sorted(name for name in sys.modules if name.startswith('nexo_cli.cmds.')))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nexo_cli.cmds.add"]
