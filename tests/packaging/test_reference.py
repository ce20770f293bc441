"""The man pages say what the programs say."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
MAN = REPOSITORY / "packaging" / "man"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse lays out help differently elsewhere")
def test_writing_them_again_would_change_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "packaging" / "reference"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run packaging/reference (or make reference):\n{done.stdout}{done.stderr}"


@pytest.mark.needs("groff")
def test_troff_finds_no_fault_with_the_pages() -> None:
    pages = sorted(MAN.glob("*.1"))
    assert any(page.name == "nexoctl-add.1" for page in pages)
    done = subprocess.run(
        ["groff", "-Kutf8", "-Tutf8", "-man", "-ww", "-z", *map(str, pages)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
