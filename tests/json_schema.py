"""Validates JSON values with the part of JSON Schema 2020-12 that `nexoctl --json --help` uses."""

from typing import Any

from nexo_cli.schema import schema

SCHEMA = schema()

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
    "null": type(None),
}
_KNOWN = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "format",
    "items",
    "properties",
    "required",
    "type",
}


CONFORMED: set[str] = set()
"""The definitions to which some value of the tests has conformed."""


def problems(value: Any, name: str) -> list[str]:
    """How `value` differs from the definition with that name; empty if it conforms."""
    return _check(value, {"$ref": f"#/$defs/{name}"}, "$")


def problems_of(value: Any, command: str) -> list[str]:
    """How `value` differs from the schema for the output of a command, such as "workspace bind"."""
    return _check(value, SCHEMA["commands"][command], "$")


def _check(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    unknown = set(schema) - _KNOWN
    assert not unknown, f"the schema uses {unknown}, which nobody checks"
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        differences = _check(value, SCHEMA["$defs"][name], where)
        if not differences:
            CONFORMED.add(name)
        return differences
    if "anyOf" in schema:
        tries = [_check(value, choice, where) for choice in schema["anyOf"]]
        return [] if any(not found for found in tries) else tries[0]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [f"{where}: {value!r} is not {' or '.join(kinds)}"]
    found: list[str] = []
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += _check(item, schema["items"], f"{where}[{index}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}.{name}: is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            rest = schema.get("additionalProperties", True)
            if name in properties:
                found += _check(item, properties[name], f"{where}.{name}")
            elif rest is False:
                found.append(f"{where}.{name}: is not documented")
            elif isinstance(rest, dict):
                found += _check(item, rest, f"{where}.{name}")
    return found


def _is(value: Any, kind: str) -> bool:
    # In Python a bool is an int; in JSON it is not.
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
