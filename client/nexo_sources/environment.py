"""Accounts in environment variables: those that the official SDKs read, in this shell or in any table.

Source: the providers' SDKs (openai, anthropic, google-genai, ollama), and for services with the OpenAI
dialect the documentation of aider and LiteLLM.
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
from nexo_sources.finding import Finding, Found, Incomplete, Part, Skipped

PLACE = "environment"
LOGIN_IN_ADDRESS = "its address contains a user name or password; give the key as the API key or a header"

_SPECIAL = ("openai", "anthropic", "google", "azure")
# Addresses of the user's own server or of other clouds, to which the key is not sent.
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
MODEL_OF = {"openai": "OPENAI_MODEL", "anthropic": "ANTHROPIC_MODEL", "google": "GEMINI_MODEL"}
"""The variable with the model of a service."""
_GOOGLE_ADDRESSES = ("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL", "GEMINI_API_BASE")


def find() -> Found:
    """The accounts in the variables of this shell."""
    return from_variables(reading.environment(), PLACE)


@frozen
class VariableTable:
    """Variables as one program sees them.

    Attributes:
        values: all variables, including addresses from outside the table.
        pointers: the variables to which a value may point; excludes addresses from outside the table.
        place: where they were found, shown to the user.
    """

    values: Mapping[str, str]
    pointers: Mapping[str, str]
    place: str

    def get(self, name: str) -> str:
        """The value of a variable; empty if it is not set."""
        return self.values.get(name, "").strip()

    def first(self, names: Iterable[str]) -> str:
        """The first name that has a value; empty if none has."""
        return next((name for name in names if self.get(name)), "")


def from_variables(
    variables: Mapping[str, str], place: str, *, around: Mapping[str, str] = keys.NOT_ASKED
) -> Found:
    """The accounts in a table of variables.

    A program that reads such a table also reads the shell, so addresses that only the shell has are used.

    Args:
        place: where the table was found, shown to the user.
        around: other variables that the program reads; only the addresses among them are used.
    """
    outer = {**reading.addresses(), **around}
    own = {name: value for name, value in variables.items() if value.strip()}
    table = VariableTable({**_addresses_for(own, outer), **own}, own, place)
    found = _openai(table) + _anthropic(table) + _google(table) + _azure(table) + _remote_ollama(table)
    found += _open_webui(table)
    for service in services.SERVICES:
        if service.name not in _SPECIAL and (variable := table.first(service.variables)):
            found += _service(service, variable, table)
    return found


def _addresses_for(variables: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
    """The addresses in `outer` for keys that have no address in `variables`."""
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
    """The name of a variable that sets the address of this service; empty if there is none."""
    prefixes = [prefix for variable in service.variables for prefix in _prefixes(variable)]
    return _other_address(variables, prefixes, ())


def claims(variables: Mapping[str, str]) -> frozenset[str]:
    """The services for which these variables have an address but no key."""
    return frozenset(
        one.name
        for one in services.SERVICES
        if one.variables
        and address_of(one, variables)
        and not any(variables.get(name, "").strip() for name in one.variables)
    )


def claims_by_word(addresses: Mapping[str, object]) -> frozenset[str]:
    """The services with an address but no key.

    Args:
        addresses: a program's name for a service -> its address; empty or None if it has a key.
    """
    known = {services.by_word(name) for name, address in addresses.items() if address}
    return frozenset(one.name for one in known if one is not None)


def claimed(found: Found, claims: Set[str], where: str) -> Found:
    """Replace findings whose service has another address here by accounts without an address.

    Such a key would otherwise be imported for the public host.

    Args:
        claims: services that have an address here.
        where: the file that sets the address, shown to the user.
    """
    kept: list[Finding] = []
    without = Found()
    for finding in found.findings:
        name = finding.preset or finding.provider.value
        if not finding.api_key or finding.base_url or name not in claims:
            kept.append(finding)
            continue
        reason = f"{where} gives its service another address; give the right one with --base-url"
        without += without_address(finding, finding.api_key, keys.NOT_ASKED, reason)
    return Found(tuple(kept), found.skipped) + without


def _prefixes(variable: str) -> tuple[str, ...]:
    """The prefixes of variables for the same service, such as MISTRAL_ for MISTRAL_API_KEY."""
    if variable in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        # GOOGLE_ alone would also match redirect addresses of Google logins.
        return _GOOGLE_PREFIXES
    return (re.sub(r"(_OPENAI)?(_API|_AUTH)?_(KEY|TOKEN)$", "", variable) + "_",)


def _service(service: services.Service, variable: str, table: VariableTable) -> Found:
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
    finding: Finding, variable: str, table: VariableTable, prefixes: Iterable[str], known: Iterable[str]
) -> Found:
    """The finding with its key; reported without an address if a variable that no SDK reads sets one."""
    other = "" if table.first(known) else _other_address(table.values, prefixes, known)
    if not other:
        return one(finding, table.get(variable), table.pointers)
    reason = f"{other} sets its address, and Nexo does not read that variable; add it with --base-url"
    return without_address(finding, table.get(variable), table.pointers, reason)


def without_address(
    finding: Finding, key_text: str, variables: Mapping[str, str], reason: str, *, what: str = ""
) -> Found:
    """Report an account whose address is unknown. If it has a key, the user can add the address.

    Args:
        what: its name in the source.
    """
    key = keys.read(key_text, variables)
    if key.problem:
        return Found((), (Skipped(what or finding.name, finding.place, key.problem),))
    incomplete = Incomplete(lacks=Part.ADDRESS, rest=replace(finding, api_key=key.value, base_url=""))
    return Found(
        (), (Skipped(what or finding.name, finding.place, reason, incomplete if key.value else None),)
    )


def _other_address(variables: Mapping[str, str], prefixes: Iterable[str], known: Iterable[str]) -> str:
    """The name of a variable with one of the prefixes that sets an address, except those in `known`."""
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
    """The finding with its key, or the reason why it cannot be imported.

    Args:
        key_text: the key as written; it may be a pointer to a variable or a placeholder.
        variables: the variables to which the key may point.
        what: its name in the source, for the reason.
        of_headers: the variables to which headers may point; `variables` if left out.
        syntax: how the program writes a variable in a header (see `keys.filled`).
    """
    # At a custom address a model may have any name.
    whose = Provider.CUSTOM if finding.base_url else finding.provider
    finding = replace(finding, model=services.whole_model(finding.model, whose))

    def left_out(reason: str, incomplete: Incomplete | None = None) -> Found:
        return Found((), (Skipped(what or finding.name, finding.place, reason, incomplete),))

    if services.holds_password(finding.base_url):
        # Only the reason is reported, because a finding shows its address.
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
        return left_out(
            f"{key.problem}: {rest.command(key.reference)}", Incomplete(lacks=Part.KEY, rest=rest)
        )
    problem = key.problem
    if not problem and not key.value and needs_key and not services.is_local(finding.address):
        problem = "it has no key"
    if problem:
        return left_out(problem, None if key.login else Incomplete(lacks=Part.KEY, rest=rest))
    return Found((replace(rest, api_key=key.value),))


def openai_like(url: str) -> tuple[Provider, str, str, str]:
    """Provider, preset, base URL and name for an address with the OpenAI dialect; empty means OpenAI's."""
    url = services.normal_base_url(Provider.CUSTOM, url)
    service = services.by_address(url) if url else services.BY_NAME["openai"]
    if service is None:
        return (Provider.CUSTOM, "", url, name_of_address(url))
    if service.provider not in (Provider.OPENAI, Provider.CUSTOM):
        # The OpenAI-compatible API of a provider that also has its own dialect.
        return (Provider.CUSTOM, "", url, f"{service.name}-openai")
    base_url = "" if url == service.base_url else url
    return (service.provider, service.preset, base_url, service.name)


