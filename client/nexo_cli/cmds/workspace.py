"""Bind directories and names to connections.

A program in a bound directory, or below it, gets that connection whatever the default is; the nearest bound
directory wins. A program that states a bound name as its workspace gets that name's connection.

  nexoctl workspace bind ~/clients/acme acme-key      this directory and everything below it
  nexoctl workspace bind acme-key                     the current directory
  nexoctl workspace bind --workspace nightly cheap    programs with the workspace name "nightly"
"""

import argparse
from functools import partial
from pathlib import Path

from nexo.connections.ranges import STICKY_S
from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style, ago, duration
from nexo_cli.parser import UsageError, given, span
from nexo_cli.session import Session
from nexo_client import records, types


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(metavar="bind|unbind|list", required=True, dest="verb")
    bind = verbs.add_parser("bind", help="bind a directory or a name", description=__doc__)
    bind.usage = "%(prog)s [options] [PATH] CONNECTION"
    bind.add_argument(
        "places",
        type=given,
        nargs="+",
        metavar="[PATH] CONNECTION",
        help="directory (default: .), connection",
    )
    bind.add_argument("--workspace", type=given, metavar="NAME", help="bind this name instead of a directory")
    bind.add_argument(
        "--allow-fallback", action="store_true", help="allow stand-ins while the connection is down"
    )
    bind.add_argument(
        "--sticky",
        type=partial(span, least_s=STICKY_S[0], most_s=STICKY_S[1]),
        metavar="SPAN",
        help="keep a conversation on its first connection until it pauses for this time, such as 12h",
    )
    bind.set_defaults(run=_bind)
    unbind = verbs.add_parser(
        "unbind",
        help="remove a binding",
        description="Remove the binding, so that the directory or name gets the default again.",
    )
    unbind.add_argument(
        "path", type=given, nargs="?", metavar="PATH", help="the bound directory (default: .)"
    )
    unbind.add_argument("--workspace", type=given, metavar="NAME", help="the bound name")
    unbind.set_defaults(run=_unbind)
    listing = verbs.add_parser(
        "list", help="list bindings and running programs", description="List bindings."
    )
    listing.set_defaults(run=_list)


def _place(path: str | None, name: str | None) -> types.Workspace:
    if path and name:
        raise UsageError("a directory and --workspace are both given", "give one of them")
    return types.Workspace(name=name) if name else types.Workspace(path=path or ".")


def _bind(arguments: argparse.Namespace, session: Session) -> int:
    if len(arguments.places) > 2:
        raise UsageError("too many arguments", "nexoctl workspace bind [PATH] CONNECTION")
    *path, connection = arguments.places
    place = _place(path[0] if path else None, arguments.workspace)
    with session.client(wait=True) as client:
        binding = client.bind(
            place, connection, allow_fallback=arguments.allow_fallback, sticky_s=arguments.sticky
        )
    if session.json:
        session.printer.json(records.of(binding))
    else:
        session.printer.line(
            Span(str(binding.workspace), Style.STRONG), " gets ", Span(binding.connection, Style.STRONG)
        )
    if binding.workspace.path and not Path(binding.workspace.path).is_dir():
        session.printer.warn("there is no such directory; the binding applies once it exists")
    return Exit.OK


def _unbind(arguments: argparse.Namespace, session: Session) -> int:
    place = _place(arguments.path, arguments.workspace)
    with session.client(wait=True) as client:
        revision = client.unbind(place)
    if session.json:
        session.printer.json({"unbound": records.of(place), "revision": revision})
    else:
        session.printer.line("Unbound; it gets the default again.")
    return Exit.OK


def _list(arguments: argparse.Namespace, session: Session) -> int:
    with session.client(wait=True) as client:
        bindings, followers = client.list_workspaces()
    if session.json:
        session.printer.json(
            {
                "bindings": records.plain(bindings),
                "followers": records.plain(followers),
            }
        )
        return Exit.OK
    if bindings:
        columns = [Column("WORKSPACE", flexible=16), Column("CONNECTION", flexible=12), Column("")]
        session.printer.table(columns, [_row(binding) for binding in bindings])
    else:
        session.printer.note("Nothing is bound: every program gets the default.")
    if followers:
        if bindings:
            session.printer.line()
        columns = [
            Column("PROGRAM", flexible=10),
            Column("PID", right=True),
            Column("CONNECTION", flexible=12),
            Column("FOLLOWS IN", flexible=14),
            Column("REVISION", right=True, droppable=1),
            Column("SINCE", droppable=2),
        ]
        session.printer.table(columns, [_follower(follower, session) for follower in followers])
    return Exit.OK


def _row(binding: types.WorkspaceBinding) -> tuple[str, str, Span]:
    note = (
        Span("broken: the connection is gone or switched off", Style.BAD)
        if binding.broken
        else Span("; ".join(_notes(binding)), Style.FAINT)
    )
    return str(binding.workspace), binding.connection, note


def _notes(binding: types.WorkspaceBinding) -> list[str]:
    notes = ["stand-ins allowed"] if binding.allow_fallback else []
    return notes + ([f"sticky for {duration(binding.sticky_s)}"] if binding.sticky_s else [])


def _follower(follower: types.Follower, session: Session) -> tuple[str, str, str, str, str, str]:
    return (
        follower.client.program or follower.client.name,
        str(follower.client.pid),
        ", ".join(follower.connections) or "-",
        ", ".join(str(workspace) for workspace in follower.workspaces) or "-",
        str(follower.applied_revision),
        ago(follower.connected_at, session.now),
    )
