"""Show and change how the vault of stored keys is unlocked.

The keys are sealed with a data key, which is locked in a slot: the keyring of the desktop, a key file, a
passphrase, or a credential of systemd. You choose the slot once; it never changes by itself.

  nexoctl vault status
  nexoctl vault rekey --to passphrase    ask for a passphrase after each start of the daemon
  nexoctl vault auto-lock --idle 30      lock it after 30 minutes in which no program asked for a key
  nexoctl vault recovery                 print a recovery code in case the key file or keyring is lost
"""

import argparse
from typing import TYPE_CHECKING

from nexo.connections.terms import VaultState
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Cell, Span, Style, ago
from nexo_cli.session import Session
from nexo_client import records

if TYPE_CHECKING:
    from nexo_client import Client
    from nexo_client.types import Backup, RecoveryCode, Vault

_SLOTS = ("keyring", "key_file", "passphrase", "systemd_credential")
_SWITCH = ("on", "off")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(
        metavar="status|unlock|lock|auto-lock|rekey|recovery|rotate", required=True, dest="verb"
    )
    status = verbs.add_parser("status", help="show the state of the vault", description="Show the vault.")
    status.set_defaults(run=_status)
    unlock = verbs.add_parser(
        "unlock",
        help="unlock it; may ask for a passphrase",
        description="Unlock the vault. The keyring may show a dialog; a passphrase is asked for here.",
    )
    unlock.add_argument("--recovery", action="store_true", help="use the recovery code")
    unlock.add_argument("--stdin", action="store_true", help="read the passphrase or code from stdin")
    unlock.set_defaults(run=_unlock)
    lock = verbs.add_parser(
        "lock",
        help="lock it: forget the data key until it is unlocked again",
        description="Lock the vault: the daemon forgets the data key until the vault is unlocked again.",
    )
    lock.set_defaults(run=_lock)
    auto = verbs.add_parser(
        "auto-lock",
        help="choose when it locks by itself",
        description="Show or set when the vault locks by itself. Without options, nothing is changed.",
    )
    auto.add_argument("--idle", type=_idle, metavar="MINUTES|off", help="after this time without a hand-out")
    auto.add_argument("--suspend", choices=_SWITCH, help="when the computer goes to sleep")
    auto.add_argument("--screen-lock", choices=_SWITCH, help="when your screen is locked")
    auto.set_defaults(run=_auto_lock)
    rekey = verbs.add_parser(
        "rekey", help="move the data key to another slot", description="Move the data key to another slot."
    )
    rekey.add_argument("--to", required=True, choices=_SLOTS, help="the slot that unlocks it from now on")
    rekey.add_argument("--stdin", action="store_true", help="read a passphrase from stdin")
    rekey.add_argument(
        "--forget-secrets",
        action="store_true",
        help="if the data key is lost for good: give up the stored API keys and start again",
    )
    rekey.set_defaults(run=_rekey)
    recovery = verbs.add_parser(
        "recovery",
        help="print a recovery code, once",
        description="Print a recovery code, once. When you have confirmed it, it replaces an earlier code.",
    )
    recovery.set_defaults(run=_recovery)
    rotate = verbs.add_parser(
        "rotate",
        help="seal everything under a new data key",
        description="Seal every stored secret again under a new data key, in one step.",
    )
    rotate.add_argument("--stdin", action="store_true", help="read the passphrase from stdin")
    rotate.set_defaults(run=_rotate)


def _status(arguments: argparse.Namespace, session: Session) -> int:

    with session.client() as client:
        vault = client.vault.status()
    _show(session, vault)
    return Exit.OK if vault.state is VaultState.UNLOCKED else Exit.PERMISSION


def _unlock(arguments: argparse.Namespace, session: Session) -> int:
    from nexo_client.types import KeySlot

    with session.client() as client:
        words = code = ""
        if arguments.recovery:
            code = _secret(session, "Recovery code", from_stdin=arguments.stdin)
        elif arguments.stdin or client.vault.status().slot is KeySlot.PASSPHRASE:
            words = _secret(session, "Passphrase of the vault", from_stdin=arguments.stdin)
        with session.terminal.progress("waiting for the vault; the keyring may be asking you"):
            vault = client.vault.unlock(passphrase=words, recovery_code=code)
    _show(session, vault)
    if arguments.recovery and not session.json:
        session.printer.note(
            "Now move the data key to a slot that opens by itself: nexoctl vault rekey --to key_file"
        )
    return Exit.OK


def _lock(arguments: argparse.Namespace, session: Session) -> int:

    with session.client() as client:
        _show(session, client.vault.lock())
    return Exit.OK


def _idle(text: str) -> float:
    """Seconds; 0 for "off"."""
    if text == "off":
        return 0.0
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 1 <= minutes <= 43_200:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'off' nor a number of minutes from 1 to 43200")
    return minutes * 60


def _auto_lock(arguments: argparse.Namespace, session: Session) -> int:
    from nexo_client.types import AutoLock

    with session.client() as client:
        found = client.vault.auto_lock()
        wanted = AutoLock(
            found.idle_s if arguments.idle is None else arguments.idle or None,
            found.on_suspend if arguments.suspend is None else arguments.suspend == "on",
            found.on_screen_lock if arguments.screen_lock is None else arguments.screen_lock == "on",
        )
        if (wanted.idle_s, wanted.on_suspend, wanted.on_screen_lock) != (
            *(found.idle_s, found.on_suspend),
            found.on_screen_lock,
        ):
            found = client.vault.set_auto_lock(wanted)
    if session.json:
        session.printer.json(records.of(found))
        return Exit.OK
    idle = "never" if found.idle_s is None else f"after {found.idle_s / 60:g} min without a hand-out"
    fields: list[tuple[str, Cell]] = [
        ("Idle", idle),
        ("Suspend", "locks" if found.on_suspend else "does not lock"),
        ("Screen lock", "locks" if found.on_screen_lock else "does not lock"),
    ]
    if found.problem:
        fields.append(("Problem", found.problem))
    session.printer.fields(fields)
    return Exit.OK


