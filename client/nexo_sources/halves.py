"""What becomes of half an account when the person gives the part that it lacks.

The address is typed by a person, the key is typed, piped or named by one: never guessed, and never the public
host of a provider because the service's name was known.
"""

from dataclasses import replace

from nexo.connections.terms import Provider
from nexo_sources import environment, services
from nexo_sources.finding import Finding, Half, Part


def with_address(half: Half, url: str) -> Finding:
    """The connection at that address."""
    assert half.lacks is Part.ADDRESS  # noqa: S101 - asked by the caller
    rest = half.rest
    if rest.preset == "azure":
        return replace(rest, base_url=environment.azure_base_url(url))
    if rest.provider in (Provider.OPENAI, Provider.CUSTOM):
        provider, preset, base_url, _ = environment.openai_like(url)
        return replace(rest, provider=provider, preset=preset, base_url=base_url)
    base_url = services.normal_base_url(rest.provider, url)
    own = base_url == services.default_base_url(rest.provider, "")
    return replace(rest, base_url="" if own else base_url)


def with_key(half: Half, key: str) -> Finding:
    """The connection with that key."""
    assert half.lacks is Part.KEY  # noqa: S101 - asked by the caller
    return replace(half.rest, api_key=key)


def with_reference(half: Half, reference: str) -> Finding:
    """The connection whose key stays where it is."""
    assert half.lacks is Part.KEY  # noqa: S101 - asked by the caller
    return replace(half.rest, api_key_ref=reference)
