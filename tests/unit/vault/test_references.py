"""References give keys within a deadline, or an error that says why they failed."""

import asyncio
import os
from pathlib import Path

import pytest

from nexo.connections import processes
from nexo.connections.errors import DaemonFailed, InvalidField, KeyReferenceFailed
from nexo.connections.terms import Reason
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.secret import Secret
from nexo_daemon.vault import references
from nexo_daemon.vault.references import Reference, ReferenceKind, References
from probing_help import no_file_can_be_opened
from store_parts import HandClock
from surroundings import wait_for


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("keyring:openai/me", Reference(ReferenceKind.KEYRING, ("openai", "me"))),
        ("keyring:a/b/c", Reference(ReferenceKind.KEYRING, ("a/b", "c"))),
        ("file:/etc/key", Reference(ReferenceKind.FILE, ("/etc/key",))),
        ("command:pass show 'my key'", Reference(ReferenceKind.COMMAND, ("pass", "show", "my key"))),
    ],
)
def test_the_three_forms_are_understood(text: str, reference: Reference) -> None:
    assert references.parse(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-1234",
        "env:KEY",
        "keyring:openai",
        "keyring:/me",
        "keyring:openai/",
        "file:",
        "file:key.txt",
        "command:",
        "command:  ",
        "command:pass 'open",
        "command:pass\nrm",
        "file:/a\0b",
    ],
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InvalidField) as caught:
        references.parse(text)
    assert caught.value.hint
    assert caught.value.field == "api_key_reference"


def run(reference: str, **options: float) -> str:
    async def fetch() -> str:
        found = References(SystemClock(), **options)
        try:
            return (await found.fetch(reference)).reveal()
        finally:
            await found.aclose()

    return asyncio.run(fetch())


def test_a_file_gives_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("\n  sk-from-file \nnote to self\n")
    path.chmod(0o600)
    assert run(f"file:{path}") == "sk-from-file"


@pytest.mark.parametrize("reference", ["file:{}", "command:{}"])
def test_a_daemon_that_may_open_no_more_files_does_not_blame_the_reference(
    tmp_path: Path, reference: str
) -> None:
    path = tmp_path / "key"
    path.write_text("#!/bin/sh\necho sk-from-file\n")
    path.chmod(0o700)

    async def fetch() -> None:
        found = References(SystemClock())
        with no_file_can_be_opened(), pytest.raises(DaemonFailed, match="Too many open files"):
            await found.fetch(reference.format(path))
        await found.aclose()

    asyncio.run(fetch())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "No such file"),
        (lambda p: (p.write_text("sk"), p.chmod(0o644)), "other users may read it"),
        (lambda p: (p.write_text(" \n"), p.chmod(0o600)), "empty"),
        (lambda p: (p.write_text("sk-1", "utf-8-sig"), p.chmod(0o600)), "no header can carry"),
        (lambda p: (p.write_text("sk-1", "utf-16"), p.chmod(0o600)), "no header can carry"),
        (lambda p: p.mkdir(), "not a regular file"),
        (lambda p: os.mkfifo(p, 0o600), "not a regular file"),
    ],
)
def test_a_file_that_will_not_do_says_why(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "key"
    make(path)  # type: ignore[operator]
    with pytest.raises(KeyReferenceFailed, match=words) as caught:
        run(f"file:{path}")
    assert caught.value.reason is Reason.KEY_REFERENCE_FAILED
    assert caught.value.hint


def test_a_command_gives_the_first_line_it_prints() -> None:
    assert run("command:printf 'sk-from-command\\nsecond line\\n'") == "sk-from-command"


def test_no_shell_takes_part(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    assert run(f"command:echo sk; touch {witness}") == f"sk; touch {witness}"
    assert not witness.exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-of-ours", "cannot be started"),
        ("sh -c 'echo sk-secret-output; exit 3'", "exit code 3"),
        ("true", "empty"),
        ("printf 'sk-secret-output\\001'", "no header can carry"),
    ],
)
def test_a_command_that_fails_says_why_and_nothing_of_its_output(command: str, words: str) -> None:
    with pytest.raises(KeyReferenceFailed, match=words) as caught:
        run(f"command:{command}")
    assert "sk-secret" not in str(caught.value) + caught.value.hint


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {pid_file}; wait"

    def hangs() -> str:
        """The pid of its child, once it was given the time to have one."""
        with pytest.raises(KeyReferenceFailed, match="did not answer"):
            run(f'command:sh -c "{script}"', deadline_s=1.0)
        return pid_file.read_text() if pid_file.exists() else ""

    pid = int(wait_for(hangs, "it has a child when it is killed"))
    wait_for(lambda: not processes.alive(pid), "the child is gone")


def test_a_command_that_prints_without_end_is_bounded() -> None:
    with pytest.raises(KeyReferenceFailed):
        run("command:yes", deadline_s=1.0)


def counting(tmp_path: Path) -> tuple[str, Path]:
    """A command that writes down each time it runs."""
    log = tmp_path / "runs"
    script = tmp_path / "key.sh"
    script.write_text(f"#!/bin/sh\necho run >> {log}\necho sk-$(wc -l < {log})\n")
    script.chmod(0o700)
    return f"command:{script}", log


def test_a_key_is_cached_for_a_moment_and_then_asked_for_again(tmp_path: Path) -> None:
    reference, log = counting(tmp_path)
    clock = HandClock()

    async def scenario() -> list[Secret]:
        found = References(clock, cached_s=60)
        keys = [await found.fetch(reference), await found.fetch(reference)]
        await clock.sleep(61)
        keys.append(await found.fetch(reference))
        found.forget(reference)
        keys.append(await found.fetch(reference))
        await found.aclose()
        return keys

    keys = [key.reveal() for key in asyncio.run(scenario())]
    assert keys == ["sk-1", "sk-1", "sk-2", "sk-3"]
    assert log.read_text().count("run") == 3


def test_many_who_ask_at_once_share_one_look_up(tmp_path: Path) -> None:
    reference, log = counting(tmp_path)

    async def scenario() -> set[str]:
        found = References(SystemClock())
        keys = await asyncio.gather(*(found.fetch(reference) for _ in range(20)))
        await found.aclose()
        return {key.reveal() for key in keys}

    assert asyncio.run(scenario()) == {"sk-1"}
    assert log.read_text().count("run") == 1


def test_a_failure_is_not_cached(tmp_path: Path) -> None:
    path = tmp_path / "key"

    async def scenario() -> str:
        found = References(SystemClock())
        with pytest.raises(KeyReferenceFailed):
            await found.fetch(f"file:{path}")
        path.write_text("sk-late")
        path.chmod(0o600)
        key = await found.fetch(f"file:{path}")
        await found.aclose()
        return key.reveal()

    assert asyncio.run(scenario()) == "sk-late"


def test_one_who_gives_up_does_not_take_the_others_with_him(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate, 0o600)

    async def scenario() -> str:
        found = References(SystemClock())
        reference = f"command:cat {gate}"
        first = asyncio.create_task(found.fetch(reference))
        second = asyncio.create_task(found.fetch(reference))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.to_thread(gate.write_text, "sk-through-the-gate\n")
        key = await second
        await found.aclose()
        return key.reveal()

    assert asyncio.run(scenario()) == "sk-through-the-gate"


def test_without_a_keyring_a_keyring_reference_says_so() -> None:
    with pytest.raises(KeyReferenceFailed, match="no keyring service") as caught:
        run("keyring:openai/me")
    assert caught.value.hint
