"""An account as another program's configuration describes it, and its conversion into a connection.

Most sources share this module. Each program stores an address, a key (or a reference to one), headers and a
model in its own format. A source reads the format into `Account`s. `found` turns each account into a
connection, or gives the reason why that is impossible and what the user can do by hand.

Three rules hold. An address from one place is never combined with a key from another, unless the program
itself does so with files of this user. A reference is never sent as if it were a key. Variables of the shell
are never looked up for a file in the current directory.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from nexo.connections.terms import Provider
from nexo.connections.values import frozen
from nexo_client.types import Header
from nexo_sources import environment, keys, reading, services
from nexo_sources.finding import Finding, Found, Incomplete, Part, Skipped, allowed_name
from nexo_sources.reading import Unreadable, shown, table, word

VARIABLE = re.compile(r"\$\{(?P<braced>[A-Za-z_]\w*)\}|\$(?P<plain>[A-Za-z_]\w*)")
"""`$NAME` and `${NAME}`: the variable syntax of most programs."""

_DIALECTS = {
    "openai": Provider.CUSTOM,
    "anthropic": Provider.ANTHROPIC,
    "google": Provider.GOOGLE,
    "ollama": Provider.OLLAMA,
}


@frozen(kw_only=True)
class Account:
    """One account, as written; nothing is resolved yet.

    Attributes:
        name: the program's name for it.
        place: where it was found, shown to the user.
        dialect: openai (and compatible APIs), anthropic, google or ollama; if empty, `name` decides.
        url: as written; empty for the program's default address of the service called `name`.
        key: as written.
        variables: the variables in which the program looks for the key if `key` is empty, in order.
        reference: where the key is stored, in the syntax of `--api-key-ref`.
        headers: as written.
        model: the model that the program uses with it.
        obstacle: why it cannot be imported; the other fields are then ignored.
        address_unknown: why the address for the key is unknown; only the user can give it then.
        template: an entry that the program writes for every user; it is not reported if it has no key.
    """

    name: str
    place: str
    dialect: str = ""
    url: str = ""
    key: str = field(default="", repr=False)
    variables: tuple[str, ...] = ()
    reference: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    model: str = ""
    obstacle: str = ""
    address_unknown: str = ""
    template: bool = False


def found(
    accounts: Iterable[Account], variables: Mapping[str, str], *, syntax: re.Pattern[str] = VARIABLE
) -> Found:
    """Convert accounts into connections, and report those that cannot be imported.

    Args:
        variables: the variables that the program itself would look up.
        syntax: how the program writes a variable; the group that matches is its name.
    """
    result = Found()
    for account in accounts:
        result += _one(account, variables, syntax)
    return result


def _one(account: Account, variables: Mapping[str, str], syntax: re.Pattern[str]) -> Found:
    def left_out(reason: str, incomplete: Incomplete | None = None) -> Found:
        if account.template:
            return Found()
        return Found((), (Skipped(account.name, account.place, reason, incomplete),))

    if account.obstacle:
        return left_out(account.obstacle)
    url, missing = expanded(account.url, variables, syntax)
    if services.holds_password(url):
        # Checked first: asking the user for a missing part would show the address.
        return left_out(environment.LOGIN_IN_ADDRESS)
    key, lacking = _key_of(account, variables, syntax)
    target = _target(account, url)
    unknown = account.address_unknown
    if missing:
        unknown = f"its address needs {keys.absent(missing[0], variables)}"
    elif isinstance(target, str):
        unknown = unknown or target
    elif not url:
        unknown = unknown or _elsewhere(account, variables)
    provider, preset, base_url = _target_without_address(account) if isinstance(target, str) else target
    rest = Finding(
        name=_short(account.name),
        place=account.place,
        provider=provider,
        preset=preset,
        base_url="" if unknown else base_url,
        headers=tuple(Header(name, str(value)) for name, value in account.headers.items()),
        model=account.model,
    )
    if unknown:
        key = "" if lacking else key
        made = environment.without_address(rest, key, keys.NOT_ASKED, unknown, what=account.name)
        return Found() if account.template else made
    if account.reference:
        reason = f"its key is fetched from elsewhere; to leave it there: {rest.command(account.reference)}"
        return left_out(reason, Incomplete(lacks=Part.KEY, rest=rest))
    near = on_this_network(url)
    if lacking and not near:
        return left_out(lacking, Incomplete(lacks=Part.KEY, rest=rest))
    if near and (lacking or keys.read(key, keys.NOT_ASKED).problem):
        # Some programs require a key that the server does not; users then write an arbitrary one.
        key = ""
    made = environment.one(
        rest,
        key,
        keys.NOT_ASKED,
        needs_key=not (account.headers or near),
        what=account.name,
        of_headers=variables,
        syntax=syntax,
    )
    return Found() if account.template and not made.findings else made


def _key_of(account: Account, variables: Mapping[str, str], syntax: re.Pattern[str]) -> tuple[str, str]:
    """The key as the program resolves it, and the reason if there is none."""
    if account.key:
        key, missing = expanded(account.key, variables, syntax)
        return (key, f"its key is in {keys.absent(missing[0], variables)}" if missing else "")
    key = next((variables[name].strip() for name in account.variables if variables.get(name)), "")
    if key or account.headers or not account.variables:
        return (key, "")
    name = account.variables[0]
    if not keys.is_variable(name):
        return ("", f"its key is in {keys.absent(name, variables)}")
    return ("", f"it has no key: {name} is not set here")


def _elsewhere(account: Account, variables: Mapping[str, str]) -> str:
    """Why an account without an address may not use the public host: a variable may set another address."""
    service = services.by_word(account.name)
    beside = environment.address_of(service, {**reading.addresses(), **variables}) if service else ""
    return f"{beside} may set its address; add it with --base-url" if beside else ""


def _target_without_address(account: Account) -> tuple[Provider, str, str]:
    service = services.by_word(account.name)
    provider = _DIALECTS.get(account.dialect) or (service.provider if service else Provider.CUSTOM)
    return (provider, "", "")


def on_this_network(url: str) -> bool:
    """Whether the address is on this computer or in a private network, where servers often need no key."""
    host = services.host_of(url)
    try:
        return ip_address(host).is_private
    except ValueError:
        return services.is_local(url) or (bool(host) and "." not in host) or host.endswith((".local", ".lan"))


def _target(account: Account, url: str) -> tuple[Provider, str, str] | str:
    """Provider, preset and base URL (empty for the provider's default), or the reason if there are none."""
    service = services.by_word(account.name)
    provider = _DIALECTS.get(account.dialect) or (service.provider if service else Provider.CUSTOM)
    if not url:
        openai = (Provider.OPENAI, Provider.CUSTOM)
        same = service is not None and (
            provider is service.provider or (provider in openai and service.provider in openai)
        )
        if service is None or not same or not service.base_url:
            return _NO_ADDRESS
        return (service.provider, service.preset, "")
    if "://" not in url:
        return "its address has no http:// or https://"
    if provider in (Provider.CUSTOM, Provider.OPENAI):
        provider, preset, base_url, _ = environment.openai_like(url)
        if preset == "azure":
            return (provider, preset, environment.azure_base_url(url))
        return (provider, preset, base_url)
    base_url = services.normal_base_url(provider, url)
    own = base_url == services.default_base_url(provider, "")
    return (provider, "", "" if own else base_url)


_NO_ADDRESS = "only the program knows its address; add it by hand with --base-url"


def in_keyring(account: Account, program: str) -> Skipped:
    """Report an account whose key the program keeps in the keyring in its own format."""
    if services.holds_password(account.url):
        return Skipped(account.name, account.place, environment.LOGIN_IN_ADDRESS)
    target = _target(account, account.url)
    words, incomplete = ["nexoctl", "add", _short(account.name)], None
    if not isinstance(target, str):
        provider, preset, base_url = target
        words += ["--preset", preset] if preset else ["--provider", provider.value]
        words += ["--base-url", base_url] if base_url else []
        rest = Finding(
            name=_short(account.name),
            place=account.place,
            provider=provider,
            preset=preset,
            base_url=base_url,
            model=account.model,
        )
        incomplete = Incomplete(lacks=Part.KEY, rest=rest)
    reason = f"its key is in the keyring, where {program} keeps it; add it with: {shlex.join(words)}"
    return Skipped(account.name, account.place, reason, incomplete)


def expanded(text: str, variables: Mapping[str, str], syntax: re.Pattern[str]) -> tuple[str, list[str]]:
    """The text with its variables replaced by their values, and the names of variables that are not set."""
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        name = next((group for group in match.groups() if group), "")
        value = variables.get(name, "")
        if not value:
            missing.append(name)
        return value

    return syntax.sub(fill, text.strip()), missing


def _short(name: str) -> str:
    cleaned = re.sub(r"\s+", "-", name.strip()).strip("-").casefold()
    return allowed_name(cleaned[:40])


Parse = Callable[[str], Any]


def settings_of(path: Path, parse: Parse) -> tuple[dict[str, Any], Found]:
    """The parsed table of a file; an empty one if the file is missing or unreadable, which is reported."""
    try:
        text = reading.text_of(path)
        return (table(parse(text)) if text is not None else {}), Found()
    except Unreadable as problem:
        return {}, Found((), (Skipped(path.name, shown(path), str(problem)),))


def variables_in(path: Path) -> tuple[dict[str, str], Found]:
    """The assignments in a .env file; empty if it is missing or unreadable, which is reported."""
    try:
        text = reading.text_of(path)
        return (reading.variables_of(text) if text is not None else {}), Found()
    except Unreadable as problem:
        return {}, Found((), (Skipped(path.name, shown(path), str(problem)),))


def merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested tables; for other values, `high` wins."""
    result = dict(low)
    for name, value in high.items():
        both = table(result.get(name)), table(value)
        result[name] = merged(*both) if both[0] and both[1] else value
    return result


def in_this_directory(paths: Iterable[Path], source: str) -> Found:
    """Report files in the current directory that a program would read; `--file` reads one."""
    command = f"it belongs to this directory; if you trust it: nexoctl import {source} --file"
    return Found(
        (), tuple(Skipped(path.name, shown(path), f"{command} {_from_here(path)}") for path in paths)
    )


def _from_here(path: Path) -> str:
    here = reading.here()
    return shlex.quote(os.path.relpath(path, here) if here in (path.parent, *path.parents) else shown(path))


def first_model(models: Any) -> str:
    """The first model in a list of tables or strings, or in a table whose keys are model names."""
    if isinstance(models, Mapping):
        return next(iter(map(str, models)), "")
    for entry in models if isinstance(models, list) else []:
        name = (
            entry
            if isinstance(entry, str)
            else word(table(entry).get("id")) or word(table(entry).get("name"))
        )
        if name:
            return name
    return ""
