"""Which words can come next on a command line? One implementation for all shells.

The scripts of `nexoctl completion` call it through the hidden command `_complete`. Names of connections and
tokens come from a running daemon; completion never starts it, and a failure completes nothing.
"""

import argparse
from collections.abc import Callable, Iterable

from nexo.connections.terms import Provider
from nexo_cli.commands import COMMANDS
from nexo_cli.parser import add_common_options, command_parser, subparsers_of

CONNECTION, TOKEN = "connection", "token"
Names = Callable[[str], Iterable[str]]

# The kind of name that an argument takes, by its `dest`.
_NAMED = {
    **dict.fromkeys(("connection", "connections", "replace_with", "places"), CONNECTION),
    "token": TOKEN,
}
# Tells the shell to complete file names itself.
FILES = ":files"


def candidates(words: list[str], names: Names) -> list[str]:
    """The candidates for the last word.

    Args:
        words: the words after `nexoctl`; the last one is being completed and may be empty.
        names: returns the names of all connections, or of all tokens; called only if they are needed.
    """
    *before, current = words or [""]
    position = _command_position(before)
    if position is None:
        top = argparse.ArgumentParser(add_help=False)
        add_common_options(top)
        options = [option for action in top._actions for option in action.option_strings]
        options += ["--help", "--version"]
        known = [command.name for command in COMMANDS] + ["help"]
        return _starting(current, options if current.startswith("-") else known)
    command = next((c for c in COMMANDS if c.name == before[position]), None)
    if command is None:
        return []
    parser: argparse.ArgumentParser = command_parser(command)[0]
    rest = before[position + 1 :]
    if command.name == "run" and "--" in rest:
        return [FILES]
    while subparsers_of(parser):
        children = subparsers_of(parser)
        verb = next((index for index, word in enumerate(rest) if word in children), None)
        if verb is None:
            return _starting(current, children) if not current.startswith("-") else _options(parser, current)
        parser, rest = children[rest[verb]], rest[verb + 1 :]
    return _of_command(parser, rest, current, names)


def _command_position(before: list[str]) -> int | None:
    skip = False
    for index, word in enumerate(before):
        if skip:
            skip = False
        elif word == "--socket":
            skip = True
        elif not word.startswith("-"):
            return index
    return None


def _of_command(parser: argparse.ArgumentParser, rest: list[str], current: str, names: Names) -> list[str]:
    by_option = {option: action for action in parser._actions for option in action.option_strings}
    awaited = by_option.get(rest[-1]) if rest else None
    if awaited is not None and awaited.nargs in (None, 1):
        return _values(awaited, current, names)
    if awaited is not None and awaited.nargs == "?":
        return _values(awaited, current, names)
    if current.startswith("-"):
        return _options(parser, current)
    positional = [action for action in parser._actions if not action.option_strings]
    return [word for action in positional[:1] for word in _values(action, current, names)]


def _options(parser: argparse.ArgumentParser, current: str) -> list[str]:
    options = [option for action in parser._actions for option in action.option_strings]
    return _starting(current, [option for option in options if option.startswith("--")])


def _values(action: argparse.Action, current: str, names: Names) -> list[str]:
    if action.choices is not None:
        return _starting(current, [str(choice) for choice in action.choices])
    if action.dest == "provider":
        return _starting(current, [provider.value for provider in Provider])
    if action.dest in _NAMED:
        return _starting(current, names(_NAMED[action.dest])) + ([FILES] if action.dest == "places" else [])
    if action.dest == "source":
        from nexo_sources import SOURCES

        return [*_starting(current, ["all", *(source.name for source in SOURCES)]), FILES]
    if action.dest in ("ca_bundle", "file", "path", "socket", "headers_json", "workspace"):
        return [FILES]
    return []


def _starting(current: str, known: Iterable[str]) -> list[str]:
    folded = current.casefold()
    return [word for word in known if word.casefold().startswith(folded)]
