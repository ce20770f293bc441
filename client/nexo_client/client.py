"""The client for programs without an event loop: `connect()` and `Client`.

Each call of the contract is described here once: what it takes, sends, returns and raises. How calls are sent
is in `line`, the vault and the store are in `administration`, and `make aio` generates `aio` from this file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nexo.connections.codec import duration, enum_to_wire, read, read_all, timestamp
from nexo.connections.terms import Outcome
from nexo.connections.v1 import connection_pb2 as c
from nexo.connections.v1 import daemon_pb2 as d
from nexo.connections.v1 import health_pb2 as h
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client import calls, convert, types
from nexo_client.calls import Call, OnLayer, Stream, each, one
from nexo_client.errors import InvalidField
from nexo_client.line import DEFAULT_TIMEOUT_S, Line, Subscription, opened
from nexo_client.workspace import WorkspaceLike, locate

if TYPE_CHECKING:
    from nexo_client.administration import StoreCalls, VaultCalls
    from nexo_client.follow import LiveConnection
    from nexo_client.gateway import GatewayCalls

# Time that the daemon gets beyond the time-out that it was told, so that its own answer arrives.
_GRACE_S = 5.0


def connect(
    socket: str | os.PathLike[str] | None = None, *, start: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Client:
    """A client of the daemon of this user.

    Args:
        socket: path of the socket; None for NEXO_SOCKET or the place that the platform calls for.
        start: start the daemon if it does not run (needs the `daemon` extra).
        timeout_s: deadline of every call, and of the start.

    Raises:
        DaemonNotRunning: nobody listens (and `start` is false, or the start failed).
        DaemonUnsafe: the socket or its directory is not private to this user.
        InvalidField: the path of the socket is too long.
    """
    return opened(Client, socket, start, timeout_s)


class Client(Line):
    """Talks to the daemon; thread-safe, and usable in a forked child (which gets a channel of its own).

    Every method raises `DaemonNotRunning`, `DeadlineExceeded`, `IncompatibleDaemon` or `DaemonFailed` beside
    what its text names. A context manager; `close()` frees the socket.
    """

    @property
    def vault(self) -> VaultCalls:
        """What opens the sealed secrets: state, lock, unlock, slots, recovery code."""
        from nexo_client.administration import VaultCalls

        return VaultCalls(self)

    @property
    def store(self) -> StoreCalls:
        """The file behind the daemon: check, backups, restore, export, import."""
        from nexo_client.administration import StoreCalls

        return StoreCalls(self)

    @property
    def gateway(self) -> GatewayCalls:
        """The local gateway: whether it listens, tokens, what went through it."""
        from nexo_client.gateway import GatewayCalls

        return GatewayCalls(self)

    # Connections

    def list_connections(self) -> tuple[types.Connection, ...]:
        """All connections, in the order in which they were created."""
        return self.ask(Call(c.ListConnectionsRequest(), each(types.Connection, "connections"), reads=True))

    def get_connection(self, name: str) -> types.Connection:
        """One connection; upper and lower case do not matter.

        Raises:
            ConnectionNotFound
        """
        return self.ask(
            Call(c.GetConnectionRequest(name=name), one(types.Connection, "connection"), reads=True)
        )

    def create_connection(
        self,
        draft: types.ConnectionDraft,
        *,
        make_default: bool = False,
        fixes: Sequence[str] = (),
        ticket: str = "",
    ) -> types.SavedConnection:
        """Saves a new connection; the first one becomes the default. Nothing is tested.

        Args:
            fixes: what a test suggested and the person accepted (`Suggestion.fix`).
            ticket: of `test_draft` (`TestResult.ticket`): saves what it tested, with its fixes and what it
                proved of the key; nothing is sent again. `draft` then holds what was changed since, of what
                no test looks at: the name, the models, whether it is enabled and checked.

        Raises:
            InvalidField, NameTaken, LimitReached, StoreReadOnly, StoreFull, VaultLocked
        """
        message, mask = convert.draft_to_wire(draft)
        request = c.CreateConnectionRequest(
            draft=message,
            make_default=make_default,
            fixes=fixes,
            ticket=ticket,
            update_mask=mask if ticket else None,
        )
        return self.ask(Call(request, partial(read, types.SavedConnection)))

    def update_connection(
        self,
        name: str,
        changes: types.ConnectionDraft,
        *,
        revision: int = 0,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        ticket: str = "",
    ) -> types.SavedConnection:
        """Changes the fields that are not None.

        Args:
            revision: the one that was read before; 0 overwrites whatever is there.
            keep_key_for_new_origin: consent to send the stored secrets to the new scheme, host or port, and
                through the new proxy or to whom the new CA bundle vouches for.
            ticket: of `test_connection` with changes: saves what it tested, with its fixes and consent,
                unless the connection was changed since; see `create_connection`.

        Raises:
            ConnectionNotFound, InvalidField, NameTaken, StaleRevision, KeyOriginChanged, StoreReadOnly,
            StoreFull, VaultLocked
        """
        message, mask = convert.draft_to_wire(changes)
        request = c.UpdateConnectionRequest(
            name=name,
            revision=revision,
            draft=message,
            update_mask=mask,
            keep_key_for_new_origin=keep_key_for_new_origin,
            fixes=fixes,
            ticket=ticket,
        )
        return self.ask(Call(request, partial(read, types.SavedConnection)))

    def delete_connection(
        self, name: str, *, replace_with: str = "", force: bool = False, revision: int = 0
    ) -> int:
        """Deletes; returns the new revision of the store.

        Args:
            replace_with: moves the default and the bindings to that connection in the same step.
            force: deletes although in use; its bindings stay and fail closed.

        Raises:
            ConnectionNotFound, ConnectionInUse, StaleRevision, StoreReadOnly
        """
        request = c.DeleteConnectionRequest(
            name=name, replace_with=replace_with, force=force, revision=revision
        )
        return self.ask(Call(request, _revision))

    def test_connection(
        self,
        name: str,
        changes: types.ConnectionDraft | None = None,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        on_layer: OnLayer | None = None,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> types.TestResult:
        """Tests a saved connection, or an edit of it before it is saved.

        A connection that does not work is a result, not an exception.

        Args:
            changes: the edit; the stored secrets stand in for what it leaves out.
            completion: make one minimal request that the provider bills.
            on_layer: called with each layer as it finishes, where the call was made.
            keep: have the daemon keep the edit for the call that saves it (`TestResult.ticket`).

        Raises:
            ConnectionNotFound, InvalidField, KeyOriginChanged, VaultLocked, KeyReferenceFailed
        """
        events = self.testing(
            name,
            changes,
            completion=completion,
            model=model,
            timeout_s=timeout_s,
            keep_key_for_new_origin=keep_key_for_new_origin,
            fixes=fixes,
            keep=keep,
        )
        return self._test(events, on_layer)

    def test_draft(
        self,
        draft: types.ConnectionDraft,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        on_layer: OnLayer | None = None,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> types.TestResult:
        """Tests a draft that is not saved; see `test_connection`.

        Raises:
            InvalidField, KeyReferenceFailed
        """
        events = self.testing_draft(
            draft, completion=completion, model=model, timeout_s=timeout_s, fixes=fixes, keep=keep
        )
        return self._test(events, on_layer)

    def testing(
        self,
        name: str,
        changes: types.ConnectionDraft | None = None,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> Subscription[types.LayerResult | types.TestResult]:
        """The layers of a test as they finish, then its result; closing it gives the test up.

        Arguments and errors, which the iteration raises, are those of `test_connection`.
        """
        message, mask = (None, None) if changes is None else convert.draft_to_wire(changes)
        request = c.TestConnectionRequest(
            name=name,
            changes=message,
            update_mask=mask,
            completion=completion,
            model=model,
            timeout=duration(timeout_s),
            keep_key_for_new_origin=keep_key_for_new_origin,
            fixes=fixes,
            keep=keep,
        )
        return self._subscribe(Stream(request, _test_event, timeout_s + _GRACE_S))

    def testing_draft(
        self,
        draft: types.ConnectionDraft,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> Subscription[types.LayerResult | types.TestResult]:
        """The same of a draft that is not saved; see `testing` and `test_draft`."""
        message, _ = convert.draft_to_wire(draft)
        request = c.TestDraftConnectionRequest(
            draft=message,
            completion=completion,
            model=model,
            timeout=duration(timeout_s),
            fixes=fixes,
            keep=keep,
        )
        return self._subscribe(Stream(request, _test_event, timeout_s + _GRACE_S))

    def last_test(self, name: str) -> types.LastTest | None:
        """What the last test of a saved connection said; nothing is sent to the provider.

        None if it was not tested since the daemon started, or since its address, its secrets or its model
        changed. A test of a draft or an edit counts once exactly that is saved.

        Raises:
            ConnectionNotFound
        """
        return self.ask(Call(c.GetLastTestRequest(name=name), _last_test, reads=True))

    def get_default(self) -> types.Connection | None:
        """The default connection; None if there is none."""
        return self.ask(Call(c.GetDefaultConnectionRequest(), _default, reads=True))

    def set_default(self, name: str, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Switches the default, also to an unhealthy connection (`.warning` says what is wrong with it).

        Args:
            wait_s: wait at most so long until every live follower has applied it.

        Raises:
            ConnectionNotFound, ConnectionDisabled, StoreReadOnly, StoreFull
        """
        request = c.SetDefaultConnectionRequest(name=name, wait=duration(wait_s))
        return self.ask(Call(request, partial(read, types.DefaultSwitch), longer_s=wait_s or 0.0))

    def undo_default(self, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Back to the default before the last switch.

        Raises:
            NothingToUndo
        """
        request = c.SetDefaultConnectionRequest(undo=True, wait=duration(wait_s))
        return self.ask(Call(request, partial(read, types.DefaultSwitch), longer_s=wait_s or 0.0))

    def list_models(self, name: str, *, timeout_s: float = 15.0) -> types.ModelList:
        """Asks the provider for its models, without using tokens.

        Raises:
            ConnectionNotFound, ProviderFailed, VaultLocked
        """
        request = c.ListModelsRequest(name=name, timeout=duration(timeout_s))
        return self.ask(Call(request, partial(read, types.ModelList), reads=True, longer_s=timeout_s))

    def list_providers(self) -> tuple[types.ProviderInfo, ...]:
        """The five providers, then the presets."""
        return self.ask(Call(c.ListProvidersRequest(), each(types.ProviderInfo, "providers"), reads=True))

    # Workspaces

    def resolve(
        self, connection: str | None = None, *, workspace: WorkspaceLike = None
    ) -> types.ResolvedConnection:
        """The connection that this program gets, secrets included; the daemon records the hand-out.

        The named connection wins over NEXO_CONNECTION, that over the binding of the workspace, that over
        the default. A rule that names what is gone or disabled fails; none falls through to the next.

        Args:
            workspace: a directory (`Path`, or a string that is "." or "..", starts with "~" or holds a
                separator), or the name of a workspace (any other string).

        Raises:
            NoDefaultConnection, ConnectionNotFound, ConnectionDisabled, BindingBroken, VaultLocked,
            KeyReferenceFailed, InvalidField
        """
        request = w.ResolveConnectionRequest(
            inquiry=calls.inquiry(connection, workspace), client=self._info()
        )
        return self.ask(Call(request, _resolved, reads=True))

    def reveal(self, name: str) -> types.ResolvedConnection:
        """What a program would get of a connection, for a person who looks: a disabled one, too.

        Leaves a record, as every hand-out does.

        Raises:
            ConnectionNotFound, VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
        """
        request = w.RevealConnectionRequest(name=name, client=self._info())
        return self.ask(Call(request, _resolved, reads=True))

    def reveal_secret(self, name: str, *, header: str = "") -> str:
        """One secret of a connection, for a person who looks: its API key, or the value of one header.

        Nothing else leaves the daemon (one of an older version sends all of them). Leaves a record, as every
        hand-out does.

        Args:
            header: the name of a header; empty for the API key.

        Raises:
            ConnectionNotFound, VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
            InvalidField: there is none.
        """
        request = w.RevealConnectionRequest(name=name, client=self._info())
        if header:
            request.header = header
        else:
            request.api_key = True
        return self.ask(
            Call(request, lambda response: convert.one_secret(response.connection, header), reads=True)
        )

    def follow(
        self,
        connection: str | None = None,
        *,
        workspace: WorkspaceLike = None,
        on_stale: types.OnStale = types.OnStale.KEEP,
    ) -> LiveConnection:
        """The connection that this program gets, kept true: a switch reaches it while it runs.

        Waits for the first answer. That there is no connection to use now is no error here but of
        `LiveConnection.current`, and may change. The arguments are those of `resolve`.

        Args:
            on_stale: what `current` does while the daemon is away.

        Raises:
            InvalidField
        """
        return self._follow(connection, workspace, on_stale)

    def bind(
        self,
        workspace: WorkspaceLike,
        connection: str,
        *,
        allow_fallback: bool = False,
        sticky_s: float | None = None,
    ) -> types.WorkspaceBinding:
        """Gives a workspace its own connection; directories below it inherit it.

        Args:
            sticky_s: in the gateway a conversation stays on the connection that it began with, whatever is
                bound later, until it rests for so long (a minute to 30 days).

        Raises:
            ConnectionNotFound, InvalidField, StoreReadOnly
        """
        request = w.BindWorkspaceRequest(
            workspace=_required(workspace),
            connection=connection,
            allow_fallback=allow_fallback,
            sticky=duration(sticky_s),
        )
        return self.ask(Call(request, one(types.WorkspaceBinding, "binding")))

    def unbind(self, workspace: WorkspaceLike) -> int:
        """Lets a workspace follow the default again; returns the new revision.

        Raises:
            WorkspaceNotFound
        """
        return self.ask(Call(w.UnbindWorkspaceRequest(workspace=_required(workspace)), _revision))

    def list_workspaces(self) -> tuple[tuple[types.WorkspaceBinding, ...], tuple[types.Follower, ...]]:
        """The bindings, and the programs that follow right now."""
        return self.ask(Call(w.ListWorkspacesRequest(), _workspaces, reads=True))

    def explain(self, connection: str | None = None, *, workspace: WorkspaceLike = None) -> types.Explanation:
        """Which connection `resolve` would give and why, without handing out a secret."""
        request = w.ExplainResolutionRequest(inquiry=calls.inquiry(connection, workspace))
        return self.ask(Call(request, convert.explanation, reads=True))

    def report_outcome(
        self,
        connection: types.ResolvedConnection | types.Connection | str,
        outcome: Outcome,
        *,
        http_status: int = 0,
    ) -> None:
        """Tells the daemon what this program saw; a hint that makes it check sooner, never a verdict.

        Args:
            connection: a hand-out, or the id of a connection.
        """
        request = w.ReportOutcomeRequest(
            connection_id=_id_of(connection),
            outcome=enum_to_wire(outcome),
            http_status=http_status,
            client=self._info(),
        )
        return self.ask(Call(request, _nothing))

    def get_fallback(self) -> tuple[str, ...]:
        """The names of the connections that stand in for an unhealthy winner, in order."""
        return self.ask(Call(w.GetFallbackRequest(), _fallback, reads=True))

    def set_fallback(self, names: Sequence[str]) -> tuple[str, ...]:
        """Sets the stand-ins; an empty list switches them off.

        Raises:
            ConnectionNotFound
        """
        return self.ask(Call(w.SetFallbackRequest(connections=names), _fallback))

    # Health

    def health(self, names: Sequence[str] = ()) -> tuple[types.ConnectionHealth, ...]:
        """The lights as last observed; of all connections if none is named.

        Raises:
            ConnectionNotFound
        """
        return self.ask(
            Call(h.GetHealthRequest(names=names), each(types.ConnectionHealth, "health"), reads=True)
        )

    def history(self, name: str, window_s: float = 86400.0) -> types.HealthHistory:
        """Transitions and samples of the last `window_s` seconds.

        Raises:
            ConnectionNotFound
        """
        request = h.ListHealthHistoryRequest(name=name, window=duration(window_s))
        return self.ask(Call(request, partial(read, types.HealthHistory), reads=True))

    def histories(
        self, names: Sequence[str] = (), window_s: float = 86400.0, slices: int = 96
    ) -> tuple[types.SlicedHistory, ...]:
        """The last `window_s` seconds of many connections, each cut into so many slices: what charts show.

        Of all connections if none is named; those that are gone are left out.

        Args:
            slices: at most 1 000, and 100 000 for all connections together.

        Raises:
            InvalidField
        """
        request = h.ListSlicedHistoriesRequest(names=names, window=duration(window_s), slices=slices)
        return self.ask(Call(request, each(types.SlicedHistory, "histories"), reads=True))

    def check_now(
        self, names: Sequence[str] = (), *, timeout_s: float = 60.0
    ) -> tuple[types.ConnectionHealth, ...]:
        """Checks at once; all enabled connections if none is named.

        Raises:
            ConnectionNotFound, RetryLater
        """
        request = h.CheckNowRequest(names=names, timeout=duration(timeout_s))
        # A check is free and may be asked for twice; so a daemon that just stops is noticed at once.
        return self.ask(Call(request, each(types.ConnectionHealth, "health"), reads=True, longer_s=timeout_s))

    def health_settings(self) -> types.HealthSettings:
        """How often connections are checked."""
        return self.ask(Call(h.GetHealthSettingsRequest(), one(types.HealthSettings, "settings"), reads=True))

    def update_health_settings(
        self,
        *,
        important_interval_s: float | None = None,
        other_interval_s: float | None = None,
        paused: bool | None = None,
    ) -> types.HealthSettings:
        """Changes what is not None.

        Raises:
            InvalidField
        """
        request = h.UpdateHealthSettingsRequest(
            important_interval=duration(important_interval_s),
            other_interval=duration(other_interval_s),
            paused=paused,
        )
        return self.ask(Call(request, one(types.HealthSettings, "settings")))

    # The daemon

    def status(self) -> types.Status:
        """The daemon and its store."""
        return self.ask(Call(d.GetStatusRequest(), one(types.Status, "status"), reads=True))

    def watch(self) -> Subscription[types.WatchEvent]:
        """A snapshot, then what changes, until the daemon ends it (`ended` of the last event).

        Closing the subscription, from any thread, ends the iteration. `nexo_client.watch.watch_forever`
        subscribes again by itself.
        """
        return self._subscribe(Stream(d.WatchRequest(client=self._info()), convert.watch_event, None))

    def shutdown(self) -> int:
        """Stops the daemon; returns the pid of the process that is stopping."""
        return self.ask(Call(d.ShutdownRequest(), _pid))

    def handouts(
        self, name: str = "", limit: int = 100, *, since: datetime | None = None
    ) -> tuple[types.Handout, ...]:
        """The record of secrets that left the daemon, newest first.

        Args:
            since: only what was handed out then or later; `watch` tells what comes after.

        Raises:
            ConnectionNotFound
        """
        request = d.ListHandoutsRequest(name=name, limit=limit, since=timestamp(since))
        return self.ask(Call(request, _handouts, reads=True))


# How answers are read


def _default(response: Any) -> types.Connection | None:
    return read(types.Connection, response.connection) if response.HasField("connection") else None


def _revision(response: Any) -> int:
    return int(response.revision)


def _test_event(response: Any) -> types.LayerResult | types.TestResult | None:
    which = response.WhichOneof("event")
    if which == "layer":
        return read(types.LayerResult, response.layer)
    return read(types.TestResult, response.result) if which == "result" else None


def _last_test(response: Any) -> types.LastTest | None:
    return read(types.LastTest, response) if response.HasField("result") else None


def _resolved(response: Any) -> types.ResolvedConnection:
    return convert.resolved(response.connection)


def _required(workspace: WorkspaceLike) -> w.Workspace:
    place = locate(workspace)
    if place is None:
        raise InvalidField(
            "workspace: is empty", hint="give a directory or a name", metadata={"field": "workspace"}
        )
    return convert.workspace_to_wire(place)


def _workspaces(response: Any) -> tuple[tuple[types.WorkspaceBinding, ...], tuple[types.Follower, ...]]:
    bindings = read_all(types.WorkspaceBinding, response.bindings)
    return bindings, read_all(types.Follower, response.followers)


def _id_of(connection: types.ResolvedConnection | types.Connection | str) -> str:
    if isinstance(connection, str):
        return connection
    return connection.id if isinstance(connection, types.Connection) else connection.connection_id


def _nothing(_response: Any) -> None:
    return None


def _fallback(response: Any) -> tuple[str, ...]:
    return tuple(response.connections)


def _pid(response: Any) -> int:
    return int(response.pid)


def _handouts(response: Any) -> tuple[types.Handout, ...]:
    return tuple(convert.handout(entry) for entry in response.handouts)
