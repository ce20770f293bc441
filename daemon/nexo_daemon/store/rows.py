"""Rows to domain values and back, and the digests that make a flipped bit visible. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from nexo_client.terms import AuthScheme, HealthState, KeyVerdict, Outcome, Provider, ResolutionSource
from nexo_daemon.domain.model import (
    Binding,
    ClientInfo,
    Connection,
    Fact,
    Facts,
    Handout,
    Health,
    HealthSettings,
    NetworkProfile,
    ProxyMode,
    Sample,
    SealedSecret,
    SecretKind,
    Settings,
    Transition,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.store.schema import microseconds
from nexo_daemon.vault.slots import KeySlot, SlotKind, SlotState

Row = Mapping[str, Any]

# `asdict` copies deeply, which takes ten times as long; there are thousands of these.
_HEALTH = tuple(field.name for field in fields(Health))
_SAMPLE = tuple(field.name for field in fields(Sample))

# Written by health checks alone and worth nothing to an attacker or a cosmic ray.
_NOT_DIGESTED = {"digest", "key_verdict", "key_proven_at"}


class DamagedRowError(Exception):
    """A row is not what was written."""


def digest(row: Row) -> bytes:
    """Fingerprint of a row as it was written."""
    values = {
        name: microseconds(value)
        if isinstance(value, datetime)
        else value.hex()
        if isinstance(value, bytes)
        else value
        for name, value in row.items()
        if name not in _NOT_DIGESTED
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()[:16]


def _checked(row: Row) -> Row:
    if row["digest"] != digest(row):
        raise DamagedRowError
    return row


def with_digest(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a row, its digest included."""
    return {**values, "digest": digest(values)}


NO_BINDINGS = bytes(16)


def combined(digest_of_all: bytes, digest_of_one: bytes) -> bytes:
    """The digest of all bindings with one more, or with one that was in it taken out."""
    return bytes(a ^ b for a, b in zip(digest_of_all, digest_of_one, strict=True))


def settings_to_row(settings: Settings, bindings_digest: bytes) -> dict[str, Any]:
    """Of the single row; the fallback list has its own table."""
    return with_digest(
        {
            "id": 1,
            "revision": settings.revision,
            "default_id": settings.default_id,
            "previous_default_id": settings.previous_default_id,
            "important_interval_s": float(settings.health.important_interval_s),
            "other_interval_s": float(settings.health.other_interval_s),
            "checks_paused": settings.health.paused,
            "bindings_digest": bindings_digest,
        }
    )


def settings_from_row(row: Row, fallback_ids: tuple[str, ...]) -> Settings:
    """See `settings_to_row`.

    Raises:
        DamagedRowError: the digest is wrong.
    """
    _checked(row)
    return Settings(
        revision=row["revision"],
        default_id=row["default_id"],
        previous_default_id=row["previous_default_id"],
        fallback_ids=fallback_ids,
        health=HealthSettings(row["important_interval_s"], row["other_interval_s"], row["checks_paused"]),
    )


def key_facts(verdict: KeyVerdict, facts: Facts) -> str:
    """What tests found out about the key, and then about the endpoint; a lost word is learned again."""
    return " ".join((str(verdict), *sorted(facts)))


def connection_to_row(connection: Connection) -> dict[str, Any]:
    """Everything but the sealed secrets."""
    network = connection.network
    return with_digest(
        {
            "id": connection.id,
            "name": connection.name,
            "name_folded": connection.name.casefold(),
            "provider": str(connection.provider),
            "preset": connection.preset,
            "base_url": connection.base_url,
            "auth_scheme": str(connection.auth_scheme),
            "default_model": connection.default_model,
            "enabled": connection.enabled,
            "proxy": str(network.proxy),
            "proxy_url": network.proxy_url,
            "no_proxy": json.dumps(network.no_proxy),
            "ca_bundle": network.ca_bundle,
            "key_reference": connection.key_reference,
            "key_verdict": key_facts(connection.key_verdict, connection.facts),
            "key_added_at": connection.key_added_at,
            "key_proven_at": connection.key_proven_at,
            "key_expires_at": connection.key_expires_at,
            "previous_key_until": connection.previous_key_until,
            "check_interval_s": None
            if connection.check_interval_s is None
            else float(connection.check_interval_s),
            "checks_paused": connection.checks_paused,
            "revision": connection.revision,
            "created_at": connection.created_at,
            "updated_at": connection.updated_at,
        }
    )


