"""Which values can an argument take? argcomplete asks it at a press of Tab; the parsers tell the rest.

The scripts of `nexoctl completion` start nexoctl with the line in its environment. Names of connections and
tokens come from a running daemon; completion never starts it, and a failure completes nothing.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import argcomplete
from argcomplete.completers import FilesCompleter, SuppressCompleter
from argcomplete.lexers import split_line

from nexo_cli.app import top_parser
from nexo_cli.commands import COMMANDS, find
from nexo_cli.parser import Parser, UsageError, command_parser, subparsers_of

if TYPE_CHECKING:
    from nexo_client.client import Client

_Values = Callable[..., Iterable[str]]


def complete() -> None:
    """Print what can come next on the line in the environment, and end the process."""
    before = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
    argcomplete.autocomplete(
        parser_for(before[1:]),
        always_complete_options=False,
        default_completer=SuppressCompleter(),
        validator=lambda value, typed: value.casefold().startswith(typed.casefold()),
    )


def parser_for(before: list[str]) -> Parser:
    """A parser for the word after `before`. It has one command at most, so no other module is imported."""
    parser = Parser(prog="nexoctl")
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    try:
        name = top_parser().parse_known_args(before)[0].command
    except UsageError:
        # The value of an option is missing, because it is what is typed.
        name = None
    if name is None:
        _add_command(parser)
    else:
        verbs = parser.add_subparsers()
        if name == "help":
            _add_command(verbs.add_parser(name, common=False))
        elif command := find(name):
            verbs.add_parser(name, parents=[command_parser(command)[0]], add_help=False, common=False)
    _attach(parser)
    return parser


def _add_command(parser: argparse.ArgumentParser) -> None:
    summaries = {command.name: command.summary for command in COMMANDS} | {"help": "show this help"}
    _attach_to(parser.add_argument("command", nargs="?"), lambda **_: summaries)


def _attach(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if action.dest in _VALUES and action.choices is None:
            _attach_to(action, _VALUES[action.dest])
    for child in subparsers_of(parser).values():
        _attach(child)


def _attach_to(action: argparse.Action, values: _Values) -> None:
    action.completer = values  # type: ignore[attr-defined]  # where argcomplete looks for it


def _names(listed: "Callable[[Client], Iterable[str]]") -> _Values:
    def values(*, parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
        from nexo_cli.session import Session
        from nexo_cli.terminal import Terminal
        from nexo_client import errors

        try:
            with Session(parsed_args, Terminal()).client(start=False, timeout_s=1.0, quiet=True) as client:
                return list(listed(client))
        except errors.NexoError:
            # An error message is useless to a person who presses Tab.
            return []

    return values


def _providers(**_: object) -> Iterable[str]:
    from nexo.connections.terms import Provider

    return [provider.value for provider in Provider]


def _sources(**_: object) -> Iterable[str]:
    from nexo_sources import SOURCES

    return ["all", *(source.name for source in SOURCES)]


def _either(*several: _Values) -> _Values:
    return lambda **given: [value for values in several for value in values(**given)]


_FILES: _Values = FilesCompleter()
_CONNECTIONS = _names(lambda client: [connection.name for connection in client.list_connections()])
# By the `dest` of the argument.
_VALUES: Mapping[str, _Values] = {
    **dict.fromkeys(("connection", "connections", "replace_with"), _CONNECTIONS),
    **dict.fromkeys(("ca_bundle", "file", "headers_json", "path", "program", "socket", "workspace"), _FILES),
    "places": _either(_CONNECTIONS, _FILES),
    "provider": _providers,
    "source": _either(_sources, _FILES),
    "token": _names(lambda client: [token.name for token in client.gateway.tokens()]),
}
