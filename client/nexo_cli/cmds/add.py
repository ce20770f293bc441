"""Add a connection: it is tested first, then saved.

On a terminal, you are asked for the missing parts: name, provider, API key (hidden), base URL (filled in) and
custom headers. In a script, give them as options. The key comes from stdin, a variable or a reference,
because every process on the computer can read command lines:

  printf %s "$KEY" | nexoctl add work --provider openai --api-key-stdin
  nexoctl add local --provider ollama
  nexoctl add fast --provider groq --api-key-env GROQ_API_KEY

If the test fails, you are asked whether to save anyway; a script gets exit code 6 and nothing is saved,
unless it says --save-anyway or --no-test. The first connection becomes the default.
"""

import argparse
from typing import TYPE_CHECKING

from nexo.connections.names import key as name_key
from nexo_cli import drafting, form, saving, trial
from nexo_cli.errors import Exit
from nexo_cli.format import Span, Style
from nexo_cli.session import Session
from nexo_client import errors
from nexo_client.types import ConnectionDraft, SavedConnection

if TYPE_CHECKING:
    from nexo_client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the name, the options of a draft, and the options for saving."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the new connection")
    parser.add_argument("--default", action="store_true", help="make it the default")
    drafting.add_draft_options(parser, editing=False)
    saving.add_test_options(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Ask, test, save."""
    drafting.check_options(arguments, session)
    with session.client() as client:
        catalogue = client.list_providers()
        draft = drafting.draft_from(arguments, session, lambda: catalogue, name=arguments.name)
        existing = client.list_connections()
        wizard = form.Wizard(session, catalogue, [connection.name for connection in existing])
        asked = form.missing_field(draft, catalogue)
        if asked:
            if not session.interactive:
                raise form.missing(asked)
            draft = wizard.complete(draft)
        _refuse_taken_name(draft, wizard)
        while True:
            try:
                saved = _test_and_save(arguments, session, client, draft)
                break
            except (errors.InvalidField, errors.NameTaken) as problem:
                field = problem.metadata.get("field", "")
                changed = _ask_again(session, wizard, draft, field or "name", problem) if asked else None
                if changed is None:
                    raise
                draft = changed
        if saved is None:
            session.printer.note("Nothing was saved.")
            return Exit.TEST_FAILED
        if session.json:
            return Exit.OK
        if saved.connection.is_default:
            session.printer.line("It is the default now: programs that ask for a connection get it.")
        elif existing:
            session.printer.line(
                "Make it the default with: ", Span(f"nexoctl default {quoted(saved)}", Style.NAME)
            )
    return Exit.OK


def quoted(saved: SavedConnection) -> str:
    """The connection's name, quoted for a shell."""
    import shlex

    return shlex.quote(saved.connection.name)


def _refuse_taken_name(draft: ConnectionDraft, wizard: form.Wizard) -> None:
    # Checked before the test: a connection that cannot be saved need not send a key.
    for name in wizard.taken:
        if draft.name is not None and name_key(name) == name_key(draft.name):
            raise errors.NameTaken(
                f"name: there is a connection '{name}' already",
                hint=f"choose another name, or change the existing one: nexoctl edit '{name}'",
            )


def _test_and_save(
    arguments: argparse.Namespace, session: Session, client: "Client", draft: ConnectionDraft
) -> SavedConnection | None:
    subject = trial.TrialSubject(draft=draft)
    result = None
    if not arguments.no_test:
        options = trial.TrialOptions(timeout_s=arguments.timeout, keep=True)
        subject, result = trial.examine(session, client, subject, options)
    if not saving.may_save(session, arguments, result):
        return None
    saved = subject.save(client, make_default=arguments.default)
    saving.say_saved(session, saved, result)
    return saved


def _ask_again(
    session: Session, wizard: form.Wizard, draft: ConnectionDraft, field: str, problem: errors.NexoError
) -> ConnectionDraft | None:
    session.printer.note(Span(f"{problem.message}. ", Style.WARNING), problem.hint)
    return wizard.again(draft, field)
