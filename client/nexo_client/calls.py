"""What each call sends and what comes back: one description, shared by the sync and the asyncio client.

Not for sending. A call names its method by its path, so that no generated stub has to be imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from nexo.connections.v1 import connection_pb2 as c
from nexo.connections.v1 import daemon_pb2 as d
from nexo.connections.v1 import health_pb2 as h
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client import convert, types
from nexo_client.errors import InvalidField
from nexo_client.terms import Outcome
from nexo_client.version import __version__
from nexo_client.wire import duration, enum_to_wire
from nexo_client.workspace import WorkspaceLike, locate

T = TypeVar("T")

OnLayer = Callable[["types.LayerResult"], None]

_PACKAGE = "/nexo.connections.v1."
_CONNECTIONS = _PACKAGE + "ConnectionService/"
_WORKSPACES = _PACKAGE + "WorkspaceService/"
_HEALTH = _PACKAGE + "HealthService/"
_DAEMON = _PACKAGE + "DaemonService/"
FOLLOW_PATH = _WORKSPACES + "FollowConnection"

# Time that the daemon gets beyond the time-out that it was told, so that its own answer arrives.
_GRACE_S = 5.0


class Readable(Protocol):
    """A class of the contract, or anything else that is made of the bytes of an answer."""

    @classmethod
    def FromString(cls, raw: bytes, /) -> Any: ...  # noqa: N802 - as the generated classes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call with one answer.

    Attributes:
        reads: changes no configuration, so that it may be sent again when the line broke.
        longer_s: what the deadline needs beyond the client's own.
    """

    path: str
    request: Message
    response: type[Readable]
    convert: Callable[[Any], T]
    reads: bool = False
    longer_s: float = 0.0

    @property
    def name(self) -> str:
        """The method, for a text."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Stream(Generic[T]):
    """A call whose answers are a stream. `limit_s` None: it ends when one side wants it to."""

    path: str
    request: Message
    response: type[Message]
    convert: Callable[[Any], T]
    limit_s: float | None

    @property
    def name(self) -> str:
        """The method, for a text."""
        return self.path.rpartition("/")[2]


def client_info() -> w.ClientInfo:
    """What this process says about itself."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"
    # A script may be called anything; the record of a hand-out needs no more than this.
    return w.ClientInfo(
        name="nexo_client-python", version=__version__, pid=os.getpid(), program=program[:100]
    )


def inquiry(connection: str | None, workspace: WorkspaceLike) -> w.Inquiry:
    """The question which connection this process gets; NEXO_CONNECTION of the process is part of it."""
    return _inquiry(connection or "", locate(workspace), os.environ.get("NEXO_CONNECTION", ""))


# A program asks the same again and again. Nobody changes the message that is returned.
@lru_cache(maxsize=64)
def _inquiry(connection: str, place: types.Workspace | None, environment: str) -> w.Inquiry:
    return w.Inquiry(
        workspace=None if place is None else convert.workspace_to_wire(place),
        connection=connection,
        environment_connection=environment,
    )


class _Handout:
    """Reads the answer of a resolve. The same bytes give the same (immutable) object, without work."""

    _last: tuple[bytes, types.ResolvedConnection] | None = None

    @classmethod
    def FromString(cls, raw: bytes) -> types.ResolvedConnection:  # noqa: N802 - as the generated classes
        last = cls._last
        if last is not None and last[0] == raw:
            return last[1]
        resolved = convert.resolved(w.ResolveConnectionResponse.FromString(raw).connection)
        cls._last = raw, resolved
        return resolved


def _itself(response: Any) -> Any:
    return response


def _required(workspace: WorkspaceLike) -> w.Workspace:
    place = locate(workspace)
    if place is None:
        raise InvalidField(
            "workspace: is empty", hint="give a directory or a name", metadata={"field": "workspace"}
        )
    return convert.workspace_to_wire(place)


def _connection(response: Any) -> types.Connection:
    return convert.connection(response.connection)


def list_connections() -> Call[tuple[types.Connection, ...]]:
    return Call(
        _CONNECTIONS + "ListConnections",
        c.ListConnectionsRequest(),
        c.ListConnectionsResponse,
        lambda response: tuple(convert.connection(entry) for entry in response.connections),
        reads=True,
    )


def get_connection(name: str) -> Call[types.Connection]:
    return Call(
        _CONNECTIONS + "GetConnection",
        c.GetConnectionRequest(name=name),
        c.GetConnectionResponse,
        _connection,
        reads=True,
    )


def _saved(response: Any) -> types.SavedConnection:
    return types.SavedConnection(
        convert.connection(response.connection),
        tuple(convert.suggestion(entry) for entry in response.warnings),
    )


def create_connection(
    draft: types.ConnectionDraft, make_default: bool, fixes: Sequence[str]
) -> Call[types.SavedConnection]:
    message, _ = convert.draft_to_wire(draft)
    return Call(
        _CONNECTIONS + "CreateConnection",
        c.CreateConnectionRequest(draft=message, make_default=make_default, fixes=fixes),
        c.CreateConnectionResponse,
        _saved,
    )


