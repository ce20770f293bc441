"""Change a connection: the change is tested first, then saved.

Only the options that you give change something. The test uses the stored key unless you replace it, so you
need not type it again. If you change the provider, the base URL is replaced only if it is the default of the
old provider. The stored key is sent to another host, through another proxy, or to servers trusted by another
CA bundle only if you agree (on a terminal you are asked; a script says --send-key-to-new-host). Without any
option, a terminal asks field by field; Enter keeps the present value.

If the test fails, you are asked whether to save anyway; a script gets exit code 6 and nothing is saved,
unless it says --save-anyway or --no-test.
"""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from nexo_cli import drafting, form, saving, trial
from nexo_cli.errors import Exit
from nexo_cli.parser import UsageError
from nexo_cli.session import Session
from nexo_client import errors
from nexo_client.types import Connection, ConnectionDraft, ProviderInfo

if TYPE_CHECKING:
    from nexo_client.client import Client

# These fields change how a provider is reached or asked; no other field needs a test before it is saved.
_TESTED = (
    "provider",
    "preset",
    "base_url",
    "auth_scheme",
    "api_key",
    "api_key_ref",
    "headers",
    "headers_json",
    "remove_headers",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the connection, the options of a draft, and the options for saving."""
    parser.add_argument("connection", metavar="NAME", help="the connection to change")
    parser.add_argument("--name", metavar="NEW", help="new name")
    drafting.add_draft_options(parser, editing=True)
    parser.add_argument(
        "--send-key-to-new-host",
        action="store_true",
        help="agree that the stored key and headers go to the new address, or through the new proxy",
    )
    saving.add_test_options(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Collect the change, test it, save it."""
    drafting.check_options(arguments, session)
    with session.client() as client:
        current = client.get_connection(arguments.connection)
        changes = drafting.draft_from(
            arguments, session, client.list_providers, name=arguments.name, current=current
        )
        if changes == ConnectionDraft():
            if not session.interactive:
                raise UsageError("nothing to change was given", "see: nexoctl edit --help")
            changes = _ask(session, current, client.list_providers())
            if changes == ConnectionDraft():
                session.printer.note("Nothing was changed.")
                return Exit.OK
        saved = _test_and_save(arguments, session, client, current, changes)
    if not saved:
        session.printer.note("Nothing was changed.")
        return Exit.TEST_FAILED
    return Exit.OK


def _test_and_save(
    arguments: argparse.Namespace,
    session: Session,
    client: "Client",
    current: Connection,
    changes: ConnectionDraft,
) -> bool:
    subject = trial.TrialSubject(saved=current.name, draft=changes, send_key=arguments.send_key_to_new_host)
    result = None
    needs_test = changes.network is not None or any(getattr(changes, name) is not None for name in _TESTED)
    if needs_test and not arguments.no_test:
        options = trial.TrialOptions(timeout_s=arguments.timeout, keep=True)
        subject, result = trial.examine(session, client, subject, options)
    if not saving.may_save(session, arguments, result):
        return False
    while True:
        try:
            saved = subject.save(client, revision=current.revision)
        except errors.KeyOriginChanged as problem:
            # Reached only with --no-test; with a test, the question was asked before it.
            if not session.interactive or subject.send_key:
                raise
            session.printer.note(problem.message)
            if not session.terminal.confirm(trial.send_question(problem)):
                raise
            subject = replace(subject, send_key=True)
            continue
        saving.say_saved(session, saved, result)
        return True


def _ask(session: Session, current: Connection, catalogue: tuple[ProviderInfo, ...]) -> ConnectionDraft:
    terminal = session.terminal
    session.printer.note("Enter keeps the present value.")
    name = terminal.ask("Name", current.name)
    wizard = form.Wizard(session, catalogue, ())
    old_choice = current.preset or current.provider.value
    chosen = wizard.ask_provider(ConnectionDraft(), default=old_choice)
    new_choice = chosen.preset or chosen.provider
    has_key = current.key.source.value != "none"
    key = terminal.ask_secret(f"API key (hidden; Enter {'keeps the stored one' if has_key else 'for none'})")
    default_url = _offered_url(current, old_choice, new_choice or "", catalogue)
    base_url = terminal.ask("Base URL", default_url)
    kept = f"keeps {', '.join(current.header_names)}" if current.header_names else "for none"
    headers = terminal.ask(f"Custom headers as JSON (Enter {kept})", check=form.headers_problem)
    model = terminal.ask("Default model", current.default_model)
    moved = new_choice != old_choice
    return ConnectionDraft(
        name=name if name != current.name else None,
        provider=chosen.provider if moved else None,
        preset=(chosen.preset or "") if moved else None,
        api_key=key.strip() or None,
        base_url=base_url if base_url != current.base_url else None,
        headers_json=headers or None,
        default_model=model if model != current.default_model else None,
    )


def _offered_url(
    current: Connection, old_choice: str, new_choice: str, catalogue: tuple[ProviderInfo, ...]
) -> str:
    defaults = {entry.name: entry.default_base_url for entry in catalogue}
    untouched = current.base_url == defaults.get(old_choice)
    return defaults.get(new_choice) or current.base_url if untouched else current.base_url
