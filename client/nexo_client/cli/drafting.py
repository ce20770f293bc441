"""From flags and answers to a `ConnectionDraft`: the options that add, edit and test share, and the wizard.

A key never comes from the command line, which every process of the computer can read: it is typed hidden,
piped in, taken from a variable, or stays where it is (a reference).
"""

import argparse
import json
import os
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from nexo_client.cli.errors import CommandFailed
from nexo_client.cli.format import Span, Style
from nexo_client.cli.parser import UsageError, nearest
from nexo_client.cli.session import Session
from nexo_client.terms import AuthScheme, Provider
from nexo_client.types import ConnectionDraft, Header, NetworkProfile, ProviderInfo

_PROVIDERS = [provider.value for provider in Provider]

KEY_OPTIONS = ("api_key_stdin", "api_key_env", "api_key_ref", "no_key")


def add_draft_options(parser: argparse.ArgumentParser, *, editing: bool) -> None:
    """Declare the options that describe a connection."""
    what = parser.add_argument_group("what to connect to")
    what.add_argument(
        "--provider",
        metavar="P",
        help=f"{', '.join(_PROVIDERS)}; or the name of a preset (see `nexoctl providers`)",
    )
    what.add_argument("--preset", metavar="P", help="a known service of the provider custom, such as groq")
    what.add_argument("--base-url", metavar="URL", help="filled in by the provider or preset if left out")
    what.add_argument("--model", metavar="M", help="default model that programs get with the connection")
    what.add_argument(
        "--auth-scheme",
        choices=[scheme.value for scheme in AuthScheme],
        metavar="S",
        help="header that carries the key: " + ", ".join(scheme.value for scheme in AuthScheme),
    )
    secret = parser.add_argument_group("API key and headers (asked for, hidden, on a terminal)")
    key = secret.add_mutually_exclusive_group()
    key.add_argument("--api-key-stdin", action="store_true", help="read the key from stdin")
    key.add_argument("--api-key-env", metavar="VAR", help="read the key from this environment variable")
    key.add_argument(
        "--api-key-ref",
        metavar="REF",
        help="leave the key where it is: keyring:SERVICE/USER, file:PATH or command:PROGRAM ARGUMENTS",
    )
    key.add_argument("--no-key", action="store_true", help="the service needs no key")
    secret.add_argument("--key-expires", metavar="DATE", help="when the key expires (YYYY-MM-DD)")
    secret.add_argument(
        "--header",
        action="append",
        metavar="'K: V'",
        help="custom header, may be repeated; other programs can see it while the command runs",
    )
    secret.add_argument(
        "--headers-json",
        metavar="JSON|@FILE",
        help="custom headers as a JSON object, or @FILE (@- for stdin) with one",
    )
    if editing:
        secret.add_argument("--no-headers", action="store_true", help="remove all custom headers")
    network = parser.add_argument_group("network")
    network.add_argument("--proxy", metavar="URL|direct|system", help="proxy of this connection")
    network.add_argument("--no-proxy", metavar="HOSTS", help="hosts that bypass the proxy, comma-separated")
    network.add_argument("--ca-bundle", metavar="FILE", help="PEM file with certificates to trust")
    checks = parser.add_argument_group("use and checks")
    checks.add_argument("--enable", action="store_const", const=True, dest="enabled", help="switch it on")
    checks.add_argument(
        "--disable", action="store_const", const=False, dest="enabled", help="keep it, but hand it to nobody"
    )
    checks.add_argument(
        "--check-every",
        metavar="SECONDS",
        type=float,
        help="own interval of health checks; 0: the global one",
    )
    checks.add_argument(
        "--pause-checks", action="store_const", const=True, dest="checks_paused", help="no health checks"
    )
    checks.add_argument(
        "--resume-checks", action="store_const", const=False, dest="checks_paused", help="check it again"
    )


def has_draft_options(arguments: argparse.Namespace) -> bool:
    """Whether any option that describes a connection was given."""
    plain = (
        "provider",
        "preset",
        "base_url",
        "model",
        "auth_scheme",
        "key_expires",
        "header",
        "headers_json",
    )
    more = ("proxy", "no_proxy", "ca_bundle", "enabled", "check_every", "checks_paused")
    values = [getattr(arguments, name, None) for name in (*plain, *more)]
    flags = [getattr(arguments, name, None) for name in (*KEY_OPTIONS, "no_headers")]
    return any(value is not None for value in values) or any(flags)


def draft_from(
    arguments: argparse.Namespace, session: Session, catalogue: Callable[[], Sequence[ProviderInfo]]
) -> ConnectionDraft:
    """The draft that the options describe; what was not given stays None.

    Args:
        catalogue: asks the daemon for providers and presets; called only if needed.

    Raises:
        UsageError: an option makes no sense.
        CommandFailed: a file or variable that was named cannot be read.
    """
    provider, preset = _provider(arguments.provider, arguments.preset, catalogue)
    return ConnectionDraft(
        provider=provider,
        preset=preset,
        base_url=arguments.base_url,
        auth_scheme=arguments.auth_scheme,
        api_key=_key(arguments, session),
        api_key_ref=arguments.api_key_ref,
        headers=_headers(arguments),
        headers_json=_headers_json(arguments, session),
        default_model=arguments.model,
        enabled=arguments.enabled,
        key_expires_at=_date(arguments.key_expires),
        check_interval_s=arguments.check_every,
        checks_paused=arguments.checks_paused,
    )


