"""What a person can choose of what was found: the rules of `nexoctl import` and of the settings screen."""

from collections.abc import Iterable
from dataclasses import replace

from nexo.connections.values import frozen
from nexo_client.types import Connection
from nexo_sources.finding import Finding, Found, Half, unique_names
from nexo_sources.table import Source

Survey = list[tuple[Source, Found]]


@frozen
class Offer:
    """What a person can choose: a connection, or half of one, to be completed by the person.

    Attributes:
        finding: under a name of its own; of a half, all but the part that it lacks.
    """

    finding: Finding
    half: Half | None = None


def offers_of(results: Survey) -> list[Offer]:
    """All that can be chosen, in the order in which it is shown; halves stand behind what is whole."""
    whole = unique_names(tuple(one for _, found in results for one in found.findings), ())
    taken = tuple(one.name for one in whole)
    halves = [half for _, found in results for half in found.halves]
    named = unique_names(tuple(half.rest for half in halves), taken)
    offers = [Offer(finding) for finding in whole]
    return offers + [Offer(rest, replace(half, rest=rest)) for rest, half in zip(named, halves, strict=True)]


def findings_of(results: Survey) -> list[Finding]:
    """All that can be imported as it is, each under a name of its own."""
    return [offer.finding for offer in offers_of(results) if offer.half is None]


def existing_twin(finding: Finding, connections: Iterable[Connection]) -> str:
    """The name of a connection to the same service at the same address; empty if there is none."""
    address = finding.address.rstrip("/")
    return next(
        (
            one.name
            for one in connections
            if one.provider is finding.provider and one.base_url.rstrip("/") == address
        ),
        "",
    )


def same_place_words(twin: str) -> str:
    """Why a finding is not ticked by itself."""
    return f"you have '{twin}' there already"


def key_words(finding: Finding) -> str:
    """What becomes of its key, never the key."""
    if finding.api_key:
        return "with its key"
    return "its key stays where it is" if finding.api_key_ref else "no key needed"
