"""The user documentation is true: links work, commands exist, tables match the code."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo_cli import commands
from nexo_cli.parser import command_parser
from nexo_daemon.providers import catalog

REPOSITORY = Path(__file__).parent.parent.parent.parent
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    *sorted((REPOSITORY / "docs").glob("**/*.md")),
]


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(REPOSITORY)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    inside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", inside):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def nexoctl_lines(page: Path) -> Iterator[list[str]]:
    """The words of each `nexoctl` command in the page's shell blocks and inline code."""
    text = page.read_text()
    found = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    found += re.findall(r"`(nexoctl [^`\n]+)`", text)
    for line in (line.partition(" #")[0] for line in found):
        for called in re.findall(r"\bnexoctl\b[^|#;)\"&>]*", line):
            words = shlex.split(called.replace("…", "").replace("'", "'"))[1:]
            yield words[: words.index("--")] if "--" in words else words


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_exist_with_their_options(page: Path) -> None:
    for words in nexoctl_lines(page):
        while words and words[0].startswith("-"):
            words = words[1:]
        if not words or not words[0].islower():
            continue
        command = commands.find(words[0])
        assert command, f"{page.name} mentions `nexoctl {words[0]}`"
        help_text = command_parser(command)[0].format_help()
        if len(words) > 1 and "|" in help_text and words[1].islower():
            nested = re.search(r"([\w-]+(?:\|[\w-]+)+) \.\.\.", help_text)
            if nested:
                assert words[1] in nested[1].split("|"), f"{page.name} mentions `nexoctl {' '.join(words)}`"
                continue
        for word in words[1:]:
            if word.startswith("--"):
                assert word.partition("=")[0] in help_text, (
                    f"{page.name} mentions `nexoctl {' '.join(words)}`"
                )


def test_the_readme_names_what_a_fresh_clone_is_tried_with() -> None:
    readme = (REPOSITORY / "README.md").read_text().splitlines()
    assert [line.split()[1] for line in readme if line.startswith("make ")] == ["demo", "test"]


def test_the_table_of_providers_is_that_of_the_code() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (REPOSITORY / "docs" / "providers.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    expected = [
        [
            f"`{entry.name}`",
            entry.display_name,
            f"`{entry.base_url}`" if entry.base_url else f"yours, as `{entry.base_url_example}`",
            f"`{entry.auth_scheme.value}`",
            "yes" if entry.key_required else "no",
            entry.note,
        ]
        for entry in catalog.entries()
    ]
    assert rows == expected


def test_every_exit_status_is_in_the_docs() -> None:
    from nexo_cli.errors import Exit

    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
    for code in Exit:
        assert f"| {code.value} |" in page or code.value > 100


def test_every_outcome_has_advice_in_the_docs() -> None:
    from nexo.connections.terms import Outcome

    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
    for outcome in Outcome:
        assert f"| `{outcome.value}` |" in page or outcome is Outcome.OK
