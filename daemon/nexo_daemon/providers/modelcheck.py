"""Is the wanted model among the listed ones? Pure rules about names."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from nexo_daemon.domain.probing import Model

_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{3,4})$")
# What routers take after a name: ":free", ":nitro", "@20250929", "@default", "(high)", "[1m]".
_ROUTING = re.compile(r"(?:[:@][\w.-]+|\([\w.-]+\)|\[[\w.-]+\])$", re.ASCII)
# What clouds put before a name: Bedrock's inference profiles, Google's resources.
_PLACE = re.compile(
    r"^(?:(?:us|us-gov|eu|apac|ap|jp|au|ca|sa|global)\.(?=[a-z0-9-]+\.)|models/"
    r"|(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/)"
)


def is_listed(wanted: str, models: Sequence[Model]) -> bool:
    """Whether a name is in the list, as itself or in a spelling that the provider takes for it.

    Aliases are not listed everywhere: "models/x" and "x", Ollama's "x" for "x:latest", an undated name for a
    dated release, "x-latest", what routers take behind a name and clouds before it. A listed "openai/*" is
    every name of that kind.
    """
    listed = {_bare(model.id) for model in models}
    # Ollama's "x:8b" is another model than "x:latest"; a router's "x:free" is no other than "x".
    names = listed | {name.removesuffix(":latest") for name in listed}
    undated = {_DATE.sub("", name) for name in names}
    wildcards = [name for name in listed if "*" in name]
    for name in _spellings(_bare(wanted)):
        if name in listed or name.removesuffix("-latest") in undated | names:
            return True
        if any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in wildcards):
            return True
    return _without_routing(_bare(wanted)) in listed


def _spellings(name: str) -> Iterator[str]:
    plain = name.removesuffix(":latest")
    yield plain
    yield plain.replace("@", "-")


def _without_routing(name: str) -> str:
    """The name alone; at most two things are put behind one."""
    return _ROUTING.sub("", _ROUTING.sub("", name))


def _bare(name: str) -> str:
    return _PLACE.sub("", name.strip().lower())


def closest(wanted: str, models: Sequence[Model]) -> str:
    """The listed name that was most likely meant; "" when none is near."""
    import difflib

    by_name = {model.id.lower(): model.id for model in models}
    found = difflib.get_close_matches(wanted.lower(), list(by_name)[:2000], n=1, cutoff=0.6)
    return by_name[found[0]] if found else ""
