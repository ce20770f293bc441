"""Builds messages of the contract from the registry, health and status.

Everything here is synchronous, so that a snapshot and the registration of its watcher are one step.
"""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from nexo.connections import paths
from nexo.connections.codec import enum_to_wire, timestamp, write
from nexo.connections.v1 import connection_pb2, daemon_pb2, health_pb2, workspace_pb2
from nexo.connections.version import __version__
from nexo_daemon.domain.model import Binding, Health, StoredConnection
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.snapshot import RegistrySnapshot

_FEWEST_KEPT = 64


class _Encoded(NamedTuple):
    """An encoded connection and its encoded health, which together are one message."""

    connection: StoredConnection
    connection_bytes: bytes
    health: Health
    health_bytes: bytes


class View:
    """Composes messages; changes nothing."""

    def __init__(
        self,
        registry: Registry,
        health_board: HealthBoard,
        *,
        started_at: datetime,
        socket: Path,
        database: Path,
        log_file: Path,
        followers: Callable[[], list[workspace_pb2.Follower]],
        gateway_programs: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._health_board = health_board
        self._started_at = started_at
        self.socket = socket
        self._database = database
        self._log_file = log_file
        self._followers = followers
        self._gateway_programs = gateway_programs
        # By id. For lists: few connections have changed since the last one.
        self._encoded: dict[str, _Encoded] = {}

    def connection(
        self, value: StoredConnection, snapshot: RegistrySnapshot | None = None
    ) -> connection_pb2.Connection:
        """A connection with its health; `snapshot` (the present one if None) knows the default connection."""
        snapshot = snapshot or self._registry.snapshot
        health, known = self._health_board.of(value), self._encoded.get(value.id)
        if known is None and len(self._encoded) >= max(2 * len(snapshot.connections), _FEWEST_KEPT):
            # Most entries belong to removed connections.
            self._encoded.clear()
        if known is None or known.connection is not value:
            written = write(connection_pb2.Connection, value)
            known = _Encoded(value, written.SerializeToString(), *_health(health))
            self._encoded[value.id] = known
        elif known.health is not health:
            known = _Encoded(value, known.connection_bytes, *_health(health))
            self._encoded[value.id] = known
        message = connection_pb2.Connection.FromString(known.connection_bytes + known.health_bytes)
        message.is_default = value.id == snapshot.settings.default_id
        return message

    def connections(self) -> list[connection_pb2.Connection]:
        """All connections, in the order of creation."""
        return [self.connection(value) for value in self._registry.snapshot.connections.values()]

    def binding(self, value: Binding) -> workspace_pb2.WorkspaceBinding:
        """A binding; it is broken if its connection is removed or disabled."""
        target = self._registry.snapshot.connections.get(value.connection_id)
        return write(workspace_pb2.WorkspaceBinding, value, broken=target is None or not target.enabled)

    def bindings(self) -> list[workspace_pb2.WorkspaceBinding]:
        """All bindings."""
        return [self.binding(value) for value in self._registry.snapshot.bindings.values()]

    def status(self) -> daemon_pb2.Status:
        """The status of the daemon and its store."""
        snapshot, store = self._registry.snapshot, self._registry.store
        default = snapshot.default
        return daemon_pb2.Status(
            version=__version__,
            pid=os.getpid(),
            started_at=timestamp(self._started_at),
            socket_path=paths.shown(self.socket),
            database_path=paths.shown(self._database),
            log_path=paths.shown(self._log_file),
            revision=snapshot.revision,
            vault=enum_to_wire(store.vault.state),
            vault_slot=store.vault.slot,
            vault_problem=paths.shown(store.vault.problem),
            store=enum_to_wire(store.state),
            store_problem=paths.shown(store.problem),
            store_advice=paths.shown(store.advice),
            default_connection=default.name if default else "",
            connections=len(snapshot.connections),
            enabled_connections=sum(c.enabled for c in snapshot.connections.values()),
            followers=self._followers(),
            watchers=len(self._registry.bus),
            offline_since=timestamp(self._health_board.monitor.offline_since),
            checks=write(health_pb2.HealthSettings, snapshot.settings.health),
            gateway_programs=self._gateway_programs(),
        )

    def snapshot(self) -> daemon_pb2.Snapshot:
        """The whole state at this moment."""
        return daemon_pb2.Snapshot(
            connections=self.connections(), bindings=self.bindings(), status=self.status()
        )


def _health(health: Health) -> tuple[Health, bytes]:
    message = connection_pb2.Connection(health=write(connection_pb2.Health, health))
    return health, message.SerializeToString()