def update_connection(
    name: str,
    changes: types.ConnectionDraft,
    revision: int,
    keep_key_for_new_origin: bool,
    verify_key: bool,
    fixes: Sequence[str],
) -> Call[types.SavedConnection]:
    message, mask = convert.draft_to_wire(changes)
    return Call(
        _CONNECTIONS + "UpdateConnection",
        c.UpdateConnectionRequest(
            name=name,
            revision=revision,
            draft=message,
            update_mask=mask,
            keep_key_for_new_origin=keep_key_for_new_origin,
            verify_key=verify_key,
            fixes=fixes,
        ),
        c.UpdateConnectionResponse,
        _saved,
        longer_s=30.0 if verify_key else 0.0,
    )


def delete_connection(name: str, replace_with: str, force: bool, revision: int) -> Call[int]:
    return Call(
        _CONNECTIONS + "DeleteConnection",
        c.DeleteConnectionRequest(name=name, replace_with=replace_with, force=force, revision=revision),
        c.DeleteConnectionResponse,
        lambda response: int(response.revision),
    )


def _test_event(response: Any) -> types.LayerResult | types.TestResult | None:
    which = response.WhichOneof("event")
    if which == "layer":
        return convert.layer_result(response.layer)
    return convert.test_result(response.result) if which == "result" else None


TestStream = Stream["types.LayerResult | types.TestResult | None"]


def test_connection(
    name: str,
    changes: types.ConnectionDraft | None,
    completion: bool,
    model: str,
    timeout_s: float,
    keep_key_for_new_origin: bool,
    fixes: Sequence[str],
) -> TestStream:
    message, mask = (None, None) if changes is None else convert.draft_to_wire(changes)
    return Stream(
        _CONNECTIONS + "TestConnection",
        c.TestConnectionRequest(
            name=name,
            changes=message,
            update_mask=mask,
            completion=completion,
            model=model,
            timeout=duration(timeout_s),
            keep_key_for_new_origin=keep_key_for_new_origin,
            fixes=fixes,
        ),
        c.TestConnectionResponse,
        _test_event,
        timeout_s + _GRACE_S,
    )


def test_draft(
    draft: types.ConnectionDraft, completion: bool, model: str, timeout_s: float, fixes: Sequence[str]
) -> TestStream:
    message, _ = convert.draft_to_wire(draft)
    return Stream(
        _CONNECTIONS + "TestDraftConnection",
        c.TestDraftConnectionRequest(
            draft=message, completion=completion, model=model, timeout=duration(timeout_s), fixes=fixes
        ),
        c.TestDraftConnectionResponse,
        _test_event,
        timeout_s + _GRACE_S,
    )


def get_default() -> Call[types.Connection | None]:
    return Call(
        _CONNECTIONS + "GetDefaultConnection",
        c.GetDefaultConnectionRequest(),
        c.GetDefaultConnectionResponse,
        lambda response: _connection(response) if response.HasField("connection") else None,
        reads=True,
    )


def set_default(name: str | None, wait_s: float | None) -> Call[types.DefaultSwitch]:
    """None for the name: undo the last switch."""
    return Call(
        _CONNECTIONS + "SetDefaultConnection",
        c.SetDefaultConnectionRequest(name=name, wait=duration(wait_s))
        if name is not None
        else c.SetDefaultConnectionRequest(undo=True, wait=duration(wait_s)),
        c.SetDefaultConnectionResponse,
        convert.switch,
        longer_s=wait_s or 0.0,
    )


def list_models(name: str, timeout_s: float) -> Call[types.ModelList]:
    return Call(
        _CONNECTIONS + "ListModels",
        c.ListModelsRequest(name=name, timeout=duration(timeout_s)),
        c.ListModelsResponse,
        lambda response: types.ModelList(
            tuple(convert.model(entry) for entry in response.models), response.truncated
        ),
        reads=True,
        longer_s=timeout_s,
    )


def list_providers() -> Call[tuple[types.ProviderInfo, ...]]:
    return Call(
        _CONNECTIONS + "ListProviders",
        c.ListProvidersRequest(),
        c.ListProvidersResponse,
        lambda response: tuple(convert.provider_info(entry) for entry in response.providers),
        reads=True,
    )


def resolve(
    connection: str | None, workspace: WorkspaceLike, client: w.ClientInfo
) -> Call[types.ResolvedConnection]:
    return Call(
        _WORKSPACES + "ResolveConnection",
        w.ResolveConnectionRequest(inquiry=inquiry(connection, workspace), client=client),
        _Handout,
        _itself,
        reads=True,
    )


def explain(connection: str | None, workspace: WorkspaceLike) -> Call[types.Explanation]:
    return Call(
        _WORKSPACES + "ExplainResolution",
        w.ExplainResolutionRequest(inquiry=inquiry(connection, workspace)),
        w.ExplainResolutionResponse,
        convert.explanation,
        reads=True,
    )


