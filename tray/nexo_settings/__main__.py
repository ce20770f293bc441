"""The entry point of the settings screen's server, which nexoctl and the tray start.

The first line on standard output is the result: `{"address": …, "opened": …}` or `{"error": …}`. The address
is bound and the browser is started before the slow imports, so that both load in parallel.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from nexo.connections import paths
from nexo.connections.hardening import harden
from nexo.connections.version import __version__
from nexo_settings import browser, handover
from nexo_settings.handover import NO_REVEAL, Place, Serving
from nexo_settings.presence import IDLE_S
from nexo_settings.sessions import Sessions

LOOPBACK = "127.0.0.1"
EXIT_OK, EXIT_FAILED = 0, 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nexo_settings", description="Serves the settings screen; started by `nexoctl settings`."
    )
    parser.add_argument("--socket", metavar="PATH", help="socket of the daemon")
    parser.add_argument("--at", default="", choices=("", "add", "edit", "show"), help="the page to open")
    parser.add_argument("--name", default="", help="the connection to show or edit")
    parser.add_argument("--open", action="store_true", help="open the browser")
    parser.add_argument("--need-browser", action="store_true", help="open the browser, or fail")
    parser.add_argument("--no-reveal", action="store_true", help="never show stored secrets")
    parser.add_argument(
        "--no-uid-check", action="store_true", help="do not check which user opened a TCP connection"
    )
    parser.add_argument(
        "--idle",
        type=float,
        default=IDLE_S,
        metavar="SECONDS",
        help="how long it keeps running after the last tab was closed",
    )
    parser.add_argument("--version", action="version", version=f"nexo_settings {__version__}")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print an address, from a new server or from the one that is running; returns the exit status."""
    options = _parser().parse_args(arguments)
    umask = harden()
    # The environment of this process must not select a connection.
    os.environ.pop("NEXO_CONNECTION", None)
    browse: list[str] | None = None
    if options.open or options.need_browser:
        browse = browser.command(os.environ, sys.platform, browser.default_browser())
    if options.need_browser and browse is None:
        return _failed("no browser was found", "open one with: nexoctl settings --no-browser")
    wanted = (("at", options.at), ("name", options.name), (NO_REVEAL, "yes" if options.no_reveal else ""))
    place: Place = {name: value for name, value in wanted if value}
    try:
        daemon = _daemon(options.socket)
        claimed = handover.claim(daemon, place)
    except paths.UnsafePathError as error:
        return _failed(str(error), error.hint)
    if isinstance(claimed, str):
        _announce(claimed, browse, umask)
        return EXIT_OK
    return _serve(claimed, daemon, place, options, browse, umask)


def _daemon(chosen: str | None) -> Path:
    # `nexo_client.channel.locate` is not used, because its import is slow; the program that starts this one
    # has called it.
    return paths.socket_path(chosen)


def _serve(
    serving: Serving,
    daemon: Path,
    place: Place,
    options: argparse.Namespace,
    browse: list[str] | None,
    umask: int,
) -> int:
    sessions = Sessions(time.monotonic)
    try:
        listening = _bound()
    except OSError as error:
        return _failed(f"cannot listen on {LOOPBACK}: {error.strerror}", "look at: nexoctl doctor")

    def address(place: Place) -> str:
        shown = [(name, place[name]) for name in ("at", "name") if name in place]
        fragment = urlencode([("token", sessions.token()), *shown], quote_via=quote)
        return f"http://{LOOPBACK}:{listening.getsockname()[1]}/#{fragment}"

    first = address(place)
    # On a thread, because starting the browser may take time; the page is served meanwhile.
    threading.Thread(target=_announce, args=(first, browse, umask), name="nexo-settings-open").start()
    import asyncio

    from nexo_settings.server import serve

    try:
        asyncio.run(
            serve(
                listening,
                daemon,
                serving,
                sessions,
                address,
                idle_s=options.idle,
                reveals=not options.no_reveal,
                ask_whose=not options.no_uid_check,
            )
        )
    finally:
        serving.close()
    return EXIT_OK


def _bound() -> socket.socket:
    # asyncio sets TCP_NODELAY, which avoids 40 ms of delay, only if the protocol is given as TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.bind((LOOPBACK, 0))
        listening.listen(64)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _announce(address: str, browse: list[str] | None, umask: int) -> None:
    opened = browse is not None and browser.show(browser.filled(browse, address), umask)
    _say({"address": address, "opened": opened})


def _failed(message: str, hint: str) -> int:
    _say({"error": {"message": message, "hint": hint}})
    return EXIT_FAILED


def _say(record: dict[str, object]) -> None:
    """Print the result for the program that started this one, then detach from its standard output."""
    try:
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()
    except OSError:
        # Nobody reads it.
        pass
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