def _rekey(arguments: argparse.Namespace, session: Session) -> int:
    from nexo_client.types import KeySlot

    slot = KeySlot(arguments.to)
    words = ""
    if slot is KeySlot.PASSPHRASE:
        words = _secret(session, "New passphrase", from_stdin=arguments.stdin)
        if not arguments.stdin and words != _secret(session, "Once more", from_stdin=False):
            raise CommandFailed("the two passphrases differ; nothing changed", hint="try again")
    if arguments.forget_secrets and session.interactive:
        question = "Give up every stored API key and header value? This cannot be undone."
        if not session.terminal.confirm(question):
            return Exit.FAILED
    with session.client() as client:
        vault = client.vault.rekey(slot, passphrase=words, forget_secrets=arguments.forget_secrets)
    _show(session, vault)
    if vault.recovery_made_at is None and not session.json:
        session.printer.note("There is no recovery code; nexoctl vault recovery prints one.")
    return Exit.OK


def _recovery(arguments: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        code = client.vault.propose_recovery_code()
        _hand_over(session, records.of(code), code)
        client.vault.set_recovery_code(code.code)
    _say_that_it_counts(session)
    return Exit.OK


def _rotate(arguments: argparse.Namespace, session: Session) -> int:
    from nexo_client.types import KeySlot

    with session.client() as client:
        vault = client.vault.status()
        words = ""
        if arguments.stdin or vault.slot is KeySlot.PASSPHRASE:
            words = _secret(session, "Passphrase of the vault", from_stdin=arguments.stdin)
        code = client.vault.propose_recovery_code() if vault.recovery_made_at else None
        # As for every document, its content is final only if the exit status is 0.
        _hand_over(session, {"rotated": True, "recovery_code": code.code if code else None}, code)
        earlier = client.store.backups()
        client.vault.rotate(passphrase=words, recovery_code=code.code if code else "")
        backed_up = _backed_up_since(client, earlier)
    if code is not None:
        _say_that_it_counts(session)
    if not session.json:
        session.printer.line("Every secret is sealed under a new data key.")
        if backed_up:
            session.printer.note("A fresh backup was made; the earlier ones open with the earlier key only.")
    if not backed_up:
        session.printer.warn(
            "no backup could be made, and the earlier ones open with the earlier key only; "
            "see why with: nexoctl store backup"
        )
    return Exit.OK


def _backed_up_since(client: "Client", earlier: "tuple[Backup, ...]") -> bool:
    from nexo_client.errors import NexoError

    try:
        return any(one.reason == "rotation" for one in set(client.store.backups()) - set(earlier))
    except NexoError:
        # The rotation is done, whatever happens now.
        return False


def _hand_over(session: Session, document: "dict[str, object]", code: "RecoveryCode | None") -> None:
    """Print the code before it takes effect; if the answer is lost, the earlier code stays valid."""
    if session.json:
        session.printer.json(document)
    elif code is not None:
        session.printer.line("Recovery code, shown only this once:")
        session.printer.line()
        session.printer.line("  ", Span(code.code, Style.STRONG))
        session.printer.line()
        session.printer.note("Keep it somewhere else than on this computer.")
    session.terminal.stdout.flush()
    if code is None or session.json or not session.interactive:
        return
    last = code.code.rpartition("-")[2]
    session.terminal.ask(
        "Type its last group when you have written it down (Ctrl-C: nothing changes)",
        check=lambda typed: "" if typed.upper() == last else f"that is not the last group of {code.code}",
    )


def _say_that_it_counts(session: Session) -> None:
    if not session.json:
        session.printer.note("It is valid from now on; an earlier code no longer works.")


def _secret(session: Session, question: str, *, from_stdin: bool) -> str:
    if from_stdin:
        return session.terminal.stdin.readline().rstrip("\r\n")
    if not session.interactive:
        raise CommandFailed(
            f"{question.lower()}: there is no terminal to ask on",
            hint="give it with --stdin",
            code=Exit.USAGE,
        )
    return session.terminal.ask_secret(question)


def _show(session: Session, vault: "Vault") -> None:
    if session.json:
        session.printer.json(records.of(vault))
        return
    state = vault.state.value.replace("_", " ") if vault.state else "unknown"
    good = vault.state is VaultState.UNLOCKED
    fields: list[tuple[str, Cell]] = [
        ("Vault", Span(state, Style.GOOD if good else Style.BAD)),
        ("Opens by", vault.slot.value.replace("_", " ") if vault.slot else "nothing yet"),
    ]
    if vault.problem:
        fields.append(("Problem", vault.problem))
    if vault.slot_made_at:
        fields.append(("Slot made", ago(vault.slot_made_at, session.now)))
    if vault.data_key_made_at:
        fields.append(("Data key made", ago(vault.data_key_made_at, session.now)))
    made = ago(vault.recovery_made_at, session.now) if vault.recovery_made_at else "none"
    fields.append(("Recovery code", made))
    session.printer.fields(fields)