def bind(workspace: WorkspaceLike, connection: str, allow_fallback: bool) -> Call[types.WorkspaceBinding]:
    return Call(
        _WORKSPACES + "BindWorkspace",
        w.BindWorkspaceRequest(
            workspace=_required(workspace), connection=connection, allow_fallback=allow_fallback
        ),
        w.BindWorkspaceResponse,
        lambda response: convert.binding(response.binding),
    )


def unbind(workspace: WorkspaceLike) -> Call[int]:
    return Call(
        _WORKSPACES + "UnbindWorkspace",
        w.UnbindWorkspaceRequest(workspace=_required(workspace)),
        w.UnbindWorkspaceResponse,
        lambda response: int(response.revision),
    )


def list_workspaces() -> Call[tuple[tuple[types.WorkspaceBinding, ...], tuple[types.Follower, ...]]]:
    return Call(
        _WORKSPACES + "ListWorkspaces",
        w.ListWorkspacesRequest(),
        w.ListWorkspacesResponse,
        lambda response: (
            tuple(convert.binding(entry) for entry in response.bindings),
            tuple(convert.follower(entry) for entry in response.followers),
        ),
        reads=True,
    )


def report_outcome(
    connection_id: str, outcome: Outcome, http_status: int, client: w.ClientInfo
) -> Call[None]:
    return Call(
        _WORKSPACES + "ReportOutcome",
        w.ReportOutcomeRequest(
            connection_id=connection_id,
            outcome=enum_to_wire(outcome),
            http_status=http_status,
            client=client,
        ),
        w.ReportOutcomeResponse,
        lambda _response: None,
    )


def _fallback(response: Any) -> tuple[str, ...]:
    return tuple(response.connections)


def get_fallback() -> Call[tuple[str, ...]]:
    return Call(
        _WORKSPACES + "GetFallback", w.GetFallbackRequest(), w.GetFallbackResponse, _fallback, reads=True
    )


def set_fallback(names: Sequence[str]) -> Call[tuple[str, ...]]:
    return Call(
        _WORKSPACES + "SetFallback",
        w.SetFallbackRequest(connections=names),
        w.SetFallbackResponse,
        _fallback,
    )


def _lights(response: Any) -> tuple[types.ConnectionHealth, ...]:
    return tuple(convert.connection_health(entry) for entry in response.health)


def health(names: Sequence[str]) -> Call[tuple[types.ConnectionHealth, ...]]:
    return Call(
        _HEALTH + "GetHealth", h.GetHealthRequest(names=names), h.GetHealthResponse, _lights, reads=True
    )


def history(name: str, window_s: float) -> Call[types.HealthHistory]:
    return Call(
        _HEALTH + "ListHealthHistory",
        h.ListHealthHistoryRequest(name=name, window=duration(window_s)),
        h.ListHealthHistoryResponse,
        convert.history,
        reads=True,
    )


def check_now(names: Sequence[str], timeout_s: float) -> Call[tuple[types.ConnectionHealth, ...]]:
    return Call(
        _HEALTH + "CheckNow",
        h.CheckNowRequest(names=names, timeout=duration(timeout_s)),
        h.CheckNowResponse,
        _lights,
        # A check is free and may be asked for twice; so a daemon that just stops is noticed at once.
        reads=True,
        longer_s=timeout_s,
    )


def _settings(response: Any) -> types.HealthSettings:
    return convert.health_settings(response.settings)


def health_settings() -> Call[types.HealthSettings]:
    return Call(
        _HEALTH + "GetHealthSettings",
        h.GetHealthSettingsRequest(),
        h.GetHealthSettingsResponse,
        _settings,
        reads=True,
    )


def update_health_settings(
    important_interval_s: float | None, other_interval_s: float | None, paused: bool | None
) -> Call[types.HealthSettings]:
    return Call(
        _HEALTH + "UpdateHealthSettings",
        h.UpdateHealthSettingsRequest(
            important_interval=duration(important_interval_s),
            other_interval=duration(other_interval_s),
            paused=paused,
        ),
        h.UpdateHealthSettingsResponse,
        _settings,
    )


def status() -> Call[types.Status]:
    return Call(
        _DAEMON + "GetStatus",
        d.GetStatusRequest(),
        d.GetStatusResponse,
        lambda response: convert.status(response.status),
        reads=True,
    )


def watch(client: w.ClientInfo) -> Stream[types.WatchEvent]:
    return Stream(
        _DAEMON + "Watch", d.WatchRequest(client=client), d.WatchResponse, convert.watch_event, None
    )


def shutdown() -> Call[int]:
    return Call(
        _DAEMON + "Shutdown", d.ShutdownRequest(), d.ShutdownResponse, lambda response: int(response.pid)
    )


def handouts(name: str, limit: int) -> Call[tuple[types.Handout, ...]]:
    return Call(
        _DAEMON + "ListHandouts",
        d.ListHandoutsRequest(name=name, limit=limit),
        d.ListHandoutsResponse,
        lambda response: tuple(convert.handout(entry) for entry in response.handouts),
        reads=True,
    )
