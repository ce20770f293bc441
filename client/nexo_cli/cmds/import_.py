"""Import connections from other programs: list them, or import a source.

  nexoctl import                                     list what was found, and what cannot be imported
  nexoctl import codex                               choose from one source, test, save
  nexoctl import all --dry-run                       say what would be imported, change nothing
  nexoctl import llm --all                           import everything from a source, without a question
  nexoctl import litellm --file proxy/config.yaml    read a file in another place

Sources are only read, never moved or edited. Keys are never shown; they go to the daemon, which seals them.
An entry with the same address as a connection that you have is not ticked, unless you say --again.
An entry with a ? lacks its key or its address, which are never guessed: on a terminal you are asked for
the part; else give it with --base-url, --api-key-env, --api-key-ref or --api-key-stdin.
To import a file that `nexoctl export` wrote, give its path: nexoctl import FILE.
"""

import argparse
from pathlib import Path

from nexo.connections.ranges import TEST_S
from nexo.connections.similar import most_similar
from nexo_cli import documents, importing, missing_parts
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import UsageError, call_time
from nexo_cli.session import Session
from nexo_client import errors, records, types
from nexo_sources import Finding
from nexo_sources.offers import Survey, existing_twin, findings_of, offers_of
from nexo_sources.table import SOURCES, Source, named

