"""Decides which connection a program gets: a pure function of the snapshot and the question.

The first rule that applies wins: named in the call, NEXO_CONNECTION, the nearest bound ancestor directory
(or the bound name), the default. If the rule that applies names a missing or disabled connection, that is an
error and no later rule is tried, because a program must never use another client's account by accident.
"""

from collections.abc import Mapping
from dataclasses import field, replace
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
    if workspace is None:
        return None
    exact = snapshot.bindings.get(workspace)
    if exact is not None or workspace.kind is WorkspaceKind.NAME:
        return exact
    path = workspace.value
    # One look-up for each length that bound paths have, however deep the directory is. "/" is above all.
    for length in snapshot.bound_lengths:
        if length == 1 or path[length : length + 1] == "/":
            found = snapshot.bindings.get(WorkspaceKey(WorkspaceKind.PATH, path[:length]))
            if found is not None:
                return found
    return None


def resolve(
    snapshot: RegistrySnapshot, question: Question, stand_ins: Mapping[str, StandIn] | None = None
) -> Resolution:
    """Choose the connection for a question, and explain every rule.

    Args:
        stand_ins: by the id of an unhealthy winner; empty if the fall-back is disabled.
    """
    if snapshot.loss is not None:
        return Resolution(None, ResolutionSource.DEFAULT, "the store is gone", (), snapshot.loss)
    binding = find_binding(snapshot, question.workspace)
    candidates = _candidates(question, binding, snapshot.default)
    steps = _explain(question, candidates)
    if not candidates:
        problem = NoDefaultConnection(
            "there is no default connection",
            hint="add one with 'nexoctl add', or choose one with 'nexoctl default NAME'",
        )
        return Resolution(None, ResolutionSource.DEFAULT, "no default", steps, problem)

    source, (name, rule) = next(iter(candidates.items()))
    found: StoredConnection | NexoError
    if source is ResolutionSource.WORKSPACE and binding is not None:
        found = _bound(snapshot, binding)
        may_stand_in = binding.allow_fallback
    else:
        found = _named(snapshot, name, source, rule)
        may_stand_in = source is ResolutionSource.DEFAULT
    if isinstance(found, StoredConnection) and not found.enabled:
        found = _disabled(found, rule)
    if isinstance(found, NexoError):
        return Resolution(None, source, rule, steps, found, binding)
    resolution = Resolution(found, source, rule, steps, binding=binding)
    stand_in = (stand_ins or {}).get(found.id)
    if stand_in is None or not may_stand_in:
        return resolution
    return _with_stand_in(snapshot, resolution, found, stand_in)


def _candidates(
    question: Question, binding: Binding | None, default: StoredConnection | None
) -> dict[ResolutionSource, tuple[str, str]]:
    """The name that each rule gives and the rule in words, the strongest rule first."""
    candidates: dict[ResolutionSource, tuple[str, str]] = {}
    if question.connection:
        candidates[ResolutionSource.EXPLICIT] = question.connection, "named in the call"
    if question.environment_connection:
        candidates[ResolutionSource.ENVIRONMENT] = question.environment_connection, "NEXO_CONNECTION"
    if binding is not None:
        candidates[ResolutionSource.WORKSPACE] = binding.connection_name, f"bound to {binding.workspace}"
    if default is not None:
        candidates[ResolutionSource.DEFAULT] = default.name, "the default"
    return candidates


def _named(
    snapshot: RegistrySnapshot, name: str, source: ResolutionSource, rule: str
) -> StoredConnection | NexoError:
    try:
        return snapshot.get(name)
    except ConnectionNotFound as error:
        explicit = source is ResolutionSource.EXPLICIT
        return ConnectionNotFound(
            f"{error.message} ({rule})",
            hint=error.hint if explicit else f"correct or unset {rule}; {error.hint}",
            metadata=error.metadata,
        )


def _bound(snapshot: RegistrySnapshot, binding: Binding) -> StoredConnection | NexoError:
    workspace, name = binding.workspace, binding.connection_name
    return snapshot.connections.get(binding.connection_id) or BindingBroken(
        f"{workspace} is bound to the connection '{name}', which is gone",
        hint=f"bind it again with 'nexoctl workspace bind {workspace} NAME', or "
        f"'nexoctl workspace unbind {workspace}' to let it follow the default",
        metadata={"name": name, "workspace": str(workspace)},
    )


def _disabled(connection: StoredConnection, rule: str) -> ConnectionDisabled:
    return ConnectionDisabled(
        f"the connection '{connection.name}' is disabled ({rule})",
        hint=f"enable it with 'nexoctl edit \"{connection.name}\" --enable', or choose another one",
        metadata={"name": connection.name},
    )


def _with_stand_in(
    snapshot: RegistrySnapshot, resolution: Resolution, winner: StoredConnection, stand_in: StandIn
) -> Resolution:
    """The resolution that hands out the stand-in of the winner."""
    rule = resolution.detail
    if stand_in.connection_id == winner.id:
        # No stand-in is available: the original is used, and the text says that it is unhealthy.
        return replace(resolution, detail=f"{rule}; {stand_in.why}")
    substitute = snapshot.connections.get(stand_in.connection_id)
    if substitute is None or not substitute.enabled:
        return resolution
    text = f"in place of '{winner.name}' ({rule}): {stand_in.why}"
    steps = [
        replace(step, won=False, text=f"{step.text}; a stand-in serves") if step.won else step
        for step in resolution.steps
    ]
    steps.append(Rule(ResolutionSource.FALLBACK, substitute.name, True, text))
    return replace(
        resolution,
        connection=substitute,
        source=ResolutionSource.FALLBACK,
        detail=text,
        steps=tuple(steps),
    )


def _explain(question: Question, candidates: Mapping[ResolutionSource, tuple[str, str]]) -> tuple[Rule, ...]:
    """What became of each rule; the first of the candidates wins."""
    workspace = question.workspace
    if workspace is None:
        unbound = "no workspace is given"
    elif workspace.kind is WorkspaceKind.PATH:
        unbound = f"{workspace} is not bound, nor is a directory above it"
    else:
        unbound = f"the workspace '{workspace}' is not bound"
    absent = {
        ResolutionSource.EXPLICIT: "no connection is named in the call",
        ResolutionSource.ENVIRONMENT: "NEXO_CONNECTION is not set",
        ResolutionSource.WORKSPACE: unbound,
        ResolutionSource.DEFAULT: "there is no default",
    }
    winner = next(iter(candidates), None)
    steps = []
    for source, why_not in absent.items():
        name, rule = candidates.get(source, ("", why_not))
        won = source is winner
        beaten = source in candidates and not won
        steps.append(Rule(source, name, won, f"{rule}; an earlier rule wins" if beaten else rule))
    return tuple(steps)
