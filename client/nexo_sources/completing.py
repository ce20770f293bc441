"""Completes an account with the address or the key that the user gives.

The missing part always comes from the user. It is never guessed; in particular, a known service name does not
make the provider's public host the address.
"""

from dataclasses import replace

from nexo.connections.terms import Provider
from nexo_sources import environment, services
from nexo_sources.finding import Finding, Incomplete, Part


def with_address(incomplete: Incomplete, url: str) -> Finding:
    """The connection at the given address."""
    assert incomplete.lacks is Part.ADDRESS  # noqa: S101 - asked by the caller
    rest = incomplete.rest
    if rest.preset == "azure":
        return replace(rest, base_url=environment.azure_base_url(url))
    if rest.provider in (Provider.OPENAI, Provider.CUSTOM):
        provider, preset, base_url, _ = environment.openai_like(url)
        return replace(rest, provider=provider, preset=preset, base_url=base_url)
    base_url = services.normal_base_url(rest.provider, url)
    own = base_url == services.default_base_url(rest.provider, "")
    return replace(rest, base_url="" if own else base_url)


def with_key(incomplete: Incomplete, key: str) -> Finding:
    """The connection with the given key."""
    assert incomplete.lacks is Part.KEY  # noqa: S101 - asked by the caller
    return replace(incomplete.rest, api_key=key)


def with_reference(incomplete: Incomplete, reference: str) -> Finding:
    """The connection with a reference to its key, in the syntax of `--api-key-ref`."""
    assert incomplete.lacks is Part.KEY  # noqa: S101 - asked by the caller
    return replace(incomplete.rest, api_key_ref=reference)