EVERYTHING = "all"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the source, and how much to ask."""
    names = ", ".join((*(source.name for source in SOURCES), EVERYTHING))
    parser.add_argument(
        "source", nargs="?", metavar="SOURCE", help=f"one of {names}; or a file that `nexoctl export` wrote"
    )
    parser.add_argument("--file", metavar="PATH", help="the source's file, if it is in another place")
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be imported, and stop")
    parser.add_argument("--all", action="store_true", help="import all ticked entries without asking")
    parser.add_argument(
        "--again",
        action="store_true",
        help="also entries with the same address as a connection that you have",
    )
    part = parser.add_argument_group("the base URL that an account lacks (NAME=URL if several lack it)")
    part.add_argument("--base-url", action="append", default=[], metavar="[NAME=]URL", help="its address")
    part.add_argument(
        "--api-key-env",
        action="append",
        default=[],
        metavar="[NAME=]VAR",
        help="the variable with the key that an account lacks",
    )
    part.add_argument(
        "--api-key-ref",
        action="append",
        default=[],
        metavar="[NAME=]REF",
        help="a reference to the key: keyring:SERVICE/USER, file:PATH or command:PROGRAM ARGUMENTS",
    )
    part.add_argument("--api-key-stdin", action="store_true", help="read the key from stdin")
    parser.add_argument(
        "--overwrite", action="store_true", help="for an export: change connections that exist already"
    )
    parser.add_argument(
        "--consent",
        action="append",
        default=[],
        metavar="ID",
        help="for an export: agree to the change that --dry-run shows under this ID; may be repeated",
    )
    parser.add_argument(
        "--passphrase-stdin", action="store_true", help="for an export: read its passphrase from stdin"
    )
    parser.add_argument("--no-test", action="store_true", help="save without testing")
    parser.add_argument("--save-anyway", action="store_true", help="also save connections that fail the test")
    parser.add_argument(
        "--timeout",
        type=call_time,
        default=TEST_S,
        metavar="S",
        help="seconds for each test (default: %(default)g)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """List, or take over."""
    if export := _export(arguments):
        return documents.import_file(
            export,
            session,
            dry_run=arguments.dry_run,
            overwrite=arguments.overwrite,
            consents=arguments.consent,
            passphrase_stdin=arguments.passphrase_stdin,
        )
    if arguments.source is None and not arguments.all:
        return _list(session)
    sources = _sources(arguments)
    given = _given(arguments, session)
    results = missing_parts.completed(importing.look(session, sources), given)
    offers = offers_of(results)
    findings = findings_of(results)
    if arguments.dry_run:
        return _dry(session, results)
    if not findings and not (offers and session.interactive and not arguments.all):
        return _nothing(session, results)
    if not (arguments.all or session.interactive):
        raise UsageError(
            "there is no terminal to ask on",
            "give --all to import all of them, or --dry-run to see them",
        )
    options = importing.ImportOptions(
        everything=arguments.all,
        again=arguments.again,
        test=not arguments.no_test,
        save_anyway=arguments.save_anyway,
        timeout_s=arguments.timeout,
    )
    with session.client() as client:
        twins = _twins(findings, client.list_connections())
        if not session.json:
            importing.say_found(session, results, twins, numbered=not arguments.all)
        chosen = importing.choose(session, offers, twins, options)
        outcomes = importing.take_over(session, client, chosen, options)
    left = [finding for finding in findings if finding not in chosen]
    if session.json:
        session.printer.json(_record(session, outcomes, left, results))
    elif outcomes:
        importing.say_outcomes(session, outcomes)
    else:
        session.printer.line("Nothing was imported.")
    return Exit.TEST_FAILED if any(outcome.problem for outcome in outcomes) else Exit.OK


def _export(arguments: argparse.Namespace) -> Path | None:
    """The file of an export that is given in place of a source."""
    if arguments.source is None or named(arguments.source) is not None:
        return None
    path = Path(arguments.source).expanduser()
    return path if documents.is_export(path) else None


def _given(arguments: argparse.Namespace, session: Session) -> list[missing_parts.Given]:
    given = [missing_parts.address(text) for text in arguments.base_url]
    given += [missing_parts.key_in(text) for text in arguments.api_key_env]
    given += [missing_parts.reference(text) for text in arguments.api_key_ref]
    if arguments.api_key_stdin:
        key = session.terminal.ask_secret("API key") if session.interactive else session.terminal.stdin.read()
        if not key.strip():
            raise UsageError("api_key: stdin was empty", "pipe the key in: … | nexoctl import …")
        given.append(missing_parts.key(key.strip()))
    return given


def _sources(arguments: argparse.Namespace) -> tuple[Source, ...]:
    if arguments.source in (None, EVERYTHING):
        if arguments.file:
            raise UsageError(
                "--file needs the source that the file belongs to", "nexoctl import SOURCE --file PATH"
            )
        return SOURCES
    source = named(arguments.source)
    if source is None:
        raise _unknown(arguments.source)
    if arguments.file is None:
        return (source,)
    if source.read_file is None:
        raise UsageError(f"--file: {source.title} are not read from a file", f"nexoctl import {source.name}")
    path = Path(arguments.file).expanduser()
    if not path.exists():
        raise CommandFailed(f"{path}: there is no such file", hint="check the path", code=Exit.NOT_FOUND)
    return (source.of_file(path),)


def _unknown(word: str) -> UsageError | CommandFailed:
    names = [*(source.name for source in SOURCES), EVERYTHING]
    if Path(word).expanduser().exists():
        return CommandFailed(
            f"{word}: not a file that nexoctl export wrote",
            hint=f"say which program the file belongs to: nexoctl import SOURCE --file {word}",
        )
    if "/" in word or word.endswith(".json"):
        return CommandFailed(f"{word}: there is no such file", hint="check the path", code=Exit.NOT_FOUND)
    near = most_similar(word, names)
    return UsageError(
        f"there is no source {word!r}",
        f"did you mean `nexoctl import {near}`?" if near else f"use one of {', '.join(names)}",
    )


def _twins(findings: list[Finding], connections: tuple[types.Connection, ...]) -> dict[str, str]:
    pairs = ((finding.name, existing_twin(finding, connections)) for finding in findings)
    return {name: twin for name, twin in pairs if twin}


def _connections(session: Session) -> tuple[types.Connection, ...]:
    try:
        with session.client(start=False) as client:
            return client.list_connections()
    except errors.DaemonNotRunning:
        return ()


def _list(session: Session) -> int:
    results = importing.look(session, SOURCES)
    findings = findings_of(results)
    twins = _twins(findings, _connections(session))
    printer = session.printer
    if session.json:
        printer.json(_record(session, [], findings, results))
        return Exit.OK
    if not results:
        return _nothing(session, results)
    importing.say_found(session, results, twins)
    printer.line()
    if findings:
        printer.line(
            "Import some with ",
            Span("nexoctl import SOURCE", Style.NAME),
            ", or all of it with ",
            Span("nexoctl import all", Style.NAME),
            ".",
        )
    return Exit.OK


def _dry(session: Session, results: Survey) -> int:
    findings = findings_of(results)
    twins = _twins(findings, _connections(session))
    if session.json:
        session.printer.json(_record(session, [], findings, results))
        return Exit.OK
    if not results:
        return _nothing(session, results)
    importing.say_found(session, results, twins)
    session.printer.line()
    count = len(findings) - len(twins)
    session.printer.line(f"{count} would be imported. Nothing was changed.")
    return Exit.OK


def _nothing(session: Session, results: Survey) -> int:
    if session.json:
        session.printer.json(_record(session, [], [], results))
        return Exit.OK
    importing.say_found(session, results, {})
    session.printer.line(
        "Nothing was found that can be imported."
        if results
        else "No connections of other programs were found."
    )
    session.printer.line("Add one yourself with: ", Span("nexoctl add", Style.NAME))
    return Exit.OK


def _record(
    session: Session, outcomes: list[importing.Imported], left: list[Finding], results: Survey
) -> records.Record:
    return {
        "imported": [
            {
                "connection": records.of(outcome.saved.connection, session.now),
                "place": outcome.finding.place,
                "test": records.plain(outcome.result),
            }
            for outcome in outcomes
            if outcome.saved
        ],
        "failed": [
            {
                **records.of(outcome.finding),
                "reason": outcome.problem,
                "test": records.plain(outcome.result),
            }
            for outcome in outcomes
            if outcome.problem
        ],
        "found": records.plain(left),
        "skipped": [
            {"source": source.name, **records.of(one)} for source, found in results for one in found.skipped
        ],
    }
