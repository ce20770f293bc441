"""Importing, as a person sees it: what was found, what is ticked, a test of each entry, and the results.

The command `import` and the first run share it. Finding is in `nexo_sources`.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from nexo.connections.values import frozen
from nexo_cli import choosing, looks, trial
from nexo_cli.format import Span, Style, padded
from nexo_cli.session import Session
from nexo_client import errors, types
from nexo_sources import Finding, Source, completing, survey
from nexo_sources.finding import Incomplete, Part, unique_names
from nexo_sources.offers import Offer, Survey, findings_of, key_words, same_place_words

if TYPE_CHECKING:
    from nexo_client.client import Client


@frozen
class ImportOptions:
    """How to import.

    Attributes:
        everything: import the ticked entries without asking.
        again: also tick entries with the same address as an existing connection.
        test: test each before it is saved.
        save_anyway: also save entries that fail the test.
    """

    everything: bool = False
    again: bool = False
    test: bool = True
    save_anyway: bool = False
    timeout_s: float = 30.0


@frozen
class Imported:
    """The result for one finding.

    Attributes:
        problem: why it was not saved; empty if it was.
    """

    finding: Finding
    saved: types.SavedConnection | None = None
    result: types.TestResult | None = None
    problem: str = ""


def look(session: Session, sources: tuple[Source, ...]) -> Survey:
    """Search the sources, with a spinner if that takes long."""
    with session.terminal.progress("looking for connections"):
        return survey(sources)


def say_found(session: Session, results: Survey, twins: dict[str, str], *, numbered: bool = False) -> None:
    """List the findings by source, and those that cannot be imported."""
    printer = session.printer
    say = printer.note if numbered else printer.line
    named = iter(findings_of(results))
    number, behind = 0, len(findings_of(results))
    for source, found in results:
        say(Span(source.title, Style.STRONG), Span(f"  ({source.name})", Style.FAINT))
        for _ in found.findings:
            finding = next(named)
            number += 1
            mark = f"{number:>3}  " if numbered else "  + "
            say(mark, Span(padded(finding.name, 14), Style.NAME), " ", *_described(finding, twins))
        for skipped in found.skipped:
            behind += skipped.incomplete is not None
            sign = "-" if skipped.incomplete is None else "?"
            mark = (
                f"{behind:>3}? "
                if numbered and skipped.incomplete
                else f"  {sign}  "
                if numbered
                else f"  {sign} "
            )
            say(Span(mark, Style.FAINT), padded(skipped.what, 14), " ", skipped.reason)
            say(Span(f"     {skipped.place}", Style.FAINT))
    if any(found.incomplete for _, found in results):
        say(Span("  An entry with a ? lacks its key or its address; you can add it.", Style.FAINT))


def _described(finding: Finding, twins: dict[str, str]) -> list[Span]:
    what = f"{finding.preset or finding.provider.value} at {finding.address}, {key_words(finding)}"
    spans = [Span(what), Span(f"  {finding.place}", Style.FAINT)]
    twin = twins.get(finding.name)
    if twin:
        spans.append(Span(f"  {same_place_words(twin)}", Style.WARNING))
    return spans


def choose(
    session: Session, offers: list[Offer], twins: dict[str, str], options: ImportOptions
) -> list[Finding]:
    """The findings to import: all ticked ones, or those that the person chooses and, if necessary,
    completes.
    """
    ticked = frozenset(
        number
        for number, offer in enumerate(offers, 1)
        if offer.incomplete is None and (options.again or offer.finding.name not in twins)
    )
    if options.everything or not session.interactive:
        chosen = ticked
    else:
        chosen = choosing.ask_numbers(session.terminal, "Import which?", len(offers), ticked)
    picked = (offer for number, offer in enumerate(offers, 1) if number in chosen)
    completed = (
        offer.finding if offer.incomplete is None else _asked(session, offer.incomplete) for offer in picked
    )
    return [finding for finding in completed if finding is not None]


def _asked(session: Session, incomplete: Incomplete) -> Finding | None:
    """The account, completed with the person's answer; None without an answer."""
    name, terminal = incomplete.rest.name, session.terminal
    if incomplete.lacks is Part.ADDRESS:
        url = terminal.ask(f"Base URL for {name} (Enter to leave it out)")
        return completing.with_address(incomplete, url) if url else None
    key = terminal.ask_secret(
        f"API key for {name} at {incomplete.rest.address} (hidden; Enter to leave it out)"
    )
    return completing.with_key(incomplete, key.strip()) if key.strip() else None


def take_over(
    session: Session, client: "Client", chosen: list[Finding], options: ImportOptions
) -> list[Imported]:
    """Test and save one after the other; a failure does not stop the rest."""
    taken = tuple(connection.name for connection in client.list_connections())
    return [_take_one(session, client, finding, options) for finding in unique_names(tuple(chosen), taken)]


def _take_one(session: Session, client: "Client", finding: Finding, options: ImportOptions) -> Imported:
    subject = trial.TrialSubject(draft=finding.draft())
    result = None
    try:
        if options.test:
            test = trial.TrialOptions(timeout_s=options.timeout_s, keep=True)
            if session.interactive:
                subject, result = trial.examine(session, client, subject, test)
            else:
                result = trial.run(session, client, subject, test)
                subject = replace(subject, ticket=result.ticket)
            if not result.ok and not _save_anyway(session, options):
                return Imported(finding, None, result, f"the test failed: {looks.outcome(result).text}")
        saved = subject.save(client)
    except errors.NexoError as problem:
        if isinstance(problem, (errors.DaemonNotRunning, errors.ShuttingDown, errors.VaultLocked)):
            raise
        if not session.json:
            session.printer.note(Span(f"{problem.message}. ", Style.WARNING), problem.hint)
        return Imported(finding, None, result, problem.message)
    if not session.json:
        session.printer.line(
            Span("Imported ", Style.GOOD), Span(saved.connection.name, Style.STRONG), f" from {finding.place}"
        )
    return Imported(replace(finding, name=saved.connection.name), saved, result)


def _save_anyway(session: Session, options: ImportOptions) -> bool:
    if options.save_anyway:
        return True
    return session.interactive and session.terminal.confirm("The test failed. Import it anyway?")


def say_outcomes(session: Session, outcomes: list[Imported]) -> None:
    """Print how many were imported, how many were not, and that the source files still hold their keys."""
    printer = session.printer
    saved = [outcome for outcome in outcomes if outcome.saved]
    printer.line()
    printer.line(Span(f"{len(saved)} of {len(outcomes)} imported.", Style.STRONG))
    for outcome in outcomes:
        if outcome.problem:
            printer.line(Span("  left out: ", Style.WARNING), outcome.finding.name, f" ({outcome.problem})")
    default = next(
        (one.saved.connection.name for one in saved if one.saved and one.saved.connection.is_default), ""
    )
    if default:
        printer.line(
            "The default is ", Span(default, Style.NAME), "; programs that ask for a connection get it."
        )
    if any(outcome.finding.api_key for outcome in saved):
        printer.line(Span("The source files were not changed; they still contain the keys.", Style.FAINT))
