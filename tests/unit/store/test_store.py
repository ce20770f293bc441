"""Stored data is read back unchanged, and changes are applied completely or not at all."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from nexo.connections.errors import (
    ConnectionNotFound,
    KeyOriginChanged,
    NameTaken,
    SecretTampered,
    StoreFailed,
)
from nexo.connections.model.connection import MappedModel
from nexo.connections.terms import AuthScheme, HealthState, KeyVerdict, Provider, StoreState, VaultState
from nexo_daemon.domain.model import (
    Binding,
    Credentials,
    Health,
    HealthSettings,
    NetworkProfile,
    Settings,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import tables
from nexo_daemon.store.store import Store
from store_parts import CANARY, NOON, StorePlace, connection, credentials, put


def test_a_new_store_is_empty_writable_and_unlocked(place: StorePlace) -> None:
    store = place.open()
    assert (store.state, store.problem, store.vault.state) == (StoreState.READ_WRITE, "", VaultState.UNLOCKED)
    assert store.load().settings == Settings()
    store.close()


def test_files_are_private(place: StorePlace, store: Store) -> None:
    put(store, 1)
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.file.parent.iterdir()}
    assert modes == {"connections.db": 0o600, "connections.db-wal": 0o600, "connections.db-shm": 0o600}
    assert place.file.parent.stat().st_mode & 0o777 == 0o700
    assert place.key_file.stat().st_mode & 0o777 == 0o600
    assert place.key_file.parent.stat().st_mode & 0o777 == 0o700


def test_everything_survives_a_restart(place: StorePlace) -> None:
    store = place.open()
    network = NetworkProfile("http://proxy.example.com:3128", (".local", "10.0.0.1"), "/ca.pem")
    full = connection(
        7,
        preset="groq",
        enabled=False,
        network=network,
        key_reference="",
        key_verdict=KeyVerdict.VERIFIED,
        key_added_at=NOON,
        key_proven_at=NOON + timedelta(microseconds=1),
        key_expires_at=NOON + timedelta(days=9),
        previous_key_until=NOON + timedelta(days=1),
        check_interval_s=12.5,
        checks_paused=True,
    )
    secrets = replace(
        credentials(), proxy_credentials=Secret("user:päss"), previous_api_key=Secret("sk-before")
    )
    binding = Binding(WorkspaceKey(WorkspaceKind.PATH, "/work/ä"), "id-7", "Work 7", NOON, True)
    with store.transaction() as tx:
        stored = tx.insert_connection(replace(full, revision=tx.next_revision()), secrets)
        tx.set_default("id-7", None)
        tx.put_binding(binding)
        tx.set_fallback(("id-7",))
        tx.set_health_settings(HealthSettings(30, 120, True))
    health = Health(HealthState.LIMITED, "quota", NOON, NOON, 0.25, NOON, 3, NOON, "pay", HealthState.HEALTHY)
    store.record_health([], [], {"id-7": health})
    store.close()

    again = place.open()
    state = again.load()
    assert state.connections == (stored,)
    assert state.bindings == (binding,)
    assert state.health == {"id-7": health}
    assert state.settings == Settings(1, "id-7", None, ("id-7",), HealthSettings(30.0, 120.0, True))
    assert again.unseal(state.connections[0]) == secrets
    again.close()


def test_an_error_inside_a_transaction_takes_everything_back(store: Store) -> None:
    put(store, 1)

    def change_and_fail() -> None:
        with store.transaction() as tx:
            tx.next_revision()
            tx.insert_connection(connection(2), credentials())
            tx.set_default("id-2", "id-1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    store.reload()
    assert [c.id for c in store.load().connections] == ["id-1"]
    assert store.load().settings.default_id == "id-1"
    assert store.load().settings.revision == 1


def test_the_revision_never_goes_back(place: StorePlace) -> None:
    seen = []
    for _ in range(3):
        store = place.open()
        with store.transaction() as tx:
            seen.append(tx.next_revision())
            assert tx.next_revision() == seen[-1]
        store.close()
    assert seen == [1, 2, 3]


def test_names_are_unique_without_regard_to_case(store: Store) -> None:
    put(store, 1)
    with pytest.raises(NameTaken), store.transaction() as tx:
        tx.insert_connection(connection(2, name="WORK 1"), Credentials())


def test_a_second_row_of_settings_is_impossible(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.database.outside_transactions() as db, db.begin():
        db.exec_driver_sql("INSERT INTO settings SELECT 2, 0, NULL, NULL, 1, 1, 0, x'', x'' FROM settings")


def test_the_default_must_exist(store: Store) -> None:
    put(store, 1)
    with pytest.raises(StoreFailed), store.transaction() as tx:
        tx.set_default("id-99", None)
    assert store.reload().settings.default_id == "id-1"


def test_deleting_takes_secrets_health_and_stand_ins_but_not_bindings(store: Store) -> None:
    put(store, 1, 2)
    binding = Binding(WorkspaceKey(WorkspaceKind.NAME, "w"), "id-1", "Work 1", NOON)
    with store.transaction() as tx:
        tx.set_fallback(("id-2", "id-1"))
        tx.put_binding(binding)
        tx.set_default("id-1", "id-2")
    store.record_health([], [], {"id-1": Health(HealthState.HEALTHY, "")})
    with store.transaction() as tx:
        tx.delete_connection("id-1")
    state = store.reload()
    assert [c.id for c in state.connections] == ["id-2"]
    assert (state.settings.default_id, state.settings.previous_default_id) == (None, "id-2")
    assert state.settings.fallback_ids == ("id-2",)
    assert state.bindings == (binding,)
    assert state.health == {}
    with store.database.reading() as db:
        owners = {row["connection_id"] for row in tables.select(db, tables.secrets)}
    assert owners == {"id-2"}


def test_an_edit_without_credentials_leaves_the_secrets_as_they_are(store: Store) -> None:
    put(store, 1)
    old = store.reload().connections[0]
    with store.transaction() as tx:
        changes = replace(old, default_model="other", model_map=(MappedModel("asked", "s\u00e9nt"),))
        new = tx.update_connection(changes, None)
    assert store.reload().connections == (new,)
    assert new.sealed == old.sealed
    assert store.unseal(new).api_key == Secret(f"{CANARY}-1")


def test_an_edit_with_credentials_replaces_all_of_them(store: Store) -> None:
    put(store, 1)
    old = store.reload().connections[0]
    with store.transaction() as tx:
        new = tx.update_connection(old, Credentials(api_key=Secret("sk-new")))
    assert store.unseal(new) == Credentials(api_key=Secret("sk-new"))
    assert store.reload().connections == (new,)
    assert not {s.id for s in new.sealed} & {s.id for s in old.sealed}


def test_a_secret_left_in_place_does_not_follow_to_another_host(store: Store) -> None:
    put(store, 1)
    old = store.reload().connections[0]
    moved = replace(old, base_url="https://elsewhere.example.com/v1")
    with pytest.raises(KeyOriginChanged), store.transaction() as tx:
        tx.update_connection(moved, None)
    assert store.reload().connections == (old,)


def test_another_path_of_the_same_host_keeps_the_secrets(store: Store) -> None:
    put(store, 1)
    old = store.reload().connections[0]
    with store.transaction() as tx:
        new = tx.update_connection(replace(old, base_url="https://api1.example.com/v2"), None)
    assert store.unseal(new).api_key == Secret(f"{CANARY}-1")


def test_a_new_proxy_seals_the_secrets_again_and_forgets_the_old_proxys_password(store: Store) -> None:
    first = NetworkProfile("http://one.example.com:1")
    with store.transaction() as tx:
        old = tx.insert_connection(
            connection(1, network=first), replace(credentials(), proxy_credentials=Secret("u:p"))
        )
    changed = replace(old, network=NetworkProfile("http://two.example.com:2"))
    with store.transaction() as tx:
        new = tx.update_connection(changed, None)
    assert store.unseal(new) == credentials()
    assert store.reload().connections == (new,)
    # The secrets of the old route do not open on the new one.
    with pytest.raises(SecretTampered):
        store.unseal(replace(changed, sealed=old.sealed))


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://api1.example.com/other"},
        {"provider": Provider.OPENAI},
        {"preset": "groq"},
        {"auth_scheme": AuthScheme.X_API_KEY},
    ],
)
def test_a_change_of_how_a_key_is_sent_seals_it_again(store: Store, change: dict[str, Any]) -> None:
    with store.transaction() as tx:
        old = tx.insert_connection(connection(1), credentials())
    with store.transaction() as tx:
        new = tx.update_connection(replace(old, **change), None)
    assert store.unseal(new) == credentials()
    assert store.reload().connections == (new,)
    with pytest.raises(SecretTampered):
        store.unseal(replace(new, sealed=old.sealed))


def test_changing_what_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(ConnectionNotFound), store.transaction() as tx:
        tx.update_connection(connection(1), None)


def test_facts_about_a_key_do_not_disturb_the_rest(store: Store) -> None:
    put(store, 1)
    proven = replace(store.reload().connections[0], key_verdict=KeyVerdict.VERIFIED, key_proven_at=NOON)
    with store.transaction() as tx:
        tx.update_connection(proven, None)
    (found,) = store.reload().connections
    assert found == proven


def test_no_secret_is_in_any_file_of_the_store(place: StorePlace, store: Store) -> None:
    put(store, 1, 2)
    old = store.reload().connections[0]
    with store.transaction() as tx:
        tx.update_connection(old, credentials(CANARY + "-replaced"))
    while_open = place.bytes()
    store.backups.make(store.database, "request", NOON)
    store.close()
    files = [path for path in place.root.rglob("*") if path.is_file()]
    assert any("backups" in str(path) for path in files)
    contents = [*while_open.values(), *(path.read_bytes() for path in files)]
    assert not any(CANARY.encode() in content for content in contents)


def test_a_secret_does_not_show_itself_in_an_error_of_the_database(store: Store) -> None:
    put(store, 1)
    with pytest.raises(NameTaken) as caught, store.transaction() as tx:
        tx.insert_connection(connection(3, name="work 1", id="x"), credentials())
    assert CANARY not in repr(caught.value) + str(caught.value.__context__) + str(caught.value.__cause__)
