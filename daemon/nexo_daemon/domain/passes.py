"""The gateway's nouns: who may use it, whether it is wanted, what went through it. No secret in here."""

import enum
from dataclasses import field
from datetime import datetime

from nexo.connections.values import frozen
from nexo_daemon.domain.model import ClientInfo, WorkspaceKey


class Wish(enum.StrEnum):
    """Whether the gateway is to listen."""

    NEVER_ASKED = "never_asked"
    """It opens at its first use."""
    ON = "on"
    OFF = "off"
    """A person switched it off: nothing but a person opens it again."""


@frozen
class GatewaySetting:
    """What outlives the daemon. Port 0: none was chosen yet."""

    wish: Wish = Wish.NEVER_ASKED
    port: int = 0


@frozen
class NamedToken:
    """A token for the settings of a program; of the token itself only the digest is kept.

    Attributes:
        workspace: whose connection it gets; None with an empty `connection_id`: the default.
        connection_id: of the one connection that it gets, renamed or not; fails closed when that is gone.
        connection_name: as it was called when the token was made, for the error once it is gone.
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
class RunPass:
    """The token of a run: good for as long as its process lives. Of the token itself only the digest is kept.

    Attributes:
        workspace, connection, environment_connection: the question that is asked with every request.
        born: when the process began, as the kernel counts it; empty where it does not tell.
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
    """Whose use it was, in which hour."""

    at: datetime
    connection_id: str
    connection_name: str
    workspace: str
    program: str
    model: str


@frozen
class UsageCounts:
    """What a key used, as the providers report it; `unreported` good answers said nothing of tokens."""

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
