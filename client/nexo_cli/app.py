"""Dispatch: find the command, read its arguments, run it, and turn failures into a sentence and a code."""

import argparse
import codecs
import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from nexo.connections.similar import most_similar
from nexo_cli.commands import COMMANDS, find
from nexo_cli.parser import Parser, UsageError, command_parser, parse

_DESCRIPTION = """\
One place for the LLM connections that all of your programs use.

  nexoctl add               add a connection (asks for what it needs, tests, saves)
  nexoctl list              see what you have, and whether it works
  nexoctl default NAME      switch the connection that programs get
  nexoctl run -- PROGRAM    run any program with that connection"""


_NOTHING: Mapping[str, object] = {}


def main(words: list[str]) -> int:
    """Run the command in `words` and return the exit code."""
    _prepare_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader closed the pipe (`| head`): that is no error. Python would complain at exit.
        _discard(sys.stdout)
        return 141
    except OSError as problem:
        # Commands report their own files, so this is the output: most likely the disk is full.
        _discard(sys.stdout)
        return _report(
            _wants_json(words), "OUTPUT_FAILED", f"the output can't be written: {problem.strerror}", "", 1
        )
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            sys.stderr.write("\nCancelled.\n")
        _flushed(sys.stderr)
        return 130


# For terminals and pipes that know only ASCII or Latin-1.
_PLAIN = str.maketrans(
    {"●": "*", "○": "o", "★": "*", "✓": "+", "✗": "x", "·": "-", "→": ">", "…": "...", "─": "-", "’": "'"}
)


def _plain(problem: UnicodeError) -> tuple[str, int]:
    """Replacements for characters that the output's encoding lacks; an escape if none is similar."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), problem.end


def _prepare_streams() -> None:
    """A closed stream, or a name that the terminal cannot show, must not end the command."""
    codecs.register_error("nexoctl-plain", _plain)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nexoctl-plain")


def _discard(stream: TextIO) -> None:
    """Point the stream at /dev/null: if Python's flush at exit failed, it would change the exit status."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)


