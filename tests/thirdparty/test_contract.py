"""What was promised to programs of other people is kept: `make lint` finds a change that breaks them."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
BUF = REPOSITORY / "tests" / "thirdparty" / "node_modules" / ".bin" / "buf"
PROMISED = REPOSITORY / "protos" / "promised.binpb"

pytestmark = pytest.mark.needs("node")


def breaking(protos: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BUF, "breaking", protos, "--against", PROMISED], capture_output=True, text=True, check=False
    )


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the contract, for a change."""
    copy = tmp_path / "protos"
    shutil.copytree(REPOSITORY / "protos", copy, ignore=shutil.ignore_patterns("*.py", "*.pyi", "*.binpb"))
    return copy


def edit(protos: Path, old: str, new: str) -> None:
    file = protos / "nexo" / "connections" / "v1" / "workspace.proto"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_contract_keeps_what_was_promised() -> None:
    done = breaking(REPOSITORY / "protos")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_an_addition_breaks_nobody(changed: Path) -> None:
    edit(changed, "string api_key = 7;", "string api_key = 7;\n  string more = 99;")
    assert breaking(changed).returncode == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("string api_key = 7;", ""),
        ("string api_key = 7;", "bytes api_key = 7;"),
        ("string api_key = 7;", "string api_key = 98;"),
        ("rpc UnbindWorkspace(UnbindWorkspaceRequest) returns (UnbindWorkspaceResponse);", ""),
    ],
    ids=["removed", "another type", "another number", "no method"],
)
def test_a_break_is_found(changed: Path, old: str, new: str) -> None:
    edit(changed, old, new)
    assert breaking(changed).returncode != 0
