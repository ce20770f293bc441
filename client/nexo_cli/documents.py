"""Import a file that `nexoctl export` wrote: the planned changes, the consents they need, and the results.

Not for other programs' files.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nexo_cli import choosing
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Column, Span, Style
from nexo_cli.session import Session
from nexo_client import records, types

if TYPE_CHECKING:
    from nexo_cli import shapes

_SIZE_LIMIT = 4_000_000
_STYLES = {"add": Style.GOOD, "change": Style.WARNING, "keep": Style.FAINT, "skip": Style.BAD}


def is_export(path: Path) -> bool:
    """Whether a file looks like an export document; the daemon validates it in full."""
    try:
        # Reading a pipe would wait for its writer.
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(1000)
    except OSError:
        return False
    return b'"format"' in start and b'"nexo-connections"' in start


def import_file(
    path: Path,
    session: Session,
    *,
    dry_run: bool,
    overwrite: bool,
    consents: Sequence[str],
    passphrase_stdin: bool,
) -> int:
    """Merge an export into the store, or show the changes that it would make."""
    try:
        with path.open("rb") as file:
            document = file.read(_SIZE_LIMIT)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", hint="check the name of the file") from None
    passphrase = _passphrase(session, from_stdin=passphrase_stdin) if _has_secrets(document) else ""
    with session.client() as client:
        # A consent is bound to these bytes, even if the file changes meanwhile.
        planned = client.store.import_document(
            document, passphrase=passphrase, dry_run=True, overwrite=overwrite
        )
        if dry_run:
            return _say_planned(session, planned)
        agreed = _ask(session, planned) if session.interactive else consents
        steps = client.store.import_document(
            document, passphrase=passphrase, overwrite=overwrite, consents=agreed
        )
    return _say_done(session, steps)


def _has_secrets(document: bytes) -> bool:
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and "secrets" in parsed


def _needs(steps: Sequence[types.ImportStep]) -> list[types.ImportConsent]:
    return [need for step in steps for need in step.needs]


def _ask(session: Session, planned: Sequence[types.ImportStep]) -> list[str]:
    needs = _needs(planned)
    if not needs:
        return []
    session.printer.note(
        "This file changes keys, or which programs get which connection. Read each change; the ones that "
        "you do not agree to are left out."
    )
    for number, need in enumerate(needs, 1):
        session.printer.note(f"{number:>3}  ", need.text)
    chosen = choosing.ask_numbers(session.terminal, "Which do you agree to?", len(needs), frozenset())
    return [need.id for number, need in enumerate(needs, 1) if number in chosen]


def _say_planned(session: Session, steps: Sequence[types.ImportStep]) -> int:
    if session.json:
        session.printer.json(_record(steps, imported=False))
        return Exit.OK
    _say_steps(session, steps)
    _say_needs(session, steps, "Left out unless you agree, by number or with --consent ID:")
    session.printer.note("Nothing was changed. Run it without --dry-run to import.")
    return Exit.OK


def _say_done(session: Session, steps: Sequence[types.ImportStep]) -> int:
    counts = _counts(steps)
    imported = bool(counts["add"] or counts["change"]) or not counts["skip"]
    unasked = bool(_left(steps)) and not session.interactive
    if session.json:
        session.printer.json(_record(steps, imported=imported))
    else:
        _say_steps(session, steps)
        if unasked:
            left = _left(steps)
            _say_needs(session, left, "Left out without your consent; agree with --consent ID:")
        if any(step.action is types.ImportAction.SKIP and not step.needs for step in steps):
            session.printer.note("Skipped entries were not changed; --overwrite changes existing ones.")
    return Exit.REFUSED if unasked else Exit.OK


def _left(steps: Sequence[types.ImportStep]) -> list[types.ImportStep]:
    return [step for step in steps if step.action is types.ImportAction.SKIP and step.needs]


def _say_steps(session: Session, steps: Sequence[types.ImportStep]) -> None:
    columns = [Column(""), Column("WHAT"), Column("NAME", flexible=14), Column("", flexible=20)]
    rows = [(Span(s.action.value, _STYLES[s.action.value]), s.kind, s.name, s.text) for s in steps]
    session.printer.table(columns, rows)


def _say_needs(session: Session, steps: Sequence[types.ImportStep], heading: str) -> None:
    needs = _needs(steps)
    if needs:
        session.printer.line(Span(heading, Style.WARNING))
    for need in needs:
        # Not a table, because no part of the text may be cut off.
        session.printer.line("  ", Span(need.id, Style.NAME), "  ", need.text)


def _counts(steps: Sequence[types.ImportStep]) -> "shapes.MergeCounts":
    counted = Counter(step.action.value for step in steps)
    return {
        "add": counted["add"],
        "change": counted["change"],
        "keep": counted["keep"],
        "skip": counted["skip"],
    }


def _record(steps: Sequence[types.ImportStep], *, imported: bool) -> "shapes.Merged":
    return {
        "imported": imported,
        "counts": _counts(steps),
        "steps": records.plain(tuple(steps)),
    }


def _passphrase(session: Session, *, from_stdin: bool) -> str:
    if from_stdin:
        return session.terminal.stdin.readline().rstrip("\r\n")
    if session.interactive:
        return session.terminal.ask_secret("Passphrase of the file (Enter: import without its secrets)")
    session.printer.warn("the file has secrets; without --passphrase-stdin they are left out")
    return ""
