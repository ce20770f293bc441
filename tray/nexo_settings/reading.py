"""Parses the JSON body of a call into values of the SDK, and refuses invalid ones.

Error messages quote no values, because a value may be a key.
"""

import json
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from nexo_client.types import ConnectionDraft, MappedModel, NetworkProfile

_TEXTS = tuple(one.name for one in fields(ConnectionDraft) if one.type == str | None)
_BOOLEANS = tuple(one.name for one in fields(ConnectionDraft) if one.type == bool | None)
_MOST_HOSTS = 200
_MOST_HEADERS = 256
_MOST_MODELS = 256


class NotUnderstood(Exception):
    """The body of a call is invalid; the message says why."""


class JsonBody:
    """The body of a call; each method reads a field of one type.

    Raises:
        NotUnderstood: raised by every method if the field has another type.
    """

    def __init__(self, fields: dict[str, Any], allowed: Collection[str] | None = None) -> None:
        unknown = [name for name in fields if allowed is not None and name not in allowed]
        if unknown:
            raise NotUnderstood("the call has an unknown field")
        self._fields = fields

    @classmethod
    def parse(cls, raw: bytes) -> "JsonBody":
        """Parse a JSON object; its nesting is limited."""
        if raw.count(b"[") + raw.count(b"{") > 2000:
            raise NotUnderstood("the call is nested too deeply")
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            raise NotUnderstood("the call is not JSON") from None
        if not isinstance(found, dict):
            raise NotUnderstood("the call is not an object")
        return cls(found)

    def text(self, name: str) -> str:
        """A string; empty if it is missing. Surrogates are refused, because UTF-8 cannot encode them."""
        value = self._fields.get(name, "")
        if not isinstance(value, str):
            raise NotUnderstood(f"{name} is not a string")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotUnderstood(f"{name} contains a surrogate") from None
        return value

    def boolean(self, name: str) -> bool:
        """A boolean; false if it is missing."""
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise NotUnderstood(f"{name} is not true or false")
        return value

    def number(self, name: str, absent: int = 0) -> int:
        """An integer from 0 to 2**63 - 1."""
        value = self._fields.get(name, absent)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise NotUnderstood(f"{name} is not a non-negative integer")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A list of strings."""
        value = self._fields.get(name, [])
        if not isinstance(value, list) or len(value) > most:
            raise NotUnderstood(f"{name} is not a list of at most {most} strings")
        return tuple(JsonBody({name: one}).text(name) for one in value)

    def objects(self, name: str, most: int, allowed: Collection[str]) -> "tuple[JsonBody, ...]":
        """A list of objects that have only allowed fields."""
        value = self._fields.get(name, [])
        if (
            not isinstance(value, list)
            or len(value) > most
            or not all(isinstance(one, dict) for one in value)
        ):
            raise NotUnderstood(f"{name} is not a list of at most {most} objects")
        return tuple(JsonBody(one, allowed) for one in value)

    def network(self, name: str) -> NetworkProfile:
        """A complete network profile."""
        value = self._fields.get(name)
        if not isinstance(value, dict):
            raise NotUnderstood(f"{name} is not an object")
        given = JsonBody(value, ("proxy", "no_proxy", "ca_bundle"))
        return NetworkProfile(
            given.text("proxy"), given.texts("no_proxy", _MOST_HOSTS), given.text("ca_bundle")
        )

    def draft(self, name: str) -> ConnectionDraft | None:
        """A draft of a connection; None if it is missing."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise NotUnderstood(f"{name} is not an object")
        given = JsonBody(value, {*_TEXTS, *_BOOLEANS, "remove_headers", "network", "model_map"})
        found: dict[str, Any] = {one: given.text(one) for one in _TEXTS if one in value}
        found |= {one: given.boolean(one) for one in _BOOLEANS if one in value}
        if "remove_headers" in value:
            found["remove_headers"] = given.texts("remove_headers", _MOST_HEADERS)
        if "network" in value:
            found["network"] = given.network("network")
        if "model_map" in value:
            rows = given.objects("model_map", _MOST_MODELS, ("asked", "sent"))
            found["model_map"] = tuple(MappedModel(row.text("asked"), row.text("sent")) for row in rows)
        return ConnectionDraft(**found)
