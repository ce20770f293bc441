"""A recovery code takes the place of an earlier one when somebody has it, and not before."""

import os
import signal
import sys

import pytest

from surroundings import Nexod, Surroundings
from typist import Typist

NEXOCTL = (sys.executable, "-m", "nexo_cli", "--no-start")


def code_of(surroundings: Surroundings) -> str:
    return str(surroundings.nexoctl("--json", "vault", "recovery").json["recovery_code"])


def opens(surroundings: Surroundings, code: str) -> bool:
    surroundings.nexoctl("vault", "lock")
    done = surroundings.nexoctl("vault", "unlock", "--recovery", "--stdin", stdin=f"{code}\n", expect=None)
    surroundings.nexoctl("vault", "unlock")
    return done.code == 0


@pytest.mark.parametrize("command", ["recovery", "rotate"])
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_code_that_nobody_confirmed_replaces_none(
    nexod: Nexod, surroundings: Surroundings, command: str, ending: int
) -> None:
    earlier = code_of(surroundings)
    with Typist([*NEXOCTL, "vault", command], env=surroundings.env, cwd=surroundings.home) as person:
        person.expect("shown only this once")
        person.expect("Type its last group")
        person.type_in("0000\n")
        person.expect("that is not the last group of")
        os.kill(person.program_pid(), ending)
        assert person.wait() != 0
    assert opens(surroundings, earlier)


@pytest.mark.parametrize("command", ["recovery", "rotate"])
def test_a_code_that_could_not_be_printed_replaces_none(
    nexod: Nexod, surroundings: Surroundings, command: str
) -> None:
    earlier = code_of(surroundings)
    shell = f'"$0" -m nexo_cli --no-start vault {command} >/dev/full'
    assert surroundings.run(["sh", "-c", shell, sys.executable], expect=None).code != 0
    assert opens(surroundings, earlier)


@pytest.mark.parametrize("command", ["recovery", "rotate"])
def test_a_code_that_was_typed_back_is_the_one(
    nexod: Nexod, surroundings: Surroundings, command: str
) -> None:
    earlier = code_of(surroundings)
    with Typist([*NEXOCTL, "vault", command], env=surroundings.env, cwd=surroundings.home) as person:
        person.expect("shown only this once:")
        shown = person.expect("Keep it somewhere else").strip()
        person.expect("Type its last group")
        person.type_in(shown.rpartition("-")[2].lower() + "\n")
        person.expect("no longer works")
        assert person.wait() == 0
    assert opens(surroundings, shown)
    assert not opens(surroundings, earlier)