def headers_of(text: str) -> tuple[Header, ...]:
    """Parse `Name: value` lines, the format of OPENAI_CUSTOM_HEADERS and ANTHROPIC_CUSTOM_HEADERS."""
    pairs = (line.partition(":") for line in text.splitlines())
    return tuple(
        Header(name.strip(), value.strip()) for name, colon, value in pairs if colon and name.strip()
    )


def _openai(table: VariableTable) -> Found:
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


def _anthropic(table: VariableTable) -> Found:
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


def _google(table: VariableTable) -> Found:
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


def _azure(table: VariableTable) -> Found:
    variable = table.first(("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"))
    endpoint = table.get(table.first(("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE")))
    if not variable and not endpoint:
        return Found()
    place = f"{table.place}: {variable or 'AZURE_OPENAI_ENDPOINT'}"
    if not endpoint:
        reason = "AZURE_OPENAI_ENDPOINT, which names your resource, is not set"
        finding = Finding(name="azure", place=place, provider=Provider.CUSTOM, preset="azure")
        return without_address(finding, table.get(variable), table.pointers, reason)
    return azure(endpoint, table.get(variable), table.pointers, place)


def azure(endpoint: str, key: str, variables: Mapping[str, str], place: str) -> Found:
    """The connection to an Azure resource."""
    finding = Finding(
        name="azure", place=place, provider=Provider.CUSTOM, preset="azure", base_url=azure_base_url(endpoint)
    )
    return one(finding, key, variables)


def azure_base_url(endpoint: str) -> str:
    """The base URL of a resource; `endpoint` may have a part of its path or none."""
    return endpoint.strip().rstrip("/").removesuffix("/v1").removesuffix("/openai") + "/openai/v1"


def _remote_ollama(table: VariableTable) -> Found:
    # `servers` finds local ones.
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


def _open_webui(table: VariableTable) -> Found:
    """Open WebUI's lists of keys and addresses: the first key is for the first address, and so on."""
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
    """A short name for an address: "gateway" for gateway.example.com, "local-8080" for a local one."""
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
