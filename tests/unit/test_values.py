"""`frozen` is what the standard library's frozen dataclass with slots is, in all that anybody relies on."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any, get_type_hints

import pytest

from nexo.connections.values import frozen


@frozen
class Ours:
    """Every kind of field."""

    name: str
    parts: tuple[int, ...] = ()
    by_name: dict[str, int] = field(default_factory=dict)
    secret: str = field(default="s3cret", repr=False)
    seen: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Theirs:
    """The same."""

    name: str
    parts: tuple[int, ...] = ()
    by_name: dict[str, int] = field(default_factory=dict)
    secret: str = field(default="s3cret", repr=False)
    seen: int = field(default=0, compare=False)


@frozen(kw_only=True)
class Named:
    """Fields that are given by name, and a look at them."""

    first: int
    second: int = 2

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError("below zero")

    def __repr__(self) -> str:
        return "its own"


@frozen
class Longer(Ours):
    """One field more."""

    more: str = "more"


@frozen
class Empty:
    """No field."""


MADE = [
    lambda cls: cls("a"),
    lambda cls: cls("a", (1,), {"x": 1}, "hidden", 7),
    lambda cls: cls(name="b", by_name={"y": 2}, seen=1),
]


@pytest.mark.parametrize("make", MADE)
def test_it_shows_itself_and_its_fields_as_the_standard_library_does(make: Callable[[Any], Any]) -> None:
    ours, theirs = make(Ours), make(Theirs)
    assert repr(ours).replace("Ours", "Theirs") == repr(theirs)
    assert asdict(ours) == asdict(theirs)
    assert [one.name for one in fields(ours)] == [one.name for one in fields(theirs)]
    assert replace(ours, name="c") == make(Ours).__class__(**{**asdict(ours), "name": "c"})
    assert copy.copy(ours) == copy.deepcopy(ours) == ours


def test_equality_and_hash_look_at_the_class_and_the_compared_fields() -> None:
    assert Ours("a", seen=1) == Ours("a", seen=2) != Ours("b")
    assert Ours("a") != Theirs("a")
    assert Ours("a") != Longer("a")
    assert Empty() == Empty()
    assert hash(Named(first=1)) == hash(Named(first=1))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a"))


def test_nothing_of_it_changes() -> None:
    one: Any = Longer("a")
    for change in (lambda: setattr(one, "name", "b"), lambda: delattr(one, "name")):
        with pytest.raises(FrozenInstanceError, match="name"):
            change()
    with pytest.raises(FrozenInstanceError):
        one.other = 1
    assert not hasattr(one, "__dict__")
    assert Ours("a").by_name is not Ours("a").by_name


def test_arguments_are_told_like_those_of_any_function() -> None:
    assert inspect.signature(Longer).parameters.keys() == {
        *inspect.signature(Theirs).parameters.keys(),
        "more",
    }
    assert get_type_hints(Ours.__init__) == get_type_hints(Theirs.__init__)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        Ours()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional argument"):
        Named(1)  # type: ignore[misc]
    match Ours("a", (1, 2)):
        case Ours(name, parts):
            assert (name, parts) == ("a", (1, 2))


def test_what_a_class_defines_itself_stays() -> None:
    assert repr(Named(first=1)) == "its own"
    with pytest.raises(ValueError, match="below zero"):
        Named(first=-1)
