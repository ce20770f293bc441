"""The choices for an import: rules that `nexoctl import` and the settings screen share."""

from collections.abc import Iterable
from dataclasses import replace

from nexo.connections.values import frozen
from nexo_client.types import Connection
from nexo_sources.finding import Finding, Found, Incomplete, unique_names
from nexo_sources.table import Source

Survey = list[tuple[Source, Found]]


@frozen
class Offer:
    """One choice: a connection, or one that the user has to complete.

    Attributes:
        finding: the connection under a unique name, without the part that `incomplete` lacks.
        incomplete: set if a part is missing.
    """

    finding: Finding
    incomplete: Incomplete | None = None


def offers_of(results: Survey) -> list[Offer]:
    """All choices in the order in which they are shown: complete connections first."""
    whole = unique_names(tuple(one for _, found in results for one in found.findings), ())
    taken = tuple(one.name for one in whole)
    incomplete = [one for _, found in results for one in found.incomplete]
    named = unique_names(tuple(one.rest for one in incomplete), taken)
    offers = [Offer(finding) for finding in whole]
    return offers + [
        Offer(rest, replace(one, rest=rest)) for rest, one in zip(named, incomplete, strict=True)
    ]


def findings_of(results: Survey) -> list[Finding]:
    """The complete connections, each under a unique name."""
    return [offer.finding for offer in offers_of(results) if offer.incomplete is None]


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
    """Why a finding is not preselected."""
    return f"you already have '{twin}' at this address"


def key_words(finding: Finding) -> str:
    """What happens to the key, as a phrase; never the key itself."""
    if finding.api_key:
        return "with its key"
    return "its key stays where it is" if finding.api_key_ref else "no key needed"
