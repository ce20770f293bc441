"""Write all connections to a file that another computer can import.

Without --with-secrets it is readable JSON without any secret. With it, the file also holds the API keys and
header values, sealed under a passphrase that you are asked for.

  nexoctl export > connections.json
  nexoctl export --with-secrets --output connections.json
"""

import argparse
import os
from pathlib import Path

from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the content and the destination."""
    parser.add_argument(
        "--with-secrets", action="store_true", help="include the secrets, sealed under a passphrase"
    )
    parser.add_argument("--passphrase-stdin", action="store_true", help="read the passphrase from stdin")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to this file instead of stdout (mode 0600)"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Write the document."""
    if arguments.output:
        _require_free(Path(arguments.output))
    passphrase = _passphrase(arguments, session) if arguments.with_secrets else ""
    with session.client() as client:
        export = client.store.export(passphrase=passphrase)
    if arguments.output:
        _write(Path(arguments.output), export.document)
        counts = {"connections": export.connections, "secrets": export.secrets}
        if session.json:
            session.printer.json({"path": str(Path(arguments.output).absolute()), **counts})
        else:
            session.printer.note(
                f"{export.connections} connections and {export.secrets} secrets written to {arguments.output}"
            )
    else:
        session.printer.raw(export.document.decode())
    return Exit.OK


def _passphrase(arguments: argparse.Namespace, session: Session) -> str:
    if arguments.passphrase_stdin:
        text = session.terminal.stdin.readline().rstrip("\r\n")
    elif session.interactive:
        text = session.terminal.ask_secret("Passphrase for the file")
        if text != session.terminal.ask_secret("Once more"):
            raise CommandFailed("the two passphrases differ; nothing was written", hint="try again")
    else:
        raise CommandFailed(
            "a passphrase is needed, and there is no terminal to ask on",
            hint="give it with --passphrase-stdin",
            code=Exit.USAGE,
        )
    if not text:
        raise CommandFailed("the passphrase is empty", hint="choose one", code=Exit.USAGE)
    return text


def _require_free(path: Path) -> None:
    """Raise `CommandFailed` if nothing can be written there, before a passphrase is asked for."""
    if os.path.lexists(path):
        raise _exists(path)
    if not path.parent.is_dir():
        raise CommandFailed(f"{path.parent}: there is no such directory", hint="choose another place")


def _exists(path: Path) -> CommandFailed:
    return CommandFailed(f"{path} exists already", hint="choose another name, or remove it")


def _write(path: Path, document: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", hint="choose another place") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # Half an export would look like a whole one.
        path.unlink(missing_ok=True)
        raise CommandFailed(f"{path}: {error.strerror}", hint="choose another place") from None
