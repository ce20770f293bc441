"""Reads and writes export documents. Pure; `merging` decides what an import does with one.

The format is JSON that a person can read. Without a passphrase it holds no secrets. With one, the secrets
are one sealed block whose associated data is the rest of the document: after any edit they do not open.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexo.connections.errors import InvalidField
from nexo.connections.model.connection import Configuration, MappedModel
from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.model import (
    Binding,
    Credentials,
    NetworkProfile,
    ProxyMode,
    StoredConnection,
    WorkspaceKey,
    WorkspaceKind,
    proxy_mode,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.drafts import Draft, check_draft, check_network
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.vault import derivation, sealing

FORMAT = "nexo-connections"
VERSION = 2
"""Version 1 bound the secrets to the connections only, not to the default, bindings and fall-back."""
SIZE_LIMIT = 1_500_000
"""Bytes of a document; a larger one does not fit into a gRPC message."""
_TEXT_LIMIT = 8192
"""Characters of a text field; the longest field fits."""
# The boolean fields by name, with the value of a missing one.
_SWITCHES = {one.name: one.default for one in fields(Configuration) if one.type is bool}


@frozen
class Document:
    """The content of an export document.

    Attributes:
        digest: of all bytes; identifies the document that a person consented to.
    """

    drafts: tuple[Draft, ...]
    bindings: tuple[tuple[WorkspaceKey, str, bool, float | None], ...]
    default: str
    fallback: tuple[str, ...]
    digest: str


def write_document(
    snapshot: RegistrySnapshot,
    credentials: Mapping[str, Credentials] | None,
    passphrase: Secret,
    now: datetime,
) -> bytes:
    """Write the whole configuration as a document.

    Args:
        credentials: by connection id; None leaves the secrets out.

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
            raise InvalidField.of("passphrase", str(error), "choose a longer one") from None
        secrets = {
            snapshot.connections[owner].name: _secrets_entry(one) for owner, one in credentials.items()
        }
        parameters = derivation.passphrase_parameters()
        key = derivation.from_passphrase(passphrase.reveal(), parameters)
        document["secrets"] = parameters
        nonce, sealed = sealing.seal(key, json.dumps(secrets).encode(), _bound_to(document))
        document["secrets"] = {**parameters, "nonce": _encode(nonce), "sealed": _encode(sealed)}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def read_document(content: bytes, passphrase: Secret) -> Document:
    """Parse a document; its secrets can be read only with the passphrase.

    Raises:
        InvalidField: it is not an export, or the passphrase does not open it.
    """
    if len(content) > SIZE_LIMIT:
        raise InvalidField.of("document", f"has {len(content)} bytes", f"an export has at most {SIZE_LIMIT}")
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise InvalidField.of(
                "document", "is not an export of Nexo Connections", "nexoctl export writes one"
            )
        # JSON allows lone surrogates and NaN; messages and the store do not.
        _canonical(document)
        has_secrets = "secrets" in document
        _check_version(document.get("version"), has_secrets=has_secrets)
        secrets = _open(document, passphrase) if has_secrets and passphrase else {}
        return Document(
            drafts=tuple(
                _draft(entry, secrets.get(entry["name"], {})) for entry in _is_list(document["connections"])
            ),
            bindings=tuple(_binding(entry) for entry in _is_list(document.get("workspaces") or [])),
            default=_text(document, "default"),
            fallback=tuple(_is_text(name) for name in _is_list(document.get("fallback") or [])),
            digest=hashlib.sha256(content).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidField.of(
            "document",
            f"is damaged or was edited in a way that cannot be read ({type(error).__name__})",
            "export it again",
        ) from None


def _check_version(version: object, *, has_secrets: bool) -> None:
    if version == 1 and has_secrets:
        raise InvalidField.of(
            "document",
            "was sealed by an earlier version, which did not protect the default and the bindings",
            'export it again; without its "secrets" the rest of it can be imported',
        )
    if type(version) is not int or version not in (1, VERSION):
        raise InvalidField.of(
            "document", f"has the version {version!r:.20}", "import it with a newer version"
        )


def _entry(one: StoredConnection) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": one.name,
        "provider": str(one.provider),
        "preset": one.preset,
        "base_url": one.base_url,
        "auth_scheme": str(one.auth_scheme),
        "default_model": one.default_model,
        **{name: getattr(one, name) for name in _SWITCHES},
        "api_key": str(one.key_source),
        "api_key_ref": one.key_reference,
        "headers": list(one.header_names),
        "network": {
            "proxy": str(proxy_mode(one.network)),
            "proxy_url": one.network.proxy_url,
            "no_proxy": list(one.network.no_proxy),
            "ca_bundle": one.network.ca_bundle,
        },
        "check_interval_s": one.check_interval_s,
        "model_map": {row.asked: row.sent for row in one.model_map},
        "key_expires_at": one.key_expires_at.isoformat() if one.key_expires_at else None,
    }
    return entry


