"""Domain → contract. One function a noun; secrets appear in `resolved` only."""

from collections.abc import Iterable

from nexo.connections.v1 import connection_pb2, daemon_pb2, health_pb2, workspace_pb2
from nexo_client.terms import ResolutionSource
from nexo_client.wire import duration, enum_to_wire, timestamp
from nexo_daemon.domain.model import (
    Binding,
    ClientInfo,
    Connection,
    Credentials,
    Handout,
    Health,
    NetworkProfile,
    ProxyMode,
    Sample,
    SecretKind,
    Transition,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.probing import LayerReport, ModelEntry, Suggestion, TestReport
from nexo_daemon.domain.url import with_credentials
from nexo_daemon.registry.resolution import Step


def network(profile: NetworkProfile, credentials: str = "") -> connection_pb2.NetworkProfile:
    """A network profile; with `credentials` only for a hand-out."""
    message = connection_pb2.NetworkProfile(no_proxy=profile.no_proxy, ca_bundle=profile.ca_bundle)
    match profile.proxy:
        case ProxyMode.SYSTEM:
            message.system.SetInParent()
        case ProxyMode.DIRECT:
            message.direct.SetInParent()
        case ProxyMode.URL:
            message.proxy_url = with_credentials(profile.proxy_url, credentials)
    return message


def health(value: Health) -> connection_pb2.Health:
    """The light of a connection."""
    return connection_pb2.Health(
        state=enum_to_wire(value.state),
        reason=value.reason,
        since=timestamp(value.since),
        checked_at=timestamp(value.checked_at),
        latency=duration(value.latency_s),
        retry_at=timestamp(value.retry_at),
        consecutive_failures=value.consecutive_failures,
        next_check_at=timestamp(value.next_check_at),
        advice=value.advice,
        last_known=enum_to_wire(value.last_known),
    )


def connection(value: Connection, light: Health, *, is_default: bool) -> connection_pb2.Connection:
    """A connection as anybody may see it."""
    return connection_pb2.Connection(
        id=value.id,
        name=value.name,
        provider=enum_to_wire(value.provider),
        preset=value.preset,
        base_url=value.base_url,
        auth_scheme=enum_to_wire(value.auth_scheme),
        key=connection_pb2.KeyInfo(
            source=enum_to_wire(value.key_source),
            reference=value.key_reference,
            verdict=enum_to_wire(value.key_verdict),
            added_at=timestamp(value.key_added_at),
            proven_at=timestamp(value.key_proven_at),
            expires_at=timestamp(value.key_expires_at),
            previous_kept_until=timestamp(value.previous_key_until),
        ),
        header_names=value.header_names,
        default_model=value.default_model,
        enabled=value.enabled,
        is_default=is_default,
        network=network(value.network),
        health=health(light),
        revision=value.revision,
        created_at=timestamp(value.created_at),
        updated_at=timestamp(value.updated_at),
        proxy_has_credentials=value.has(SecretKind.PROXY_CREDENTIALS),
        check_interval=duration(value.check_interval_s),
        checks_paused=value.checks_paused,
    )


def workspace(key: WorkspaceKey) -> workspace_pb2.Workspace:
    """A workspace key."""
    if key.kind is WorkspaceKind.PATH:
        return workspace_pb2.Workspace(path=key.value)
    return workspace_pb2.Workspace(name=key.value)


def binding(value: Binding, *, broken: bool) -> workspace_pb2.WorkspaceBinding:
    """A binding."""
    return workspace_pb2.WorkspaceBinding(
        workspace=workspace(value.workspace),
        connection_name=value.connection_name,
        broken=broken,
        created_at=timestamp(value.created_at),
        allow_fallback=value.allow_fallback,
    )


def resolved(
    value: Connection,
    credentials: Credentials,
    light: Health,
    *,
    source: ResolutionSource,
    detail: str,
    revision: int,
) -> workspace_pb2.ResolvedConnection:
    """A hand-out, secrets included."""
    proxy = credentials.proxy_credentials
    return workspace_pb2.ResolvedConnection(
        connection_id=value.id,
        name=value.name,
        provider=enum_to_wire(value.provider),
        preset=value.preset,
        base_url=value.base_url,
        auth_scheme=enum_to_wire(value.auth_scheme),
        api_key=credentials.api_key.reveal() if credentials.api_key else "",
        headers=[
            connection_pb2.Header(name=name, value=secret.reveal()) for name, secret in credentials.headers
        ],
        default_model=value.default_model,
        network=network(value.network, proxy.reveal() if proxy else ""),
        source=enum_to_wire(source),
        source_detail=detail,
        revision=revision,
        health=health(light),
    )


def step(value: Step) -> workspace_pb2.ResolutionStep:
    """One rule of an explanation."""
    return workspace_pb2.ResolutionStep(
        source=enum_to_wire(value.source),
        connection_name=value.connection_name,
        won=value.won,
        text=value.text,
    )


def client_info(value: ClientInfo) -> workspace_pb2.ClientInfo:
    """A caller's claims."""
    return workspace_pb2.ClientInfo(
        name=value.name, version=value.version, pid=value.pid, program=value.program
    )


def layer(value: LayerReport) -> connection_pb2.LayerResult:
    """A layer of a test."""
    return connection_pb2.LayerResult(
        layer=enum_to_wire(value.layer),
        status=enum_to_wire(value.status),
        elapsed=duration(value.elapsed_s),
        evidence=value.evidence,
    )


def model(value: ModelEntry) -> connection_pb2.Model:
    """A model."""
    return connection_pb2.Model(
        id=value.id,
        display_name=value.display_name,
        created_at=timestamp(value.created_at),
        owner=value.owner,
        context_window=value.context_window,
    )


def suggestions(values: Iterable[Suggestion]) -> list[connection_pb2.Suggestion]:
    """Suggestions and warnings."""
    return [
        connection_pb2.Suggestion(field=s.field, value=s.value, text=s.text, verified=s.verified, fix=s.fix)
        for s in values
    ]


def test_result(name: str, value: TestReport) -> connection_pb2.TestResult:
    """The result of a test."""
    verdict = value.verdict
    return connection_pb2.TestResult(
        connection=name,
        outcome=enum_to_wire(verdict.outcome),
        reason=verdict.reason,
        key=enum_to_wire(value.key),
        layers=[layer(report) for report in value.layers],
        models=[model(entry) for entry in value.models],
        http_status=verdict.http_status or 0,
        request_id=verdict.request_id,
        retry_at=timestamp(verdict.retry_at),
        advice=verdict.advice,
        proven=value.proven,
        suggestions=suggestions(value.suggestions),
        elapsed=duration(value.elapsed_s),
        price_note=value.price_note,
        provider_message=verdict.provider_message,
    )


def transition(value: Transition, name: str) -> health_pb2.HealthTransition:
    """A change of the light."""
    return health_pb2.HealthTransition(
        connection_id=value.connection_id,
        connection_name=name,
        at=timestamp(value.at),
        from_state=enum_to_wire(value.from_state),
        to_state=enum_to_wire(value.to_state),
        reason=value.reason,
        evidence=value.evidence,
        lasted=duration(value.lasted_s),
        advice=value.advice,
        important=value.important,
    )


def sample(value: Sample) -> health_pb2.HealthSample:
    """Checks of one span of time."""
    return health_pb2.HealthSample(
        at=timestamp(value.at),
        span=duration(value.span_s),
        checks=value.checks,
        failures=value.failures,
        latency_min=duration(value.latency_min_s),
        latency_median=duration(value.latency_median_s),
        latency_max=duration(value.latency_max_s),
        outcome=enum_to_wire(value.outcome),
        reason=value.reason,
    )


def handout(value: Handout) -> daemon_pb2.Handout:
    """An audit record."""
    return daemon_pb2.Handout(
        at=timestamp(value.at),
        connection_name=value.connection_name,
        method=value.method,
        client=client_info(value.client),
        workspace=value.workspace,
        source=enum_to_wire(value.source),
    )
