"""Every command of the table is there, explains itself, and takes the options of every command."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexo_cli import app
from nexo_cli.commands import COMMANDS, HIDDEN, Command, find
from nexo_cli.parser import UsageError, command_parser, options_of, parse, subparsers_of

ALL = [*COMMANDS, *HIDDEN]


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_a_command_has_a_module_that_declares_and_runs_it(command: Command) -> None:
    parser, module = command_parser(command)
    assert callable(module.configure)
    assert callable(getattr(module, "run", None)) or subparsers_of(parser)
    assert module.__doc__


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_explains_the_command_and_each_of_its_options(command: Command) -> None:
    parser, module = command_parser(command)
    text = parser.format_help()
    assert module.__doc__.strip().splitlines()[0] in text
    for action in parser._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_common_options_may_stand_at_every_level(command: Command) -> None:
    parser, _ = command_parser(command)
    for level in (parser, *subparsers_of(parser).values()):
        known = set(options_of(level))
        assert {"--json", "--socket", "--no-start", "-v", "--verbose"} <= known


def test_the_help_of_nexoctl_lists_all_commands_places_and_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXO_DATA_DIR", "/somewhere/else")
    text = app.full_help()
    for command in COMMANDS:
        assert f"\n  {command.name} " in text
    for variable in ("NEXO_SOCKET", "NEXO_CONFIG_DIR", "NEXO_DATA_DIR", "NEXO_STATE_DIR", "NEXO_CONNECTION"):
        assert variable in text
    assert "/somewhere/else" in text
    assert "7 refused" in text


def test_names_of_commands_are_unique() -> None:
    assert len({command.name for command in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["lst"], "nexoctl list"),
        (["tset", "x"], "nexoctl test"),
        (["wokspace"], "nexoctl workspace"),
        (["list", "--jsno"], "--json"),
        (["add", "x", "--provder", "openai"], "--provider"),
        (["workspace", "lits"], "list"),
        (["workspace", "bind"], "missing: CONNECTION\n"),
        (["history", "--since", "3h"], "nexoctl history --help"),
        (["resolve", "--format", "jsn"], "json"),
    ],
)
def test_a_slip_is_answered_with_the_nearest_word(
    words: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert suggestion in told.err
    assert len(told.err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["models", "x", "--timeout", "-1"], "-1 is not between 0.001 and 300"),
        (["test", "--timeout", "0"], "0 is not between"),
        (["add", "x", "--timeout", "nan"], "nan is not between"),
        (["edit", "x", "--check-every", "inf"], "inf is not between 0 and 86400"),
        (["default", "x", "--wait", "301"], "301 is not between 0 and 300"),
        (["daemon", "stop", "--timeout", "1e300"], "1e300 is not between"),
        (["gateway", "on", "--port", "80"], "80 is not between 1024 and 65535"),
        (["watch", "--count", "0"], "0 is not between 1 and"),
        (["handouts", "-n", "99999999999"], "99999999999 is not between"),
        (["handouts", "--since", "9999999d"], "'9999999d' is too long; write 11574d or less"),
        (["usage", "--since", "9999999d"], "is too long"),
        (["history", "x", "--window", "91d"], "'91d' is too long; write 90d or less"),
        (["token", "add", "x", "--expires", "11y"], "is not a valid duration"),
        (["workspace", "bind", "x", "--sticky", "5s"], "'5s' is too short; write 60s or more"),
        (["workspace", "bind", "", "x"], "it is empty"),
        (["workspace", "bind", "--workspace", "", "x"], "--workspace: it is empty"),
        (["which", " "], "it is empty"),
        (["run", "--connection", "", "--", "true"], "--connection: it is empty"),
        (["remove", "x", "--replace-with", ""], "--replace-with: it is empty"),
        (["handouts", ""], "it is empty"),
        (["store", "restore", ""], "it is empty"),
        (["store", "restore", "./not-there"], "/not-there: there is no such file"),
    ],
)
def test_a_persons_own_mistake_is_named_before_the_daemon_is_asked(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["--no-start", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_every_number_has_a_range(command: Command) -> None:
    parser, _ = command_parser(command)
    for level in (parser, *subparsers_of(parser).values()):
        assert not [action.dest for action in level._actions if action.type in (int, float)]


def test_an_abbreviation_is_no_option() -> None:
    parser, _ = command_parser(find("add"))  # type: ignore[arg-type]  # it is in the table
    with pytest.raises(UsageError):
        parse(parser, ["x", "--prov", "openai"], argparse.Namespace())


def test_common_options_count_before_and_after_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--json", "lst"], ["list", "--nope", "--json"]):
        assert app.main(words) == 2
        assert capsys.readouterr().err.startswith('{"error": {"reason": "USAGE"')


def test_json_after_two_dashes_belongs_to_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["ruun", "--", "program", "--json"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


COSTLY = (
    "grpc",
    "google",
    "nexo.connections.v1",
    "dataclasses",
    "inspect",
    "subprocess",
    "nexo_client.types",
)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["help"], ["--help", "-v"]])
def test_help_and_version_import_nothing_costly(words: list[str]) -> None:
    probe = (
        "import sys; from nexo_cli.__main__ import main; code = main(sys.argv[1:]);"
        f" sys.exit(code or ' '.join(m for m in {COSTLY!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nexoctl" in done.stdout


def test_what_is_put_off_is_not_executed_by_a_command_that_needs_none_of_it() -> None:
    probe = (
        "import sys; from nexo_cli.__main__ import main; main(['--no-start', 'list']);"
        " from nexo_cli.__main__ import LATER;"
        " sys.exit(' '.join(n for n in LATER"
        " if type(sys.modules.get(n)).__name__ not in ('_Untouched', 'NoneType')) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nexod is not running" in done.stderr


def test_what_is_put_off_stays_so_when_two_import_it() -> None:
    probe = (
        "import sys; from nexo.connections.lazy import put_off; put_off(['mimetypes']);"
        " import mimetypes; import mimetypes as again;"
        " assert 'guess_type' not in object.__getattribute__(again, '__dict__');"
        " assert again.guess_type('a.html')[0] == 'text/html'"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_put_off_is_whole_when_it_is_used() -> None:
    probe = (
        "from nexo_cli.__main__ import LATER; from nexo.connections.lazy import put_off; put_off(LATER);"
        " put_off(LATER);"
        " import asyncio, grpc, nexo_client.aio;"
        " from google.protobuf.internal import python_message;"
        " assert asyncio.run(asyncio.sleep(0, 'slept')) == 'slept';"
        " assert grpc.aio.insecure_channel and python_message.GeneratedProtocolMessageType"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_no_command_imports_what_only_the_daemon_needs(command: Command) -> None:
    probe = (
        "import sys; from nexo_cli.parser import command_parser;"
        " from nexo_cli.commands import find;"
        f" command_parser(find({command.name!r}));"
        " sys.exit(' '.join(m for m in ('nexo_daemon', 'httpx', 'sqlalchemy', 'keyring', 'cryptography')"
        " if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def nexoctl(command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """A shell line with nexoctl in it, in an empty home."""
    return subprocess.run(
        ["sh", "-c", command.replace("nexoctl", f"'{sys.executable}' -m nexo_cli", 1)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_output_that_cannot_be_written_is_an_error_of_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    for words in ("--help", "completion bash"):
        done = nexoctl(f"nexoctl {words} >/dev/full")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "can't be written" in done.stderr


def test_closed_streams_are_no_error() -> None:
    done = nexoctl("nexoctl completion bash >&- <&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_unicode_gets_likenesses() -> None:
    done = nexoctl("nexoctl doctor", PYTHONIOENCODING="ascii")
    assert "+ versions" in done.stdout
    assert "\\u" not in done.stdout
