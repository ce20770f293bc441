"""The names of `import nexo_client`: those of the SDK, all of them, and no others."""

import importlib
import pkgutil
from enum import Enum, StrEnum

import pytest

import nexo_client
from nexo.connections import terms
from nexo_client import errors, types


def test_every_error_value_and_enum_is_exported() -> None:
    """Type checkers take a name that `__all__` lacks for a private one: `except nexo_client.NotFound`."""
    kinds = [*vars(errors).values(), *vars(terms).values()]
    named = {
        kind.__name__
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, errors.NexoError | Enum) and kind is not StrEnum
    }
    assert named | set(types._HOMES) - {"USUAL_NETWORK"} <= set(nexo_client.__all__)


def test_every_exception_of_the_sdk_is_a_nexo_error() -> None:
    """So that `except NexoError` is enough for whatever a call of the SDK raises by itself."""
    found = {}
    modules = {module.name for module in pkgutil.walk_packages(nexo_client.__path__, "nexo_client.")}
    # A plug-in of another program, which need not be installed.
    for module in modules - {"nexo_client.integrations.llm_plugin"}:
        for name, kind in vars(importlib.import_module(module)).items():
            ours = isinstance(kind, type) and kind.__module__.startswith(
                ("nexo_client", "nexo.connections.errors")
            )
            if ours and issubclass(kind, BaseException) and not name.startswith("_"):
                found[name] = kind
    assert found
    assert [name for name, kind in found.items() if not issubclass(kind, errors.NexoError)] == []


def test_every_exported_name_exists_and_no_other_is_shown() -> None:
    for name in nexo_client.__all__:
        assert getattr(nexo_client, name) is not None
    assert dir(nexo_client) == sorted(nexo_client.__all__)
    for private in ("Mapping", "StrEnum", "Nope"):
        with pytest.raises(AttributeError, match=private):
            getattr(nexo_client, private)
