"""The flags for a connection's proxy. Its password never comes from the command line.

Like an API key, it is typed hidden, piped in, or taken from a variable.
"""

from __future__ import annotations

import argparse
import os

from nexo_cli.parser import UsageError
from nexo_cli.session import Session

SECRET_OPTIONS = ("proxy_password_stdin", "proxy_password_env")

_SAFE_WAYS = "the password is asked for, or comes with --proxy-password-stdin or --proxy-password-env VAR"


def add_proxy_options(group: argparse._ArgumentGroup) -> None:
    """Declare the proxy and the sources of its password."""
    group.add_argument(
        "--proxy", metavar="URL|direct|system", help="proxy of this connection, such as http://ann@proxy:3128"
    )
    password = group.add_mutually_exclusive_group()
    password.add_argument(
        "--proxy-password-stdin", action="store_true", help="read the password of the proxy from stdin"
    )
    password.add_argument(
        "--proxy-password-env", metavar="VAR", help="read it from this environment variable"
    )


def check(arguments: argparse.Namespace) -> None:
    """Check the options without reading a password.

    Raises:
        UsageError: the command line holds a password, or a password has no user name or variable.
    """
    head, user, host = _parts(arguments.proxy or "")
    user, _, exposed = user.partition(":")
    if exposed:
        raise UsageError(
            "proxy: other programs can read a password on the command line",
            f"write --proxy {head}USER@{host}; {_SAFE_WAYS}",
        )
    if not user and any(getattr(arguments, name, None) for name in SECRET_OPTIONS):
        raise UsageError(
            "proxy: there is a password but no user name",
            "give both in the URL: --proxy http://USER@HOST:PORT",
        )
    if arguments.proxy_password_env and not os.environ.get(arguments.proxy_password_env):
        raise UsageError(
            f"proxy: the environment variable {arguments.proxy_password_env} is not set",
            "export it, or give the password with --proxy-password-stdin",
        )


def proxy_from(arguments: argparse.Namespace, session: Session) -> str | None:
    """The proxy URL with its password; None if none was given.

    Raises:
        UsageError: as `check`, or the password is empty.
    """
    check(arguments)
    proxy: str | None = arguments.proxy
    head, user, host = _parts(proxy or "")
    password = _password(arguments, session, host) if user else ""
    if not password:
        return proxy
    from urllib.parse import quote

    return f"{head}{user}:{quote(password, safe='')}@{host}"


def _parts(proxy: str) -> tuple[str, str, str]:
    """The URL in three parts: `http://`, the text before the @, and the rest."""
    scheme, mark, rest = proxy.partition("://")
    if not mark:
        scheme, rest = "", proxy
    user, _, host = rest.rpartition("@")
    return scheme + mark, user, host


def _password(arguments: argparse.Namespace, session: Session, host: str) -> str:
    if arguments.proxy_password_env:
        return os.environ[arguments.proxy_password_env]
    if session.interactive:
        question = f"Password of the proxy {host.rstrip('/')}"
        if not arguments.proxy_password_stdin:
            question += " (hidden; Enter for none)"
        return session.terminal.ask_secret(question)
    if not arguments.proxy_password_stdin:
        return ""
    password = session.terminal.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError(
            "proxy: stdin was empty", "pipe the password in: … | nexoctl … --proxy-password-stdin"
        )
    return password
