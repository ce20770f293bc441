"""Keys that are kept elsewhere, replaced, about to expire, and the record of who got one."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import nexo_client
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import REVOKED, WORK, ExampleProvider
from nexo_client.types import Workspace
from surroundings import Nexod, Surroundings

CANARY = "sk-canaryElsewhere4"


def add(surroundings: Surroundings, name: str, *flags: str) -> None:
    surroundings.nexoctl(
        *("add", name, "--provider", "custom", "--base-url", "http://127.0.0.1:9/v1", "--no-test"),
        *(flags if "--api-key-ref" in flags else ("--api-key-stdin", *flags)),
        stdin="sk-of-this-test",
    )


def key_of(surroundings: Surroundings, name: str) -> str:
    return surroundings.nexoctl("resolve", "--connection", name, "--format", "key").out.strip()


@pytest.fixture
def elsewhere(surroundings: Surroundings) -> Path:
    """A file outside of our directories, and a program that prints it."""
    file = surroundings.home / "elsewhere" / "key"
    file.parent.mkdir(mode=0o700)
    file.write_text(f"{CANARY}\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("form", ["file:{file}", "command:{python} {program} {file}"])
def test_a_reference_is_resolved_at_use_and_its_key_is_stored_nowhere(
    nexod: Nexod, surroundings: Surroundings, elsewhere: Path, form: str
) -> None:
    program = elsewhere.parent / "print.py"
    program.write_text("import pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text())")
    reference = form.format(file=elsewhere, python=sys.executable, program=program)
    add(surroundings, "kept", "--api-key-ref", reference)
    assert key_of(surroundings, "kept") == CANARY
    shown = surroundings.nexoctl("--json", "show", "kept").out
    assert json.loads(shown)["key"]["reference"] == reference
    surroundings.nexoctl("store", "backup")
    surroundings.nexoctl("export", "--output", str(surroundings.home / "plain.json"))
    surroundings.nexoctl(
        *(
            "export",
            "--with-secrets",
            "--passphrase-stdin",
            "--output",
            str(surroundings.home / "sealed.json"),
        ),
        stdin="correct horse battery\n",
    )
    assert nexod.stop() == 0
    holding = [path for path in surroundings.files() if CANARY.encode() in path.read_bytes()]
    assert holding == [elsewhere]


def test_a_reference_that_leads_nowhere_says_so_until_it_does(
    nexod: Nexod, surroundings: Surroundings, elsewhere: Path
) -> None:
    elsewhere.chmod(0o644)
    add(surroundings, "kept", "--api-key-ref", f"file:{elsewhere}")
    with nexod.client() as client:
        with pytest.raises(nexo_client.KeyReferenceFailed) as caught:
            client.resolve("kept")
        assert "chmod 600" in caught.value.hint
        elsewhere.unlink()
        with pytest.raises(nexo_client.KeyReferenceFailed):
            client.resolve("kept")
        elsewhere.write_text(CANARY)
        elsewhere.chmod(0o600)
        assert client.resolve("kept").api_key == CANARY


def test_a_new_key_is_tried_beside_the_old_one(nexod: Nexod, surroundings: Surroundings) -> None:
    with ExampleProvider() as provider:
        url = provider.base_url(Provider.OPENAI)
        surroundings.nexoctl(
            *("add", "work", "--provider", "openai", "--base-url", url, "--api-key-stdin"), stdin=WORK.key
        )
        before = surroundings.nexoctl("--json", "show", "work").json
        assert before["key"]["added_at"]
        assert before["key"]["proven_at"]
        refused = surroundings.nexoctl(
            "--json", "edit", "work", "--api-key-stdin", stdin=REVOKED.key, expect=None
        )
        assert refused.code != 0
        assert key_of(surroundings, "work") == WORK.key
        after = surroundings.nexoctl("--json", "show", "work").json
        assert after["revision"] == before["revision"]


def test_a_key_that_expires_soon_is_warned_about(nexod: Nexod, surroundings: Surroundings) -> None:
    today = datetime.now(UTC)
    days = {"past": -2, "soon": 3, "later": 90}
    for name, left in days.items():
        date = f"{today + timedelta(days=left):%Y-%m-%d}"
        add(surroundings, name, "--key-expires", date)
    report = surroundings.nexoctl("--json", "doctor", expect=None).json
    said = {
        name: [
            one["text"]
            for one in report["findings"]
            if one["topic"] == f"connection {name}" and "expire" in one["text"]
        ]
        for name in days
    }
    assert said == {
        "past": ["the key has expired"],
        "soon": [f"the key expires on {today + timedelta(days=3):%Y-%m-%d}"],
        "later": [],
    }
    assert "expires" in surroundings.nexoctl("show", "soon").out
    warned = surroundings.nexoctl("list").err
    assert [name for name in days if f" {name}: the key " in warned] == ["past", "soon"]


def test_each_hand_out_is_recorded_with_what_the_caller_says_it_is(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    add(surroundings, "work")
    began = datetime.now(UTC) - timedelta(seconds=2)
    with nexod.client() as client:
        client.bind(Workspace(name="editor"), "work")
        client.resolve(workspace=Workspace(name="editor"))
        (mine,) = client.handouts("work")
    assert (mine.connection, mine.method) == ("work", "ResolveConnection")
    assert mine.client.pid == os.getpid()
    assert mine.client.program
    assert mine.client.name
    assert mine.workspace == "editor"
    assert began <= mine.at <= datetime.now(UTC)
    shown = surroundings.nexoctl("handouts", "work").out
    assert str(os.getpid()) in shown
    assert nexod.stop() == 0
    surroundings.start_nexod()
    (kept,) = surroundings.nexoctl("--json", "handouts", "work").json
    assert str(os.getpid()) in json.dumps(kept)
