"""Show the state of the daemon: version, connections, programs that follow. Never starts it."""

import argparse

from nexo.connections.terms import StoreState, VaultState
from nexo.connections.version import __version__
from nexo_cli.errors import Exit
from nexo_cli.format import Cell, Span, Style, ago, clock
from nexo_cli.session import Session
from nexo_client import errors, records, types
from nexo_client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the status; exit code 3 if the daemon is not running."""
    return show(session, {})


def show(session: Session, more: dict[str, object]) -> int:
    """Print the status, with `more` added to `--json`; exit code 3 if the daemon is not running."""
    try:
        with session.client(start=False, wait=True) as client:
            status = client.status()
            gateway = gateway_of(client)
    except errors.DaemonNotRunning as problem:
        if session.json:
            session.printer.json({"running": False, "socket": str(session.socket), **more})
        raise problem from None
    if session.json:
        told = {"gateway": records.plain(gateway)}
        session.printer.json(records.of(status) | told | more)
        return Exit.OK
    session.printer.fields(_fields(status, gateway, session))
    return Exit.OK


def gateway_of(client: Client) -> types.GatewayOverview | None:
    """The gateway; None if the daemon has none."""
    try:
        return client.gateway.status()
    except errors.IncompatibleDaemon:
        return None


def _ours(status: types.Status) -> str:
    return "" if status.version == __version__ else f" (nexoctl is {__version__})"


def _fields(
    status: types.Status, gateway: types.GatewayOverview | None, session: Session
) -> list[tuple[str, Cell]]:
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
        ("Checks", Span("paused", Style.WARNING) if status.checks.paused else "running"),
        (
            "Network",
            Span(f"offline since {clock(status.offline_since)}", Style.WARNING)
            if status.offline_since
            else "",
        ),
        ("Vault", _state(status.vault.value, status.vault_slot, status.vault_problem, bad=locked)),
        ("Store", _state("read-only" if read_only else "writable", "", status.store_problem, bad=read_only)),
        ("Following", followers or "no program right now"),
        ("Gateway", _behind(gateway) if gateway else "this daemon has none"),
        ("Revision", str(status.revision)),
        ("Socket", status.socket_path),
        ("Database", status.database_path),
        ("Log", status.log_path),
    ]


def _behind(overview: types.GatewayOverview) -> Cell:
    gate = overview.gateway
    if not gate.listening:
        if gate.on:
            return Span(f"does not listen: {gate.problem}", Style.BAD)
        return "switched off" if gate.switched_off else "not open yet"
    users = "; ".join(
        name_of(user) + (f" on {user.connection_name}" if user.connection_name else "")
        for user in overview.users
    )
    return f"127.0.0.1:{gate.port}, behind it: {users or 'no program right now'}"


def name_of(user: types.GatewayUser) -> str:
    """A display name for a program behind the gateway."""
    if user.client is None:
        return user.token.name
    return f"{user.client.program or user.program} (pid {user.client.pid})"


def _state(word: str, detail: str, problem: str, *, bad: bool) -> Cell:
    text = word + (f" ({detail.replace('_', ' ')})" if detail else "")
    return (Span(text, Style.BAD if bad else Style.PLAIN), Span(f"  {problem}" if problem else ""))
