"""What a source yields: connections to be, and what had to be left out with the reason."""

import enum
import shlex
from dataclasses import field, replace

from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.values import frozen
from nexo_client import records
from nexo_client.types import ConnectionDraft, Header
from nexo_sources import services


@frozen(kw_only=True)
class Finding:
    """A connection that another program has.

    Attributes:
        name: what to call it here; need not be unique yet.
        place: where it stands, for people.
        base_url: in the form that the provider's own SDK takes; empty for the provider's default.
        api_key_ref: where its key is, if the person said so; then there is no `api_key`.
        model: one that the program uses with it.
    """

    name: str
    place: str
    provider: Provider
    preset: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    api_key_ref: str = ""
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

    def command(self, reference: str) -> str:
        """What to type to have it with its key where the key is."""
        words = ["nexoctl", "add", self.name]
        words += ["--preset", self.preset] if self.preset else ["--provider", self.provider.value]
        words += ["--base-url", self.base_url] if self.base_url else []
        return shlex.join([*words, "--api-key-ref", reference])

    def draft(self) -> ConnectionDraft:
        """The connection as the daemon takes it."""
        return ConnectionDraft(
            name=self.name,
            provider=self.provider.value,
            preset=self.preset or None,
            base_url=self.base_url or None,
            # Empty means: no key, do not ask for one.
            api_key=None if self.api_key_ref else self.api_key,
            api_key_ref=self.api_key_ref or None,
            auth_scheme=self.auth_scheme.value if self.auth_scheme else None,
            headers=self.headers or None,
            default_model=self.model or None,
        )


class Part(enum.StrEnum):
    """What an account may lack; named as the fields of a connection are."""

    KEY = "api_key"
    ADDRESS = "base_url"


@frozen(kw_only=True)
class Half:
    """An account that lacks its key or its address, which only the person can add (see `halves`).

    Attributes:
        rest: all but that part. It is no finding: without its address it would lead to the provider's own.
    """

    lacks: Part
    rest: Finding


@frozen
class Skipped:
    """Something that cannot be imported.

    Attributes:
        what: its name in the source.
        reason: why, and what can be done instead.
        half: what is there, if the person can add the rest.
    """

    what: str
    place: str
    reason: str
    half: Half | None = None


def _has_key(value: Finding, _now: object) -> bool:
    return bool(value.api_key)


def _address(value: Finding, _now: object) -> str:
    return value.address


def _header_names(value: Finding, _now: object) -> tuple[str, ...]:
    return tuple(header.name for header in value.headers)


def _lacks(value: Skipped, _now: object) -> str:
    return value.half.lacks.value if value.half else ""


records.LAYOUTS |= {
    "Finding": records.Layout(
        "finding",
        "A connection that another program has; nexoctl import.",
        notes={"place": "Where it stands, for people."},
        without=("api_key", "api_key_ref", "auth_scheme", "headers"),
        made={"base_url": _address, "has_key": _has_key, "header_names": _header_names},
        last=("model", "place"),
    ),
    "Skipped": records.Layout(
        "",
        "",
        notes={"lacks": "The part that a person can add to have it after all."},
        words={"lacks": ("", *Part)},
        without=("half",),
        made={"lacks": _lacks},
    ),
}


@frozen
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
        left_out: dict[object, Skipped] = {}
        for skipped in self.skipped:
            half = skipped.half
            # Several models of one account lack the same, and it is given once.
            same = (skipped.reason, half.lacks, half.rest.identity) if half else skipped
            left_out.setdefault(same, skipped)
        return Found(unique_names(tuple(kept.values()), ()), tuple(left_out.values()))

    @property
    def halves(self) -> tuple[Half, ...]:
        """Those that the person can complete."""
        return tuple(one.half for one in self.skipped if one.half is not None)


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
