"""Delays imports until the first use of the module.

At its start, a program spends most of its time on imports that it never uses: grpc imports asyncio and its
own support for it, protobuf imports its pure-Python implementation. `importlib.util.LazyLoader` (standard
library) puts an empty module in their place and loads it at the first access to an attribute. Not for modules
that two threads may first access at the same moment: before Python 3.12 the second thread may see a
half-loaded module.

Only for our own programs; a program that uses the SDK decides about its imports itself.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


class _Finder:
    """Finds modules as usual, and delays the execution of those in `later`."""

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
    """Keeps a module unexecuted if it is only imported again.

    A second import of a module reads its `__spec__`, and `LazyLoader` takes that for its first use. Without
    this class, a module that two others import would be executed (Python 3.11 to 3.14).
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
    """Delay the execution of these modules until their first use. May be called several times."""
    _Finder.later |= frozenset(names)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
