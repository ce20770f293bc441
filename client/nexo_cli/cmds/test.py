"""Test connections, layer by layer: configuration, DNS, TCP, TLS, HTTP, authentication, models.

  nexoctl test work                                         a saved connection
  nexoctl test --all                                        all of them, in parallel
  nexoctl test work --base-url https://llm.example.com/v1   an edit of it, before it is saved
  nexoctl test --draft --provider groq --api-key-env KEY    an unsaved one; options as for `nexoctl add`
  nexoctl test work --last                                  the result of the last test; nothing is sent

Nothing is saved, unless the daemon found a correction that works and you accept it. The first layer that
fails decides the result, which says what was proven and what to do next. Uses no tokens, unless you say
--completion, which sends one minimal request that the provider bills. Exits with 6 if any test fails.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from nexo.connections.ranges import TEST_S
from nexo_cli import drafting, form, looks, saving, trial
from nexo_cli.errors import CommandFailed, Exit, error_record, facts_of, hint_of
from nexo_cli.format import GAP, Busy, Span, Style, display_width, duration, padded
from nexo_cli.parser import UsageError, call_time
from nexo_cli.session import Session
from nexo_client import errors, records, types

if TYPE_CHECKING:
    from nexo_client.client import Client

# Tests mostly wait; the daemon limits how many run at once.
_PARALLEL = 32


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what to test, and how far."""
    parser.add_argument(
        "connections", nargs="*", metavar="NAME", help="saved connections; the default if none is named"
    )
    parser.add_argument("--all", action="store_true", help="test every connection that is switched on")
    parser.add_argument(
        "--draft",
        action="store_true",
        help="test the connection that the options describe, without saving it",
    )
    parser.add_argument(
        "--last", action="store_true", help="test nothing; show the result of the connection's last test"
    )
    parser.add_argument(
        "--completion", action="store_true", help="also send one minimal, billed request to a model"
    )
    parser.add_argument(
        "--timeout",
        type=call_time,
        default=TEST_S,
        metavar="S",
        help="seconds for each test (default: %(default)g)",
    )
    parser.add_argument(
        "--send-key-to-new-host",
        action="store_true",
        help="agree that the test sends the stored key to the new address, or through the new proxy",
    )
    drafting.add_draft_options(parser, editing=True)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Choose the connections and test them."""
    described = drafting.has_draft_options(arguments)
    # With --completion, --model alone says which model to ask, and changes nothing.
    edits = described and not (arguments.completion and _only_model(arguments))
    _check_combination(arguments, described=described, edits=edits)
    if arguments.last:
        return _last(session, arguments)
    if described:
        drafting.check_options(arguments, session)
    model = (arguments.model or "") if arguments.completion else ""
    options = trial.TrialOptions(arguments.completion, model, arguments.timeout)
    with session.client() as client:
        if arguments.completion:
            session.printer.note(Span(trial.COMPLETION_NOTE, Style.FAINT))
        if arguments.draft:
            return _test_one(session, client, _draft(arguments, session, client), options)
        if edits:
            return _test_one(session, client, _edit(arguments, session, client), options)
        names = _names(arguments, client)
        if len(names) == 1 and not arguments.all:
            return _test_one(session, client, trial.TrialSubject(saved=names[0]), options)
        return _test_many(session, client, names, options)


def _check_combination(arguments: argparse.Namespace, *, described: bool, edits: bool) -> None:
    if arguments.all and (arguments.connections or arguments.draft):
        raise UsageError("--all and a name or --draft are both given", "give one of them")
    if edits and not arguments.draft and len(arguments.connections) != 1:
        raise UsageError(
            "options that describe a connection need --draft, or the one NAME that they change",
            "nexoctl test --draft --provider …, or nexoctl test NAME --base-url …",
        )
    if arguments.last and (described or arguments.completion or arguments.all or arguments.draft):
        raise UsageError(
            "--last cannot be combined with options that describe a test", "nexoctl test NAME --last"
        )


def _last(session: Session, arguments: argparse.Namespace) -> int:
    with session.client() as client:
        names = _names(arguments, client)
        if len(names) != 1:
            raise UsageError("--last takes one name", "nexoctl test NAME --last")
        last = client.last_test(names[0])
    if last is None:
        raise CommandFailed(
            f"'{names[0]}' has not been tested since the daemon started, or since the connection was changed",
            hint=f"test it: nexoctl test {names[0]}",
            code=Exit.NOT_FOUND,
        )
    if session.json:
        session.printer.json(records.of(last))
    else:
        trial.say_again(session, last)
    return Exit.OK if last.result.ok else Exit.TEST_FAILED


def _only_model(arguments: argparse.Namespace) -> bool:
    bare = argparse.Namespace(**{**vars(arguments), "model": None})
    return not drafting.has_draft_options(bare)


def _names(arguments: argparse.Namespace, client: "Client") -> list[str]:
    if arguments.connections:
        return list(dict.fromkeys(arguments.connections))
    if arguments.all:
        names = [connection.name for connection in client.list_connections() if connection.enabled]
        if not names:
            raise CommandFailed(
                "there is no connection to test", hint="add one: nexoctl add", code=Exit.NOT_FOUND
            )
        return names
    default = client.get_default()
    if default is None:
        raise UsageError("no connection was named, and there is no default", "nexoctl test NAME, or --all")
    return [default.name]


def _draft(arguments: argparse.Namespace, session: Session, client: "Client") -> trial.TrialSubject:
    catalogue = client.list_providers()
    name = arguments.connections[0] if arguments.connections else "draft"
    draft = drafting.draft_from(arguments, session, lambda: catalogue, name=name)
    absent = form.missing_field(draft, catalogue)
    if absent:
        if not session.interactive:
            raise form.missing(absent)
        draft = form.Wizard(session, catalogue, ()).complete(draft)
    return trial.TrialSubject(draft=draft)


def _edit(arguments: argparse.Namespace, session: Session, client: "Client") -> trial.TrialSubject:
    current = client.get_connection(arguments.connections[0])
    changes = drafting.draft_from(arguments, session, client.list_providers, current=current)
    return trial.TrialSubject(saved=current.name, draft=changes, send_key=arguments.send_key_to_new_host)


def _test_one(
    session: Session, client: "Client", subject: trial.TrialSubject, options: trial.TrialOptions
) -> int:
    before = subject
    # An accepted correction is saved, and it can be accepted only on a terminal.
    options = replace(options, keep=session.interactive and bool(subject.saved))
    subject, result = trial.examine(session, client, subject, options)
    if session.json:
        session.printer.json(records.of(result))
    if subject.saved and result.ok and subject.draft != before.draft and _may_apply(session, before):
        saved = subject.save(client)
        saving.say_saved(session, saved, result)
    return Exit.OK if result.ok else Exit.TEST_FAILED


def _may_apply(session: Session, before: trial.TrialSubject) -> bool:
    """Whether an accepted correction is saved: always, but for the test of an edit the person is asked."""
    if not before.has_changes:
        return True
    return session.terminal.confirm(f"It works. Save the edit of {before.saved}?", default=True)


Outcome = types.TestResult | errors.NexoError


def _test_many(session: Session, client: "Client", names: list[str], options: trial.TrialOptions) -> int:
    outcomes: dict[str, Outcome] = {}
    size = max(display_width(name) for name in names)
    with session.terminal.block(
        lambda: [Busy(name, indent=2) for name in names if name not in outcomes]
    ) as block:
        for name, outcome in _in_parallel(client, names, options):
            outcomes[name] = outcome
            if not session.json:
                block.above(partial(_say_one, session, name, outcome, size))
    failed = sum(not _passed(outcome) for outcome in outcomes.values())
    if session.json:
        session.printer.json([_record(name, outcomes[name]) for name in names])
    else:
        style = Style.BAD if failed else Style.GOOD
        session.printer.line(Span(f"{len(names) - failed} of {len(names)} work", style))
    return Exit.TEST_FAILED if failed else Exit.OK


def _in_parallel(
    client: "Client", names: Sequence[str], options: trial.TrialOptions
) -> Iterator[tuple[str, Outcome]]:
    """Yield each result as it arrives."""
    pool = ThreadPoolExecutor(min(_PARALLEL, len(names)), "nexoctl-test")
    waiting = {pool.submit(_outcome, client, name, options): name for name in names}
    try:
        while waiting:
            # A wait without a timeout could miss a Ctrl-C that comes just before it begins.
            for finished in wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(finished), finished.result()
    except BaseException:
        # This cancels the calls, which ends the threads.
        client.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _outcome(client: "Client", name: str, options: trial.TrialOptions) -> Outcome:
    try:
        return trial.TrialSubject(saved=name).test(client, options)
    except errors.NexoError as problem:
        return problem


def _passed(outcome: Outcome) -> bool:
    return isinstance(outcome, types.TestResult) and outcome.ok


def _say_one(session: Session, name: str, outcome: Outcome, size: int) -> None:
    label = Span(padded(name, size + GAP), Style.STRONG)
    if isinstance(outcome, errors.NexoError):
        session.printer.line(label, Span(f"✗ {outcome.message}", Style.BAD))
        if hint := hint_of(outcome):
            session.printer.line(Span(f"{' ' * size}  next: {hint}", Style.FAINT))
        return
    tail = f" · {duration(outcome.elapsed_s)}" if outcome.elapsed_s is not None else ""
    key = [Span(" · "), looks.key_verdict(outcome.key)] if outcome.ok else []
    session.printer.line(label, [looks.outcome(outcome), *key, Span(tail, Style.FAINT)])
    if outcome.advice and not outcome.ok:
        session.printer.line(Span(f"{' ' * size}  next: {outcome.advice}", Style.FAINT))


def _record(name: str, outcome: Outcome) -> records.Record:
    if isinstance(outcome, types.TestResult):
        return records.of(outcome)
    told = error_record(outcome.reason.value, outcome.message, hint_of(outcome), facts_of(outcome))
    return {"connection": name, "outcome": None, **told}
