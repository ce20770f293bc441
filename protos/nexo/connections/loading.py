"""Loads the modules that a running program will import later.

An upgrade replaces the files of programs that keep running. A module that is imported after that is of the
new version, and may not fit those that were imported before it.
"""

import contextlib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator

REPLACED = "its files were replaced or removed while nexod was running"
"""Why the daemon cannot import a module that was there at its start. The way out is a restart."""

_NEVER = ("__main__", "_pb2_grpc", ".integrations")
"""Endings of names of modules that are never imported later: entry points, server stubs, plug-ins."""


def load(packages: Iterable[str]) -> None:
    """Import every module of these packages. Modules of extras that are not installed are left out."""
    for name in packages:
        for module in _modules(name):
            with contextlib.suppress(ImportError):
                importlib.import_module(module)


def _modules(package: str) -> Iterator[str]:
    with contextlib.suppress(ImportError):
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.endswith(_NEVER):
                yield found.name
                if found.ispkg:
                    yield from _modules(found.name)