def _binding_entry(one: Binding, snapshot: RegistrySnapshot) -> dict[str, Any]:
    target = snapshot.connections.get(one.connection_id)
    return {
        "kind": str(one.workspace.kind),
        "value": one.workspace.value,
        "connection": target.name if target else one.connection_name,
        "allow_fallback": one.allow_fallback,
        "sticky_s": one.sticky_s,
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


def _is_text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _TEXT_LIMIT:
        raise TypeError
    return value


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return "" if value is None else _is_text(value)


def _is_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _is_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _binding(entry: dict[str, Any]) -> tuple[WorkspaceKey, str, bool, float | None]:
    workspace = WorkspaceKey(WorkspaceKind(entry["kind"]), _is_text(entry["value"]))
    sticky = entry.get("sticky_s")
    return (
        workspace,
        _is_text(entry["connection"]),
        _is_flag(entry.get("allow_fallback", False)),
        None if sticky is None else float(sticky),
    )


def _draft(entry: dict[str, Any], secrets: dict[str, Any]) -> Draft:
    expires, provider, preset = (_text(entry, name) for name in ("key_expires_at", "provider", "preset"))
    if not (provider or preset):
        raise KeyError("provider")
    switches: dict[str, Any] = {name: _is_flag(entry.get(name, usual)) for name, usual in _SWITCHES.items()}
    draft = Draft(
        name=_is_text(entry["name"]),
        provider=Provider(provider) if provider else None,
        preset=preset or None,
        base_url=_is_text(entry["base_url"]),
        auth_scheme=AuthScheme(entry["auth_scheme"]),
        api_key=Secret(_is_text(secrets["api_key"])) if "api_key" in secrets else None,
        api_key_ref=_text(entry, "api_key_ref") or None,
        headers=tuple((_is_text(name), Secret(_is_text(value))) for name, value in secrets["headers"])
        if "headers" in secrets
        else None,
        default_model=_text(entry, "default_model"),
        **switches,
        network=_network(entry["network"]),
        proxy_credentials=Secret(_is_text(secrets["proxy_credentials"]))
        if "proxy_credentials" in secrets
        else None,
        key_expires_at=datetime.fromisoformat(expires).astimezone(UTC) if expires else None,
        check_interval_s=entry.get("check_interval_s"),
        model_map=tuple(
            MappedModel(asked, _is_text(sent)) for asked, sent in (entry.get("model_map") or {}).items()
        ),
    )
    return check_draft(draft)


def _network(entry: dict[str, Any]) -> NetworkProfile:
    ca_bundle = _text(entry, "ca_bundle")
    if ca_bundle and not (Path(ca_bundle).is_absolute() and ca_bundle.isprintable()):
        raise InvalidField.of("ca_bundle", "the path is not absolute", "give the full path of a PEM file")
    profile, _ = check_network(
        mode=ProxyMode(entry["proxy"]),
        proxy_url=_text(entry, "proxy_url"),
        no_proxy=tuple(_is_text(one) for one in _is_list(entry.get("no_proxy") or [])),
        # The file may exist only on the other computer; a test of the connection reports a missing one.
        ca_bundle="",
    )
    return replace(profile, ca_bundle=ca_bundle)


def _open(document: dict[str, Any], passphrase: Secret) -> dict[str, Any]:
    block = document["secrets"]
    try:
        key = derivation.from_passphrase(passphrase.reveal(), block)
        plain = sealing.unseal(key, _decode(block["nonce"]), _decode(block["sealed"]), _bound_to(document))
    except derivation.BadWordsError as error:
        raise InvalidField.of("document", str(error), "export it again") from None
    except sealing.DoesNotOpenError:
        raise InvalidField.of(
            "passphrase",
            "does not open the secrets of this document, or the document was edited after it was written",
            "enter it again; without it, everything except the secrets can be imported",
        ) from None
    opened = json.loads(plain)
    if not isinstance(opened, dict):
        raise TypeError
    return opened


def _bound_to(document: dict[str, Any]) -> bytes:
    """The associated data of the sealed block: everything else in the document."""
    block = {name: value for name, value in document["secrets"].items() if name not in ("nonce", "sealed")}
    return b"nexo export 2 " + hashlib.sha256(_canonical({**document, "secrets": block})).digest()


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise sealing.DoesNotOpenError from None
