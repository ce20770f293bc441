"""How nexoctl reads its arguments: one parser class, the options that every command takes, usage errors.

Options common to all commands may stand before or after the name of the command.
"""

import argparse
import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from nexo.connections.ranges import DAY_S, LONGEST_CALL_S, LONGEST_S, MOST
from nexo.connections.similar import most_similar
from nexo_cli.commands import Command

Number = TypeVar("Number", int, float)

COMMON = "options of every command"
_SPANS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": float(DAY_S)}


class UsageError(Exception):
    """The command line cannot be understood."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps paragraphs of descriptions as written, gives options room, and keeps the usage on one line."""

    def __init__(self, prog: str) -> None:
        # argparse creates a formatter for each argument, and would import shutil for its width.
        super().__init__(prog, max_help_position=30, width=_columns() - 2)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """All arguments, and one word for the options, which are listed below anyway."""
        actions = list(actions)
        if usage is None:
            arguments = [
                self._format_args(action, self._get_default_metavar_for_positional(action))
                for action in actions
                if not action.option_strings and action.help is not argparse.SUPPRESS
            ]
            options = ["[options]"] if any(action.option_strings for action in actions) else []
            usage = " ".join(["%(prog)s", *options, *arguments])
        super().add_usage(usage, actions, groups, prefix)


def _columns() -> int:
    """The width of the terminal, or 80: COLUMNS, else the terminal's own answer, like shutil."""
    with contextlib.suppress(KeyError, ValueError):
        if (columns := int(os.environ["COLUMNS"])) > 0:
            return columns
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError`, and takes the common options at every level."""

    def __init__(self, *args: Any, common: bool = True, **kwargs: Any) -> None:
        # An abbreviation that works today would break when an option is added.
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **kwargs)
        if common:
            add_common_options(self)

    def format_help(self) -> str:
        """The help text, with the options for every command at its end."""
        self._action_groups.sort(key=lambda group: group.title == COMMON)
        return super().format_help()

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse's own action ignores a full disk and ends the program.
        stream = file or sys.stderr
        stream.write(message)
        stream.flush()

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        if "invalid choice: " in message:
            message = _with_nearest_choice(message)
        if "arguments are required: " in message:
            # A metavar like "[PATH] NAME" says what may be left out, too.
            message = re.sub(r"\[\w+\] ", "", f"missing: {message.partition('required: ')[2]}")
        raise UsageError(message.removeprefix("argument "), f"see: {self.prog} --help")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every command; an absent option does not change the namespace."""
    group = parser.add_argument_group(COMMON)
    group.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, errors too"
    )
    group.add_argument(
        "--socket", metavar="PATH", default=argparse.SUPPRESS, help="socket of the daemon (NEXO_SOCKET)"
    )
    group.add_argument(
        "--no-start",
        action="store_true",
        default=argparse.SUPPRESS,
        help="fail (exit code 3) if the daemon is not running, do not start it",
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="print more on stderr"
    )


def command_parser(command: Command) -> tuple[Parser, Any]:
    """The parser of one command, and its module."""
    module = importlib.import_module(f"nexo_cli.cmds.{command.module}")
    description = (module.__doc__ or command.summary).strip()
    parser = Parser(prog=f"nexoctl {command.name}", description=description)
    module.configure(parser)
    return parser, module


def parse(parser: Parser, words: list[str], namespace: argparse.Namespace) -> argparse.Namespace:
    """Parse the words after the name of a command; an unknown option names the nearest known one."""
    arguments, extras = parser.parse_known_args(words, namespace)
    if not extras:
        return arguments
    unknown = extras[0]
    message = f"unexpected argument: {unknown}"
    if unknown.startswith("-"):
        message = f"unknown option: {unknown.partition('=')[0]}"
        near = most_similar(unknown.partition("=")[0], sorted(options_of(parser)))
        if near:
            raise UsageError(message, f"did you mean {near}?")
    raise UsageError(message, f"see: {parser.prog} --help")


def subparsers_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the subcommands, by name."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option string of a parser and its subcommands."""
    for action in parser._actions:
        yield from action.option_strings
    for child in subparsers_of(parser).values():
        yield from options_of(child)


def _with_nearest_choice(message: str) -> str:
    word, _, choices = message.partition("invalid choice: ")[2].partition(" (choose from ")
    known = (choice.strip(" '\"") for choice in choices.rstrip(")").split(","))
    near = most_similar(word.strip("'\""), known)
    return f"{message}; did you mean {near}?" if near else message


def given(text: str) -> str:
    """A type for `add_argument`: not empty, as from an unset variable, which must not mean the default."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give a value, or leave it out")
    return text


def number(kind: type[Number], least: float, most: int = MOST) -> Callable[[str], Number]:
    """A type for `add_argument`: a number in this range."""

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            what = {int: "whole number", float: "number"}[kind]
            raise argparse.ArgumentTypeError(f"no {what}: '{text}'") from None
        # Also false for nan, which is not in any order.
        if least <= value <= most:
            return value
        raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")

    return read


call_time = number(float, 0.001, LONGEST_CALL_S)


def span(text: str, *, least_s: int = 0, most_s: int = LONGEST_S) -> float:
    """A span of time as a person types it ("30s", "5m", "12h", "7d", or seconds), in seconds.

    Raises:
        argparse.ArgumentTypeError: it is no span, or out of range.
    """
    amount = text.strip().lower()
    unit = "s"
    for name in sorted(_SPANS, key=len, reverse=True):
        if amount.endswith(name):
            amount, unit = amount.removesuffix(name).strip(), name
            break
    try:
        seconds = float(amount) * _SPANS[unit]
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a valid duration; write 30s, 5m, 12h or 7d")
    if seconds > most_s:
        raise argparse.ArgumentTypeError(f"'{text}' is too long; write {most_s // DAY_S}d or less")
    if seconds < least_s:
        raise argparse.ArgumentTypeError(f"'{text}' is too short; write {least_s}s or more")
    return seconds