def network_from(arguments: argparse.Namespace, current: NetworkProfile | None) -> NetworkProfile | None:
    """The network profile that the options describe on top of the current one; None if none was given."""
    if arguments.proxy is None and arguments.no_proxy is None and arguments.ca_bundle is None:
        return None
    profile = current or NetworkProfile()
    if arguments.proxy is not None:
        profile = replace(profile, proxy=arguments.proxy)
    if arguments.no_proxy is not None:
        hosts = tuple(host.strip() for host in arguments.no_proxy.split(",") if host.strip())
        profile = replace(profile, no_proxy=hosts)
    if arguments.ca_bundle is not None:
        path = arguments.ca_bundle
        profile = replace(profile, ca_bundle=str(Path(path).expanduser().absolute()) if path else "")
    return profile


def _provider(
    provider: str | None, preset: str | None, catalogue: Callable[[], Sequence[ProviderInfo]]
) -> tuple[str | None, str | None]:
    if provider is None:
        # A preset says which provider it belongs to.
        return (Provider.CUSTOM.value if preset else None), preset
    word = provider.strip().casefold()
    if word in _PROVIDERS:
        return word, preset
    known = catalogue()
    if any(entry.is_preset and entry.name == word for entry in known):
        return Provider.CUSTOM.value, word
    near = nearest(word, [entry.name for entry in known])
    raise UsageError(
        f"provider: there is no provider or preset {provider!r}",
        f"did you mean {near}?" if near else f"use {', '.join(_PROVIDERS)}, or see `nexoctl providers`",
    )


def _key(arguments: argparse.Namespace, session: Session) -> str | None:
    if arguments.no_key:
        return ""
    if arguments.api_key_env:
        key = os.environ.get(arguments.api_key_env)
        if not key:
            raise UsageError(
                f"api_key: the environment variable {arguments.api_key_env} is not set",
                "export it, or give the key with --api-key-stdin",
            )
        return key
    if arguments.api_key_stdin:
        if session.interactive:
            return session.terminal.ask_secret("API key")
        # One line break at the end belongs to the shell that wrote it, not to the key.
        key = session.terminal.stdin.read().removesuffix("\n").removesuffix("\r")
        if not key:
            raise UsageError("api_key: stdin was empty", "pipe the key in: … | nexoctl … --api-key-stdin")
        return key
    return None


def _headers(arguments: argparse.Namespace) -> tuple[Header, ...] | None:
    if getattr(arguments, "no_headers", False):
        return ()
    if arguments.header is None:
        return None
    headers = []
    for position, text in enumerate(arguments.header, start=1):
        name, colon, value = text.partition(":")
        if not colon:
            # Without quoting it: what stands there may be the secret.
            raise UsageError(f"--header number {position} has no colon", "write --header 'Name: value'")
        headers.append(Header(name.strip(), value.strip()))
    return tuple(headers)


