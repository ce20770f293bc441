"""Checks the arguments of the SDK's functions against their type hints, and names the one that is wrong.

Without this, protobuf refuses a value without saying which, takes a text for the list of its letters, an enum
for another one with the same number, and a dictionary for an object without fields. Only types are checked
here, and what a type does not say: the daemon checks the meaning.
"""

import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, wraps
from inspect import iscoroutinefunction
from types import FunctionType, SimpleNamespace
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from nexo.connections.model.workspace import Workspace
from nexo.connections.ranges import LONGEST_S, MOST
from nexo_client.errors import InvalidField

T = TypeVar("T")

_TEXTS = (str, bytes, bytearray, memoryview)


def checked(target: T) -> T:
    """A decorator for a function, or for a class whose public methods it decorates.

    The decorated functions raise `InvalidField` for an argument that its type hint does not allow.
    """
    if not isinstance(target, type):
        found: T = _checking(target)
        return found
    for name, method in tuple(vars(target).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(target, name, _checking(method))
    return target


def _checking(function: Any) -> Any:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]

    def check(given: tuple[Any, ...], named: dict[str, Any]) -> None:
        hints = _hints(function)
        for name, value in (*zip(names, given, strict=False), *named.items()):
            # Python itself reports a name that the function does not have.
            if name in hints:
                _check(name, value, hints[name])

    @wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        check(given, named)
        return function(*given, **named)

    @wraps(function)
    async def awaited(*given: Any, **named: Any) -> Any:
        check(given, named)
        return await function(*given, **named)

    return awaited if iscoroutinefunction(function) else called


@cache
def _hints(function: Any) -> dict[str, Any]:
    """The hints of the parameters; that of the result may name a class that is not imported."""
    given = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    hints = get_type_hints(SimpleNamespace(__annotations__=given), function.__globals__)
    return {name: hint for name, hint in hints.items() if hint is not Any}


@cache
def _hints_of_class(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _check(field: str, value: Any, hint: Any, part: str = "") -> None:
    """Raises `InvalidField` if the value does not fit; `part` names the part of `field` that it is."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    option = next((option for option in options if _is(value, option)), None)
    if option is None:
        said = "None" if value is None else f"of type {type(value).__name__}"
        raise _wrong(field, part, f"is {said}", f"give {' or '.join(map(_described, options))}")
    if isinstance(value, Enum | bool):
        return
    if isinstance(value, int | float):
        _check_number(field, value, part, MOST if option is int else LONGEST_S)
    elif isinstance(value, str):
        # A path may hold any bytes.
        if os.PathLike not in [get_origin(option) for option in options] and not is_utf8(value):
            # Python decodes arguments and variables like that if the locale says nothing better.
            hint = "give another text; if yours is UTF-8, let the locale say so: export LC_ALL=C.UTF-8"
            raise _wrong(field, part, "is not UTF-8", hint)
    elif isinstance(value, datetime):
        if value.utcoffset() is None:
            raise _wrong(
                field, part, "is without a time zone", "give it one: datetime.now(UTC), time.astimezone()"
            )
    elif get_origin(option) is Callable:
        if iscoroutinefunction(value):
            raise _wrong(
                field, part, "is a coroutine function, which is not awaited", "give a plain function"
            )
    elif isinstance(value, tuple | list):
        for item in value:
            _check(field, item, get_args(option)[0], part or "an item")
    # `workspace.locate` checks a workspace.
    elif is_dataclass(value) and not isinstance(value, Workspace):
        kind: Any = type(value)
        for name, inner in _hints_of_class(kind).items():
            # The daemon's errors name the fields of a draft alone.
            inner_field, inner_part = (field, f"{kind.__name__}.{name}") if part else (name, "")
            _check(inner_field, getattr(value, name), inner, inner_part)


def _check_number(field: str, value: float, part: str, limit: int) -> None:
    # Also true for nan, which is not in any order.
    if not abs(value) <= limit:
        raise _wrong(field, part, "is out of range", f"give a number up to {limit}")


def _is(value: Any, option: Any) -> bool:
    kind = get_origin(option) or option
    if kind is Callable:
        return callable(value)
    if kind is tuple:
        return isinstance(value, tuple | list)
    if kind in (Iterable, Sequence):
        return isinstance(value, Iterable) and not isinstance(value, (*_TEXTS, Mapping))
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    return isinstance(value, kind)


def _described(option: Any) -> str:
    kind = get_origin(option) or option
    if kind in (tuple, Iterable, Sequence):
        return f"a list of {_described(get_args(option)[0])}"
    if kind is Callable:
        return "a function"
    if kind is types.NoneType:
        return "None"
    if issubclass(kind, Enum):
        return f"a member of {kind.__name__}, such as {kind.__name__}.{next(iter(kind)).name}"
    return str(kind.__name__)


def is_utf8(text: str) -> bool:
    """Whether the text can be sent; names of files may hold other bytes, as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(field: str, part: str, problem: str, hint: str) -> InvalidField:
    return InvalidField.of(field, f"{part} {problem}" if part else problem, hint)
