"""`nexoctl import` of a file that looks like an export: it is shown what it decides, and asks."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import WORK, ExampleProvider
from surroundings import Nexod, Surroundings
from typist import Typist

NEXOCTL = (sys.executable, "-m", "nexo_cli", "--no-start")


def document(**connection: Any) -> dict[str, Any]:
    """An export of one connection, as somebody may have written it."""
    network = {"proxy": "system", "proxy_url": "", "no_proxy": [], "ca_bundle": ""}
    entry = {
        "name": "team",
        "provider": "custom",
        "auth_scheme": "bearer",
        "network": network,
        **connection,
    }
    return {"format": "nexo-connections", "version": 2, "connections": [entry]}


@pytest.fixture
def marked(surroundings: Surroundings) -> Path:
    """A file that is there once the command of a reference has run."""
    return surroundings.home / "it-ran"


@pytest.fixture
def hostile(surroundings: Surroundings, provider: ExampleProvider, marked: Path) -> Path:
    """A document whose command prints the key of an account, and whose address records who comes with it."""
    command = f"command:sh -c 'touch {marked}; echo {WORK.key}'"
    written = document(base_url=provider.base_url(Provider.CUSTOM), api_key_ref=command)
    path = surroundings.home / "theirs.json"
    # As other programs write JSON, too.
    path.write_text(json.dumps(written, separators=(",", ":")))
    return path


def test_nothing_runs_and_nothing_is_sent_until_a_person_agrees_to_it(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, hostile: Path, marked: Path
) -> None:
    shown = surroundings.nexoctl("import", str(hostile), "--dry-run")
    assert f"touch {marked}" in shown.out
    assert provider.base_url(Provider.CUSTOM) in shown.out
    for flags in ((), ("--all",), ("--overwrite",), ("--save-anyway",), ("--consent", "0" * 24)):
        refused = surroundings.nexoctl("import", str(hostile), *flags, "--json", expect=7).json
        assert refused["imported"] is False
        assert refused["counts"] == {"add": 0, "change": 0, "keep": 0, "skip": 1}
    assert surroundings.nexoctl("list", "--json").json == []
    assert not marked.exists()
    assert provider.requests() == ()

    planned = surroundings.nexoctl("import", str(hostile), "--dry-run", "--json").json
    assert planned["imported"] is False
    (need,) = planned["steps"][0]["needs"]
    assert need["kind"] == "command"
    done = surroundings.nexoctl("import", str(hostile), "--consent", need["id"], "--json").json
    assert (done["imported"], done["counts"]["add"]) == (True, 1)
    key = surroundings.nexoctl("resolve", "--connection", "team", "--format", "key")
    assert key.out.strip() == WORK.key
    assert marked.exists()


@pytest.mark.parametrize("agrees", [True, False])
def test_on_a_terminal_enter_agrees_to_nothing(
    surroundings: Surroundings, nexod: Nexod, hostile: Path, marked: Path, agrees: bool
) -> None:
    with Typist([*NEXOCTL, "import", str(hostile)], env=surroundings.env) as person:
        person.expect(f"touch {marked}")
        person.expect("Which do you agree to? (numbers, all, none) [none]: ")
        person.type_in("1\n" if agrees else "\n")
        assert person.wait() == 0
    names = [one["name"] for one in surroundings.nexoctl("list", "--json").json]
    assert names == (["team"] if agrees else [])


def test_a_stored_key_goes_through_no_proxy_of_a_document(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    base = "http://api.customer.example/v1"
    surroundings.nexoctl(
        *("add", "team", "--provider", "custom", "--base-url", base, "--api-key-stdin", "--no-test"),
        *("--proxy", "http://127.0.0.1:9"),
        stdin=WORK.key,
    )
    network = {"proxy": "url", "proxy_url": provider.origin, "no_proxy": [], "ca_bundle": ""}
    path = surroundings.home / "theirs.json"
    path.write_text(json.dumps(document(base_url=base, network=network)))
    refused = surroundings.nexoctl("import", str(path), "--overwrite", "--all", "--json", expect=7).json
    assert refused["steps"][0]["needs"][0]["kind"] == "proxy"
    surroundings.nexoctl("test", "team", expect=6)
    edited = surroundings.nexoctl("edit", "team", "--proxy", provider.origin, "--no-test", "--json", expect=7)
    assert edited.error["reason"] == "KEY_ORIGIN_CHANGED"
    surroundings.nexoctl("test", "team", "--proxy", provider.origin, expect=7)
    assert provider.requests() == ()


@pytest.fixture
def small_disk(surroundings: Surroundings) -> Iterator[Path]:
    """The data directory on a file system of 1 MB; skipped where it cannot be mounted."""
    surroundings.data_dir.mkdir(mode=0o700)
    options = "size=1m,mode=0700"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", surroundings.data_dir],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield surroundings.data_dir
    subprocess.run(["umount", "-l", surroundings.data_dir], check=True)


def test_on_a_full_disk_an_import_fails_and_an_export_leaves_no_half(
    small_disk: Path, surroundings: Surroundings
) -> None:
    surroundings.start_nexod()
    whole = document(base_url="http://127.0.0.1:9/v1")
    (entry,) = whole["connections"]
    whole["connections"] = [{**entry, "name": f"team {n}", "checks_paused": True} for n in range(2500)]
    path = surroundings.home / "ours.json"
    path.write_text(json.dumps(whole))
    filler = small_disk / "filler"
    # Room for a part of it.
    os.truncate(filler, fill(filler) - 200_000)
    failed = surroundings.nexoctl("import", str(path), "--json", expect=7)
    assert failed.error["reason"] == "STORE_FULL"
    assert failed.out == ""
    assert surroundings.nexoctl("list", "--json").json == []

    filler.unlink()
    whole["connections"] = whole["connections"][:200]
    path.write_text(json.dumps(whole))
    assert surroundings.nexoctl("import", str(path), "--json").json["counts"]["add"] == 200
    fill(filler)
    exported = small_disk / "export.json"
    surroundings.nexoctl("export", "--output", str(exported), expect=1)
    assert not exported.exists()


def fill(path: Path) -> int:
    """Write until there is no space left; the size it came to."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path.stat().st_size
