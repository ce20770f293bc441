"""What a source yields: connections to be, and what had to be left out with the reason."""

from dataclasses import dataclass, field, replace

from nexo_client.sources import services
from nexo_client.terms import AuthScheme, Provider
from nexo_client.types import ConnectionDraft, Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A connection that another program has.

    Attributes:
        name: what to call it here; need not be unique yet.
        place: where it stands, for people.
        base_url: in the form that the provider's own SDK takes; empty for the provider's default.
        model: one that the program uses with it.
    """

    name: str
    place: str
    provider: Provider
    preset: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    auth_scheme: AuthScheme | None = None
    headers: tuple[Header, ...] = ()
    model: str = ""

    @property
    def address(self) -> str:
        """Where it leads, also when the base URL is the provider's default."""
        return self.base_url or services.default_base_url(self.provider, self.preset)

    @property
    def identity(self) -> tuple[str, str, str, tuple[Header, ...]]:
        """Two findings with the same are one connection."""
        return (self.provider.value, self.address.rstrip("/"), self.api_key, self.headers)

    def draft(self) -> ConnectionDraft:
        """The connection as the daemon takes it."""
        return ConnectionDraft(
            name=self.name,
            provider=self.provider.value,
            preset=self.preset or None,
            base_url=self.base_url or None,
            # Empty means: no key, do not ask for one.
            api_key=self.api_key,
            auth_scheme=self.auth_scheme.value if self.auth_scheme else None,
            headers=self.headers or None,
            default_model=self.model or None,
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that cannot be imported.

    Attributes:
        what: its name in the source.
        reason: why, and what can be done instead.
    """

    what: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """All that one source, or several of them, yielded."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __add__(self, other: "Found") -> "Found":
        return Found(self.findings + other.findings, self.skipped + other.skipped)

    def __bool__(self) -> bool:
        return bool(self.findings or self.skipped)

    def merged(self) -> "Found":
        """Each connection once, under a name of its own; the first one found stays."""
        kept: dict[object, Finding] = {}
        for finding in self.findings:
            known = kept.setdefault(finding.identity, finding)
            if not known.model and finding.model:
                kept[finding.identity] = replace(known, model=finding.model)
        return Found(unique_names(tuple(kept.values()), ()), tuple(dict.fromkeys(self.skipped)))


def unique_names(findings: tuple[Finding, ...], taken: tuple[str, ...]) -> tuple[Finding, ...]:
    """The findings with a number added to names that are taken, compared without regard to case."""
    used = {name.casefold() for name in taken}
    named = []
    for finding in findings:
        name, number = finding.name, 2
        while name.casefold() in used:
            name, number = f"{finding.name}-{number}", number + 1
        used.add(name.casefold())
        named.append(replace(finding, name=name))
    return tuple(named)
