"""Converts values of `nexo_client.types` whose messages have other fields; `codec` converts the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from enum import StrEnum

from google.protobuf.field_mask_pb2 import FieldMask

from nexo.connections import codec, terms
from nexo.connections.codec import enum_to_wire, read, read_all, write
from nexo.connections.v1 import connection_pb2, daemon_pb2, workspace_pb2
from nexo_client import types
from nexo_client.errors import InvalidField


def network(message: connection_pb2.NetworkProfile) -> types.NetworkProfile:
    """A network profile; its proxy is "system" if the message has none."""
    which = message.WhichOneof("proxy")
    if which is None and not message.no_proxy and not message.ca_bundle:
        return types.USUAL_NETWORK
    proxy = message.proxy_url if which == "proxy_url" else "direct" if which == "direct" else "system"
    return types.NetworkProfile(proxy, tuple(message.no_proxy), message.ca_bundle)


codec.READERS[types.NetworkProfile] = network


def headers(messages: Iterable[connection_pb2.Header]) -> types.Headers:
    """The custom headers of a resolved connection."""
    return types.Headers((header.name, header.value) for header in messages)


codec.READERS[types.Headers] = headers


def one_secret(message: workspace_pb2.ResolvedConnection, header: str) -> str:
    """The value of a header, or the API key if none is named.

    Raises:
        InvalidField: there is none. (An older daemon does not report this itself.)
    """
    found = (
        [message.api_key]
        if not header
        else [one.value for one in message.headers if one.name.lower() == header.lower()]
    )
    if not found or not found[0]:
        field = "header" if header else "api_key"
        raise InvalidField.of(field, "there is none", f"look at: nexoctl show {message.name}")
    return found[0]


def workspace_to_wire(value: types.Workspace) -> workspace_pb2.Workspace:
    """The message for a workspace."""
    if value.path:
        return workspace_pb2.Workspace(path=value.path)
    return workspace_pb2.Workspace(name=value.name)


def _number(kind: type[StrEnum], field: str, text: str | None) -> int | None:
    try:
        return enum_to_wire(kind(text.strip().lower())) if text else None
    except ValueError:
        known = ", ".join(kind)
        raise InvalidField.of(field, f"'{text}' is unknown", f"use one of: {known}") from None


_PATHS = {"api_key_ref": "api_key", "headers_json": "headers", "check_interval_s": "check_interval"}
"""Field -> its path in the field mask, where the two differ."""


def draft_to_wire(draft: types.ConnectionDraft) -> tuple[connection_pb2.ConnectionDraft, FieldMask]:
    """The message for a draft, and the mask of the fields that are set.

    Raises:
        InvalidField: an unknown provider or auth scheme, or both a key and a reference.
    """
    if draft.api_key and draft.api_key_ref:
        raise InvalidField.of(
            "api_key", "a key and a reference are both given", "give one of api_key and api_key_ref"
        )
    # An empty key or an empty reference removes the key.
    key = draft.api_key if draft.api_key_ref != "" else draft.api_key or ""
    message = write(
        connection_pb2.ConnectionDraft,
        draft,
        provider=_number(terms.Provider, "provider", draft.provider),
        auth_scheme=_number(terms.AuthScheme, "auth_scheme", draft.auth_scheme),
        api_key_ref=draft.api_key_ref or None,
        api_key=None if draft.api_key_ref else key,
    )
    given = [field.name for field in fields(draft) if getattr(draft, field.name) is not None]
    return message, FieldMask(paths=list(dict.fromkeys(_PATHS.get(name, name) for name in given)))


def explanation(message: workspace_pb2.ExplainResolutionResponse) -> types.Explanation:
    """The connection for a workspace, and the reason."""
    return read(
        types.Explanation,
        message,
        problem_reason=message.problem.reason,
        problem=message.problem.message,
        problem_hint=message.problem.metadata.get("hint", ""),
    )


codec.READERS[types.Explanation] = explanation


def watch_event(message: daemon_pb2.WatchResponse) -> types.WatchEvent:
    """One message of the event stream. Of an unknown event, only the sequence number and revision are set."""
    match message.WhichOneof("event"):
        case "removed":
            return types.WatchEvent(message.sequence, message.revision, removed=message.removed.name)
        case "bindings":
            bindings = read_all(types.WorkspaceBinding, message.bindings.bindings)
            return types.WatchEvent(message.sequence, message.revision, bindings=bindings)
        case "lagged" | "shutting_down" as ended:
            return types.WatchEvent(message.sequence, message.revision, ended=ended)
    return read(types.WatchEvent, message, removed=None, bindings=None)
