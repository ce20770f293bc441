"""The daemon itself: its status, its record of hand-outs, its stream of events."""

from dataclasses import dataclass
from datetime import datetime

from nexo_client.terms import ResolutionSource, StoreState, VaultState
from nexo_client.types.connection import Connection
from nexo_client.types.history import HealthTransition
from nexo_client.types.workspace import Workspace, WorkspaceBinding


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """What a program claims about itself."""

    name: str
    version: str
    pid: int
    program: str


@dataclass(frozen=True, slots=True)
class Follower:
    """A program that follows right now."""

    client: ClientInfo
    workspaces: tuple[Workspace, ...]
    applied_revision: int
    connected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Handout:
    """A secret that left the daemon: what the record says."""

    at: datetime
    connection: str
    method: str
    client: ClientInfo
    workspace: str
    source: ResolutionSource | None


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon and its store."""

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
    checks_paused: bool
    store_advice: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the daemon shows, at one moment."""

    connections: tuple[Connection, ...]
    bindings: tuple[WorkspaceBinding, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One message of the event stream; exactly one of the optional fields is set, or `ended`.

    Attributes:
        sequence: counts the events of this stream from 1 without a gap.
        revision: store revision after the event.
        removed: name of the connection that is gone.
        ended: "lagged" or "shutting_down": the last event of a stream.
    """

    sequence: int
    revision: int
    snapshot: Snapshot | None = None
    connection: Connection | None = None
    removed: str | None = None
    bindings: tuple[WorkspaceBinding, ...] | None = None
    status: Status | None = None
    transition: HealthTransition | None = None
    ended: str = ""
