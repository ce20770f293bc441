"""Checks whether a model is listed. Pure rules about names."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from nexo_daemon.domain.probing import Model

_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{3,4})$")
# Suffixes that routers accept: ":free", ":nitro", "@20250929", "@default", "(high)", "[1m]".
_ROUTING = re.compile(r"(?:[:@][\w.-]+|\([\w.-]+\)|\[[\w.-]+\])$", re.ASCII)
# Prefixes that clouds use: Bedrock's inference profiles, Google's resources.
_PLACE = re.compile(
    r"^(?:(?:us|us-gov|eu|apac|ap|jp|au|ca|sa|global)\.(?=[a-z0-9-]+\.)|models/"
    r"|(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/)"
)


def is_listed(wanted: str, models: Sequence[Model]) -> bool:
    """Whether a name is in the list, in the same or in an equivalent spelling.

    Providers accept names that they do not list: "models/x" for "x", Ollama's "x" for "x:latest", an undated
    name for a dated release, "x-latest", suffixes of routers and prefixes of clouds. A listed "openai/*"
    matches all such names.
    """
    listed = {_bare(model.id) for model in models}
    # Ollama's "x:8b" differs from "x:latest", but a router's "x:free" is the same model as "x".
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
    """The name without suffixes, of which there are at most two."""
    return _ROUTING.sub("", _ROUTING.sub("", name))


def _bare(name: str) -> str:
    return _PLACE.sub("", name.strip().lower())
