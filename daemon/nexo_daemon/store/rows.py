"""Converts rows to domain values and back, with digests that reveal flipped bits. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar, get_args, get_type_hints

from nexo.connections.model.connection import MappedModel
from nexo.connections.terms import AuthScheme, KeyVerdict, Outcome, Provider
from nexo_daemon.domain.model import (
    Binding,
    ClientInfo,
    Fact,
    Facts,
    HandoutRecord,
    Health,
    HealthSettings,
    NetworkProfile,
    ProxyMode,
    Sample,
    SealedSecret,
    Settings,
    StoredConnection,
    Transition,
    WorkspaceKey,
    WorkspaceKind,
    proxy_mode,
)
from nexo_daemon.store.tables import microseconds
from nexo_daemon.vault.slots import WrappedKey

Row = Mapping[str, Any]
T = TypeVar("T")

# Written by health checks only; a change does little harm.
_NOT_DIGESTED = {"digest", "key_verdict", "key_proven_at"}
# Columns that were added later, with their earlier meaning: digests made without them stay valid.
_BEFORE = {"model_map": "[]", "sticky_s": None}


class DamagedRowError(Exception):
    """A row differs from what was written."""


def digest(row: Row) -> bytes:
    """The digest of a row."""
    values = dict(row)
    for name in _NOT_DIGESTED:
        values.pop(name, None)
    for name, before in _BEFORE.items():
        if name in values and values[name] == before:
            del values[name]
    return hashlib.sha256(_AS_JSON.encode(values).encode()).digest()[:16]


def _plain(value: object) -> int | str:
    match value:
        case datetime():
            return microseconds(value)
        case bytes():
            return value.hex()
    raise TypeError(type(value).__name__)


_AS_JSON = json.JSONEncoder(sort_keys=True, default=_plain)


def _checked(row: Row) -> Row:
    if row["digest"] != digest(row):
        raise DamagedRowError
    return row


def with_digest(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a row and its digest."""
    return {**values, "digest": digest(values)}


NO_BINDINGS = bytes(16)


def combined(digest_of_all: bytes, digest_of_one: bytes) -> bytes:
    """The digest of all bindings after one was added, or removed."""
    return bytes(a ^ b for a, b in zip(digest_of_all, digest_of_one, strict=True))


@cache
def _words(kind: Any) -> dict[str, type[StrEnum] | None]:
    """The fields of a class; with their enum, if they have one."""
    hints = get_type_hints(kind)

    def word(hint: Any) -> type[StrEnum] | None:
        kinds = get_args(hint) or (hint,)
        return next((one for one in kinds if isinstance(one, type) and issubclass(one, StrEnum)), None)

    return {field.name: word(hints[field.name]) for field in fields(kind)}


def _columns(value: Any, **given: Any) -> dict[str, Any]:
    """The fields of a value by name, enums as text; `given` replaces fields of the value."""
    columns = {}
    # `asdict` copies deeply, which takes ten times as long with thousands of samples.
    for name, word in _words(value.__class__).items():
        found = None if name in given else getattr(value, name)
        columns[name] = found if word is None or found is None else str(found)
    return {**columns, **given}


def _value(kind: Callable[..., T], row: Row, **given: Any) -> T:
    """The reverse of `_columns`; columns that the class does not have are ignored.

    Raises:
        ValueError: a word is unknown.
    """
    for name, word in _words(kind).items():
        if name not in given:
            given[name] = row[name] if word is None or row[name] is None else word(row[name])
    return kind(**given)


def settings_to_row(settings: Settings, bindings_digest: bytes) -> dict[str, Any]:
    """The row of the settings; the fall-back list has its own table."""
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
    """The facts from tests, as text: first about the key, then about the endpoint. Tests can restore them."""
    return " ".join((str(verdict), *sorted(facts)))


_ELSEWHERE = {"network", "facts", "sealed"}
"""The fields of a connection that have no column of their own."""


def connection_to_row(connection: StoredConnection) -> dict[str, Any]:
    """The row of a connection, without the sealed secrets."""
    every, network = connection.check_interval_s, connection.network
    columns = _columns(
        connection,
        proxy=str(proxy_mode(network)),
        proxy_url=network.proxy_url,
        no_proxy=json.dumps(network.no_proxy),
        ca_bundle=network.ca_bundle,
        name_folded=connection.name.casefold(),
        key_verdict=key_facts(connection.key_verdict, connection.facts),
        check_interval_s=None if every is None else float(every),
        model_map=json.dumps([(one.asked, one.sent) for one in connection.model_map]),
    )
    return with_digest({name: value for name, value in columns.items() if name not in _ELSEWHERE})


