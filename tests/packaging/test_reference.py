"""The man pages are made from the help of the programs, one page for each command."""

import re
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
    wanted = set(options_of(parser)) - {"-h", "--help"}
    assert [option for option in wanted if option not in text] == []


@pytest.mark.needs("groff")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_page_of_a_command_keeps_the_lines_of_its_examples(man: Path, command: Command) -> None:
    page = man / f"nexoctl-{command.name}.1"
    shown = subprocess.run(
        ["groff", "-Kutf8", "-Tutf8", "-man", "-P-cbou", str(page)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    description = command_parser(command)[0].description or ""
    examples = [line for line in description.splitlines() if line.startswith("  ")]
    assert [line for line in examples if line not in shown] == []


def test_the_places_in_the_pages_are_those_of_a_person_called_you(man: Path) -> None:
    text = (man / "nexoctl.1").read_text()
    assert "/home/you/" in text
    assert f"{Path.home()}/" not in text


def test_no_page_has_the_date_of_the_day_on_which_it_was_made(man: Path) -> None:
    heads = [page.read_text().splitlines()[1] for page in man.iterdir()]
    assert [head for head in heads if not re.match(r'\.TH \S+ "1" "" "nexo', head)] == []


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
