"""How is an export written, and how is it read? Pure; what an import makes of it is `merging`'s.

JSON that a person can read. Without a passphrase it holds no secret. With one, the secrets are one sealed
block whose associated data is the readable part: a document whose address was edited gives up no key.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from nexo_client.terms import AuthScheme, Provider
from nexo_daemon.domain.errors import InvalidField
from nexo_daemon.domain.model import (
    Binding,
    Connection,
    Credentials,
    NetworkProfile,
    ProxyMode,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.drafts import Draft, check_draft, check_network
from nexo_daemon.registry.snapshot import Snapshot
from nexo_daemon.vault import derivation, sealing

FORMAT = "nexo-connections"
VERSION = 1
SIZE_LIMIT = 1_500_000
"""Bytes of a document; more does not fit a message."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was read."""

    drafts: tuple[Draft, ...]
    bindings: tuple[tuple[WorkspaceKey, str, bool], ...]
    default: str
    fallback: tuple[str, ...]
    has_secrets: bool


def write_document(
    snapshot: Snapshot, credentials: Mapping[str, Credentials] | None, passphrase: Secret, now: datetime
) -> bytes:
    """The document of everything that is configured.

    Args:
        credentials: by connection id; None to leave the secrets out.

    Raises:
        InvalidField: the passphrase is too short.
    """
    connections = [_entry(one) for one in snapshot.connections.values()]
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": now.isoformat(timespec="seconds"),
        "connections": connections,
        "default": snapshot.default.name if snapshot.default else None,
        "fallback": [
            snapshot.connections[one].name
            for one in snapshot.settings.fallback_ids
            if one in snapshot.connections
        ],
        "workspaces": [_binding_entry(one, snapshot) for one in snapshot.bindings.values()],
    }
    if credentials is not None:
        try:
            derivation.check_passphrase(passphrase.reveal())
        except derivation.BadWordsError as error:
            raise InvalidField("passphrase", str(error), "choose a longer one") from None
        secrets = {
            snapshot.connections[owner].name: _secrets_entry(one) for owner, one in credentials.items()
        }
        parameters = derivation.passphrase_parameters()
        key = derivation.from_passphrase(passphrase.reveal(), parameters)
        nonce, sealed = sealing.seal(key, json.dumps(secrets).encode(), _bound_to(connections))
        document["secrets"] = {**parameters, "nonce": _encode(nonce), "sealed": _encode(sealed)}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def read_document(content: bytes, passphrase: Secret) -> Document:
    """Understand a document; its secrets only with the passphrase.

    Raises:
        InvalidField: it is no export, or the passphrase does not open it.
    """
    if len(content) > SIZE_LIMIT:
        raise InvalidField("document", f"has {len(content)} bytes", f"an export has at most {SIZE_LIMIT}")
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise InvalidField(
                "document", "is not an export of Nexo Connections", "nexoctl export writes one"
            )
        if document.get("version") != VERSION:
            raise InvalidField(
                "document", f"has the version {document.get('version')}", "import it with a newer version"
            )
        secrets: dict[str, Any] = {}
        has_secrets = "secrets" in document
        if has_secrets and passphrase:
            secrets = _open(document["secrets"], document["connections"], passphrase)
        drafts = tuple(_draft(entry, secrets.get(entry["name"], {})) for entry in document["connections"])
        bindings = tuple(
            (
                WorkspaceKey(WorkspaceKind(entry["kind"]), str(entry["value"])),
                str(entry["connection"]),
                entry.get("allow_fallback") is True,
            )
            for entry in document.get("workspaces", ())
        )
        return Document(
            drafts,
            bindings,
            str(document.get("default") or ""),
            tuple(str(name) for name in document.get("fallback", ())),
            has_secrets,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidField(
            "document",
            f"is damaged or was edited in a way that cannot be read ({type(error).__name__})",
            "export it again",
        ) from None


def _entry(one: Connection) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": one.name,
        "provider": str(one.provider),
        "preset": one.preset,
        "base_url": one.base_url,
        "auth_scheme": str(one.auth_scheme),
        "default_model": one.default_model,
        "enabled": one.enabled,
        "api_key": str(one.key_source),
        "api_key_ref": one.key_reference,
        "headers": list(one.header_names),
        "network": {
            "proxy": str(one.network.proxy),
            "proxy_url": one.network.proxy_url,
            "no_proxy": list(one.network.no_proxy),
            "ca_bundle": one.network.ca_bundle,
        },
        "check_interval_s": one.check_interval_s,
        "checks_paused": one.checks_paused,
        "key_expires_at": one.key_expires_at.isoformat() if one.key_expires_at else None,
    }
    return entry


