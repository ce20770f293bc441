"""Show the state of the daemon: what runs, what it serves, who follows. Never starts it."""

import argparse

from nexo_client import errors, types
from nexo_client.cli import records
from nexo_client.cli.errors import Exit
from nexo_client.cli.format import Cell, Span, Style, ago, clock
from nexo_client.cli.session import Session
from nexo_client.terms import StoreState, VaultState
from nexo_client.version import __version__


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the status; exit code 3 if the daemon is not running."""
    return show(session, {})


def show(session: Session, more: dict[str, object]) -> int:
    """Print the status, and `more` with `--json`; exit code 3 if the daemon is not running."""
    try:
        with session.client(start=False, wait=True) as client:
            status = client.status()
    except errors.DaemonNotRunning as problem:
        if session.json:
            session.printer.json({"running": False, "socket": str(session.socket), **more})
        raise problem from None
    if session.json:
        session.printer.json(records.status(status) | more)
        return Exit.OK
    session.printer.fields(_fields(status, session))
    return Exit.OK


def _ours(status: types.Status) -> str:
    return "" if status.version == __version__ else f" (nexoctl is {__version__})"


def _fields(status: types.Status, session: Session) -> list[tuple[str, Cell]]:
    now = session.now
    followers = "; ".join(
        f"{follower.client.program or follower.client.name} (pid {follower.client.pid}"
        + (f", revision {follower.applied_revision})" if follower.applied_revision else ")")
        for follower in status.followers
    )
    locked = status.vault is not VaultState.UNLOCKED
    read_only = status.store is StoreState.READ_ONLY
    return [
        (
            "Daemon",
            (Span("● running", Style.GOOD), f"  version {status.version}{_ours(status)}, pid {status.pid}"),
        ),
        (
            "Started",
            f"{clock(status.started_at)} ({ago(status.started_at, now)})" if status.started_at else "",
        ),
        ("Default", status.default_connection or Span("none", Style.WARNING)),
        ("Connections", f"{status.connections}, {status.enabled_connections} switched on"),
        ("Checks", Span("paused", Style.WARNING) if status.checks_paused else "running"),
        (
            "Network",
            Span(f"offline since {clock(status.offline_since)}", Style.WARNING)
            if status.offline_since
            else "",
        ),
        ("Vault", _state(status.vault.value, status.vault_slot, status.vault_problem, bad=locked)),
        ("Store", _state("read-only" if read_only else "writable", "", status.store_problem, bad=read_only)),
        ("Following", followers or "no program right now"),
        ("Revision", str(status.revision)),
        ("Socket", status.socket_path),
        ("Database", status.database_path),
        ("Log", status.log_path),
    ]


def _state(word: str, detail: str, problem: str, *, bad: bool) -> Cell:
    text = word + (f" ({detail.replace('_', ' ')})" if detail else "")
    return (Span(text, Style.BAD if bad else Style.PLAIN), Span(f"  {problem}" if problem else ""))
