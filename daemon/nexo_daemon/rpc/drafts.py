"""Contract → domain, for what comes in: drafts with their field masks, inquiries, claims of a caller."""

from dataclasses import replace

from google.protobuf.field_mask_pb2 import FieldMask

from nexo.connections.v1 import connection_pb2, workspace_pb2
from nexo_client.terms import AuthScheme, Provider
from nexo_client.wire import enum_from_wire, moment
from nexo_daemon.domain.errors import InvalidField
from nexo_daemon.domain.model import (
    ClientInfo,
    NetworkProfile,
    ProxyMode,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.drafts import Draft, check_network, parse_headers_json
from nexo_daemon.registry.resolution import Inquiry
from nexo_daemon.registry.workspaces import check_workspace

PATHS = frozenset(
    {
        "name",
        "provider",
        "preset",
        "base_url",
        "auth_scheme",
        "api_key",
        "api_key_ref",
        "headers",
        "headers_json",
        "default_model",
        "enabled",
        "network",
        "key_expires_at",
        "check_interval",
        "checks_paused",
    }
)


def _provider(number: int) -> Provider | None:
    if number == connection_pb2.PROVIDER_UNSPECIFIED:
        return None
    found = enum_from_wire(Provider, number)
    if found is None:
        raise InvalidField(
            "provider",
            "is not one of openai, anthropic, google, ollama, custom",
            "see 'nexoctl providers'; a newer client may know one that this daemon does not",
        )
    return found


def _scheme(number: int) -> AuthScheme | None:
    if number == connection_pb2.AUTH_SCHEME_UNSPECIFIED:
        return None
    found = enum_from_wire(AuthScheme, number)
    if found is None:
        raise InvalidField(
            "auth_scheme", "is unknown", "use bearer, x-api-key, x-goog-api-key, api-key or none"
        )
    return found


def _network(message: connection_pb2.NetworkProfile) -> tuple[NetworkProfile, Secret | None]:
    mode = {"direct": ProxyMode.DIRECT, "proxy_url": ProxyMode.URL}.get(
        message.WhichOneof("proxy") or "", ProxyMode.SYSTEM
    )
    return check_network(
        mode=mode,
        proxy_url=message.proxy_url,
        no_proxy=tuple(message.no_proxy),
        ca_bundle=message.ca_bundle,
    )


def _headers(message: connection_pb2.ConnectionDraft) -> tuple[tuple[str, Secret], ...]:
    listed = tuple((header.name, Secret(header.value)) for header in message.headers)
    return listed + parse_headers_json(message.headers_json)


def new_draft(message: connection_pb2.ConnectionDraft) -> Draft:
    """A draft in which everything that is not empty counts as given.

    Raises:
        InvalidField: what cannot even be read (malformed headers JSON, an unknown enum, a bad proxy).
    """
    network, proxy_credentials = _network(message.network)
    return Draft(
        name=message.name,
        provider=_provider(message.provider),
        preset=message.preset or None,
        base_url=message.base_url or None,
        auth_scheme=_scheme(message.auth_scheme),
        api_key=Secret(message.api_key) if message.api_key else None,
        api_key_ref=message.api_key_ref or None,
        headers=_headers(message),
        default_model=message.default_model or None,
        enabled=message.enabled if message.HasField("enabled") else None,
        network=network,
        proxy_credentials=proxy_credentials,
        key_expires_at=moment(message.key_expires_at),
        check_interval_s=_seconds(message),
        checks_paused=message.checks_paused if message.HasField("checks_paused") else None,
    )


def _seconds(message: connection_pb2.ConnectionDraft) -> float | None:
    if not message.HasField("check_interval"):
        return None
    return message.check_interval.seconds + message.check_interval.nanos / 1e9


def edit_draft(message: connection_pb2.ConnectionDraft, mask: FieldMask) -> Draft:
    """A draft in which the fields of the mask count as given, empty ones too.

    Raises:
        InvalidField: an unknown path, or as `new_draft`.
    """
    paths = set(mask.paths)
    unknown = sorted(paths - PATHS)
    if unknown:
        raise InvalidField(
            "update_mask", f"has the unknown path '{unknown[0]}'", f"use {', '.join(sorted(PATHS))}"
        )
    draft = Draft()
    if "name" in paths:
        draft = replace(draft, name=message.name)
    if "provider" in paths:
        provider = _provider(message.provider)
        if provider is None:
            raise InvalidField("provider", "is empty", "use openai, anthropic, google, ollama or custom")
        draft = replace(draft, provider=provider)
    if "preset" in paths:
        draft = replace(draft, preset=message.preset)
    if "base_url" in paths:
        draft = replace(draft, base_url=message.base_url)
    if "auth_scheme" in paths:
        draft = replace(draft, auth_scheme=_scheme(message.auth_scheme))
    if message.WhichOneof("key") == "api_key_ref" and paths & {"api_key", "api_key_ref"}:
        draft = replace(draft, api_key_ref=message.api_key_ref)
    elif "api_key" in paths:
        draft = replace(draft, api_key=Secret(message.api_key))
    if paths & {"headers", "headers_json"}:
        draft = replace(draft, headers=_headers(message))
    if "default_model" in paths:
        draft = replace(draft, default_model=message.default_model)
    if "enabled" in paths:
        draft = replace(draft, enabled=message.enabled)
    if "network" in paths:
        network, credentials = _network(message.network)
        draft = replace(draft, network=network, proxy_credentials=credentials)
    if "key_expires_at" in paths:
        expires = moment(message.key_expires_at)
        draft = replace(draft, key_expires_at=expires, clear_key_expiry=expires is None)
    if "check_interval" in paths:
        draft = replace(draft, check_interval_s=_seconds(message) or 0.0)
    if "checks_paused" in paths:
        draft = replace(draft, checks_paused=message.checks_paused)
    return draft


Naming = workspace_pb2.BindWorkspaceRequest | workspace_pb2.UnbindWorkspaceRequest | workspace_pb2.Inquiry
"""What names a workspace."""


def require_workspace(request: Naming) -> WorkspaceKey:
    """The workspace that a request names, however it is spelled: `routing` decides what to do with it.

    Raises:
        InvalidField: it names none.
    """
    match request.workspace.WhichOneof("key"):
        case "path":
            return WorkspaceKey(WorkspaceKind.PATH, request.workspace.path)
        case "name":
            return WorkspaceKey(WorkspaceKind.NAME, request.workspace.name)
        case _:
            raise InvalidField("workspace", "is empty", "give a directory or a name")


def inquiry(message: workspace_pb2.Inquiry) -> Inquiry:
    """A program's question.

    Raises:
        InvalidField: a workspace or a connection is given and names nothing, or not as it is spelled.
    """
    if message.HasField("connection") and not message.connection.strip():
        raise InvalidField(
            "connection", "is empty", "name one, or leave it out for what is bound or the default"
        )
    return Inquiry(
        workspace=check_workspace(require_workspace(message)) if message.HasField("workspace") else None,
        connection=message.connection,
        environment_connection=message.environment_connection,
    )


def client_info(message: workspace_pb2.ClientInfo) -> ClientInfo:
    """A caller's claims, cut to a length that can be stored and printed."""

    def printable(text: str) -> str:
        cut = text[:80]
        return cut if cut.isprintable() else "".join(c for c in cut if c.isprintable())

    return ClientInfo(
        printable(message.name), printable(message.version), message.pid, printable(message.program)
    )
