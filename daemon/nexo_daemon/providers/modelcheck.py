"""Is the wanted model among the listed ones? Pure rules about names."""

import difflib
import re
from collections.abc import Sequence

from nexo_daemon.domain.probing import ModelEntry

_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|\d{3,4})$")


def is_listed(wanted: str, models: Sequence[ModelEntry]) -> bool:
    """Whether a name is in the list, as itself or in a spelling that the provider takes for it.

    Aliases are not listed everywhere: "models/x" and "x", Ollama's "x" for "x:latest", an undated name for a
    dated release, "x-latest".
    """
    names = {_plain(model.id) for model in models}
    name = _plain(wanted)
    if name in names:
        return True
    undated = {_DATE.sub("", listed) for listed in names}
    return name.removesuffix("-latest") in undated | names


def closest(wanted: str, models: Sequence[ModelEntry]) -> str:
    """The listed name that was most likely meant; "" when none is near."""
    by_name = {model.id.lower(): model.id for model in models}
    found = difflib.get_close_matches(wanted.lower(), list(by_name)[:2000], n=1, cutoff=0.6)
    return by_name[found[0]] if found else ""


def _plain(name: str) -> str:
    return name.strip().lower().removeprefix("models/").removesuffix(":latest")
