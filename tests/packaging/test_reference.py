"""The man pages are made from the help of the programs, one page for each command."""

import subprocess
import sys
from pathlib import Path

import pytest

from nexo_cli.commands import COMMANDS, Command
from nexo_cli.parser import command_parser, options_of

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def man(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pages") / "man"
    subprocess.run([sys.executable, str(REPOSITORY / "packaging/reference"), str(directory)], check=True)
    return directory


def test_every_program_and_every_command_has_a_page(man: Path) -> None:
    programs = {"nexod", "nexoctl", "nexo-tray"}
    commands = {f"nexoctl-{command.name}" for command in COMMANDS}
    assert {page.stem for page in man.iterdir()} == programs | commands


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_page_of_a_command_names_all_of_its_options(man: Path, command: Command) -> None:
    parser, _ = command_parser(command)
    text = (man / f"{parser.prog.replace(' ', '-')}.1").read_text().replace("\\-", "-")
    assert [option for option in options_of(parser) if option not in text] == []


def test_the_places_in_the_pages_are_those_of_a_person_called_you(man: Path) -> None:
    text = (man / "nexoctl.1").read_text()
    assert "/home/you/" in text
    assert f"{Path.home()}/" not in text


@pytest.mark.needs("groff")
def test_troff_finds_no_fault_with_the_pages(man: Path) -> None:
    done = subprocess.run(
        ["groff", "-Kutf8", "-Tutf8", "-man", "-ww", "-z", *map(str, sorted(man.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_asking_for_help_writes_no_pages(tmp_path: Path) -> None:
    script = REPOSITORY / "packaging/reference"
    done = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, check=True
    )
    assert b"DIRECTORY" in done.stdout
    assert list(tmp_path.iterdir()) == []