def connection_from_row(row: Row, sealed: tuple[SealedSecret, ...]) -> Connection:
    """See `connection_to_row`.

    Raises:
        DamagedRowError: the digest is wrong or a word is unknown.
    """
    _checked(row)
    try:
        return Connection(
            id=row["id"],
            name=row["name"],
            provider=Provider(row["provider"]),
            preset=row["preset"],
            base_url=row["base_url"],
            auth_scheme=AuthScheme(row["auth_scheme"]),
            default_model=row["default_model"],
            enabled=row["enabled"],
            network=network_from_row(row),
            key_reference=row["key_reference"],
            key_verdict=KeyVerdict(row["key_verdict"].split(" ")[0]),
            facts=frozenset(Fact(word) for word in row["key_verdict"].split(" ")[1:] if word in set(Fact)),
            key_added_at=row["key_added_at"],
            key_proven_at=row["key_proven_at"],
            key_expires_at=row["key_expires_at"],
            previous_key_until=row["previous_key_until"],
            check_interval_s=row["check_interval_s"],
            checks_paused=row["checks_paused"],
            revision=row["revision"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            sealed=sealed,
        )
    except (ValueError, TypeError):
        raise DamagedRowError from None


def network_from_row(row: Row) -> NetworkProfile:
    """The columns of a connection that say how requests travel."""
    return NetworkProfile(
        ProxyMode(row["proxy"]), row["proxy_url"], tuple(json.loads(row["no_proxy"])), row["ca_bundle"]
    )


def secret_to_row(sealed: SealedSecret, connection_id: str) -> dict[str, Any]:
    """A sealed field; its own authentication makes a digest needless."""
    return {**asdict(sealed), "kind": str(sealed.kind), "connection_id": connection_id}


def secret_from_row(row: Row) -> SealedSecret:
    """See `secret_to_row`.

    Raises:
        DamagedRowError: the kind is unknown.
    """
    try:
        kind = SecretKind(row["kind"])
    except ValueError:
        raise DamagedRowError from None
    return SealedSecret(
        row["id"],
        kind,
        row["name"],
        row["position"],
        row["origin"],
        row["key_id"],
        row["nonce"],
        row["ciphertext"],
    )


def route(network: NetworkProfile) -> str:
    """How a secret travels, as part of what it is tied to: a changed proxy or certificate is a new trust."""
    return json.dumps([network.proxy, network.proxy_url, network.no_proxy, network.ca_bundle])


def binding_to_row(binding: Binding) -> dict[str, Any]:
    """A binding."""
    return with_digest(
        {
            "kind": str(binding.workspace.kind),
            "value": binding.workspace.value,
            "connection_id": binding.connection_id,
            "connection_name": binding.connection_name,
            "allow_fallback": binding.allow_fallback,
            "created_at": binding.created_at,
        }
    )


def binding_from_row(row: Row) -> Binding:
    """See `binding_to_row`.

    Raises:
        DamagedRowError: the digest is wrong or a word is unknown.
    """
    _checked(row)
    return Binding(
        WorkspaceKey(WorkspaceKind(row["kind"]), row["value"]),
        row["connection_id"],
        row["connection_name"],
        row["created_at"],
        row["allow_fallback"],
    )


def health_to_row(connection_id: str, health: Health) -> dict[str, Any]:
    """The present light of a connection."""
    values = {name: getattr(health, name) for name in _HEALTH}
    values["state"] = str(health.state)
    values["last_known"] = None if health.last_known is None else str(health.last_known)
    return {**values, "connection_id": connection_id}


def health_from_row(row: Row) -> Health:
    """See `health_to_row`; an unreadable one is "never checked", which is always true enough."""
    values = {name: value for name, value in row.items() if name != "connection_id"}
    try:
        values["state"] = HealthState(row["state"])
        values["last_known"] = HealthState(row["last_known"]) if row["last_known"] else None
    except ValueError:
        return Health()
    return Health(**values)


def sample_to_row(sample: Sample) -> dict[str, Any]:
    """A check, or an hour of them."""
    return {**{name: getattr(sample, name) for name in _SAMPLE}, "outcome": str(sample.outcome)}


def sample_from_row(row: Row) -> Sample:
    """See `sample_to_row`."""
    values = {name: value for name, value in row.items() if name != "id"}
    return Sample(**{**values, "outcome": Outcome(row["outcome"])})


def transition_to_row(transition: Transition) -> dict[str, Any]:
    """A change of the light."""
    values = asdict(transition)
    return {**values, "from_state": str(transition.from_state), "to_state": str(transition.to_state)}


def transition_from_row(row: Row) -> Transition:
    """See `transition_to_row`."""
    values = {name: value for name, value in row.items() if name != "id"}
    values["from_state"] = HealthState(row["from_state"])
    values["to_state"] = HealthState(row["to_state"])
    return Transition(**values)


def handout_to_row(handout: Handout) -> dict[str, Any]:
    """A secret that left the daemon."""
    return {
        "at": handout.at,
        "connection_id": handout.connection_id,
        "connection_name": handout.connection_name,
        "method": handout.method,
        "client_name": handout.client.name,
        "client_version": handout.client.version,
        "client_pid": handout.client.pid,
        "client_program": handout.client.program,
        "workspace": handout.workspace,
        "source": None if handout.source is None else str(handout.source),
    }


def handout_from_row(row: Row) -> Handout:
    """See `handout_to_row`."""
    return Handout(
        row["at"],
        row["connection_id"],
        row["connection_name"],
        row["method"],
        ClientInfo(row["client_name"], row["client_version"], row["client_pid"], row["client_program"]),
        row["workspace"],
        ResolutionSource(row["source"]) if row["source"] else None,
    )


def slot_to_row(slot: KeySlot) -> dict[str, Any]:
    """A key slot; the wrapped key authenticates it."""
    values = asdict(slot)
    return {
        **values,
        "kind": str(slot.kind),
        "state": str(slot.state),
        "parameters": json.dumps(dict(slot.parameters)),
    }


def slot_from_row(row: Row) -> KeySlot:
    """See `slot_to_row`.

    Raises:
        DamagedRowError: a word is unknown.
    """
    try:
        values = {**row, "kind": SlotKind(row["kind"]), "state": SlotState(row["state"])}
        return KeySlot(**{**values, "parameters": json.loads(row["parameters"])})
    except (ValueError, TypeError):
        raise DamagedRowError from None
