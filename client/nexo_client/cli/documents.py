"""Importing what `nexoctl export` wrote: the steps, shown before and after. Not for other programs' files."""

from pathlib import Path

from nexo_client.cli.errors import CommandFailed, Exit
from nexo_client.cli.format import Column, Span, Style
from nexo_client.cli.session import Session

_TIMEOUT_S = 60.0
_SIZE_LIMIT = 4_000_000
_STYLES = {"add": Style.GOOD, "change": Style.WARNING, "keep": Style.FAINT, "skip": Style.BAD}


def is_export(path: Path) -> bool:
    """Whether a file looks like an export document; the daemon checks it in full."""
    try:
        with path.open("rb") as file:
            return b'"format": "nexo-connections"' in file.read(1000)
    except OSError:
        return False


def import_file(
    path: Path, session: Session, *, dry_run: bool, overwrite: bool, passphrase_stdin: bool = False
) -> int:
    """Merge an export into the store, or show what that would change."""

    try:
        with path.open("rb") as file:
            document = file.read(_SIZE_LIMIT)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", hint="check the name of the file") from None
    passphrase = ""
    if b'"secrets": {' in document:
        passphrase = _passphrase(session, from_stdin=passphrase_stdin)
    with session.client(timeout_s=_TIMEOUT_S) as client:
        steps = client.store.import_document(
            document, passphrase=passphrase, dry_run=dry_run, overwrite=overwrite
        )
    if session.json:
        session.printer.json(
            {
                "imported": not dry_run,
                "steps": [
                    {"action": s.action.value, "kind": s.kind, "name": s.name, "text": s.text} for s in steps
                ],
            }
        )
        return Exit.OK
    columns = [Column(""), Column("WHAT"), Column("NAME", flexible=14), Column("", flexible=20)]
    rows = [(Span(s.action.value, _STYLES[s.action.value]), s.kind, s.name, s.text) for s in steps]
    session.printer.table(columns, rows)
    if dry_run:
        session.printer.note("Nothing was changed; without --dry-run it is done.")
    elif any(step.action.value == "skip" for step in steps):
        session.printer.note("What was skipped is as before; --overwrite changes what exists.")
    return Exit.OK


def _passphrase(session: Session, *, from_stdin: bool) -> str:
    if from_stdin:
        return session.terminal.stdin.readline().rstrip("\r\n")
    if session.interactive:
        return session.terminal.ask_secret("Passphrase of the file (Enter: import without its secrets)")
    session.printer.warn("the file has secrets; without --passphrase-stdin they are left out")
    return ""
