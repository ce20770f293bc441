"""Workspaces, their bindings, and the explanation of which connection a workspace gets."""

from datetime import datetime

from nexo.connections.terms import ResolutionSource
from nexo.connections.values import frozen


@frozen
class Workspace:
    """A directory (absolute, symbolic links resolved) or a name; exactly one is set."""

    path: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.path or self.name


@frozen
class WorkspaceBinding:
    """A workspace and the connection that it gets.

    Attributes:
        sticky_s: in the gateway, a conversation keeps the connection that it began with until it has been
            idle for so many seconds; None: it changes with the workspace at once.
    """

    workspace: Workspace
    connection: str
    broken: bool
    created_at: datetime | None
    allow_fallback: bool
    sticky_s: float | None = None


@frozen
class ResolutionStep:
    """One rule: whether it applied, and which connection it named."""

    source: ResolutionSource
    connection: str
    won: bool
    text: str


@frozen
class Explanation:
    """Which connection a workspace gets, and why; `problem` is set when it gets none."""

    connection: str
    source: ResolutionSource | None
    steps: tuple[ResolutionStep, ...]
    problem_reason: str
    problem: str
    revision: int
    problem_hint: str = ""
