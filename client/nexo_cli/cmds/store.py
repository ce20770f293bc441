"""Check, back up and restore the store, the file that holds the connections.

  nexoctl store check
  nexoctl store backup
  nexoctl store restore --dry-run    check that the newest backup can be restored
  nexoctl store restore              restore it

A restore keeps the present file beside the backups.
"""

import argparse
import os
from pathlib import Path

from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style, ago
from nexo_cli.parser import UsageError, given
from nexo_cli.session import Session
from nexo_client import records


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(metavar="check|backup|backups|restore", required=True, dest="verb")
    check = verbs.add_parser(
        "check",
        help="look for damage, and try to open every sealed secret",
        description="Look for damage in the store, and try to open every sealed secret.",
    )
    check.set_defaults(run=_check)
    backup = verbs.add_parser("backup", help="make a backup now", description="Make a backup now.")
    backup.set_defaults(run=_backup)
    backups = verbs.add_parser("backups", help="list the backups", description="List the backups.")
    backups.set_defaults(run=_backups)
    restore = verbs.add_parser(
        "restore",
        help="replace the store with a backup, after checking it",
        description="Replace the store with a backup, after checking it. The present file is kept.",
    )
    restore.add_argument("backup", type=given, nargs="?", metavar="NAME", help="default: the newest")
    how = restore.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only check that it would work")
    how.add_argument(
        "--empty",
        action="store_true",
        help="if the store is gone: start with an empty one, not with a backup",
    )
    restore.set_defaults(run=_restore)


def _check(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        result = client.store.check()
    if session.json:
        session.printer.json(records.of(result))
    elif result.problems:
        for problem in result.problems:
            session.printer.line(Span("problem  ", Style.BAD), problem)
    else:
        what = f"{result.connections} connections"
        what += f", {result.secrets} secrets open" if result.seals_checked else "; the vault is locked, so"
        what += "" if result.seals_checked else " the secrets were not tried"
        session.printer.line(Span("sound  ", Style.GOOD), what)
    return Exit.FAILED if result.problems else Exit.OK


def _backup(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        made = client.store.create_backup()
    if session.json:
        session.printer.json(records.of(made))
    else:
        session.printer.line(made.path)
    return Exit.OK


def _backups(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        found = client.store.backups()
    if session.json:
        session.printer.json(records.plain(found))
    elif not found:
        session.printer.note("There is no backup yet; nexoctl store backup makes one.")
    else:
        columns = [Column("NAME"), Column("MADE"), Column("REASON"), Column("BYTES", right=True)]
        session.printer.table(
            columns,
            [(one.name, ago(one.at, session.now), one.reason, str(one.size_bytes)) for one in found],
        )
    return Exit.OK


def _restore(arguments: argparse.Namespace, session: Session) -> int:
    from nexo_client.administration import backup_name

    wanted = backup_name(arguments.backup or "")
    if os.sep in wanted and not Path(wanted).exists():
        raise UsageError(f"{wanted}: there is no such file", "nexoctl store backups lists the backups")
    with session.client() as client:
        result = client.store.restore(wanted, dry_run=arguments.dry_run, empty=arguments.empty)
    if session.json:
        session.printer.json(records.of(result))
    elif arguments.empty:
        session.printer.line(f"Made an empty store: {result.path}")
    else:
        verb = "Restored" if result.done else "Could be restored:"
        session.printer.line(
            f"{verb} {result.connections} connections and {result.secrets} secrets from {result.path}"
        )
    return Exit.OK
