"""Wait until a connection is healthy; for scripts. Exit code 0 when it is, 6 if it is not in time.

While waiting, the daemon checks the connection every few seconds; these checks use no tokens. A provider that
asked for a pause is not contacted before the pause ends.

  nexoctl wait work --healthy --timeout 30s && ./nightly-job
"""

import argparse
import time

from nexo.connections.terms import HealthState
from nexo_cli import looks
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import span
from nexo_cli.session import Session
from nexo_client import errors, records

_PAUSE_S = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the connection, and how long to wait."""
    parser.add_argument("connection", metavar="NAME", help="the connection")
    parser.add_argument("--healthy", action="store_true", help="wait until it is healthy (the default)")
    parser.add_argument(
        "--timeout", type=span, default=60.0, metavar="SPAN", help="give up after this time (default: 1m)"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Read the health, request a check, repeat."""
    until = time.monotonic() + arguments.timeout
    name: str = arguments.connection
    with session.client() as client, session.terminal.progress(f"waiting for {name}"):
        client.get_connection(name)
        (light,) = client.health([name])
        while light.health.state is not HealthState.HEALTHY and (left := until - time.monotonic()) > 0:
            try:
                # Not shorter than a check takes; a result that arrives too late counts for the next round.
                (light,) = client.check_now([name], timeout_s=min(left, 30.0))
            except (errors.RetryLater, errors.DeadlineExceeded):
                (light,) = client.health([name])
            if light.health.state is not HealthState.HEALTHY:
                time.sleep(max(0.0, min(_PAUSE_S, until - time.monotonic())))
    now = session.now
    healthy = light.health.state is HealthState.HEALTHY
    if session.json and healthy:
        session.printer.json(records.of(light, now))
    elif healthy:
        session.printer.line(Span(light.connection, Style.STRONG), " is healthy")
    if healthy:
        return Exit.OK
    words = looks.reason(light.health, now)
    because = f" ({words})" if words else ""
    raise CommandFailed(
        f"'{light.connection}' is {light.health.state.value}{because}; gave up after {arguments.timeout:g} s",
        hint=light.health.advice,
        reason="NOT_HEALTHY",
        code=Exit.TEST_FAILED,
    )
