"""The status of the daemon, its record of hand-outs, and its event stream."""

from datetime import datetime

from nexo.connections.model.connection import Connection
from nexo.connections.model.history import HealthSettings, HealthTransition
from nexo.connections.model.workspace import Workspace, WorkspaceBinding
from nexo.connections.terms import ResolutionSource, StoreState, VaultState
from nexo.connections.values import frozen


@frozen
class ClientInfo:
    """A program's own statements about itself."""

    name: str = ""
    version: str = ""
    pid: int = 0
    program: str = ""


@frozen
class Follower:
    """A program that follows its connections at this moment.

    Attributes:
        applied_revision: the last revision of the store that it has applied.
        connections: names of its present connections; empty if it gets none, or if the daemon is older.
    """

    client: ClientInfo
    workspaces: tuple[Workspace, ...]
    applied_revision: int
    connected_at: datetime | None
    connections: tuple[str, ...] = ()


@frozen
class Handout:
    """An entry in the record of secrets that left the daemon.

    Attributes:
        at: time of the first hand-out.
        client: the program; its process is that of the last hand-out.
        times: number of hand-outs within the hour after `at`.
    """

    at: datetime
    connection: str
    method: str
    client: ClientInfo
    workspace: str
    source: ResolutionSource | None
    times: int
    last_at: datetime


@frozen
class Status:
    """The daemon and its store.

    Attributes:
        gateway_programs: number of programs that use the gateway: runs, and named tokens that were used
            within the last hour.
    """

    version: str
    pid: int
    started_at: datetime | None
    socket_path: str
    database_path: str
    log_path: str
    revision: int
    vault: VaultState
    vault_slot: str
    vault_problem: str
    store: StoreState
    store_problem: str
    default_connection: str
    connections: int
    enabled_connections: int
    followers: tuple[Follower, ...]
    watchers: int
    offline_since: datetime | None
    checks: HealthSettings
    store_advice: str = ""
    gateway_programs: int = 0


@frozen
class Snapshot:
    """The complete public state of the daemon at one moment."""

    connections: tuple[Connection, ...]
    bindings: tuple[WorkspaceBinding, ...]
    status: Status


@frozen
class WatchEvent:
    """One message of the event stream; exactly one of the optional fields or `ended` is set.

    Attributes:
        sequence: counts the events of this stream from 1 without a gap.
        revision: store revision after the event.
        removed: name of the removed connection.
        handout: a new or updated entry in the record; repeats are reported within seconds.
        ended: "lagged" or "shutting_down" in the last event of a stream.
    """

    sequence: int
    revision: int
    snapshot: Snapshot | None = None
    connection: Connection | None = None
    removed: str | None = None
    bindings: tuple[WorkspaceBinding, ...] | None = None
    status: Status | None = None
    transition: HealthTransition | None = None
    handout: Handout | None = None
    ended: str = ""
