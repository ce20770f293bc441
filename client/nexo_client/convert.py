"""How the objects of the contract become the values of `nexo_client.types`, and back.

The only file of the SDK, next to `calls` and `follow`, that sees a protobuf type. What a newer daemon adds
to an enum is read as the most cautious member, never as an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC
from enum import StrEnum
from typing import TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

from nexo.connections.v1 import connection_pb2, daemon_pb2, health_pb2, workspace_pb2
from nexo_client import terms, types
from nexo_client.errors import InvalidField
from nexo_client.wire import duration, enum_from_wire, enum_to_wire, moment, seconds, timestamp

E = TypeVar("E", bound=StrEnum)
D = TypeVar("D")


def _member(kind: type[E], number: int, otherwise: D) -> E | D:
    member = enum_from_wire(kind, number)
    return otherwise if member is None else member


def network(message: connection_pb2.NetworkProfile) -> types.NetworkProfile:
    """A network profile; "system" when the message does not say."""
    which = message.WhichOneof("proxy")
    if which is None and not message.no_proxy and not message.ca_bundle:
        return types.USUAL_NETWORK
    proxy = message.proxy_url if which == "proxy_url" else "direct" if which == "direct" else "system"
    return types.NetworkProfile(proxy, tuple(message.no_proxy), message.ca_bundle)


def network_to_wire(profile: types.NetworkProfile) -> connection_pb2.NetworkProfile:
    """The message of a network profile."""
    message = connection_pb2.NetworkProfile(no_proxy=profile.no_proxy, ca_bundle=profile.ca_bundle)
    if profile.proxy in ("", "system"):
        message.system.SetInParent()
    elif profile.proxy == "direct":
        message.direct.SetInParent()
    else:
        message.proxy_url = profile.proxy
    return message


def health(message: connection_pb2.Health) -> types.Health:
    """The light of a connection."""
    return types.Health(
        state=_member(terms.HealthState, message.state, terms.HealthState.UNKNOWN),
        reason=message.reason,
        since=moment(message.since),
        checked_at=moment(message.checked_at),
        latency_s=seconds(message.latency),
        retry_at=moment(message.retry_at),
        consecutive_failures=message.consecutive_failures,
        next_check_at=moment(message.next_check_at),
        advice=message.advice,
        last_known=enum_from_wire(terms.HealthState, message.last_known),
    )


def connection_health(message: health_pb2.ConnectionHealth) -> types.ConnectionHealth:
    """The light of a named connection."""
    return types.ConnectionHealth(message.connection_id, message.connection_name, health(message.health))


def connection(message: connection_pb2.Connection) -> types.Connection:
    """A connection, without secrets."""
    key = message.key
    return types.Connection(
        id=message.id,
        name=message.name,
        provider=_member(terms.Provider, message.provider, terms.Provider.CUSTOM),
        preset=message.preset,
        base_url=message.base_url,
        auth_scheme=_member(terms.AuthScheme, message.auth_scheme, terms.AuthScheme.NONE),
        key=types.KeyInfo(
            source=_member(terms.KeySource, key.source, terms.KeySource.NONE),
            verdict=_member(terms.KeyVerdict, key.verdict, terms.KeyVerdict.UNVERIFIED),
            reference=key.reference,
            added_at=moment(key.added_at),
            proven_at=moment(key.proven_at),
            expires_at=moment(key.expires_at),
            previous_kept_until=moment(key.previous_kept_until),
        ),
        header_names=tuple(message.header_names),
        default_model=message.default_model,
        enabled=message.enabled,
        is_default=message.is_default,
        network=network(message.network),
        proxy_has_credentials=message.proxy_has_credentials,
        health=health(message.health),
        revision=message.revision,
        created_at=moment(message.created_at),
        updated_at=moment(message.updated_at),
        check_interval_s=seconds(message.check_interval),
        checks_paused=message.checks_paused,
    )


def _enum_field(kind: type[E], field: str, text: str) -> E:
    try:
        return kind(text.strip().lower())
    except ValueError:
        known = ", ".join(kind)
        raise InvalidField(
            f"{field}: '{text}' is unknown", hint=f"use one of: {known}", metadata={"field": field}
        ) from None


def draft_to_wire(draft: types.ConnectionDraft) -> tuple[connection_pb2.ConnectionDraft, FieldMask]:
    """The message of a draft, and the mask of the fields that it gives.

    Raises:
        InvalidField: an unknown provider or auth scheme, or both a key and a reference.
    """
    message = connection_pb2.ConnectionDraft()
    given: list[str] = []
    for field in ("name", "preset", "base_url", "default_model", "enabled", "checks_paused"):
        value = getattr(draft, field)
        if value is not None:
            setattr(message, field, value)
            given.append(field)
    if draft.provider is not None:
        if draft.provider:
            message.provider = enum_to_wire(_enum_field(terms.Provider, "provider", draft.provider))
        given.append("provider")
    if draft.auth_scheme is not None:
        if draft.auth_scheme:
            message.auth_scheme = enum_to_wire(
                _enum_field(terms.AuthScheme, "auth_scheme", draft.auth_scheme)
            )
        given.append("auth_scheme")
    if draft.api_key and draft.api_key_ref:
        raise InvalidField(
            "api_key: a key and a reference are both given",
            hint="give one of api_key and api_key_ref",
            metadata={"field": "api_key"},
        )
    if draft.api_key_ref:
        message.api_key_ref = draft.api_key_ref
        given.append("api_key")
    elif draft.api_key is not None or draft.api_key_ref is not None:
        message.api_key = draft.api_key or ""
        given.append("api_key")
    if draft.headers is not None or draft.headers_json is not None:
        for header in draft.headers or ():
            message.headers.add(name=header.name, value=header.value)
        message.headers_json = draft.headers_json or ""
        given.append("headers")
    if draft.network is not None:
        message.network.CopyFrom(network_to_wire(draft.network))
        given.append("network")
    if draft.key_expires_at is not None:
        message.MergeFrom(connection_pb2.ConnectionDraft(key_expires_at=timestamp(draft.key_expires_at)))
        given.append("key_expires_at")
    if draft.check_interval_s is not None:
        message.MergeFrom(connection_pb2.ConnectionDraft(check_interval=duration(draft.check_interval_s)))
        given.append("check_interval")
    return message, FieldMask(paths=given)


def model(message: connection_pb2.Model) -> types.Model:
    """A model that a provider lists."""
    return types.Model(
        message.id, message.display_name, moment(message.created_at), message.owner, message.context_window
    )


def layer_result(message: connection_pb2.LayerResult) -> types.LayerResult:
    """One layer of a test."""
    return types.LayerResult(
        layer=_member(terms.Layer, message.layer, terms.Layer.CONFIGURATION),
        status=_member(terms.LayerStatus, message.status, terms.LayerStatus.NOT_REACHED),
        elapsed_s=seconds(message.elapsed),
        evidence=message.evidence,
    )


def suggestion(message: connection_pb2.Suggestion) -> types.Suggestion:
    """A tried change of a draft, or a warning about it."""
    return types.Suggestion(message.field, message.text, message.value, message.verified, message.fix)


def test_result(message: connection_pb2.TestResult) -> types.TestResult:
    """The verdict of a test."""
    return types.TestResult(
        connection=message.connection,
        outcome=_member(terms.Outcome, message.outcome, terms.Outcome.NOT_COMPATIBLE),
        reason=message.reason,
        key=_member(terms.KeyVerdict, message.key, terms.KeyVerdict.UNVERIFIED),
        layers=tuple(layer_result(layer) for layer in message.layers),
        models=tuple(model(entry) for entry in message.models),
        http_status=message.http_status or None,
        request_id=message.request_id,
        retry_at=moment(message.retry_at),
        advice=message.advice,
        proven=tuple(message.proven),
        suggestions=tuple(suggestion(entry) for entry in message.suggestions),
        elapsed_s=seconds(message.elapsed),
        price_note=message.price_note,
        provider_message=message.provider_message,
    )


def provider_info(message: connection_pb2.ProviderInfo) -> types.ProviderInfo:
    """A provider or preset."""
    return types.ProviderInfo(
        name=message.name,
        display_name=message.display_name,
        provider=_member(terms.Provider, message.provider, terms.Provider.CUSTOM),
        is_preset=message.is_preset,
        default_base_url=message.default_base_url,
        auth_scheme=_member(terms.AuthScheme, message.auth_scheme, terms.AuthScheme.BEARER),
        key_required=message.key_required,
        key_url=message.key_url,
        note=message.note,
    )


def workspace(message: workspace_pb2.Workspace) -> types.Workspace:
    """A workspace."""
    return types.Workspace(path=message.path, name=message.name)


def workspace_to_wire(value: types.Workspace) -> workspace_pb2.Workspace:
    """The message of a workspace."""
    if value.path:
        return workspace_pb2.Workspace(path=value.path)
    return workspace_pb2.Workspace(name=value.name)


def binding(message: workspace_pb2.WorkspaceBinding) -> types.WorkspaceBinding:
    """A workspace and the connection that it gets."""
    return types.WorkspaceBinding(
        workspace(message.workspace),
        message.connection_name,
        message.broken,
        moment(message.created_at),
        message.allow_fallback,
    )


def client_info(message: workspace_pb2.ClientInfo) -> types.ClientInfo:
    """What a program claims about itself."""
    return types.ClientInfo(message.name, message.version, message.pid, message.program)


def follower(message: workspace_pb2.Follower) -> types.Follower:
    """A program that follows."""
    return types.Follower(
        client_info(message.client),
        tuple(workspace(entry) for entry in message.workspaces),
        message.applied_revision,
        moment(message.connected_at),
    )


def resolved(message: workspace_pb2.ResolvedConnection) -> types.ResolvedConnection:
    """A hand-out."""
    return types.ResolvedConnection(
        connection_id=message.connection_id,
        name=message.name,
        provider=_member(terms.Provider, message.provider, terms.Provider.CUSTOM),
        preset=message.preset,
        base_url=message.base_url,
        auth_scheme=_member(terms.AuthScheme, message.auth_scheme, terms.AuthScheme.NONE),
        api_key=message.api_key,
        headers=types.Headers((header.name, header.value) for header in message.headers),
        model=message.default_model,
        network=network(message.network),
        source=_member(terms.ResolutionSource, message.source, terms.ResolutionSource.DEFAULT),
        source_detail=message.source_detail,
        revision=message.revision,
        health=health(message.health),
    )


def explanation(message: workspace_pb2.ExplainResolutionResponse) -> types.Explanation:
    """Which connection a workspace gets, and why."""
    return types.Explanation(
        connection=message.connection_name,
        source=enum_from_wire(terms.ResolutionSource, message.source),
        steps=tuple(
            types.ResolutionStep(
                _member(terms.ResolutionSource, step.source, terms.ResolutionSource.DEFAULT),
                step.connection_name,
                step.won,
                step.text,
            )
            for step in message.steps
        ),
        problem_reason=message.problem.reason,
        problem=message.problem.message,
        revision=message.revision,
        problem_hint=message.problem.metadata.get("hint", ""),
    )


def switch(message: connection_pb2.SetDefaultConnectionResponse) -> types.DefaultSwitch:
    """What a switch of the default did."""
    return types.DefaultSwitch(
        connection=connection(message.connection),
        previous=connection(message.previous) if message.HasField("previous") else None,
        revision=message.revision,
        warning=message.warning,
        followers=message.followers,
        pending_followers=tuple(message.pending_followers),
    )


def transition(message: health_pb2.HealthTransition) -> types.HealthTransition:
    """A change of the light."""
    return types.HealthTransition(
        connection_id=message.connection_id,
        connection=message.connection_name,
        at=message.at.ToDatetime(tzinfo=UTC),
        from_state=_member(terms.HealthState, message.from_state, terms.HealthState.UNKNOWN),
        to_state=_member(terms.HealthState, message.to_state, terms.HealthState.UNKNOWN),
        reason=message.reason,
        evidence=message.evidence,
        lasted_s=seconds(message.lasted),
        advice=message.advice,
        important=message.important,
    )


def _sample(message: health_pb2.HealthSample) -> types.HealthSample:
    return types.HealthSample(
        at=message.at.ToDatetime(tzinfo=UTC),
        span_s=seconds(message.span),
        checks=message.checks,
        failures=message.failures,
        latency_min_s=seconds(message.latency_min),
        latency_median_s=seconds(message.latency_median),
        latency_max_s=seconds(message.latency_max),
        outcome=_member(terms.Outcome, message.outcome, terms.Outcome.NOT_COMPATIBLE),
        reason=message.reason,
    )


def history(message: health_pb2.ListHealthHistoryResponse) -> types.HealthHistory:
    """Transitions, samples and their summary."""
    return types.HealthHistory(
        transitions=tuple(transition(entry) for entry in message.transitions),
        samples=tuple(_sample(entry) for entry in message.samples),
        uptime=message.uptime if message.HasField("uptime") else None,
        latency_p50_s=seconds(message.latency_p50),
        latency_p95_s=seconds(message.latency_p95),
        latency_p99_s=seconds(message.latency_p99),
    )


def health_settings(message: health_pb2.HealthSettings) -> types.HealthSettings:
    """How often connections are checked."""
    return types.HealthSettings(
        seconds(message.important_interval) or 0.0, seconds(message.other_interval) or 0.0, message.paused
    )


def handout(message: daemon_pb2.Handout) -> types.Handout:
    """The record of a secret that left the daemon."""
    return types.Handout(
        message.at.ToDatetime(tzinfo=UTC),
        message.connection_name,
        message.method,
        client_info(message.client),
        message.workspace,
        enum_from_wire(terms.ResolutionSource, message.source),
    )


def status(message: daemon_pb2.Status) -> types.Status:
    """The daemon and its store."""
    return types.Status(
        version=message.version,
        pid=message.pid,
        started_at=moment(message.started_at),
        socket_path=message.socket_path,
        database_path=message.database_path,
        log_path=message.log_path,
        revision=message.revision,
        vault=_member(terms.VaultState, message.vault, terms.VaultState.LOCKED),
        vault_slot=message.vault_slot,
        vault_problem=message.vault_problem,
        store=_member(terms.StoreState, message.store, terms.StoreState.READ_ONLY),
        store_problem=message.store_problem,
        store_advice=message.store_advice,
        default_connection=message.default_connection,
        connections=message.connections,
        enabled_connections=message.enabled_connections,
        followers=tuple(follower(entry) for entry in message.followers),
        watchers=message.watchers,
        offline_since=moment(message.offline_since),
        checks_paused=message.checks_paused,
    )


def _bindings(messages: Iterable[workspace_pb2.WorkspaceBinding]) -> tuple[types.WorkspaceBinding, ...]:
    return tuple(binding(entry) for entry in messages)


def watch_event(message: daemon_pb2.WatchResponse) -> types.WatchEvent:
    """One message of the event stream."""
    which = message.WhichOneof("event")
    base = (message.sequence, message.revision)
    readers: dict[str | None, Callable[[], types.WatchEvent]] = {
        "snapshot": lambda: types.WatchEvent(
            *base,
            snapshot=types.Snapshot(
                tuple(connection(entry) for entry in message.snapshot.connections),
                _bindings(message.snapshot.bindings),
                status(message.snapshot.status),
            ),
        ),
        "connection": lambda: types.WatchEvent(*base, connection=connection(message.connection)),
        "removed": lambda: types.WatchEvent(*base, removed=message.removed.name),
        "bindings": lambda: types.WatchEvent(*base, bindings=_bindings(message.bindings.bindings)),
        "status": lambda: types.WatchEvent(*base, status=status(message.status)),
        "transition": lambda: types.WatchEvent(*base, transition=transition(message.transition)),
        "lagged": lambda: types.WatchEvent(*base, ended="lagged"),
        "shutting_down": lambda: types.WatchEvent(*base, ended="shutting_down"),
    }
    # An event that a newer daemon added keeps its place in the count and says nothing.
    return readers.get(which, lambda: types.WatchEvent(*base))()
