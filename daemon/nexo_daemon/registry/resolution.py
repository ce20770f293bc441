"""Decides which connection a program gets: a pure function of the snapshot and the question.

The first rule that applies wins: named in the call, NEXO_CONNECTION, the nearest bound ancestor directory
(or the bound name), the default. If the rule that applies names a missing or disabled connection, that is an
error and no later rule is tried, because a program must never use another client's account by accident.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from nexo.connections.errors import (
    BindingBroken,
    ConnectionDisabled,
    ConnectionNotFound,
    NexoError,
    NoDefaultConnection,
)
from nexo.connections.terms import ResolutionSource
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Binding, StoredConnection, WorkspaceKey, WorkspaceKind
from nexo_daemon.registry.snapshot import RegistrySnapshot


@frozen
class Question:
    """The data by which a program asks for a connection. Empty strings mean "not given"."""

    workspace: WorkspaceKey | None = None
    connection: str = ""
    environment_connection: str = ""


@frozen
class Rule:
    """One rule, whether it applied, and the connection that it named."""

    source: ResolutionSource
    connection_name: str
    won: bool
    text: str


@frozen
class StandIn:
    """The connection that serves in place of an unhealthy winner, and why; the winner itself if all are down.

    Attributes:
        why: one clause for a person.
        revisit_at: when to choose again, even if no health state has changed.
    """

    connection_id: str
    why: str = ""
    revisit_at: datetime | None = field(default=None, compare=False)


@frozen
class Resolution:
    """The answer: a connection, or the error that the program gets."""

    connection: StoredConnection | None
    source: ResolutionSource
    detail: str
    steps: tuple[Rule, ...]
    problem: NexoError | None = None
    binding: Binding | None = None

    def require(self) -> StoredConnection:
        """The connection.

        Raises:
            NexoError: why there is none.
        """
        if self.connection is None:
            assert self.problem is not None  # noqa: S101 - one of the two is set by construction
            raise self.problem
        return self.connection


def find_binding(snapshot: RegistrySnapshot, workspace: WorkspaceKey | None) -> Binding | None:
    """The binding of the workspace name, or of the nearest ancestor of the directory."""
    if workspace is None or not snapshot.bindings:
        return None
    exact = snapshot.bindings.get(workspace)
    if exact is not None or workspace.kind is WorkspaceKind.NAME:
        return exact
    path = workspace.value
    # One look-up for each length that bound paths have, however deep the directory is.
    for length in snapshot.bound_lengths:
        if path[length : length + 1] == "/" or (length == 1 and path[:1] == "/"):
            found = snapshot.bindings.get(WorkspaceKey(WorkspaceKind.PATH, path[:length]))
            if found is not None:
                return found
    return None


def _named(
    snapshot: RegistrySnapshot, name: str, source: ResolutionSource, rule: str
) -> tuple[StoredConnection | None, NexoError | None]:
    try:
        connection = snapshot.get(name)
    except ConnectionNotFound as error:
        return None, ConnectionNotFound(
            f"{error.message} ({rule})",
            hint=error.hint
            if source is ResolutionSource.EXPLICIT
            else f"correct or unset {rule}; {error.hint}",
            metadata=error.metadata,
        )
    return connection, None


def _disabled(connection: StoredConnection, rule: str) -> ConnectionDisabled:
    return ConnectionDisabled(
        f"the connection '{connection.name}' is disabled ({rule})",
        hint=f"enable it with 'nexoctl edit \"{connection.name}\" --enable', or choose another one",
        metadata={"name": connection.name},
    )


def resolve(
    snapshot: RegistrySnapshot, inquiry: Question, stand_ins: Mapping[str, StandIn] | None = None
) -> Resolution:
    """Choose the connection for a question, and explain every rule.

    Args:
        stand_ins: by the id of an unhealthy winner; empty if the fall-back is disabled.
    """
    binding = find_binding(snapshot, inquiry.workspace)
    candidates: list[tuple[ResolutionSource, str, str]] = []  # source, connection name, rule in words
    if inquiry.connection:
        candidates.append((ResolutionSource.EXPLICIT, inquiry.connection, "named in the call"))
    if inquiry.environment_connection:
        candidates.append((ResolutionSource.ENVIRONMENT, inquiry.environment_connection, "NEXO_CONNECTION"))
    if binding is not None:
        candidates.append(
            (ResolutionSource.WORKSPACE, binding.connection_name, f"bound to {binding.workspace}")
        )
    default = snapshot.default
    if default is not None:
        candidates.append((ResolutionSource.DEFAULT, default.name, "the default"))

    if snapshot.loss is not None:
        return Resolution(None, ResolutionSource.DEFAULT, "the store is gone", (), snapshot.loss)
    if not candidates:
        problem: NexoError = NoDefaultConnection(
            "there is no default connection",
            hint="add one with 'nexoctl add', or choose one with 'nexoctl default NAME'",
        )
        steps = _explain(inquiry, binding, candidates, None)
        return Resolution(None, ResolutionSource.DEFAULT, "no default", steps, problem)

    source, name, rule = candidates[0]
    steps = _explain(inquiry, binding, candidates, source)
    connection: StoredConnection | None
    failure: NexoError | None = None
    if source is ResolutionSource.WORKSPACE and binding is not None:
        connection = snapshot.connections.get(binding.connection_id)
        if connection is None:
            failure = BindingBroken(
                f"{binding.workspace} is bound to the connection '{binding.connection_name}', which is gone",
                hint=f"bind it again with 'nexoctl workspace bind {binding.workspace} NAME', or "
                f"'nexoctl workspace unbind {binding.workspace}' to let it follow the default",
                metadata={"name": binding.connection_name, "workspace": str(binding.workspace)},
            )
    elif source is ResolutionSource.DEFAULT:
        connection = default
    else:
        connection, failure = _named(snapshot, name, source, rule)
    if connection is not None and not connection.enabled:
        failure = _disabled(connection, rule)
    if failure is not None or connection is None:
        return Resolution(None, source, rule, steps, failure, binding)

    stand_in = (stand_ins or {}).get(connection.id)
    allowed = source is ResolutionSource.DEFAULT or (
        source is ResolutionSource.WORKSPACE and binding is not None and binding.allow_fallback
    )
    if stand_in is not None and allowed and stand_in.connection_id == connection.id:
        # No stand-in is available: the original is used, and the text says that it is unhealthy.
        return Resolution(connection, source, f"{rule}; {stand_in.why}", steps, binding=binding)
    if stand_in is not None and allowed:
        substitute = snapshot.connections.get(stand_in.connection_id)
        if substitute is not None and substitute.enabled:
            text = f"in place of '{connection.name}' ({rule}): {stand_in.why}"
            step = Rule(ResolutionSource.FALLBACK, substitute.name, True, text)
            lost = tuple(
                Rule(s.source, s.connection_name, False, s.text + "; a stand-in serves") if s.won else s
                for s in steps
            )
            return Resolution(substitute, ResolutionSource.FALLBACK, text, (*lost, step), binding=binding)
    return Resolution(connection, source, rule, steps, binding=binding)


def _explain(
    inquiry: Question,
    binding: Binding | None,
    candidates: list[tuple[ResolutionSource, str, str]],
    winner: ResolutionSource | None,
) -> tuple[Rule, ...]:
    named = {source: (name, rule) for source, name, rule in candidates}
    absent = {
        ResolutionSource.EXPLICIT: "no connection is named in the call",
        ResolutionSource.ENVIRONMENT: "NEXO_CONNECTION is not set",
        ResolutionSource.WORKSPACE: f"{inquiry.workspace} is not bound, nor is a directory above it"
        if inquiry.workspace is not None and inquiry.workspace.kind is WorkspaceKind.PATH
        else f"the workspace '{inquiry.workspace}' is not bound"
        if inquiry.workspace is not None
        else "no workspace is given",
        ResolutionSource.DEFAULT: "there is no default",
    }
    steps = []
    for source, why_not in absent.items():
        if source not in named:
            steps.append(Rule(source, "", False, why_not))
            continue
        name, rule = named[source]
        won = source is winner
        steps.append(Rule(source, name, won, rule if won else f"{rule}; an earlier rule wins"))
    return tuple(steps)