def _flushed(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        _discard(stream)


def top_parser() -> Parser:
    """The parser for the options before the command's name."""
    parser = Parser(
        prog="nexoctl",
        usage="nexoctl [--json] [--socket PATH] [--no-start] [-v] COMMAND …",
        description=_DESCRIPTION,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def full_help() -> str:
    """`nexoctl --help`: commands by group, exit codes, and the places with their computed defaults."""
    parser = top_parser()
    lines = []
    size = max(len(command.name) for command in COMMANDS) + 2
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines += ["", f"{group}:"]
        lines += [f"  {c.name.ljust(size)}{c.summary}" for c in COMMANDS if c.group == group]
    lines += ["", "environment variables (with their values here):", *_environment(), ""]
    lines.append(
        "exit codes: 0 ok · 1 failed · 2 usage · 3 daemon not reachable · 4 permission or vault locked ·\n"
        "            5 not found · 6 test failed or unhealthy · 7 refused (in use, conflict, read-only)"
    )
    lines += [
        "",
        "`nexoctl COMMAND --help` tells more about a command.",
        "`nexoctl --json --help` prints the JSON Schema of what the commands print with --json.",
    ]
    return parser.format_help() + "\n".join(lines) + "\n"


def _schema() -> str:
    """`nexoctl --json --help`: the JSON Schema of the commands' output."""
    import json

    from nexo_cli.schema import schema

    return json.dumps(schema(), indent=2) + "\n"


def _environment() -> list[str]:
    from nexo.connections.paths import places

    rows = [(place.variable, str(place.path), place.purpose) for place in places()]
    rows.append(
        ("NEXO_CONNECTION", os.environ.get("NEXO_CONNECTION") or "(not set)", "overrides the connection")
    )
    rows.append(("NEXO_LOG", os.environ.get("NEXO_LOG") or "info", "log level of the daemon"))
    size = max(len(variable) for variable, _, _ in rows) + 2
    return [f"  {variable.ljust(size)}{value}  ({purpose})" for variable, value, purpose in rows]


def _run(words: list[str]) -> int:
    try:
        return _dispatch(words)
    except UsageError as problem:
        return _report(_wants_json(words), "USAGE", problem.message, problem.hint, 2)


def _wants_json(words: list[str]) -> bool:
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _dispatch(words: list[str]) -> int:
    top = top_parser()
    namespace = parse(top, words, argparse.Namespace())
    if namespace.version:
        from nexo.connections.version import __version__

        sys.stdout.write(f"nexoctl {__version__}\n")
        return 0
    name, rest = namespace.command, namespace.words
    if name == "help":
        name, rest = (rest[0] if rest else None), ["--help"]
        namespace.help = name is None
    if namespace.help:
        sys.stdout.write(_schema() if getattr(namespace, "json", False) else full_help())
        return 0
    command = find(name or "overview")
    if command is None:
        near = most_similar(str(name), [command.name for command in COMMANDS])
        raise UsageError(
            f"there is no command {name!r}",
            f"did you mean `nexoctl {near}`?" if near else "`nexoctl --help` lists the commands",
        )
    for used in ("command", "words", "version", "help"):
        delattr(namespace, used)
    parser, module = command_parser(command)
    arguments = parse(parser, rest, namespace)
    return _perform(arguments, module)


def _perform(arguments: argparse.Namespace, module: object) -> int:
    # Imported here: `--help` and usage errors don't need them.
    from nexo.connections.paths import UnsafePathError, hint_for_error
    from nexo_cli.errors import CommandFailed, exit_code, facts_of, hint_of
    from nexo_cli.session import Session
    from nexo_cli.terminal import Terminal
    from nexo_client.errors import NexoError

    session = Session(arguments, Terminal())
    try:
        run = getattr(arguments, "run", None) or module.run  # type: ignore[attr-defined]  # every command has it
        return int(run(arguments, session))
    except NexoError as problem:
        more = facts_of(problem)
        hint, code = hint_of(problem), exit_code(problem)
        return _report(session.json, problem.reason.value, problem.message, hint, code, more)
    except CommandFailed as problem:
        return _report(session.json, problem.reason, problem.message, problem.hint, problem.code)
    except UnsafePathError as problem:
        return _report(session.json, "DAEMON_UNSAFE", str(problem), problem.hint, 4)
    except (KeyboardInterrupt, UsageError):
        raise
    except UnicodeEncodeError:
        # An argument or variable has bytes that this locale cannot decode; only such text cannot be sent.
        raise UsageError(
            "a name, path or value has bytes that are not UTF-8, which the daemon needs",
            "give it another name; if it is UTF-8, let the locale say so: export LC_ALL=C.UTF-8",
        ) from None
    except OSError as problem:
        if problem.filename is None:
            # A stream failed; `main` handles it.
            raise
        text = f"{problem.filename}: {problem.strerror}"
        return _report(session.json, "FILE_FAILED", text, hint_for_error(problem), 1)
    except Exception as problem:  # noqa: BLE001 - the last stop: a person gets a sentence, never a traceback
        if session.verbose:
            import traceback

            # The exception's text is left out because it may quote input.
            for line in "".join(traceback.format_tb(problem.__traceback__)).splitlines():
                session.printer.note(line)
        message = f"nexoctl failed with an unexpected error ({type(problem).__name__})"
        hint = (
            "run it again with -v and report what it prints" if not session.verbose else "please report this"
        )
        return _report(session.json, "INTERNAL", message, hint, 1)


def _report(
    json_errors: bool, reason: str, message: str, hint: str, code: int, more: Mapping[str, object] = _NOTHING
) -> int:
    from nexo_cli.errors import error_record
    from nexo_cli.printer import Printer
    from nexo_cli.terminal import Terminal

    printer = Printer(Terminal(), json_errors=json_errors)
    # If stderr is closed, too, the exit status still tells.
    _flushed(sys.stdout)
    with contextlib.suppress(OSError):
        printer.error(error_record(reason, message, hint, more), message, hint)
    _flushed(sys.stderr)
    return int(code)
