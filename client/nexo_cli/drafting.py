"""From flags to a `ConnectionDraft`: the options that add, edit and test share. For questions see `form`.

A key never comes from the command line, because every process on the computer can read it. A key is typed
hidden, piped in, taken from a variable, or given as a reference to its place.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nexo.connections.ranges import CHECK_INTERVAL_S
from nexo.connections.similar import most_similar
from nexo.connections.terms import AuthScheme, Provider
from nexo_cli import proxy_flag
from nexo_cli.errors import CommandFailed
from nexo_cli.parser import UsageError, number
from nexo_cli.session import Session
from nexo_client.types import Connection, ConnectionDraft, Header, MappedModel, NetworkProfile, ProviderInfo

_PROVIDERS = [provider.value for provider in Provider]

KEY_OPTIONS = ("api_key_stdin", "api_key_env", "api_key_ref", "no_key")


def add_draft_options(parser: argparse.ArgumentParser, *, editing: bool) -> None:
    """Declare the options that describe a connection."""
    _add_endpoint_options(parser, editing=editing)
    _add_secret_options(parser, editing=editing)
    network = parser.add_argument_group("network")
    proxy_flag.add_proxy_options(network)
    network.add_argument("--no-proxy", metavar="HOSTS", help="hosts that bypass the proxy, comma-separated")
    network.add_argument("--ca-bundle", metavar="FILE", help="PEM file with certificates to trust")
    _add_check_options(parser)


def _add_endpoint_options(parser: argparse.ArgumentParser, *, editing: bool) -> None:
    what = parser.add_argument_group("the endpoint")
    what.add_argument(
        "--provider",
        metavar="P",
        help=f"{', '.join(_PROVIDERS)}; or the name of a preset (see `nexoctl providers`)",
    )
    what.add_argument("--preset", metavar="P", help="a known service of the provider custom, such as groq")
    what.add_argument("--base-url", metavar="URL", help="default: that of the provider or preset")
    what.add_argument("--model", metavar="M", help="default model that programs get with the connection")
    what.add_argument(
        "--map",
        action="append",
        metavar="ASKED=SENT",
        help="if a program asks the gateway for exactly ASKED, send the model SENT; may be repeated",
    )
    if editing:
        what.add_argument(
            "--unmap",
            action="append",
            metavar="ASKED",
            help="remove the mapping of ASKED; may be repeated",
        )
    what.add_argument(
        "--auth-scheme",
        choices=[scheme.value for scheme in AuthScheme],
        metavar="S",
        help="header that carries the key: " + ", ".join(scheme.value for scheme in AuthScheme),
    )


def _add_secret_options(parser: argparse.ArgumentParser, *, editing: bool) -> None:
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
        secret.add_argument(
            "--keep-headers",
            action="store_const",
            const=True,
            help="keep the other stored headers",
        )
        secret.add_argument(
            "--remove-header",
            action="append",
            metavar="NAME",
            help="remove this stored header and keep the others; may be repeated",
        )
        secret.add_argument("--no-headers", action="store_true", help="remove all custom headers")


def _add_check_options(parser: argparse.ArgumentParser) -> None:
    checks = parser.add_argument_group("use and checks")
    checks.add_argument("--enable", action="store_const", const=True, dest="enabled", help="switch it on")
    checks.add_argument(
        "--disable",
        action="store_const",
        const=False,
        dest="enabled",
        help="keep it, but do not give it to programs any more",
    )
    checks.add_argument(
        "--check-every",
        metavar="SECONDS",
        type=number(float, 0, CHECK_INTERVAL_S[1]),
        help="interval of its health checks; 0: the global one",
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
        "keep_headers",
        "remove_header",
        "map",
        "unmap",
    )
    more = ("proxy", "no_proxy", "ca_bundle", "enabled", "check_every", "checks_paused")
    values = [getattr(arguments, name, None) for name in (*plain, *more)]
    flags = [
        getattr(arguments, name, None) for name in (*KEY_OPTIONS, *proxy_flag.SECRET_OPTIONS, "no_headers")
    ]
    return any(value is not None for value in values) or any(flags)


def check_options(arguments: argparse.Namespace, session: Session) -> None:
    """Check the options as far as that needs no daemon, and reads nothing that can be read only once.

    For commands to call first: a mistake on the command line is reported whether or not a daemon runs.

    Raises:
        UsageError: an option makes no sense.
        CommandFailed: a file or variable that was named cannot be read.
    """
    _one_reader_of_stdin(arguments)
    if not arguments.api_key_stdin:
        _key(arguments, session)
    if not _from_pipe(arguments.headers_json or ""):
        _headers_json(arguments, session)
    _headers(arguments)
    _removed_headers(arguments)
    _date(arguments.key_expires)
    _mapped(arguments)
    proxy_flag.check(arguments)


def draft_from(
    arguments: argparse.Namespace,
    session: Session,
    catalogue: Callable[[], Sequence[ProviderInfo]],
    *,
    name: str | None = None,
    current: Connection | None = None,
) -> ConnectionDraft:
    """The draft that the options describe; fields that were not given stay None.

    Args:
        catalogue: fetches providers and presets from the daemon; called only if needed.
        name: the new or changed name.
        current: the connection that is edited; None for a new one.

    Raises:
        UsageError: an option makes no sense.
        CommandFailed: a file or variable that was named cannot be read.
    """
    provider, preset = _provider(arguments.provider, arguments.preset, catalogue)
    return ConnectionDraft(
        name=name,
        provider=provider,
        preset=preset,
        base_url=arguments.base_url,
        auth_scheme=arguments.auth_scheme,
        api_key=_key(arguments, session),
        api_key_ref=arguments.api_key_ref,
        headers=_headers(arguments),
        headers_json=_headers_json(arguments, session),
        keep_other_headers=getattr(arguments, "keep_headers", None),
        remove_headers=_removed_headers(arguments),
        default_model=arguments.model,
        enabled=arguments.enabled,
        key_expires_at=_date(arguments.key_expires),
        check_interval_s=arguments.check_every,
        checks_paused=arguments.checks_paused,
        network=_network(arguments, session, current.network if current else NetworkProfile()),
        model_map=_models(arguments, current.model_map if current else ()),
    )


def _models(arguments: argparse.Namespace, current: Sequence[MappedModel]) -> tuple[MappedModel, ...] | None:
    """The model map that the options describe on top of the current one; None if none was given.

    Raises:
        UsageError: as `_mapped`, or an entry is to be removed and does not exist.
    """
    if arguments.map is None and getattr(arguments, "unmap", None) is None:
        return None
    rows = {row.asked: row.sent for row in current}
    for asked in getattr(arguments, "unmap", None) or ():
        if rows.pop(asked.strip(), None) is None:
            known = ", ".join(rows) or "none is mapped"
            raise UsageError(f"--unmap: '{asked}' is not mapped", f"mapped: {known}")
    return tuple(MappedModel(asked, sent) for asked, sent in (rows | _mapped(arguments)).items())


def _mapped(arguments: argparse.Namespace) -> dict[str, str]:
    """The models of `--map`: the sent one by the asked one.

    Raises:
        UsageError: an entry is malformed, or was given twice.
    """
    given: dict[str, str] = {}
    for text in arguments.map or ():
        asked, equals, sent = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageError(
                f"--map: '{text}' has no '='",
                "write the asked model and the sent one: --map gpt-5=llama3",
            )
        if asked in given:
            raise UsageError(f"--map: '{asked}' is given twice", "keep one of them")
        given[asked] = sent
    return given


def _network(
    arguments: argparse.Namespace, session: Session, profile: NetworkProfile
) -> NetworkProfile | None:
    """The network profile that the options describe on top of this one; None if none was given.

    Raises:
        UsageError: the proxy's password was not given in a safe way.
    """
    proxy = proxy_flag.proxy_from(arguments, session)
    if proxy is None and arguments.no_proxy is None and arguments.ca_bundle is None:
        return None
    if proxy is not None:
        profile = replace(profile, proxy=proxy)
    if arguments.no_proxy is not None:
        hosts = tuple(host.strip() for host in arguments.no_proxy.split(",") if host.strip())
        profile = replace(profile, no_proxy=hosts)
    if arguments.ca_bundle is not None:
        path = arguments.ca_bundle
        profile = replace(profile, ca_bundle=str(Path(path).expanduser().absolute()) if path else "")
    return profile


def _one_reader_of_stdin(arguments: argparse.Namespace) -> None:
    readers = [
        option
        for option, reads in (
            ("--api-key-stdin", arguments.api_key_stdin),
            ("--headers-json @-", arguments.headers_json == "@-"),
            ("--proxy-password-stdin", arguments.proxy_password_stdin),
        )
        if reads
    ]
    if len(readers) > 1:
        raise UsageError(
            f"{' and '.join(readers)} both read stdin", "give one of them as a variable or a file"
        )


def _provider(
    provider: str | None, preset: str | None, catalogue: Callable[[], Sequence[ProviderInfo]]
) -> tuple[str | None, str | None]:
    if provider is None:
        return None, preset
    word = provider.strip().casefold()
    if word in _PROVIDERS:
        return word, preset
    known = catalogue()
    if any(entry.is_preset and entry.name == word for entry in known):
        if preset not in (None, word):
            raise UsageError(f"preset: --provider names the preset {word} already", "leave one of them out")
        return None, word
    near = most_similar(word, [entry.name for entry in known])
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
        # The line break at the end comes from the shell's echo, not from the key.
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
            # The text is not quoted because it may hold the secret.
            raise UsageError(f"--header number {position} has no colon", "write --header 'Name: value'")
        headers.append(Header(name.strip(), value.strip()))
    return tuple(headers)


def _removed_headers(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    removed = getattr(arguments, "remove_header", None)
    keeps = removed is not None or getattr(arguments, "keep_headers", None)
    if keeps and getattr(arguments, "no_headers", False):
        raise UsageError("--no-headers cannot be combined with options that keep headers", "give one of them")
    return None if removed is None else tuple(removed)


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


def _from_pipe(text: str) -> bool:
    """Whether headers come from stdin, or from a file that can be read only once, such as @<(COMMAND)."""
    path = Path(text[1:]).expanduser()
    return text == "@-" or (text.startswith("@") and path.exists() and not path.is_file())


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--key-expires: {text!r} is not a date", "write it as YYYY-MM-DD") from None
    return moment.astimezone(UTC)
