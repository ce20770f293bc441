"""Show one connection.

Secrets are left out unless you say --reveal; the daemon then records it (see `nexoctl handouts`).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nexo_cli import looks
from nexo_cli.errors import Exit
from nexo_cli.format import Cell, Span, Style, ago, clock, duration
from nexo_cli.session import Session
from nexo_client import records, types

if TYPE_CHECKING:
    from nexo_client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the connection, and whether to show its secrets."""
    parser.add_argument("connection", metavar="NAME", help="the connection to show")
    parser.add_argument("--reveal", action="store_true", help="show the API key and the header values")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print everything about one connection."""
    with session.client(wait=True) as client:
        connection = client.get_connection(arguments.connection)
        secrets = _reveal(client, connection.name) if arguments.reveal else None
    now = session.now
    if session.json:
        record = records.of(connection, now)
        if secrets is not None:
            record |= {"api_key": secrets.api_key, "headers": dict(secrets.headers)}
            record["network"] = records.of(secrets.network)
        session.printer.json(record)
        return Exit.OK
    health = connection.health
    fields: list[tuple[str, Cell]] = [
        (
            "Name",
            (
                Span(connection.name, Style.STRONG),
                Span("  ★ default" if connection.is_default else "", Style.WARNING),
            ),
        ),
        ("Provider", connection.provider.value + (f" ({connection.preset})" if connection.preset else "")),
        ("Base URL", connection.base_url),
        ("API key", secrets.api_key if secrets and secrets.api_key else _key(connection, session)),
        ("Headers", _headers(connection, secrets)),
        ("Model", connection.default_model),
        *(("" if at else "Map", f"{row.asked} → {row.sent}") for at, row in enumerate(connection.model_map)),
        ("Proxy", _proxy(connection, secrets)),
        ("Bypass", ", ".join(connection.network.no_proxy)),
        ("CA bundle", connection.network.ca_bundle),
        ("Health", looks.light(health, now) if connection.enabled else Span("○ switched off", Style.FAINT)),
        ("", Span(health.advice, Style.FAINT)),
        ("Checked", _checked(connection, session)),
        ("Latency", duration(health.latency_s)),
        ("Changed", f"{clock(connection.updated_at)}" if connection.updated_at else ""),
    ]
    session.printer.fields(fields)
    return Exit.OK


def _reveal(client: Client, name: str) -> types.ResolvedConnection:
    # Imported here because only --reveal needs it.

    return client.reveal(name)


def _key(connection: types.Connection, session: Session) -> Cell:
    known = looks.key(connection.key)
    if connection.key.source.value == "none":
        return known
    parts = [Span("stored, " if not connection.key.reference else f"{connection.key.reference}, "), known]
    if connection.key.proven_at:
        parts.append(Span(f", accepted {ago(connection.key.proven_at, session.now)}", Style.FAINT))
    if connection.key.expires_at:
        parts.append(Span(f", expires {ago(connection.key.expires_at, session.now)}", Style.WARNING))
    return parts


def _headers(connection: types.Connection, secrets: types.ResolvedConnection | None) -> str:
    if secrets is not None:
        return ", ".join(f"{name}: {value}" for name, value in secrets.headers.items())
    return ", ".join(f"{name}: (hidden)" for name in connection.header_names)


def _proxy(connection: types.Connection, secrets: types.ResolvedConnection | None) -> str:
    if secrets is not None and connection.proxy_has_credentials:
        return secrets.network.proxy
    proxy = connection.network.proxy
    if proxy == "system":
        return ""
    return proxy + (" (with a user and password)" if connection.proxy_has_credentials else "")


def _checked(connection: types.Connection, session: Session) -> str:
    words = looks.checked(connection.health, session.now)
    if connection.checks_paused:
        return f"{words}; checks are paused"
    following = connection.health.next_check_at
    if following and following > session.now and connection.enabled:
        words += f"; next {ago(following, session.now)}"
    if connection.check_interval_s:
        words += f" (every {duration(connection.check_interval_s)})"
    return words
