"""The decorator `frozen`: like `@dataclass(frozen=True, slots=True)`, at a quarter of the import cost.

For each class, the standard library generates six methods as text and compiles them at every start. We have
more than a hundred such classes. Compiling them took a fifth of the CPU time of a daemon start, and half of
nexoctl's start time without the import of gRPC (2026-11-27). Here only `__init__` is compiled; all classes
share the other methods. The classes remain dataclasses for `fields`, `replace`, `asdict`, pattern matching,
copies and mypy.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

_MISSING = dataclasses.MISSING


@overload
def frozen(cls: type[T], /) -> type[T]: ...


@overload
def frozen(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Any] | None = None, /, *, kw_only: bool = False) -> Any:
    """Make a class a frozen dataclass with slots; used as `@frozen` or `@frozen(kw_only=True)`.

    Values are equal if they have the same class and equal fields, ignoring those with `field(compare=False)`.
    Methods that the class defines are kept. Not for classes with `InitVar` or `field(init=False)`.
    """
    if cls is None:
        return lambda decorated: _made(decorated, kw_only=kw_only)
    return _made(cls, kw_only=kw_only)


def not_pickled(cls: type[T]) -> type[T]:
    """A decorator for a class of immutable values with secrets, which a pickle would hold unencrypted.

    The values can be copied.
    """

    def refuse(self: object, _: object) -> Any:
        name = type(self).__name__
        raise TypeError(f"a {name} contains secrets and is not pickled; ask for one in the other process")

    methods = {
        "__reduce_ex__": refuse,
        "__copy__": lambda self: self,
        "__deepcopy__": lambda self, _: self,
    }
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _made(cls: type[Any], *, kw_only: bool) -> type[Any]:
    own = frozenset(vars(cls))
    made: type[Any] = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(
        cls
    )
    every = dataclasses.fields(made)
    compared = [one.name for one in every if one.compare]
    shown = [one.name for one in every if one.repr]
    methods: dict[str, Any] = {
        "__init__": _init(made, every),
        "__repr__": _repr(shown),
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
        "__getstate__": _state,
        "__setstate__": _set_state,
        **_comparison(compared),
    }
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _init(made: type[Any], every: tuple[dataclasses.Field[Any], ...]) -> Any:
    """Compile `__init__` for this class, so that a wrong call reports which argument is missing."""
    known: dict[str, Any] = {"_missing": _MISSING}
    positional = ["self"]
    named: list[str] = []
    body: list[str] = []
    for one in every:
        name, given = one.name, one.name
        text = name
        if one.default is not _MISSING:
            known[f"_default_{name}"] = one.default
            text = f"{name}=_default_{name}"
        elif one.default_factory is not _MISSING:
            known[f"_make_{name}"] = one.default_factory
            text = f"{name}=_missing"
            given = f"_make_{name}() if {name} is _missing else {name}"
        (named if one.kw_only else positional).append(text)
        # The setter of the slot is as quick as an assignment, and bypasses `__setattr__`, which refuses.
        known[f"_set_{name}"] = getattr(made, name).__set__
        body.append(f" _set_{name}(self, {given})\n")
    if hasattr(made, "__post_init__"):
        body.append(" self.__post_init__()\n")
    arguments = ", ".join([*positional, *(["*", *named] if named else [])])
    exec(f"def __init__({arguments}):\n{''.join(body) or ' pass'}", known)  # noqa: S102 - as the standard library
    init = known.pop("__init__")
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__module__ = made.__module__
    init.__annotations__ = {one.name: one.type for one in every} | {"return": None}
    return init


def _repr(shown: list[str]) -> Any:
    @recursive_repr()
    def represent(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return represent


def _comparison(compared: list[str]) -> dict[str, Any]:
    # `attrgetter` returns the value itself for one name, and a tuple for several.
    key: Callable[[Any], Any] = attrgetter(*compared) if compared else lambda _: ()

    def equal(self: Any, other: object) -> Any:
        return key(self) == key(other) if type(other) is type(self) else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return {"__eq__": equal, "__hash__": hashed}


def _refuse_to_set(self: Any, name: str, _: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, kept in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, one.name, kept)
