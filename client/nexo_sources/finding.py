"""The result of a source: connections that can be imported, and skipped entries with the reason."""

import enum
import shlex
from dataclasses import field, replace

from nexo.connections import names
from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.values import frozen
from nexo_client import records
from nexo_client.types import ConnectionDraft, Header
from nexo_sources import services


@frozen(kw_only=True)
class Finding:
    """A connection that another program has.

    Attributes:
        name: the proposed name; not necessarily unique.
        place: where it was found, shown to the user.
        base_url: in the form that the provider's own SDK takes; empty for the provider's default.
        api_key_ref: a reference to the key, if the user gave one; `api_key` is then empty.
        model: a model that the program uses with it.
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
        """The base URL, or the provider's default."""
        return self.base_url or services.default_base_url(self.provider, self.preset)

    @property
    def identity(self) -> tuple[str, str, str, tuple[Header, ...]]:
        """Findings with equal identities are the same connection."""
        return (self.provider.value, self.address.rstrip("/"), self.api_key, self.headers)

    def command(self, reference: str) -> str:
        """The `nexoctl add` command line that adds it with a reference to its key."""
        words = ["nexoctl", "add", allowed_name(self.name)]
        words += ["--preset", self.preset] if self.preset else ["--provider", self.provider.value]
        words += ["--base-url", self.base_url] if self.base_url else []
        return shlex.join([*words, "--api-key-ref", reference])

    def draft(self) -> ConnectionDraft:
        """The draft that the daemon accepts."""
        return ConnectionDraft(
            name=self.name,
            provider=self.provider.value,
            preset=self.preset or None,
            base_url=self.base_url or None,
            # An empty string means that there is no key and none is to be asked for.
            api_key=None if self.api_key_ref else self.api_key,
            api_key_ref=self.api_key_ref or None,
            auth_scheme=self.auth_scheme.value if self.auth_scheme else None,
            headers=self.headers or None,
            default_model=self.model or None,
        )


class Part(enum.StrEnum):
    """A part that an account may lack; the values are field names of a connection."""

    KEY = "api_key"
    ADDRESS = "base_url"


@frozen(kw_only=True)
class Incomplete:
    """An account that lacks its key or its address, which only the user can give (see `completing`).

    Attributes:
        lacks: the missing part.
        rest: the other parts. Must not be imported as it is: without an address it would use the default one.
    """

    lacks: Part
    rest: Finding


@frozen
class Skipped:
    """Something that cannot be imported.

    Attributes:
        what: its name in the source.
        place: where it was found, shown to the user.
        reason: why, and what the user can do instead.
        incomplete: the known part, if the user can give the missing one.
    """

    what: str
    place: str
    reason: str
    incomplete: Incomplete | None = None


def _has_key(value: Finding, _now: object) -> bool:
    return bool(value.api_key)


def _address(value: Finding, _now: object) -> str:
    return value.address


def _header_names(value: Finding, _now: object) -> tuple[str, ...]:
    return tuple(header.name for header in value.headers)


def _lacks(value: Skipped, _now: object) -> str:
    return value.incomplete.lacks.value if value.incomplete else ""


records.LAYOUTS |= {
    "Finding": records.Layout(
        "finding",
        "A connection that another program has; nexoctl import.",
        notes={"place": "Where it was found, shown to the user."},
        without=("api_key", "api_key_ref", "auth_scheme", "headers"),
        made={"base_url": _address, "has_key": _has_key, "header_names": _header_names},
        last=("model", "place"),
    ),
    "Skipped": records.Layout(
        "",
        "",
        notes={"lacks": "The missing part, if the user can give it and then import it."},
        words={"lacks": ("", *Part)},
        without=("incomplete",),
        made={"lacks": _lacks},
    ),
}


@frozen
class Found:
    """The result of one or more sources."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __add__(self, other: "Found") -> "Found":
        return Found(self.findings + other.findings, self.skipped + other.skipped)

    def __bool__(self) -> bool:
        return bool(self.findings or self.skipped)

    def merged(self) -> "Found":
        """The result without duplicates, under unique names; the first of equal connections is kept."""
        kept: dict[object, Finding] = {}
        for finding in self.findings:
            known = kept.setdefault(finding.identity, finding)
            if not known.model and finding.model:
                kept[finding.identity] = replace(known, model=finding.model)
        left_out: dict[object, Skipped] = {}
        for skipped in self.skipped:
            incomplete = skipped.incomplete
            # Several models of one account lack the same part; the user gives it once.
            same = (skipped.reason, incomplete.lacks, incomplete.rest.identity) if incomplete else skipped
            left_out.setdefault(same, skipped)
        return Found(unique_names(tuple(kept.values()), ()), tuple(left_out.values()))

    @property
    def incomplete(self) -> tuple[Incomplete, ...]:
        """The accounts that the user can complete."""
        return tuple(one.incomplete for one in self.skipped if one.incomplete is not None)


# The daemon allows 64 characters; the rest is for the number of `unique_names`.
_NAME_LIMIT = 58


def allowed_name(text: str) -> str:
    """The text as a name that the daemon accepts: visible, not too long, without a leading dash."""
    visible = names.replaced(" ".join(text.split()), lambda _: "")
    # What is cut off may have made a joiner visible.
    cut = names.replaced(visible.lstrip("- ")[:_NAME_LIMIT], lambda _: "")
    return cut.strip("- ") or "unnamed"


def unique_names(findings: tuple[Finding, ...], taken: tuple[str, ...]) -> tuple[Finding, ...]:
    """Make names allowed, and unique by adding a number to those that are taken; case is ignored."""
    used = {names.key(name) for name in taken}
    named = []
    for finding in findings:
        wanted = allowed_name(finding.name)
        name, number = wanted, 2
        while names.key(name) in used:
            name, number = f"{wanted}-{number}", number + 1
        used.add(names.key(name))
        named.append(replace(finding, name=name))
    return tuple(named)
