"""Choose stand-ins: connections that replace the default while it is down. Off unless you switch it on.

While the default is unhealthy, programs that follow it get the first healthy connection of the list, marked
source=fallback. When the default has been healthy again for two minutes, they get it back. A bound workspace
keeps its connection unless it was bound with --allow-fallback. If all stand-ins are down, programs get the
default as before.

  nexoctl fallback set backup local
  nexoctl fallback show
  nexoctl fallback off
"""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.format import Span, Style
from nexo_cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(metavar="set|show|off", required=True, dest="verb")
    setting = verbs.add_parser("set", help="choose the stand-ins, in order", description=__doc__)
    setting.add_argument("connections", nargs="+", metavar="NAME", help="the stand-ins, first choice first")
    setting.set_defaults(run=_set)
    showing = verbs.add_parser("show", help="show the stand-ins", description="Show the stand-ins.")
    showing.set_defaults(run=_show)
    off = verbs.add_parser("off", help="switch it off", description="Switch the stand-ins off.")
    off.set_defaults(run=_off)


def _set(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        client.set_fallback(arguments.connections)
        return _say(session, tuple(client.get_fallback()))


def _show(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        names = tuple(client.get_fallback())
        explained = client.explain()
    serving = explained.connection if explained.source and explained.source.value == "fallback" else ""
    return _say(session, names, serving=serving)


def _off(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        client.set_fallback(())
    return _say(session, ())


def _say(session: Session, names: tuple[str, ...], *, serving: str = "") -> int:
    if session.json:
        session.printer.json({"fallback": list(names), "serving": serving or None})
    elif not names:
        session.printer.line("No connection stands in for the default.")
    else:
        cells = [cell for name in names for cell in (", ", Span(name, Style.STRONG))][1:]
        session.printer.line("While the default is down: ", *cells)
        if serving:
            session.printer.line(Span(f"{serving} serves right now", Style.WARNING))
    return Exit.OK