def _headers_json(arguments: argparse.Namespace, session: Session) -> str | None:
    text: str | None = arguments.headers_json
    if text is None or not text.startswith("@"):
        return text
    if text == "@-":
        return session.terminal.stdin.read()
    path = Path(text[1:]).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise CommandFailed(f"headers_json: {path}: {why}", hint="give the path of a JSON file") from None


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--key-expires: {text!r} is no date", "write it as YYYY-MM-DD") from None
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Wizard:
    """Asks a person for what is missing, in the order of the form: name, provider, key, URL, headers."""

    session: Session
    catalogue: Sequence[ProviderInfo]
    taken: Sequence[str]

    def complete(self, draft: ConnectionDraft) -> ConnectionDraft:
        """The draft with every field that was not given asked for."""
        if draft.name is None:
            draft = replace(draft, name=self.ask_name())
        if draft.provider is None:
            draft = self.ask_provider(draft)
        if draft.api_key is None and draft.api_key_ref is None:
            draft = self.ask_key(draft)
        if draft.base_url is None:
            draft = self.ask_base_url(draft)
        if draft.headers is None and draft.headers_json is None:
            draft = self.ask_headers(draft)
        return draft

    def again(self, draft: ConnectionDraft, field: str) -> ConnectionDraft | None:
        """Ask once more for the field that was refused; None if it is not one of the form."""
        questions: dict[str, Callable[[], ConnectionDraft]] = {
            "name": lambda: replace(draft, name=self.ask_name()),
            "provider": lambda: self.ask_provider(draft),
            "preset": lambda: self.ask_provider(draft),
            "api_key": lambda: self.ask_key(draft),
            "base_url": lambda: self.ask_base_url(draft),
            "headers": lambda: self.ask_headers(draft),
            "headers_json": lambda: self.ask_headers(draft),
        }
        question = questions.get(field)
        return question() if question else None

    def ask_name(self) -> str:
        """A name that is not taken."""
        folded = {name.casefold() for name in self.taken}

        def check(answer: str) -> str:
            if not answer:
                return "Give the connection a name, for example: work"
            if answer.casefold() in folded:
                return f"There is a connection '{answer}' already; choose another name."
            return ""

        return self.session.terminal.ask("Name", check=check)

    def ask_provider(self, draft: ConnectionDraft, default: str = "openai") -> ConnectionDraft:
        """A provider or a preset, by name or number."""
        say = self.session.printer.note
        choices = [entry.name for entry in self.catalogue]
        providers = [entry for entry in self.catalogue if not entry.is_preset]
        presets = [entry.name for entry in self.catalogue if entry.is_preset]
        for number, entry in enumerate(providers, start=1):
            say(Span(f"  {number}  {entry.name.ljust(10)}", Style.NAME), f" {entry.display_name}")
        if presets:
            text = f"or a service by name: {', '.join(presets)}"
            for line in textwrap.wrap(text, self.session.terminal.err_width - 4):
                say(Span(f"  {line}", Style.FAINT))

        def check(answer: str) -> str:
            if answer.casefold() in choices or (answer.isdigit() and 1 <= int(answer) <= len(providers)):
                return ""
            near = nearest(answer, choices)
            return f"'{answer}' is unknown; did you mean {near}?" if near else "Choose a number or a name."

        answer = self.session.terminal.ask("Provider", default, check=check)
        name = providers[int(answer) - 1].name if answer.isdigit() else answer.casefold()
        chosen = next(entry for entry in self.catalogue if entry.name == name)
        preset = chosen.name if chosen.is_preset else None
        return replace(draft, provider=chosen.provider.value, preset=preset)

    def ask_key(self, draft: ConnectionDraft) -> ConnectionDraft:
        """The key, hidden; Enter for none."""
        entry = entry_of(draft, self.catalogue)
        if entry is not None and entry.key_url:
            self.session.printer.note(Span(f"  keys are made at {entry.key_url}", Style.FAINT))
        required = entry is not None and entry.key_required
        question = "API key (hidden)" if required else "API key (hidden; Enter for none)"
        while True:
            # White space around a pasted key is never part of it.
            key = self.session.terminal.ask_secret(question).strip()
            if key or not required or self.session.terminal.confirm("Really without a key?"):
                return replace(draft, api_key=key, api_key_ref=None)

    def ask_base_url(self, draft: ConnectionDraft) -> ConnectionDraft:
        """The base URL, filled in where the provider has one."""
        entry = entry_of(draft, self.catalogue)
        default = entry.default_base_url if entry else ""

        def check(answer: str) -> str:
            if not answer:
                return "Give the address that comes before /chat/completions, e.g. http://127.0.0.1:8000/v1"
            if urlsplit(answer).scheme not in ("http", "https"):
                return "It begins with https:// or http://"
            return ""

        return replace(draft, base_url=self.session.terminal.ask("Base URL", default, check=check))

    def ask_headers(self, draft: ConnectionDraft) -> ConnectionDraft:
        """Custom headers as JSON; Enter for none."""
        answer = self.session.terminal.ask("Custom headers as JSON (Enter for none)", check=headers_problem)
        return replace(draft, headers=None, headers_json=answer or None)


def headers_problem(text: str) -> str:
    """What is wrong with headers as a person typed them; empty when nothing is."""
    if not text:
        return ""
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        return f'Not JSON: {error.msg} (column {error.colno}). Write {{"X-Team": "blue"}}'
    return "" if isinstance(parsed, dict) else 'Write an object: {"X-Team": "blue"}'


def entry_of(draft: ConnectionDraft, catalogue: Iterable[ProviderInfo]) -> ProviderInfo | None:
    """The provider or preset that a draft chooses."""
    wanted = draft.preset or draft.provider
    return next((entry for entry in catalogue if entry.name == wanted), None)


def missing_field(draft: ConnectionDraft, catalogue: Sequence[ProviderInfo]) -> str:
    """The first field that is needed and not given: name, provider, api_key or base_url; empty for none."""
    if not draft.name:
        return "name"
    if not draft.provider:
        return "provider"
    entry = entry_of(draft, catalogue)
    if entry is None:
        return ""
    if entry.key_required and draft.api_key is None and draft.api_key_ref is None:
        return "api_key"
    return "" if entry.default_base_url or draft.base_url else "base_url"


_MISSING_HINTS = {
    "name": "give it a name: nexoctl add NAME --provider PROVIDER",
    "provider": "give --provider; `nexoctl providers` lists them",
    "api_key": "give --api-key-stdin, --api-key-env VAR or --api-key-ref REF; or say --no-key",
    "base_url": "give --base-url, for example http://127.0.0.1:8000/v1",
}


def missing(field: str) -> UsageError:
    """What a script forgot to give."""
    return UsageError(f"{field}: is missing", _MISSING_HINTS[field])
