"""Conversions of the daemon's own types to messages; `codec` converts the shared ones.

Only `resolved` handles secrets.
"""

from dataclasses import replace

from nexo.connections import codec
from nexo.connections.codec import enum_to_wire, timestamp, write
from nexo.connections.terms import ResolutionSource
from nexo.connections.v1 import connection_pb2, daemon_pb2, workspace_pb2
from nexo_daemon.domain.model import (
    Credentials,
    HandoutRecord,
    Health,
    StoredConnection,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.probing import Suggestion, TestReport
from nexo_daemon.domain.url import with_credentials


def workspace(key: WorkspaceKey) -> workspace_pb2.Workspace:
    """A workspace key."""
    if key.kind is WorkspaceKind.PATH:
        return workspace_pb2.Workspace(path=key.value)
    return workspace_pb2.Workspace(name=key.value)


codec.WRITERS[WorkspaceKey] = workspace


def resolved(
    value: StoredConnection,
    credentials: Credentials,
    health: Health,
    *,
    source: ResolutionSource,
    detail: str,
    revision: int,
) -> workspace_pb2.ResolvedConnection:
    """A hand-out, secrets included."""
    proxy, network = credentials.proxy_credentials, value.network
    if proxy and network.proxy_url:
        network = replace(network, proxy=with_credentials(network.proxy_url, proxy.reveal()))
    return write(
        workspace_pb2.ResolvedConnection,
        value,
        connection_id=value.id,
        api_key=credentials.api_key.reveal() if credentials.api_key else "",
        headers=[
            connection_pb2.Header(name=name, value=secret.reveal()) for name, secret in credentials.headers
        ],
        network=codec.network_to_wire(network),
        source=enum_to_wire(source),
        source_detail=detail,
        revision=revision,
        health=write(connection_pb2.Health, health),
    )


def report(
    name: str, value: TestReport, ticket: str = "", notes: tuple[Suggestion, ...] = ()
) -> connection_pb2.TestResult:
    """The result of a test; `notes` of its plan come before its own suggestions."""
    value = replace(value, suggestions=(*notes, *value.suggestions))
    verdict = write(connection_pb2.TestResult, value.verdict)
    verdict.MergeFrom(write(connection_pb2.TestResult, value, connection=name, ticket=ticket))
    return verdict


def handout(value: HandoutRecord) -> daemon_pb2.Handout:
    """An audit record."""
    return write(daemon_pb2.Handout, value, last_at=timestamp(value.last_at or value.at))
