"""Which imports of a command wait until somebody touches them.

A cold command spends most of its time in imports of libraries that import what it never uses: grpc brings
asyncio and its own asyncio half, protobuf the implementation for machines without the compiled one. Together
they cost more than everything that nexoctl does. `importlib.util.LazyLoader` (the standard library's) puts an
empty module in their place, and loads it when an attribute is asked for.

Only for nexoctl: a program that uses the SDK decides for itself about its imports.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

LATER = frozenset(
    {
        "asyncio",
        "google.protobuf.internal.python_message",
        "grpc.aio",
        "ipaddress",
        "nexo.connections.v1.error_pb2",
    }
)


class _Finder:
    """Finds the modules of `LATER` as usual, and puts their execution off."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in LATER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def put_off() -> None:
    """From now on the modules of `LATER` are executed when first used. May be called twice."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
