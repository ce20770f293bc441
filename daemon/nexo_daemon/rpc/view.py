"""The daemon as others may see it: registry, lights and status composed into messages of the contract.

Everything here is synchronous, so that a snapshot and the registration of its watcher are one step.
"""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from nexo.connections.v1 import connection_pb2, daemon_pb2, workspace_pb2
from nexo_client.version import __version__
from nexo_client.wire import enum_to_wire, timestamp
from nexo_daemon.domain.model import Binding, Connection
from nexo_daemon.registry.lights import Lights
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.snapshot import Snapshot
from nexo_daemon.rpc import convert


class View:
    """Reads only."""

    def __init__(
        self,
        registry: Registry,
        lights: Lights,
        *,
        started_at: datetime,
        socket: Path,
        database: Path,
        log_file: Path,
    ) -> None:
        self._registry = registry
        self._lights = lights
        self._started_at = started_at
        self.socket = socket
        self._database = database
        self._log_file = log_file
        # Set by the workspace service, which knows who follows.
        self.followers: Callable[[], list[workspace_pb2.Follower]] = list

    def connection(self, value: Connection, snapshot: Snapshot | None = None) -> connection_pb2.Connection:
        """A connection with its light; `snapshot` says which one is the default, if not the present one."""
        default_id = (snapshot or self._registry.snapshot).settings.default_id
        return convert.connection(value, self._lights.of(value), is_default=value.id == default_id)

    def connections(self) -> list[connection_pb2.Connection]:
        """All of them, in the order of their creation."""
        return [self.connection(value) for value in self._registry.snapshot.connections.values()]

    def binding(self, value: Binding) -> workspace_pb2.WorkspaceBinding:
        """A binding; broken when its connection is gone or disabled."""
        target = self._registry.snapshot.connections.get(value.connection_id)
        return convert.binding(value, broken=target is None or not target.enabled)

    def bindings(self) -> list[workspace_pb2.WorkspaceBinding]:
        """All of them."""
        return [self.binding(value) for value in self._registry.snapshot.bindings.values()]

    def status(self) -> daemon_pb2.Status:
        """The daemon and its store."""
        snapshot, store = self._registry.snapshot, self._registry.store
        default = snapshot.default
        return daemon_pb2.Status(
            version=__version__,
            pid=os.getpid(),
            started_at=timestamp(self._started_at),
            socket_path=str(self.socket),
            database_path=str(self._database),
            log_path=str(self._log_file),
            revision=snapshot.revision,
            vault=enum_to_wire(store.vault.state),
            vault_slot=store.vault.slot,
            vault_problem=store.vault.problem,
            store=enum_to_wire(store.state),
            store_problem=store.problem,
            store_advice=store.advice,
            default_connection=default.name if default else "",
            connections=len(snapshot.connections),
            enabled_connections=sum(c.enabled for c in snapshot.connections.values()),
            followers=self.followers(),
            watchers=len(self._registry.bus),
            offline_since=timestamp(self._lights.offline_since),
            checks_paused=snapshot.settings.health.paused,
        )

    def snapshot(self) -> daemon_pb2.Snapshot:
        """Everything, at this moment."""
        return daemon_pb2.Snapshot(
            connections=self.connections(), bindings=self.bindings(), status=self.status()
        )
