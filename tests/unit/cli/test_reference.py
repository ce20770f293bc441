"""The page docs/nexoctl.md is what the program says of itself."""

from pathlib import Path

from nexo_cli.errors import Exit
from nexo_cli.reference import page

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "nexoctl.md"


def test_the_page_is_made_from_the_help_of_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: make reference"


def test_every_exit_status_has_its_meaning() -> None:
    for code in Exit:
        assert f"| {code.value} |" in page()
