"""Imports that wait until somebody touches them.

A cold program spends most of its time in imports of libraries that import what it never uses: grpc brings
asyncio and its own asyncio half, protobuf the implementation for machines without the compiled one.
`importlib.util.LazyLoader` (the standard library's) puts an empty module in their place, and loads it when an
attribute is asked for. Not for what two threads may touch first at the same moment: until Python 3.12 the
second of them sees a module that is half there.

Only for programs of ours: one that uses the SDK decides for itself about its imports.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


class _Finder:
    """Finds modules as usual, and puts the execution of some off."""

    later: frozenset[str] = frozenset()

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in cls.later:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(LazyLoader):
    """Leaves a module alone when it is only imported again.

    An import of what is imported already asks for `__spec__`, which `LazyLoader` takes for use: what two
    modules import was executed after all (Python 3.11 to 3.14).
    """

    lazy: type[ModuleType] = ModuleType

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _Loader.lazy = type(module)
        module.__class__ = _Untouched


class _Untouched(ModuleType):
    def __getattribute__(self, name: str) -> object:
        if name == "__spec__":
            return super().__getattribute__(name)
        self.__class__ = _Loader.lazy  # type: ignore[assignment]  # a kind of module, as this is
        return getattr(self, name)


def put_off(names: Iterable[str]) -> None:
    """From now on these modules are executed when first used. May be called twice."""
    _Finder.later |= frozenset(names)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
