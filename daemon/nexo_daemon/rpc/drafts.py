"""Converts request messages to domain types: drafts with field masks, questions, client information."""

from enum import StrEnum
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from nexo.connections.codec import enum_from_wire, moment, read_all, seconds
from nexo.connections.errors import InvalidField
from nexo.connections.model.connection import MappedModel
from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.v1 import connection_pb2, gateway_pb2, workspace_pb2
from nexo_daemon.domain.model import (
    ClientInfo,
    ProxyMode,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.drafts import Draft, check_network, parse_headers_json
from nexo_daemon.registry.resolution import Question
from nexo_daemon.registry.workspaces import check_workspace

PATHS = frozenset(connection_pb2.ConnectionDraft.DESCRIPTOR.fields_by_name)


_ENUMS: dict[str, tuple[type[StrEnum], str, str]] = {
    "provider": (
        Provider,
        "is not one of openai, anthropic, google, ollama, custom",
        "see 'nexoctl providers'; a newer client may know one that this daemon does not",
    ),
    "auth_scheme": (AuthScheme, "is unknown", "use bearer, x-api-key, x-goog-api-key, api-key or none"),
}
"""The enum fields: class, and the error text for an unknown number."""


def new_draft(message: connection_pb2.ConnectionDraft) -> Draft:
    """A draft in which all non-empty fields count as given.

    Raises:
        InvalidField: a value that cannot be parsed (malformed headers JSON, unknown enum, bad proxy).
    """
    given = {field.name for field, value in message.ListFields() if value != ""}
    return _draft(message, given | {"name", "headers", "network"})


def edit_draft(message: connection_pb2.ConnectionDraft, mask: FieldMask) -> Draft:
    """A draft in which the fields in the mask count as given, even if empty.

    Raises:
        InvalidField: an unknown path, or as `new_draft`.
    """
    paths = set(mask.paths)
    unknown = sorted(paths - PATHS)
    if unknown:
        raise InvalidField.of(
            "update_mask", f"has the unknown path '{unknown[0]}'", f"use {', '.join(sorted(PATHS))}"
        )
    if "provider" in paths and not message.provider and not ("preset" in paths and message.preset):
        raise InvalidField.of("provider", "is empty", "use openai, anthropic, google, ollama or custom")
    return _draft(message, paths)


def _draft(message: connection_pb2.ConnectionDraft, given: set[str]) -> Draft:
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.name in given:
            values |= _read(message, field.name)
    return Draft(**values)


def _read(message: connection_pb2.ConnectionDraft, name: str) -> dict[str, Any]:
    """The draft's arguments that a field of the message sets."""
    match name:
        case "provider" | "auth_scheme":
            kind, problem, next_step = _ENUMS[name]
            number = getattr(message, name)
            member = enum_from_wire(kind, number)
            if number and member is None:
                raise InvalidField.of(name, problem, next_step)
            return {name: member}
        case "api_key" | "api_key_ref" if message.WhichOneof("key") == "api_key_ref":
            return {"api_key_ref": message.api_key_ref}
        case "api_key":
            return {name: Secret(message.api_key)}
        case "api_key_ref":
            return {}
        case "headers" | "headers_json":
            listed = tuple((header.name, Secret(header.value)) for header in message.headers)
            return {"headers": listed + parse_headers_json(message.headers_json)}
        case "remove_headers":
            return {name: tuple(message.remove_headers)}
        case "network":
            modes = {"direct": ProxyMode.DIRECT, "proxy_url": ProxyMode.URL}
            network, credentials = check_network(
                mode=modes.get(message.network.WhichOneof("proxy") or "", ProxyMode.SYSTEM),
                proxy_url=message.network.proxy_url,
                no_proxy=tuple(message.network.no_proxy),
                ca_bundle=message.network.ca_bundle,
            )
            return {name: network, "proxy_credentials": credentials}
        case "key_expires_at":
            expires = moment(message.key_expires_at)
            return {name: expires, "clear_key_expiry": expires is None}
        case "check_interval":
            return {"check_interval_s": seconds(message.check_interval) or 0.0}
        case "model_map":
            return {name: read_all(MappedModel, message.model_map)}
    return {name: getattr(message, name)}


Naming = (
    workspace_pb2.BindWorkspaceRequest
    | workspace_pb2.UnbindWorkspaceRequest
    | workspace_pb2.Inquiry
    | gateway_pb2.CreateGatewayTokenRequest
)
"""Requests that name a workspace."""


def require_workspace(request: Naming) -> WorkspaceKey:
    """The workspace that a request names; its spelling is checked by the command.

    Raises:
        InvalidField: it is empty.
    """
    match request.workspace.WhichOneof("key"):
        case "path":
            return WorkspaceKey(WorkspaceKind.PATH, request.workspace.path)
        case "name":
            return WorkspaceKey(WorkspaceKind.NAME, request.workspace.name)
        case _:
            raise InvalidField.of("workspace", "is empty", "give a directory or a name")


def question_of(message: workspace_pb2.Inquiry) -> Question:
    """Convert the data by which a program asks for a connection.

    Raises:
        InvalidField: a given workspace or connection is empty, or the workspace is misspelled.
    """
    if message.HasField("connection") and not message.connection.strip():
        raise InvalidField.of(
            "connection", "is empty", "name one, or leave it out to use the binding or the default"
        )
    return Question(
        workspace=check_workspace(require_workspace(message)) if message.HasField("workspace") else None,
        connection=message.connection,
        environment_connection=message.environment_connection,
    )


def client_info(message: workspace_pb2.ClientInfo) -> ClientInfo:
    """What a caller says about itself, cut to a length that can be stored, and made printable."""

    def printable(text: str) -> str:
        cut = text[:80]
        return cut if cut.isprintable() else "".join(c for c in cut if c.isprintable())

    return ClientInfo(
        printable(message.name), printable(message.version), max(0, message.pid), printable(message.program)
    )
