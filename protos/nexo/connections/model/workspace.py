"""Workspaces, and explanations of their connections."""

from datetime import datetime

from nexo.connections.terms import ResolutionSource
from nexo.connections.values import frozen


@frozen
class Workspace:
    """A directory (absolute, links resolved) or a name; exactly one is given."""

    path: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.path or self.name


@frozen
class WorkspaceBinding:
    """A workspace and the connection that it gets.

    Attributes:
        sticky_s: how long in seconds a conversation in the gateway may rest and still stay on its connection;
            None: it uses the present connection.
    """

    workspace: Workspace
    connection: str
    broken: bool
    created_at: datetime | None
    allow_fallback: bool
    sticky_s: float | None = None


@frozen
class ResolutionStep:
    """One rule, whether it applied, and the connection that it named."""

    source: ResolutionSource
    connection: str
    won: bool
    text: str


@frozen
class Explanation:
    """The connection of a workspace, and the reason; `problem` is set if it gets none."""

    connection: str
    source: ResolutionSource | None
    steps: tuple[ResolutionStep, ...]
    problem_reason: str
    problem: str
    revision: int
    problem_hint: str = ""
