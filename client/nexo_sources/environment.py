"""The variables that the official SDKs read, in this shell or in any table of variables.

Source: providers' SDKs (openai, anthropic, google-genai, ollama) and what aider and LiteLLM document for the
services that speak the OpenAI dialect.
"""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from itertools import zip_longest
from urllib.parse import urlsplit

from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.values import frozen
from nexo_client.types import Header
from nexo_sources import keys, reading, services
from nexo_sources.finding import Finding, Found, Half, Part, Skipped

PLACE = "environment"
LOGIN_IN_ADDRESS = "its address holds a user name or password; give the key as the API key or a header"

_SPECIAL = ("openai", "anthropic", "google", "azure")
# Of a server of one's own, of other clouds: not where that key goes.
_NO_ADDRESS = (
    "OLLAMA_HOST",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
)
_OPENAI_ADDRESSES = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_BASE_URL")
_ANTHROPIC_ADDRESSES = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE")
_SUBSCRIPTION = "CLAUDE_CODE_OAUTH_TOKEN"
_GOOGLE_PREFIXES = ("GEMINI_", "GOOGLE_GEMINI_", "GOOGLE_GENAI_", "GOOGLE_API_")
_GOOGLE_ADDRESSES = ("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL", "GEMINI_API_BASE")


def find() -> Found:
    """What the variables of this shell say."""
    return from_variables(reading.environment(), PLACE)


@frozen
class Table:
    """Variables as one program sees them.

    Attributes:
        values: by name, addresses of elsewhere included.
        pointers: where a value that names a variable leads; never to an address of elsewhere.
        place: where they stand, for people.
    """

    values: Mapping[str, str]
    pointers: Mapping[str, str]
    place: str

    def get(self, name: str) -> str:
        """The value; empty if there is none."""
        return self.values.get(name, "").strip()

    def first(self, names: Iterable[str]) -> str:
        """The first of the names that has a value."""
        return next((name for name in names if self.get(name)), "")


def from_variables(
    variables: Mapping[str, str], place: str, *, around: Mapping[str, str] = keys.NOT_ASKED
) -> Found:
    """What a table of variables says.

    A program that reads its own table reads the shell as well, so an address that only the shell has counts.

    Args:
        around: what the program reads besides; of it, too, only addresses count.
    """
    outer = {**reading.addresses(), **around}
    own = {name: value for name, value in variables.items() if value.strip()}
    table = Table({**_addresses_for(own, outer), **own}, own, place)
    found = _openai(table) + _anthropic(table) + _google(table) + _azure(table) + _remote_ollama(table)
    found += _open_webui(table)
    for service in services.SERVICES:
        if service.name not in _SPECIAL and (variable := table.first(service.variables)):
            found += _service(service, variable, table)
    return found