def _binding_entry(one: Binding, snapshot: Snapshot) -> dict[str, Any]:
    target = snapshot.connections.get(one.connection_id)
    return {
        "kind": str(one.workspace.kind),
        "value": one.workspace.value,
        "connection": target.name if target else one.connection_name,
        "allow_fallback": one.allow_fallback,
    }


def _secrets_entry(one: Credentials) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if one.api_key is not None:
        entry["api_key"] = one.api_key.reveal()
    if one.headers:
        entry["headers"] = [[name, value.reveal()] for name, value in one.headers]
    if one.proxy_credentials is not None:
        entry["proxy_credentials"] = one.proxy_credentials.reveal()
    return entry


def _draft(entry: dict[str, Any], secrets: dict[str, Any]) -> Draft:
    expires = entry.get("key_expires_at")
    draft = Draft(
        name=str(entry["name"]),
        provider=Provider(entry["provider"]),
        preset=str(entry.get("preset") or "") or None,
        base_url=str(entry["base_url"]),
        auth_scheme=AuthScheme(entry["auth_scheme"]),
        api_key=Secret(secrets["api_key"]) if "api_key" in secrets else None,
        api_key_ref=str(entry.get("api_key_ref") or "") or None,
        headers=tuple((str(name), Secret(value)) for name, value in secrets["headers"])
        if "headers" in secrets
        else None,
        default_model=str(entry.get("default_model", "")),
        enabled=entry.get("enabled") is not False,
        network=_network(entry["network"]),
        proxy_credentials=Secret(secrets["proxy_credentials"]) if "proxy_credentials" in secrets else None,
        key_expires_at=datetime.fromisoformat(expires) if expires else None,
        check_interval_s=entry.get("check_interval_s"),
        checks_paused=entry.get("checks_paused") is True,
    )
    return check_draft(draft)


def _network(entry: dict[str, Any]) -> NetworkProfile:
    ca_bundle = str(entry.get("ca_bundle", ""))
    if ca_bundle and not Path(ca_bundle).is_absolute():
        raise InvalidField("ca_bundle", "the path is not absolute", "give the full path of a PEM file")
    profile, _ = check_network(
        mode=ProxyMode(entry["proxy"]),
        proxy_url=str(entry.get("proxy_url", "")),
        no_proxy=tuple(str(one) for one in entry.get("no_proxy", ())),
        # It may lie on the other computer only; a test of the connection says so then.
        ca_bundle="",
    )
    return replace(profile, ca_bundle=ca_bundle)


def _open(block: dict[str, Any], connections: list[Any], passphrase: Secret) -> dict[str, Any]:
    try:
        parameters = {name: value for name, value in block.items() if name not in ("nonce", "sealed")}
        key = derivation.from_passphrase(passphrase.reveal(), parameters)
        plain = sealing.unseal(key, _decode(block["nonce"]), _decode(block["sealed"]), _bound_to(connections))
    except (sealing.DoesNotOpenError, derivation.BadWordsError):
        raise InvalidField(
            "passphrase",
            "does not open the secrets of this document, or the document was edited after it was written",
            "type it again; without it everything but the secrets can be imported",
        ) from None
    opened = json.loads(plain)
    if not isinstance(opened, dict):
        raise TypeError
    return opened


def _bound_to(connections: list[Any]) -> bytes:
    canonical = json.dumps(connections, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return b"nexo export 1 " + hashlib.sha256(canonical.encode()).digest()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise sealing.DoesNotOpenError from None