def connection_from_row(row: Row, sealed: tuple[SealedSecret, ...]) -> StoredConnection:
    """See `connection_to_row`.

    Raises:
        DamagedRowError: the digest is wrong or a word is unknown.
    """
    _checked(row)
    try:
        verdict, *facts = row["key_verdict"].split(" ")
        return _value(
            StoredConnection,
            row,
            network=network_from_row(row),
            key_verdict=KeyVerdict(verdict),
            facts=frozenset(Fact(word) for word in facts if word in set(Fact)),
            model_map=tuple(MappedModel(*names) for names in json.loads(row["model_map"])),
            sealed=sealed,
        )
    except (ValueError, TypeError):
        raise DamagedRowError from None


ENDPOINT = ("provider", "preset", "base_url", "auth_scheme", "proxy", "proxy_url", "no_proxy", "ca_bundle")
"""The columns that decide where and how a key is sent."""


def with_endpoint(connection: StoredConnection, row: Row) -> StoredConnection:
    """The connection with these columns taken from a row."""
    return replace(
        connection,
        provider=Provider(row["provider"]),
        preset=row["preset"],
        base_url=row["base_url"],
        auth_scheme=AuthScheme(row["auth_scheme"]),
        network=network_from_row(row),
    )


def network_from_row(row: Row) -> NetworkProfile:
    """The network profile in the columns of a connection.

    Raises:
        ValueError: the proxy mode is unknown, or the proxy URL is missing.
    """
    mode = ProxyMode(row["proxy"])
    if mode is ProxyMode.URL and not row["proxy_url"]:
        raise ValueError("a proxy without its URL")
    return NetworkProfile(
        row["proxy_url"] if mode is ProxyMode.URL else str(mode),
        tuple(json.loads(row["no_proxy"])),
        row["ca_bundle"],
    )


def secret_to_row(sealed: SealedSecret, connection_id: str) -> dict[str, Any]:
    """The row of a sealed field; it is authenticated, so it needs no digest."""
    return _columns(sealed, connection_id=connection_id)


def secret_from_row(row: Row) -> SealedSecret:
    """See `secret_to_row`.

    Raises:
        DamagedRowError: the kind is unknown.
    """
    try:
        return _value(SealedSecret, row)
    except ValueError:
        raise DamagedRowError from None


def binding_to_row(binding: Binding) -> dict[str, Any]:
    """The row of a binding."""
    return with_digest(
        {
            "kind": str(binding.workspace.kind),
            "value": binding.workspace.value,
            "connection_id": binding.connection_id,
            "connection_name": binding.connection_name,
            "allow_fallback": binding.allow_fallback,
            "sticky_s": binding.sticky_s,
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
        row["sticky_s"],
    )


def health_to_row(connection_id: str, health: Health) -> dict[str, Any]:
    """The row of a connection's health."""
    return _columns(health, connection_id=connection_id)


def health_from_row(row: Row) -> Health:
    """See `health_to_row`; an unreadable row is treated as "never checked"."""
    try:
        return _value(Health, row)
    except ValueError:
        return Health()


def sample_to_row(sample: Sample) -> dict[str, Any]:
    """The row of a check, or of an hour of checks."""
    return _columns(sample)


_OF_A_SAMPLE = itemgetter(*(field.name for field in fields(Sample)))
_OUTCOMES = {word.value: word for word in Outcome}


def sample_from_row(row: Row) -> Sample:
    """See `sample_to_row`."""
    return _value(Sample, row)


def samples_from(found: Iterable[Row]) -> list[Sample]:
    """Convert many rows: a day of one connection has 1 440."""
    return [Sample(v[0], v[1], _OUTCOMES[v[2]], *v[3:]) for v in map(_OF_A_SAMPLE, found)]


def transition_to_row(transition: Transition) -> dict[str, Any]:
    """The row of a change of health."""
    return _columns(transition)


def transition_from_row(row: Row) -> Transition:
    """See `transition_to_row`."""
    return _value(Transition, row)


def handout_to_row(handout: HandoutRecord) -> dict[str, Any]:
    """The row of a hand-out."""
    columns = _columns(handout)
    client: ClientInfo = columns.pop("client")
    return {**columns, **{f"client_{name}": value for name, value in _columns(client).items()}}


def handout_from_row(row: Row) -> HandoutRecord:
    """See `handout_to_row`."""
    client = {name: row[f"client_{name}"] for name in _words(ClientInfo)}
    return _value(HandoutRecord, row, client=ClientInfo(**client))


def slot_to_row(slot: WrappedKey) -> dict[str, Any]:
    """The row of a key slot; the wrapped key is authenticated."""
    return _columns(slot, parameters=json.dumps(dict(slot.parameters)))


def slot_from_row(row: Row) -> WrappedKey:
    """See `slot_to_row`.

    Raises:
        DamagedRowError: a word is unknown.
    """
    try:
        return _value(WrappedKey, row, parameters=json.loads(row["parameters"]))
    except (ValueError, TypeError):
        raise DamagedRowError from None