def _addresses_for(variables: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
    """The addresses of elsewhere for the keys of a table that has no address for them."""
    found: dict[str, str] = {}
    for service in services.SERVICES:
        for variable in service.variables:
            prefixes = _prefixes(variable)
            if not variables.get(variable, "").strip() or _other_address(variables, prefixes, ()):
                continue
            for name in outer:
                if any(_other_address({name: outer[name]}, [prefix], ()) for prefix in prefixes):
                    found[name] = outer[name]
    return found


def address_of(service: services.Service, variables: Mapping[str, str]) -> str:
    """A variable that says where the key of this service goes, in whatever name; empty if there is none."""
    prefixes = [prefix for variable in service.variables for prefix in _prefixes(variable)]
    return _other_address(variables, prefixes, ())


def claims(variables: Mapping[str, str]) -> frozenset[str]:
    """The services of which these variables have the address and not the key."""
    return frozenset(
        one.name
        for one in services.SERVICES
        if one.variables
        and address_of(one, variables)
        and not any(variables.get(name, "").strip() for name in one.variables)
    )


def claims_by_word(addresses: Mapping[str, object]) -> frozenset[str]:
    """Likewise, of a program's own words for services; each with its address, if it has no key."""
    known = {services.by_word(name) for name, address in addresses.items() if address}
    return frozenset(one.name for one in known if one is not None)


def claimed(found: Found, claims: Set[str], where: str) -> Found:
    """Without the keys that are for the public host elsewhere, and here for an address that somebody set.

    Args:
        claims: services that have an address here.
        where: what says so, for people.
    """
    kept: list[Finding] = []
    halves = Found()
    for finding in found.findings:
        name = finding.preset or finding.provider.value
        if not finding.api_key or finding.base_url or name not in claims:
            kept.append(finding)
            continue
        reason = f"{where} sends it elsewhere here; say where it belongs with --base-url"
        halves += without_address(finding, finding.api_key, keys.NOT_ASKED, reason)
    return Found(tuple(kept), found.skipped) + halves


def _prefixes(variable: str) -> tuple[str, ...]:
    """MISTRAL_ of MISTRAL_API_KEY."""
    if variable in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        # Not all of GOOGLE_: a redirect of its logins is no address of the API.
        return _GOOGLE_PREFIXES
    return (re.sub(r"(_OPENAI)?(_API|_AUTH)?_(KEY|TOKEN)$", "", variable) + "_",)


def _service(service: services.Service, variable: str, table: Table) -> Found:
    (prefix,) = _prefixes(variable)
    names = [prefix + rest for rest in ("BASE_URL", "API_BASE", "API_BASE_URL")]
    address = table.first(names)
    provider, preset, base_url, name = service.provider, service.preset, "", service.name
    if address:
        provider, preset, base_url, name = openai_like(table.get(address))
    finding = Finding(
        name=name, place=f"{table.place}: {variable}", provider=provider, preset=preset, base_url=base_url
    )
    return _whole(finding, variable, table, [prefix], names)


def _whole(
    finding: Finding, variable: str, table: Table, prefixes: Iterable[str], known: Iterable[str]
) -> Found:
    """The finding, unless an address is beside it that no SDK reads: then it is not for the public host."""
    other = "" if table.first(known) else _other_address(table.values, prefixes, known)
    if not other:
        return one(finding, table.get(variable), table.pointers)
    reason = f"{other} beside it says where it goes, which Nexo does not read; add it with --base-url"
    return without_address(finding, table.get(variable), table.pointers, reason)


def without_address(
    finding: Finding, key_text: str, variables: Mapping[str, str], reason: str, *, what: str = ""
) -> Found:
    """A key (or nothing) of which nobody can say where it goes: for the person to say.

    Args:
        what: its name in the source.
    """
    key = keys.read(key_text, variables)
    if key.problem:
        return Found((), (Skipped(what or finding.name, finding.place, key.problem),))
    half = Half(lacks=Part.ADDRESS, rest=replace(finding, api_key=key.value, base_url=""))
    return Found((), (Skipped(what or finding.name, finding.place, reason, half if key.value else None),))


def _other_address(variables: Mapping[str, str], prefixes: Iterable[str], known: Iterable[str]) -> str:
    """A variable that says where the key goes, in a name that no SDK has: it is not for the public host."""
    return next(
        (
            name
            for prefix in prefixes
            for name, value in variables.items()
            if name.startswith(prefix)
            and reading.ADDRESS.search(name.removeprefix(prefix))
            and value.strip()
            and name not in (*known, *_NO_ADDRESS)
        ),
        "",
    )


def one(
    finding: Finding,
    key_text: str,
    variables: Mapping[str, str],
    *,
    needs_key: bool = True,
    what: str = "",
    of_headers: Mapping[str, str] | None = None,
    syntax: re.Pattern[str] | None = None,
) -> Found:
    """The finding with its key, or the reason why not.

    Args:
        what: its name in the source, for the reason.
        of_headers: where pointers in headers lead, if not where that of the key does.
        syntax: how the program writes a variable in a header (see `keys.filled`).
    """
    # At an address of one's own a model may have any name.
    whose = Provider.CUSTOM if finding.base_url else finding.provider
    finding = replace(finding, model=services.whole_model(finding.model, whose))

    def left_out(reason: str, half: Half | None = None) -> Found:
        return Found((), (Skipped(what or finding.name, finding.place, reason, half),))

    if services.holds_password(finding.base_url):
        # Not shown: the address is in what is said of a finding.
        return left_out(LOGIN_IN_ADDRESS)
    headers = []
    of_headers = variables if of_headers is None else of_headers
    for header in finding.headers:
        value, problem = keys.filled(header.name, header.value, of_headers, syntax)
        if problem:
            return left_out(f"its header {header.name} {problem}")
        headers.append(Header(header.name, value))
    rest = replace(finding, headers=tuple(headers))
    key = keys.read(key_text, variables)
    if key.reference:
        return left_out(f"{key.problem}: {rest.command(key.reference)}", Half(lacks=Part.KEY, rest=rest))
    problem = key.problem
    if not problem and not key.value and needs_key and not services.is_local(finding.address):
        problem = "it has no key"
    if problem:
        return left_out(problem, None if key.login else Half(lacks=Part.KEY, rest=rest))
    return Found((replace(rest, api_key=key.value),))


def openai_like(url: str) -> tuple[Provider, str, str, str]:
    """Provider, preset, base URL and name for an address of the OpenAI dialect; the URL may be empty."""
    url = services.normal_base_url(Provider.CUSTOM, url)
    service = services.by_address(url) if url else services.by_name("openai")
    if service is None:
        return (Provider.CUSTOM, "", url, name_of_address(url))
    if service.provider not in (Provider.OPENAI, Provider.CUSTOM):
        # The OpenAI face of a provider that has its own dialect, too.
        return (Provider.CUSTOM, "", url, f"{service.name}-openai")
    base_url = "" if url == service.base_url else url
    return (service.provider, service.preset, base_url, service.name)


def headers_of(text: str) -> tuple[Header, ...]:
    """`Name: value` lines, as OPENAI_CUSTOM_HEADERS and ANTHROPIC_CUSTOM_HEADERS hold them."""
    pairs = (line.partition(":") for line in text.splitlines())
    return tuple(
        Header(name.strip(), value.strip()) for name, colon, value in pairs if colon and name.strip()
    )


def _openai(table: Table) -> Found:
    address = table.first(_OPENAI_ADDRESSES)
    variable = table.first(("OPENAI_API_KEY",))
    if not address and not variable:
        return Found()
    provider, preset, base_url, name = openai_like(table.get(address))
    headers = headers_of(table.get("OPENAI_CUSTOM_HEADERS"))
    for name_of, header in (
        ("OPENAI_ORG_ID", "OpenAI-Organization"),
        ("OPENAI_PROJECT_ID", "OpenAI-Project"),
    ):
        if provider is Provider.OPENAI and table.get(name_of):
            headers += (Header(header, table.get(name_of)),)
    finding = Finding(
        name=name,
        place=f"{table.place}: {variable or address}",
        provider=provider,
        preset=preset,
        base_url=base_url,
        headers=headers,
        model=table.get("OPENAI_MODEL"),
    )
    return _whole(finding, variable, table, ["OPENAI_"], _OPENAI_ADDRESSES)


def _anthropic(table: Table) -> Found:
    variable = table.first(("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
    url = table.get(table.first(_ANTHROPIC_ADDRESSES))
    if not variable and table.get(_SUBSCRIPTION):
        reason = "it is the login of a Claude subscription (OAuth), not an API key"
        return Found((), (Skipped("claude login", f"{table.place}: {_SUBSCRIPTION}", reason),))
    if not variable and not url:
        return Found()
    base_url = services.normal_base_url(Provider.ANTHROPIC, url)
    own = base_url in ("", services.default_base_url(Provider.ANTHROPIC, ""))
    finding = Finding(
        name="anthropic" if own else name_of_address(base_url),
        place=f"{table.place}: {variable or 'ANTHROPIC_BASE_URL'}",
        provider=Provider.ANTHROPIC,
        base_url="" if own else base_url,
        auth_scheme=AuthScheme.BEARER if variable == "ANTHROPIC_AUTH_TOKEN" else None,
        headers=headers_of(table.get("ANTHROPIC_CUSTOM_HEADERS")),
        model=table.get("ANTHROPIC_MODEL"),
    )
    return _whole(finding, variable, table, ["ANTHROPIC_"], _ANTHROPIC_ADDRESSES)


def _google(table: Table) -> Found:
    variable = table.first(("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_API_KEY"))
    address = table.first(_GOOGLE_ADDRESSES)
    if not variable and not address:
        return Found()
    base_url = services.normal_base_url(Provider.GOOGLE, table.get(address))
    own = base_url in ("", services.default_base_url(Provider.GOOGLE, ""))
    finding = Finding(
        name="google" if own else name_of_address(base_url),
        place=f"{table.place}: {variable or address}",
        provider=Provider.GOOGLE,
        base_url="" if own else base_url,
        model=table.get("GEMINI_MODEL"),
    )
    return _whole(finding, variable, table, _GOOGLE_PREFIXES, _GOOGLE_ADDRESSES)


def _azure(table: Table) -> Found:
    variable = table.first(("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"))
    endpoint = table.get(table.first(("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE")))
    if not variable and not endpoint:
        return Found()
    place = f"{table.place}: {variable or 'AZURE_OPENAI_ENDPOINT'}"
    if not endpoint:
        reason = "AZURE_OPENAI_ENDPOINT, which names your resource, is not set beside it"
        finding = Finding(name="azure", place=place, provider=Provider.CUSTOM, preset="azure")
        return without_address(finding, table.get(variable), table.pointers, reason)
    return azure(endpoint, table.get(variable), table.pointers, place)


def azure(endpoint: str, key: str, variables: Mapping[str, str], place: str) -> Found:
    """An Azure resource; its key travels in a header of its own."""
    finding = Finding(
        name="azure", place=place, provider=Provider.CUSTOM, preset="azure", base_url=azure_base_url(endpoint)
    )
    return one(finding, key, variables)


def azure_base_url(endpoint: str) -> str:
    """The address of a resource, however much of it was written."""
    return endpoint.strip().rstrip("/").removesuffix("/v1").removesuffix("/openai") + "/openai/v1"


def _remote_ollama(table: Table) -> Found:
    # A local one is found by asking it (see `servers`).
    host = table.get("OLLAMA_HOST")
    url = host if "://" in host else f"http://{host}"
    if not host or services.is_local(url) or host.startswith(":"):
        return Found()
    if "://" not in host and ":" not in host:
        url += ":11434"
    finding = Finding(
        name="ollama", place=f"{table.place}: OLLAMA_HOST", provider=Provider.OLLAMA, base_url=url.rstrip("/")
    )
    return one(finding, "", table.pointers, needs_key=False)


def _open_webui(table: Table) -> Found:
    """Open WebUI's lists: the first key is for the first address, and so on."""
    keys_, addresses = table.get("OPENAI_API_KEYS"), table.get("OPENAI_API_BASE_URLS")
    found = Found()
    if not keys_:
        return found
    pairs = zip_longest(keys_.split(";"), addresses.split(";") if addresses else (), fillvalue="")
    for number, (key, url) in enumerate(pairs, 1):
        provider, preset, base_url, name = openai_like(url.strip())
        place = f"{table.place}: OPENAI_API_KEYS, number {number}"
        finding = Finding(name=name, place=place, provider=provider, preset=preset, base_url=base_url)
        if url.strip():
            found += one(finding, key, table.pointers)
        elif key.strip():
            reason = "OPENAI_API_BASE_URLS has no address for it; add it with --base-url"
            found += without_address(finding, key, table.pointers, reason)
    return found


def name_of_address(url: str) -> str:
    """A short name for an address: "gateway" of gateway.example.com, "local-8080" of a local one."""
    host = services.host_of(url) or "custom"
    if services.is_local(url):
        try:
            port = urlsplit(url).port
        except ValueError:
            port = None
        return f"local-{port}" if port else "local"
    labels = [
        label for label in host.split(".") if label not in ("api", "www", "com", "net", "org", "io", "ai")
    ]
    return labels[0] if labels and not labels[0].isdigit() else host
