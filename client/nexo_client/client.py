"""The synchronous client: `connect()` and `Client`.

Each method documents one call of the daemon's API. `base_client` sends the calls, `administration` has those
for the vault and the store, and `make aio` generates `aio` from this file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nexo.connections.codec import duration, enum_to_wire, read, read_all, timestamp
from nexo.connections.ranges import LIST_MODELS_S, TEST_S
from nexo.connections.terms import Outcome
from nexo.connections.v1 import connection_pb2 as c
from nexo.connections.v1 import daemon_pb2 as d
from nexo.connections.v1 import health_pb2 as h
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client import calls, convert, types
from nexo_client.arguments import checked
from nexo_client.base_client import DEFAULT_TIMEOUT_S, BaseClient, Subscription, opened
from nexo_client.calls import OnLayer, each, one, value
from nexo_client.errors import InvalidField
from nexo_client.workspace import WorkspaceLike, locate

if TYPE_CHECKING:
    from nexo_client.administration import StoreCalls, VaultCalls
    from nexo_client.follow import LiveConnection
    from nexo_client.gateway import GatewayCalls

# Added to the time-out that is sent to the daemon, so that its own answer arrives before the deadline.
_GRACE_S = 5.0


@checked
def connect(
    socket: str | os.PathLike[str] | None = None, *, start: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Client:
    """A client of this user's daemon.

    Args:
        socket: path of the socket; None for NEXO_SOCKET or the default path. A `~` at its start is expanded.
        start: start the daemon if it is not running (needs the `daemon` extra).
        timeout_s: deadline of each call and of the start, in seconds.

    Raises:
        DaemonNotRunning: nobody listens (and `start` is false, or the start failed).
        DaemonUnsafe: the socket or its directory is not private to this user.
        InvalidField: the path of the socket is too long, or `timeout_s` is not more than 0.
    """
    return opened(Client, socket, start, timeout_s)


@checked
class Client(BaseClient):
    """A client of the daemon. Thread-safe. In a forked child it opens its own channel.

    Every method can raise `DaemonNotRunning`, `DeadlineExceeded`, `IncompatibleDaemon` and `DaemonFailed`
    besides the errors in its description, and `InvalidField` for an argument of a wrong type. Methods that
    change something stored can also raise `StoreReadOnly` and `StoreFull`.

    A context manager; `close()` closes the channel.
    """

    @property
    def vault(self) -> VaultCalls:
        """The vault with the key of the stored secrets: state, lock, unlock, key slots, recovery code."""
        from nexo_client.administration import VaultCalls

        return VaultCalls(self)

    @property
    def store(self) -> StoreCalls:
        """The daemon's database: check, backups, restore, export, import."""
        from nexo_client.administration import StoreCalls

        return StoreCalls(self)

    @property
    def gateway(self) -> GatewayCalls:
        """The local gateway: state, tokens, usage."""
        from nexo_client.gateway import GatewayCalls

        return GatewayCalls(self)

    # Connections

    def list_connections(self) -> tuple[types.Connection, ...]:
        """All connections, in the order in which they were created."""
        return self.ask(c.ListConnectionsRequest(), each(types.Connection, "connections"))

    def get_connection(self, name: str) -> types.Connection:
        """One connection; the case of the name is ignored.

        Raises:
            ConnectionNotFound
        """
        return self.ask(c.GetConnectionRequest(name=name), one(types.Connection, "connection"))

    def create_connection(
        self,
        draft: types.ConnectionDraft,
        *,
        make_default: bool = False,
        fixes: Sequence[str] = (),
        ticket: str = "",
    ) -> types.SavedConnection:
        """Saves a new connection without testing it. The first one becomes the default.

        Args:
            draft: the connection; `name`, and `provider` or `preset` are required.
            make_default: make it the default.
            fixes: the suggestions of a test that the user accepted (`Suggestion.fix`).
            ticket: `TestResult.ticket` from `test_draft`: saves the tested draft with its fixes and the
                result for its key. `draft` may then change only fields that do not affect a test: the name,
                the models, whether the connection is enabled and checked.

        Raises:
            InvalidField, NameTaken, LimitReached, VaultLocked
        """
        message, mask = convert.draft_to_wire(draft)
        request = c.CreateConnectionRequest(
            draft=message,
            make_default=make_default,
            fixes=fixes,
            ticket=ticket,
            update_mask=mask if ticket else None,
        )
        return self.ask(request, partial(read, types.SavedConnection))

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
        """Changes a connection.

        Args:
            changes: the new values; fields that are None keep theirs.
            revision: the revision on which the changes are based; 0 overwrites any other change.
            keep_key_for_new_origin: consent to send the stored secrets to the new scheme, host or port,
                through the new proxy, or to servers that the new CA bundle trusts.
            ticket: `TestResult.ticket` from `test_connection` with changes: saves the tested changes with
                their fixes and consent; see `create_connection`.

        Raises:
            ConnectionNotFound, InvalidField, NameTaken, StaleRevision, KeyOriginChanged, VaultLocked
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
        return self.ask(request, partial(read, types.SavedConnection))

    def delete_connection(
        self, name: str, *, replace_with: str = "", force: bool = False, revision: int = 0
    ) -> int:
        """Deletes a connection; returns the new revision of the store.

        Args:
            replace_with: a connection that becomes the default or the bound one in its place.
            force: delete it even if it is in use; its bindings are kept and make resolving fail.
            revision: the revision that was read; 0 for any.

        Raises:
            ConnectionNotFound, ConnectionInUse, StaleRevision
        """
        request = c.DeleteConnectionRequest(
            name=name, replace_with=replace_with, force=force, revision=revision
        )
        return self.ask(request, value(int, "revision"))

    def test_connection(
        self,
        name: str,
        changes: types.ConnectionDraft | None = None,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = TEST_S,
        on_layer: OnLayer | None = None,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> types.TestResult:
        """Tests a saved connection, or changes to it before they are saved.

        A failed test is a result, not an exception.

        Args:
            changes: the changes to test; fields that are None keep their stored values.
            completion: make one minimal request that the provider bills.
            model: the model for that request; empty for the default.
            timeout_s: time limit of the test, in seconds; at most 300.
            on_layer: called after each layer of the test, in the calling thread or task.
            keep_key_for_new_origin: as for `update_connection`.
            fixes: the suggestions of an earlier test that the user accepted.
            keep: make the daemon keep the changes, so that they can be saved with `TestResult.ticket`.

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
        timeout_s: float = TEST_S,
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
        timeout_s: float = TEST_S,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> Subscription[types.LayerResult | types.TestResult]:
        """Yields each layer of a test when it finishes, then the result. Closing it cancels the test.

        The arguments are those of `test_connection`; the iteration raises its errors.
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
        return self._subscribe(request, _test_event, max(timeout_s, 0.0) + _GRACE_S)

    def testing_draft(
        self,
        draft: types.ConnectionDraft,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = TEST_S,
        fixes: Sequence[str] = (),
        keep: bool = False,
    ) -> Subscription[types.LayerResult | types.TestResult]:
        """As `testing`, for a draft that is not saved; see `test_draft`."""
        message, _ = convert.draft_to_wire(draft)
        request = c.TestDraftConnectionRequest(
            draft=message,
            completion=completion,
            model=model,
            timeout=duration(timeout_s),
            fixes=fixes,
            keep=keep,
        )
        return self._subscribe(request, _test_event, max(timeout_s, 0.0) + _GRACE_S)

    def last_test(self, name: str) -> types.LastTest | None:
        """The result of the last test of a saved connection. Sends nothing to the provider.

        None if the connection was not tested since the daemon started or since its address, secrets or model
        changed. The test of a draft or of changes counts if exactly these were saved.

        Raises:
            ConnectionNotFound
        """
        return self.ask(c.GetLastTestRequest(name=name), _last_test)

    def get_default(self) -> types.Connection | None:
        """The default connection; None if there is none."""
        return self.ask(c.GetDefaultConnectionRequest(), _default)

    def set_default(self, name: str, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Makes a connection the default. An unhealthy one is accepted with a `.warning`.

        Args:
            wait_s: wait until every follower has applied the switch, at most this many seconds (up to 300).

        Raises:
            ConnectionNotFound, ConnectionDisabled, InvalidField
        """
        request = c.SetDefaultConnectionRequest(name=name, wait=duration(wait_s))
        return self.ask(request, partial(read, types.DefaultSwitch), longer_s=wait_s or 0.0)

    def undo_default(self, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Restores the default before the last switch.

        Args:
            wait_s: as for `set_default`.

        Raises:
            NothingToUndo
        """
        request = c.SetDefaultConnectionRequest(undo=True, wait=duration(wait_s))
        return self.ask(request, partial(read, types.DefaultSwitch), longer_s=wait_s or 0.0)

    def list_models(self, name: str, *, timeout_s: float = LIST_MODELS_S) -> types.ModelList:
        """Requests the list of models from the provider; this uses no tokens.

        Args:
            timeout_s: time limit of the request, in seconds; at most 300.

        Raises:
            ConnectionNotFound, ProviderFailed, VaultLocked
        """
        request = c.ListModelsRequest(name=name, timeout=duration(timeout_s))
        return self.ask(request, partial(read, types.ModelList), longer_s=timeout_s)

    def list_providers(self) -> tuple[types.ProviderInfo, ...]:
        """The five providers, then the presets."""
        return self.ask(c.ListProvidersRequest(), each(types.ProviderInfo, "providers"))

    # Workspaces

    def resolve(
        self, connection: str | None = None, *, workspace: WorkspaceLike = None
    ) -> types.ResolvedConnection:
        """The connection for this program, including secrets. The daemon records the hand-out.

        The first of these that is set decides: `connection`, NEXO_CONNECTION, the binding of the workspace,
        the default. If it names a missing or disabled connection, the call fails.

        Args:
            connection: the name of a connection.
            workspace: a directory (a `Path`, or a string that is "." or "..", starts with "~" or contains a
                separator), or the name of a workspace (any other string).

        Raises:
            NoDefaultConnection, ConnectionNotFound, ConnectionDisabled, BindingBroken, VaultLocked,
            KeyReferenceFailed, InvalidField
        """
        request = w.ResolveConnectionRequest(
            inquiry=calls.inquiry(connection, workspace), client=self._info()
        )
        return self.ask(request, one(types.ResolvedConnection, "connection"))

    def reveal(self, name: str) -> types.ResolvedConnection:
        """A connection including its secrets, to show to the user; it may be disabled.

        The daemon records it like every hand-out.

        Raises:
            ConnectionNotFound, VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
        """
        request = w.RevealConnectionRequest(name=name, client=self._info())
        return self.ask(request, one(types.ResolvedConnection, "connection"))

    def reveal_secret(self, name: str, *, header: str = "") -> str:
        """One secret of a connection, to show to the user: its API key, or the value of one header.

        The daemon sends no other secret (older versions send all of them) and records it like every hand-out.

        Args:
            header: the name of a header; empty for the API key.

        Raises:
            ConnectionNotFound, VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
            InvalidField: the connection has no such secret.
        """
        request = w.RevealConnectionRequest(name=name, client=self._info())
        if header:
            request.header = header
        else:
            request.api_key = True
        return self.ask(request, lambda response: convert.one_secret(response.connection, header))

    def follow(
        self,
        connection: str | None = None,
        *,
        workspace: WorkspaceLike = None,
        on_stale: types.OnStale = types.OnStale.KEEP,
    ) -> LiveConnection:
        """The connection for this program, kept up to date while the program runs.

        Waits for the first answer of the daemon. If there is no usable connection, `LiveConnection.current`
        raises, not this method. The other arguments are those of `resolve`.

        Args:
            on_stale: the behaviour of `current` while the daemon cannot be reached.

        Raises:
            InvalidField
            LimitReached: this program follows 1 024 times; close those that are not needed any more.
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
        """Binds a workspace to a connection; directories below it inherit the binding.

        Args:
            workspace: as for `resolve`.
            allow_fallback: use the fallback connections if the bound one is unhealthy.
            sticky_s: in the gateway, a conversation keeps its connection after a new binding, until it has
                been idle for this many seconds (one minute to 30 days).

        Raises:
            ConnectionNotFound, InvalidField, LimitReached
        """
        request = w.BindWorkspaceRequest(
            workspace=_required(workspace),
            connection=connection,
            allow_fallback=allow_fallback,
            sticky=duration(sticky_s),
        )
        return self.ask(request, one(types.WorkspaceBinding, "binding"))

    def unbind(self, workspace: WorkspaceLike) -> int:
        """Removes the binding of a workspace; returns the new revision of the store.

        Args:
            workspace: as for `resolve`.

        Raises:
            WorkspaceNotFound, InvalidField
        """
        return self.ask(w.UnbindWorkspaceRequest(workspace=_required(workspace)), value(int, "revision"))

    def list_workspaces(self) -> tuple[tuple[types.WorkspaceBinding, ...], tuple[types.Follower, ...]]:
        """The bindings, and the programs that follow a connection now."""
        return self.ask(w.ListWorkspacesRequest(), _workspaces)

    def explain(self, connection: str | None = None, *, workspace: WorkspaceLike = None) -> types.Explanation:
        """The connection that `resolve` would return and the reason, without secrets.

        If `resolve` would fail, the result says why. The arguments are those of `resolve`.

        Raises:
            InvalidField
        """
        request = w.ExplainResolutionRequest(inquiry=calls.inquiry(connection, workspace))
        return self.ask(request, convert.explanation)

    def report_outcome(
        self,
        connection: types.ResolvedConnection | types.Connection | str,
        outcome: Outcome,
        *,
        http_status: int = 0,
    ) -> None:
        """Reports the outcome of a request of this program, which may make the daemon check sooner.

        Args:
            connection: the connection or its id.
            http_status: the HTTP status of the response; 0 if there was none.

        Raises:
            ConnectionNotFound
        """
        request = w.ReportOutcomeRequest(
            connection_id=_id_of(connection),
            outcome=enum_to_wire(outcome),
            http_status=http_status,
            client=self._info(),
        )
        return self.ask(request, _nothing)

    def get_fallback(self) -> tuple[str, ...]:
        """The names of the fallback connections, which replace an unhealthy one, in order."""
        return self.ask(w.GetFallbackRequest(), value(tuple[str, ...], "connections"))

    def set_fallback(self, names: Sequence[str]) -> tuple[str, ...]:
        """Sets the names of the fallback connections, and returns them; an empty list disables fallback.

        Raises:
            ConnectionNotFound, InvalidField
        """
        return self.ask(w.SetFallbackRequest(connections=names), value(tuple[str, ...], "connections"))

    # Health

    def health(self, names: Sequence[str] = ()) -> tuple[types.ConnectionHealth, ...]:
        """The last known health of the named connections, or of all if none is named. Sends nothing.

        Raises:
            ConnectionNotFound
        """
        return self.ask(h.GetHealthRequest(names=names), each(types.ConnectionHealth, "health"))

    def history(self, name: str, window_s: float = 86400.0) -> types.HealthHistory:
        """The health transitions and samples of the last `window_s` seconds, at most 90 days.

        Raises:
            ConnectionNotFound, InvalidField
        """
        request = h.ListHealthHistoryRequest(name=name, window=duration(window_s))
        return self.ask(request, partial(read, types.HealthHistory))

    def histories(
        self, names: Sequence[str] = (), window_s: float = 86400.0, slices: int = 96
    ) -> tuple[types.SlicedHistory, ...]:
        """The health of several connections in the last `window_s` seconds, divided into slices, for charts.

        Args:
            names: the connections; all if empty. Names that do not exist are ignored.
            slices: the number of slices; at most 1 000, and 100 000 for all connections together.

        Raises:
            InvalidField
        """
        request = h.ListSlicedHistoriesRequest(names=names, window=duration(window_s), slices=slices)
        return self.ask(request, each(types.SlicedHistory, "histories"))

    def check_now(
        self, names: Sequence[str] = (), *, timeout_s: float = 60.0
    ) -> tuple[types.ConnectionHealth, ...]:
        """Checks the named connections now, or all enabled ones if none is named.

        Args:
            timeout_s: wait at most this many seconds; connections without a result keep their last health.

        Raises:
            ConnectionNotFound, RetryLater
        """
        request = h.CheckNowRequest(names=names, timeout=duration(timeout_s))
        return self.ask(request, each(types.ConnectionHealth, "health"), longer_s=timeout_s)

    def health_settings(self) -> types.HealthSettings:
        """The settings for the periodic checks."""
        return self.ask(h.GetHealthSettingsRequest(), one(types.HealthSettings, "settings"))

    def update_health_settings(
        self,
        *,
        important_interval_s: float | None = None,
        other_interval_s: float | None = None,
        paused: bool | None = None,
    ) -> types.HealthSettings:
        """Changes the settings that are not None.

        Args:
            important_interval_s, other_interval_s: seconds between checks of the default and of bound
                connections, and of the others; 10 to 86 400.
            paused: make no periodic checks.

        Raises:
            InvalidField
        """
        request = h.UpdateHealthSettingsRequest(
            important_interval=duration(important_interval_s),
            other_interval=duration(other_interval_s),
            paused=paused,
        )
        return self.ask(request, one(types.HealthSettings, "settings"))

    # The daemon

    def status(self) -> types.Status:
        """The state of the daemon and its store."""
        return self.ask(d.GetStatusRequest(), one(types.Status, "status"))

    def watch(self) -> Subscription[types.WatchEvent]:
        """Yields a snapshot, then changes, until the daemon ends the stream (`ended` in the last event).

        Closing the subscription, from any thread, ends the iteration. `nexo_client.watch.watch_forever`
        renews the subscription automatically.
        """
        return self._subscribe(d.WatchRequest(client=self._info()), convert.watch_event)

    def shutdown(self) -> int:
        """Stops the daemon; returns the pid of the process that is stopping."""
        return self.ask(d.ShutdownRequest(), value(int, "pid"))

    def handouts(
        self, name: str = "", limit: int = 100, *, since: datetime | None = None
    ) -> tuple[types.Handout, ...]:
        """The records of handed out secrets, newest first.

        Args:
            name: only those of this connection; empty for all.
            limit: the maximum number of records, up to 10 000.
            since: only those at this time or later.

        Raises:
            ConnectionNotFound
        """
        request = d.ListHandoutsRequest(name=name, limit=limit, since=timestamp(since))
        return self.ask(request, each(types.Handout, "handouts"))


def _default(response: Any) -> types.Connection | None:
    return read(types.Connection, response.connection) if response.HasField("connection") else None


def _test_event(response: Any) -> types.LayerResult | types.TestResult | None:
    which = response.WhichOneof("event")
    if which == "layer":
        return read(types.LayerResult, response.layer)
    return read(types.TestResult, response.result) if which == "result" else None


def _last_test(response: Any) -> types.LastTest | None:
    return read(types.LastTest, response) if response.HasField("result") else None


def _required(workspace: WorkspaceLike) -> w.Workspace:
    place = locate(workspace)
    if place is None:
        raise InvalidField.of("workspace", "is empty", "give a directory or a name")
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
