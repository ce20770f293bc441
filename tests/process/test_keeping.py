"""The vault and the store of a running daemon, through nexoctl: what a person does to keep keys safe."""

import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

import nexo_client
from keyring_session import KeyringSession
from nexo.connections.terms import Reason, StoreState, VaultState
from nexo_client.types import KeySlot
from surroundings import Nexod, Surroundings, wait_for

KEY = "sk-kept-1f0c77"
WORDS = "correct horse battery"


def add(surroundings: Surroundings, name: str = "work", key: str = KEY) -> None:
    surroundings.nexoctl(
        *("add", name, "--provider", "custom", "--base-url", "http://127.0.0.1:9/v1"),
        *("--api-key-stdin", "--no-test", "--header", f"X-Team: {key}-header"),
        stdin=key,
    )


def key_of(surroundings: Surroundings, name: str = "work") -> str:
    return surroundings.nexoctl("resolve", "--connection", name, "--format", "key").out.strip()


def vault(surroundings: Surroundings) -> dict[str, str]:
    found = surroundings.nexoctl("--json", "vault", "status", expect=None).json
    assert isinstance(found, dict)
    return found


def test_the_vault_is_shown_locked_and_unlocked(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    shown = vault(surroundings)
    assert (shown["state"], shown["slot"], shown["problem"]) == ("unlocked", "key_file", "")
    surroundings.nexoctl("vault", "lock")
    refused = surroundings.nexoctl("--json", "resolve", expect=4)
    assert refused.error["reason"] == Reason.VAULT_LOCKED
    assert refused.error["hint"] == "nexoctl vault unlock"
    listed = surroundings.nexoctl("--json", "health").json
    assert "locked" in json.dumps(listed)
    surroundings.nexoctl("vault", "status", expect=4)
    surroundings.nexoctl("vault", "unlock")
    assert key_of(surroundings) == KEY


def test_a_passphrase_is_asked_for_after_each_start(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    surroundings.nexoctl("vault", "rekey", "--to", "passphrase", "--stdin", stdin=WORDS + "\n")
    assert not (surroundings.config_dir / "vault.key").exists()
    assert nexod.stop() == 0
    surroundings.start_nexod()
    assert vault(surroundings)["state"] == "locked"
    # A locked daemon still lists, and takes what needs no secret.
    assert "work" in surroundings.nexoctl("list").out
    surroundings.nexoctl("add", "local", "--provider", "ollama", "--no-test")
    wrong = surroundings.nexoctl("--json", "vault", "unlock", "--stdin", stdin="wrong words\n", expect=4)
    assert wrong.error["reason"] == Reason.VAULT_LOCKED
    surroundings.nexoctl("vault", "unlock", "--stdin", stdin=WORDS + "\n")
    assert key_of(surroundings) == KEY


def test_a_recovery_code_brings_a_lost_key_file_back(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    code = surroundings.nexoctl("--json", "vault", "recovery").json["recovery_code"]
    assert nexod.stop() == 0
    (surroundings.config_dir / "vault.key").unlink()
    daemon = surroundings.start_nexod()
    assert vault(surroundings)["state"] == "key_lost"
    lost = surroundings.nexoctl("--json", "resolve", expect=4)
    assert lost.error["reason"] == Reason.VAULT_KEY_LOST
    assert "recovery" in lost.error["hint"]
    surroundings.nexoctl("vault", "unlock", "--recovery", "--stdin", stdin=code.lower() + "\n")
    surroundings.nexoctl("vault", "rekey", "--to", "key_file")
    assert daemon.stop() == 0
    surroundings.start_nexod()
    assert key_of(surroundings) == KEY
    assert code not in "".join(p.read_text(errors="replace") for p in surroundings.files())


def test_rotation_is_felt_by_nobody(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    with nexod.client() as client, client.follow("work") as live:
        assert live.current.api_key == KEY
        surroundings.nexoctl("vault", "rotate")
        assert client.resolve("work").api_key == KEY
        assert live.current.api_key == KEY
    assert surroundings.nexoctl("--json", "store", "check").json["seals_checked"] is True


def test_a_rotation_without_its_backup_says_so(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    assert "A fresh backup was made" in surroundings.nexoctl("vault", "rotate").err
    backups = surroundings.data_dir / "backups"
    backups.chmod(0o755)
    rotated = surroundings.nexoctl("vault", "rotate")
    assert "fresh backup" not in rotated.err
    assert "no backup could be made" in rotated.err
    error = surroundings.nexoctl("--json", "store", "backup", expect=None).error
    assert error["hint"] == f"chmod 700 '{backups}'"


def test_a_store_is_checked_backed_up_and_restored_while_the_daemon_runs(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    add(surroundings)
    checked = surroundings.nexoctl("--json", "store", "check").json
    assert checked == {"ok": True, "problems": [], "seals_checked": True, "connections": 1, "secrets": 2}
    name = surroundings.nexoctl("--json", "store", "backup").json["name"]
    add(surroundings, "later", "sk-later")
    with nexod.client() as client:
        before = client.status().revision
        events = iter(client.watch())
        next(events)
        surroundings.nexoctl("store", "restore", name)
        assert [c.name for c in client.list_connections()] == ["work"]
        assert client.status().revision > before
        # Among what the checks of both bring.
        assert next(event for event in events if event.removed == "later")
    assert key_of(surroundings) == KEY
    listed = surroundings.nexoctl("--json", "store", "backups").json
    assert name in [one["name"] for one in listed]


def test_a_damaged_store_is_served_read_only_and_mended_without_a_restart(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    add(surroundings)
    surroundings.nexoctl("store", "backup")
    assert nexod.stop() == 0
    file = surroundings.data_dir / "connections.db"
    data = bytearray(file.read_bytes())
    data[:4096] = bytes(4096)
    file.write_bytes(data)
    surroundings.start_nexod()
    with nexo_client.connect(surroundings.socket) as client:
        status = client.status()
        assert status.store is StoreState.READ_ONLY
        assert str(file) in status.store_problem
    refused = surroundings.nexoctl("--json", "add", "x", "--provider", "ollama", "--no-test", expect=7)
    assert refused.error["reason"] == Reason.STORE_READ_ONLY
    assert file.read_bytes() == bytes(data)
    surroundings.nexoctl("store", "check", expect=1)
    surroundings.nexoctl("store", "restore")
    assert key_of(surroundings) == KEY
    add(surroundings, "again", "sk-again")


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_store_that_others_may_open_is_refused_and_the_mend_is_named(
    surroundings: Surroundings, mode: int
) -> None:
    first = surroundings.start_nexod()
    add(surroundings)
    assert first.stop() == 0
    file = surroundings.data_dir / "connections.db"
    file.chmod(mode)
    daemon = surroundings.spawn_nexod()
    assert daemon.wait() == 1
    assert f"chmod 600 '{file}'" in daemon.output
    assert "Traceback" not in daemon.output
    file.chmod(0o600)
    surroundings.start_nexod()
    assert key_of(surroundings) == KEY


def test_a_newer_store_is_refused_and_left_alone(surroundings: Surroundings) -> None:
    assert surroundings.start_nexod().stop() == 0
    file = surroundings.data_dir / "connections.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE alembic_version SET version_num='9000'")
        db.commit()
    before = file.read_bytes()
    daemon = surroundings.spawn_nexod()
    assert daemon.wait() == 1
    assert "newer version" in daemon.output
    assert "store restore" not in daemon.output
    findings = surroundings.nexoctl("--json", "--no-start", "doctor", expect=1).json["findings"]
    (store,) = [one for one in findings if one["topic"] == "store"]
    assert (store["level"], "newer version" in store["text"]) == ("broken", True)
    assert list(file.parent.glob("connections.db*")) == [file]
    assert file.read_bytes() == before


def test_the_way_back_to_an_older_version_is_named_and_works(surroundings: Surroundings) -> None:
    daemon = surroundings.start_nexod()
    add(surroundings)
    kept = Path(surroundings.nexoctl("--json", "store", "backup").json["path"])
    # The newer version has made a backup of its own since.
    newer = kept.with_name("connections-20990101T000000Z-daily.db")
    assert daemon.stop() == 0
    file = surroundings.data_dir / "connections.db"
    newer.write_bytes(kept.read_bytes())
    for path in (file, newer):
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE alembic_version SET version_num='9000'")
            db.commit()
    refused = surroundings.spawn_nexod()
    assert refused.wait() == 1
    assert str(file) in refused.output
    command = refused.output.rpartition("nexoctl ")[2].split()
    assert command == ["store", "restore", kept.name]
    aside = surroundings.home / "newer"
    aside.mkdir()
    for path in file.parent.glob("connections.db*"):
        path.rename(aside / path.name)
    surroundings.start_nexod()
    surroundings.nexoctl(*command)
    assert key_of(surroundings) == KEY


def test_an_export_travels_to_another_computer(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    add(surroundings, "second", "sk-second")
    surroundings.nexoctl("default", "second")
    surroundings.nexoctl("workspace", "bind", "--workspace", "nightly", "work")
    plain, sealed = surroundings.home / "plain.json", surroundings.home / "sealed.json"
    surroundings.nexoctl("export", "--output", str(plain))
    surroundings.nexoctl(
        "export", "--with-secrets", "--passphrase-stdin", "--output", str(sealed), stdin=WORDS + "\n"
    )
    for file in (plain, sealed):
        assert file.stat().st_mode & 0o777 == 0o600
        assert KEY not in file.read_text()
    surroundings.nexoctl("export", "--output", str(plain), expect=1)

    with Surroundings() as other:
        other.start_nexod()
        with nexo_client.connect(other.socket) as client:
            document = sealed.read_bytes()
            with pytest.raises(nexo_client.InvalidField, match="passphrase"):
                client.store.import_document(document, passphrase="wrong words")
            planned = client.store.import_document(document, passphrase=WORDS, dry_run=True)
            assert {step.action.value for step in planned} == {"add"}
            assert client.list_connections() == ()
            done = client.store.import_document(document, passphrase=WORDS)
            assert done == planned
            assert client.resolve("work").api_key == KEY
            assert client.resolve("second").api_key == "sk-second"
            default = client.get_default()
            assert default is not None
            assert default.name == "second"
            again = client.store.import_document(document, passphrase=WORDS)
            assert {step.action.value for step in again} == {"keep"}
            # Without its secrets, and with an address that was edited: neither leads a key elsewhere.
            forged = plain.read_text().replace("127.0.0.1:9/", "evil.example.com/").encode()
            steps = client.store.import_document(forged, overwrite=True)
            assert [s.action.value for s in steps if s.kind == "connection"] == ["skip", "skip"]
            assert client.resolve("work").base_url == "http://127.0.0.1:9/v1"
            moved = document.replace(b"127.0.0.1:9/", b"evil.example.com/")
            with pytest.raises(nexo_client.InvalidField, match="edited"):
                client.store.import_document(moved, passphrase=WORDS, overwrite=True)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"format": "nexo-connections"}'])
def test_what_is_no_export_is_refused_in_words(nexod: Nexod, content: bytes) -> None:
    with nexod.client() as client, pytest.raises(nexo_client.InvalidField) as caught:
        client.store.import_document(content)
    assert caught.value.hint


@pytest.mark.needs("keyring")
def test_a_daemon_that_comes_before_the_keyring_opens_when_it_is_there(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    with KeyringSession(tmp_path / "session") as keyring:
        keyring.start()
        first = surroundings.start_nexod(env=keyring.environment)
        assert vault(surroundings)["slot"] == "keyring"
        add(surroundings)
        assert first.stop() == 0
        keyring.stop()
        second = surroundings.start_nexod(env=keyring.environment)
        assert vault(surroundings)["state"] == "locked"
        keyring.start()
        with second.client() as client:
            assert client.vault.unlock().state is VaultState.UNLOCKED
        assert key_of(surroundings) == KEY


@pytest.mark.needs("keyring")
def test_a_person_hears_that_the_keyring_has_lost_the_key_while_it_can_be_stored_again(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    with KeyringSession(tmp_path / "session") as keyring:
        keyring.start()
        daemon = surroundings.start_nexod(env=keyring.environment)
        add(surroundings)
        keyring.wipe()
        for command in ("rotate", "unlock"):
            refused = surroundings.nexoctl("--json", "vault", command, expect=4).error
            assert "in memory only" in refused["message"]
        findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
        [found] = [one for one in findings if one["topic"] == "vault"]
        assert (found["level"], "in memory only" in found["text"]) == ("broken", True)
        command = found["fix"].rpartition("nexoctl ")[2].split()
        assert command == ["vault", "rekey", "--to", "keyring"]
        surroundings.nexoctl(*command)
        assert daemon.stop() == 0
        surroundings.start_nexod(env=keyring.environment)
        assert key_of(surroundings) == KEY


@pytest.mark.needs("keyring")
def test_a_hung_keyring_does_not_hang_the_daemon(surroundings: Surroundings, tmp_path: Path) -> None:
    with KeyringSession(tmp_path / "session") as keyring:
        keyring.start()
        first = surroundings.start_nexod(env=keyring.environment)
        add(surroundings)
        assert first.stop() == 0
        keyring.suspend()
        second = surroundings.start_nexod(env=keyring.environment)
        shown = vault(surroundings)
        assert shown["state"] == "locked"
        assert "does not answer" in shown["problem"]
        assert "work" in surroundings.nexoctl("list").out
        begun = time.monotonic()
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
        assert time.monotonic() - begun < 30


def test_only_one_vault_command_waits_for_the_person(nexod: Nexod, surroundings: Surroundings) -> None:
    add(surroundings)
    with nexod.client() as client:
        assert client.vault.rekey(KeySlot.PASSPHRASE, passphrase=WORDS).slot is KeySlot.PASSPHRASE
        assert wait_for(lambda: client.vault.status().slot is KeySlot.PASSPHRASE, "the new slot is shown")
        with pytest.raises(nexo_client.VaultLocked):
            client.vault.rekey(KeySlot.SYSTEMD_CREDENTIAL)
        assert client.vault.status().slot is KeySlot.PASSPHRASE
        assert client.resolve("work").api_key == KEY
