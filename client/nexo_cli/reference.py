"""The page docs/nexoctl.md, made from what `--help` is made from: `python -m nexo_cli.reference`."""

import argparse
import re
import sys
from collections.abc import Iterator

from nexo_cli.commands import COMMANDS
from nexo_cli.errors import Exit
from nexo_cli.parser import COMMON, add_common_options, command_parser, subparsers_of

_MEANINGS = {
    Exit.OK: "ok",
    Exit.FAILED: "failed",
    Exit.USAGE: "the command line or an input is wrong",
    Exit.NO_DAEMON: "the daemon is not reachable",
    Exit.PERMISSION: "permission missing, or the vault is locked",
    Exit.NOT_FOUND: "not found",
    Exit.TEST_FAILED: "a test failed, or a connection is unhealthy",
    Exit.REFUSED: "refused: in use, conflict, read-only",
    Exit.NO_PERMISSION_TO_RUN: "`nexoctl run`: the program can't be executed",
    Exit.NO_PROGRAM: "`nexoctl run`: there is no such program",
    Exit.INTERRUPTED: "ended by Ctrl-C",
    Exit.BROKEN_PIPE: "the reader of the output went away",
}


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# nexoctl"
    yield ""
    yield "Made by `make reference` from the help of the program; what `nexoctl COMMAND --help` says is here."
    yield ""
    for group in dict.fromkeys(command.group for command in COMMANDS):
        yield f"**{group}**: " + " · ".join(
            f"[{command.name}](#nexoctl-{command.name})" for command in COMMANDS if command.group == group
        )
        yield ""
    yield "## Every command"
    yield ""
    common = argparse.ArgumentParser(add_help=False)
    add_common_options(common)
    yield from _listed(common._actions)
    yield "`nexoctl --json --help` prints the JSON Schema of what the commands print with `--json`."
    yield ""
    yield "| exit status | meaning |"
    yield "|---|---|"
    for code, meaning in _MEANINGS.items():
        yield f"| {code.value} | {meaning} |"
    yield ""
    for command in COMMANDS:
        yield f"## nexoctl {command.name}"
        yield ""
        yield from _command(command_parser(command)[0])


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from _description(parser.description or "")
    verbs = subparsers_of(parser)
    if not verbs:
        usage = parser.format_usage().removeprefix("usage: ").strip()
        yield f"`{' '.join(usage.split())}`"
        yield ""
    groups = [group._group_actions for group in parser._action_groups if group.title != COMMON]
    told = [action for actions in groups for action in actions if _is_told(action)]
    if told:
        yield from _listed(told)
    for name, child in verbs.items():
        yield f"### nexoctl {parser.prog.removeprefix('nexoctl ').split(' ')[0]} {name}"
        yield ""
        # What the command says of itself need not be said again by each verb.
        if (child.description or "").strip() == (parser.description or "").strip():
            child.description = ""
        yield from _command(child)


def _is_told(action: argparse.Action) -> bool:
    hidden = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not hidden and action.help is not argparse.SUPPRESS


def _description(text: str) -> Iterator[str]:
    """Paragraphs as they are; indented examples as commands, with what is said beside one as a remark."""
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        if all(line.startswith("  ") for line in lines):
            yield from ("```sh", *(re.sub(r"(?<=\S)( {2,})", r"\1# ", line[2:]) for line in lines), "```")
        else:
            yield paragraph
        yield ""


def _listed(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        value = action.metavar if isinstance(action.metavar, str) else ""
        if not value and action.choices is not None:
            value = "|".join(str(choice) for choice in action.choices)
        words = ", ".join(action.option_strings)
        spelled = f"{words} {value}".strip() if action.nargs != 0 else words
        yield f"- `{spelled}`: {action.help}" if action.help else f"- `{spelled}`"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
