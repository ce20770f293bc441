"""The JSON Schema of the `--json` output; `nexoctl --json --help` prints it.

For a noun of the SDK, it describes the object that `records` writes; the other definitions are in `shapes`.
"""

import inspect
import re
import types
from collections.abc import Iterable
from dataclasses import is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from nexo_cli import shapes
from nexo_client import records
from nexo_client.types import Headers

Schema = dict[str, Any]

_ABOUT = (
    "`commands` lists the definition of each command's output; `watch`, `health --watch` and "
    "`daemon logs` print one such object a line. `error` goes to stderr. Names stay; a new version "
    "may add some. An unknown value is null."
)
_SIMPLE: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    types.NoneType: {"type": "null"},
    datetime: {"type": "string", "format": "date-time", "description": "RFC 3339, UTC"},
    Headers: {"type": "object", "additionalProperties": {"type": "string"}},
}


def schema() -> Schema:
    """The whole document, as JSON."""
    definitions: dict[str, Schema] = {}
    commands = {name: _of(printed, definitions) for name, printed in shapes.PRINTED.items()}
    _of(shapes.Error, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What nexoctl --json prints",
        "description": _ABOUT,
        "commands": commands,
        "$defs": definitions,
    }


def _of(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a type; types that it refers to are added to `definitions`."""
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"type": "string", "enum": [word.value for word in hint]}
    if is_typeddict(hint) or is_dataclass(hint):
        return _reference(hint, definitions)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(_of(parts[0], definitions), parts[1:])
    if origin is Literal:
        return {"type": "string", "enum": list(parts)}
    if origin in (list, tuple):
        return {"type": "array", "items": _of(parts[0], definitions)}
    if origin is dict:
        values = {} if parts[1] is object else {"additionalProperties": _of(parts[1], definitions)}
        return {"type": "object", **values}
    if origin in (Union, types.UnionType):
        return _any_of([_of(part, definitions) for part in parts])
    raise TypeError(f"no JSON is known for {hint}")


def _annotated(schema: Schema, notes: tuple[Any, ...]) -> Schema:
    for note in notes:
        if isinstance(note, str):
            schema = {**schema, "description": note}
        else:
            words = note if isinstance(note, tuple) else [word.value for word in note]
            schema = {**schema, "enum": list(words)}
    return schema


def _any_of(choices: list[Schema]) -> Schema:
    """A plain type that may be null becomes one type with two names; anything else becomes a list of
    choices.
    """
    match choices:
        case [{"type": str(kind), **rest}, {"type": "null"}]:
            words = {"enum": [*rest["enum"], None]} if "enum" in rest else {}
            return {**rest, "type": [kind, "null"], **words}
    return {"anyOf": choices}


def _reference(kind: Any, definitions: dict[str, Schema]) -> Schema:
    layout = records.LAYOUTS.get(kind.__name__)
    name = layout.name if layout else shapes.NAMES.get(kind.__name__) or _snake(kind.__name__)
    if name not in definitions:
        about = layout.about if layout else inspect.getdoc(kind)
        definition = definitions[name] = {"type": "object", "description": about}
        found = list(_fields(kind))
        definition["properties"] = {key: _of(_bare(hint), definitions) for key, hint in found}
        definition["required"] = [key for key, hint in found if get_origin(hint) is not NotRequired]
        definition["additionalProperties"] = False
    return {"$ref": f"#/$defs/{name}"}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _fields(kind: Any) -> Iterable[tuple[str, Any]]:
    """The names of a JSON object with their types; a later entry replaces an earlier one."""
    if is_typeddict(kind):
        found: dict[str, Any] = {}
        for key, hint in get_type_hints(kind, include_extras=True).items():
            notes = getattr(hint, "__metadata__", ())
            found |= dict(_fields(get_args(hint)[0])) if shapes.SPREAD in notes else {key: hint}
        return found.items()
    return [(member.key, _hint(member)) for member in records.members(kind)]


def _hint(member: records.Member) -> Any:
    """The type of one field of an object, with its words and its description."""
    if isinstance(member.source, str):
        hint = get_type_hints(member.owner, include_extras=True)[member.source]
    else:
        hint = get_type_hints(member.source)["return"]
    if words := member.layout.words.get(member.key):
        hint = Annotated[hint, words]
    if member.key in member.layout.blank:
        hint |= None
    if note := member.layout.notes.get(member.key) or _described(member):
        hint = Annotated[hint, note]
    return hint


def _described(member: records.Member) -> str:
    """The description of a field in the docstring of its class, in the words of JSON."""
    # A blank value is null in JSON, and something else in Python.
    if not isinstance(member.source, str) or member.key in member.layout.blank:
        return ""
    text = re.sub(r"\bNone\b", "null", _attributes(member.owner).get(member.source, ""))
    return text[:1].upper() + text[1:]


@cache
def _attributes(kind: type) -> dict[str, str]:
    """The entries below "Attributes:" in a docstring."""
    listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\S[^:]*): (.*)$", re.sub(r"\n {5,}", " ", listed), re.MULTILINE)
    return {name: text for names, text in entries for name in names.split(", ")}


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint
