"""Types for the gateway: tokens, its switch, usage. They hold no secrets."""

import enum
from dataclasses import field
from datetime import datetime

from nexo.connections.values import frozen
from nexo_daemon.domain.model import ClientInfo, WorkspaceKey


class GatewayMode(enum.StrEnum):
    """Whether the gateway should listen."""

    NEVER_ASKED = "never_asked"
    """It starts at its first use."""
    ON = "on"
    OFF = "off"
    """A person switched it off: only a person can switch it on again."""


@frozen
class GatewaySetting:
    """The stored setting of the gateway. Port 0: no port was chosen yet."""

    mode: GatewayMode = GatewayMode.NEVER_ASKED
    port: int = 0


@frozen
class NamedToken:
    """A token for the configuration of a program; only its digest is kept.

    Attributes:
        workspace: the workspace whose connection it gets; None with an empty `connection_id`: the default.
        connection_id: the connection that it gets, even if renamed; requests fail when that is removed.
        connection_name: the name when the token was created, for the error after the removal.
    """

    id: str
    name: str
    digest: bytes = field(repr=False)
    workspace: WorkspaceKey | None
    connection_id: str
    connection_name: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@frozen
class StoredRun:
    """The token of a run, valid as long as its process lives; only its digest is kept.

    Attributes:
        workspace, connection, environment_connection: what is resolved for every request.
        born: start time of the process as counted by the kernel; empty if unknown.
    """

    id: str
    digest: bytes = field(repr=False)
    workspace: WorkspaceKey | None
    connection: str
    environment_connection: str
    client: ClientInfo
    born: str
    created_at: datetime


@frozen
class UsageKey:
    """Who used what, in which hour or day."""

    at: datetime
    connection_id: str
    connection_name: str
    workspace: str
    program: str
    model: str


@frozen
class UsageCounts:
    """Usage as reported by the providers; `unreported` counts good answers without token counts."""

    requests: int = 0
    failed: int = 0
    broken: int = 0
    left: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    unreported: int = 0

    def __add__(self, other: "UsageCounts") -> "UsageCounts":
        return UsageCounts(
            self.requests + other.requests,
            self.failed + other.failed,
            self.broken + other.broken,
            self.left + other.left,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.unreported + other.unreported,
        )
