"""Change some values of a settings file and keep everything else: comments, order, spelling. Pure.

The text is changed in place, never written again from the parsed values. Afterwards the new text is parsed
and has to equal the old values plus the changes. If it does not, the file is too unusual to edit safely, and
nothing is changed.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nexo.connections.values import frozen
from nexo_cli.setups import env_text, json_text, toml_text, yaml_text
from nexo_cli.setups.place import ABSENT, ListEntry, Place
from nexo_sources import reading
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable


class FileForm(enum.Enum):
    """The format of a file."""

    JSON = "json"
    TOML = "toml"
    YAML = "yaml"
    ENV = "env"


@frozen
class PlacedValue:
    """A value for a place; `ABSENT` removes the present one."""

    place: Place
    value: Any


@frozen
class _Kind:
    parse: Callable[[str], Any]
    put: Callable[[str, Place, Any], str]
    take: Callable[[str, Place], str]


_KINDS = {
    FileForm.JSON: _Kind(loose_json_of, json_text.put, json_text.take),
    FileForm.TOML: _Kind(reading.toml_of, toml_text.put, toml_text.take),
    FileForm.YAML: _Kind(reading.yaml_of, yaml_text.put, yaml_text.take),
    FileForm.ENV: _Kind(reading.variables_of, env_text.put, env_text.take),
}


def edited(text: str, form: FileForm, changes: Sequence[PlacedValue]) -> str:
    """The text with the changes.

    Raises:
        Unreadable: it cannot be read, or cannot be changed without a risk for the rest of it.
    """
    if "\r\n" in text and text.count("\r\n") == text.count("\n"):
        return edited(text.replace("\r\n", "\n"), form, changes).replace("\n", "\r\n")
    try:
        return _edited(text, form, changes)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def _edited(text: str, form: FileForm, changes: Sequence[PlacedValue]) -> str:
    kind = _KINDS[form]
    wanted = _parsed(text, form)
    for change in changes:
        if value_at(wanted, change.place) == change.value:
            continue
        wanted = _with(wanted, change.place, change.value)
        if change.value is ABSENT:
            text = kind.take(text, change.place)
        else:
            text = kind.put(text, change.place, change.value)
    try:
        got = _parsed(text, form)
    except Unreadable:
        got = ABSENT
    if _pruned(got) != _pruned(wanted):
        raise Unreadable("its format can't be changed safely; change it by hand")
    return text


def values(text: str, form: FileForm, places: Iterable[Place]) -> list[PlacedValue]:
    """The values at the places.

    Raises:
        Unreadable: it cannot be read.
    """
    tree = _parsed(text, form)
    return [PlacedValue(place, value_at(tree, place)) for place in places]


def says_nothing(text: str, form: FileForm) -> bool:
    """Whether the text holds no values, only comments at most."""
    return not _pruned(_parsed(text, form))


def _parsed(text: str, form: FileForm) -> Any:
    if not text.strip():
        return None
    tree = _KINDS[form].parse(text)
    if tree is not None and not isinstance(tree, dict | list):
        raise Unreadable("it holds no table of settings")
    return tree


def value_at(tree: Any, place: Place) -> Any:
    """The value that a parsed file has at a place, or `ABSENT`."""
    for step in place:
        if isinstance(step, ListEntry):
            entries = tree if isinstance(tree, list) else []
            tree = next((one for one in entries if step.is_(one)), ABSENT)
        else:
            tree = tree.get(step, ABSENT) if isinstance(tree, dict) else ABSENT
        if tree is ABSENT:
            return ABSENT
    return tree


def _with(tree: Any, place: Place, value: Any) -> Any:
    if not place:
        return value
    step, rest = place[0], place[1:]
    if isinstance(step, ListEntry):
        if tree is not None and not isinstance(tree, list):
            raise Unreadable("it holds another type where a list is needed")
        return _with_entry(tree or [], step, value)
    if tree is not None and not isinstance(tree, dict):
        raise Unreadable(f"it holds another type than a table where '{step}' belongs")
    result = dict(tree or {})
    inner = _with(result.get(step), rest, value)
    if inner is ABSENT:
        result.pop(step, None)
    else:
        result[step] = inner
    return result


def _with_entry(entries: list[Any], item: ListEntry, value: Any) -> list[Any]:
    new = [] if value is ABSENT else [value]
    at = next((number for number, one in enumerate(entries) if item.is_(one)), len(entries))
    return [*entries[:at], *new, *entries[at + 1 :]]


def _pruned(tree: Any) -> Any:
    """The tree without empty tables and lists, so that one that became empty makes no difference."""
    if isinstance(tree, dict):
        kept = {name: _pruned(entry) for name, entry in tree.items()}
        return {name: entry for name, entry in kept.items() if entry not in ({}, [], None)} or None
    if isinstance(tree, list):
        return [_pruned(entry) for entry in tree] or None
    return tree
