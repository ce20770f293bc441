"""Stores of every released schema open, and a migration is applied completely or not at all."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nexo.connections import schemas
from nexo.connections.errors import SecretTampered
from nexo.connections.terms import StoreState, VaultState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import creation, files, maintenance, tables, upgrade
from nexo_daemon.store.database import Database
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.sqlite import connect
from nexo_daemon.store.upgrade import MigrationFailedError
from nexo_daemon.store.writing import SqlAlchemyConnection
from store_parts import HandClock, StorePlace, put

RELEASED = Path(__file__).parent / "released"

HEAD, NEXT = tables.HEAD, f"{int(tables.HEAD) + 1:04d}"

ADD_A_COLUMN = f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = {NEXT!r}, {HEAD!r}
def upgrade():
    with op.batch_alter_table("connections", recreate="always") as batch:
        batch.add_column(sa.Column("note", sa.String(), server_default=""))
"""

LOSE_PARENTS = f"""
from alembic import op
revision, down_revision = {NEXT!r}, {HEAD!r}
def upgrade():
    op.execute("DELETE FROM connections")
"""  # noqa: S608 - of constants

FAIL_HALF_WAY = f"""
from alembic import op
revision, down_revision = {NEXT!r}, {HEAD!r}
def upgrade():
    op.execute("DROP TABLE handouts")
    op.execute("SELECT * FROM no_such_table")
"""  # noqa: S608 - of constants


def shape(path: Path) -> dict[str, list[str]]:
    """Every table and index with its clauses, without regard to their order."""
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    out = {}
    for name, sql in found:
        body = re.sub(r"\s+", " ", sql)
        body = body.replace("CONSTRAINT alembic_version_pkc", "CONSTRAINT pk_alembic_version")
        body = re.sub(
            r"(?<!,) CONSTRAINT (ck_\w+) CHECK \(([^)]*)\)(?=,)", r", CONSTRAINT \1 CHECK (\2)", body
        )
        head, _, inner = body.partition("(")
        clauses = re.split(r",(?![^(]*\))", inner.rstrip(")").strip() + (")" if inner.endswith("))") else ""))
        out[name] = [head.strip(), *sorted(re.sub(r"[\s,()]+", " ", clause).strip() for clause in clauses)]
    return out


def test_the_migrations_arrive_at_the_schema_of_a_new_store(tmp_path: Path) -> None:
    creation.create(tmp_path / "new.db")
    files.create_private(tmp_path / "migrated.db")
    writer = SqlAlchemyConnection(connect(tmp_path / "migrated.db", wal=False))
    upgrade.upgrade(writer.connection, "head")
    writer.close()
    with closing(sqlite3.connect(tmp_path / "migrated.db")) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (tables.HEAD,)
    assert shape(tmp_path / "migrated.db") == shape(tmp_path / "new.db")


def test_the_revisions_that_a_start_knows_are_the_ones_that_there_are() -> None:
    found = sorted(Path(creation.__file__).parent.glob("migrations/versions/r*.py"))
    assert tuple(path.name[1:5] for path in found) == schemas.REVISIONS


@pytest.mark.parametrize("revision", schemas.REVISIONS)
def test_a_stored_file_of_each_released_schema_opens_with_everything_in_it(
    revision: str, tmp_path: Path
) -> None:
    place = StorePlace(tmp_path, HandClock())
    shutil.copytree(RELEASED / revision, tmp_path, dirs_exist_ok=True)
    for path in (place.file, place.key_file):
        path.parent.chmod(0o700)
        path.chmod(0o600)
    store = place.open()
    assert (store.state, store.problem) == (StoreState.READ_WRITE, "")
    assert store.vault.state is VaultState.UNLOCKED
    state = store.load()
    assert [one.name for one in state.connections] == ["Work 1", "Work 2"]
    assert state.settings.default_id == "id-1"
    assert [str(b.workspace) for b in state.bindings] == ["/home/me/project"]
    assert store.unseal(state.connections[1]).api_key == Secret("sk-canary-5f2d9a77c1-2")
    put(store, 3)
    store.close()


def forms(place: StorePlace) -> set[int]:
    with closing(sqlite3.connect(place.file)) as db:
        return {row[0] for row in db.execute("SELECT form FROM secrets")}


def of_the_first_form(tmp_path: Path) -> StorePlace:
    place = StorePlace(tmp_path, HandClock())
    shutil.copytree(RELEASED / "0001", tmp_path, dirs_exist_ok=True)
    for path in (place.file, place.key_file):
        path.parent.chmod(0o700)
        path.chmod(0o600)
    return place


def test_old_seals_are_made_anew_when_the_vault_opens_and_what_is_in_memory_opens_too(tmp_path: Path) -> None:
    place = of_the_first_form(tmp_path)
    key = place.key_file.read_bytes()
    place.key_file.unlink()
    store = place.open()
    assert store.vault.state is VaultState.KEY_LOST
    before = store.load().connections
    assert forms(place) == {1}
    place.key_file.write_bytes(key)
    place.key_file.chmod(0o600)
    store.key_manager.unlock()
    assert forms(place) == {2}
    for connections in (before, store.reload().connections):
        assert store.unseal(connections[1]).api_key == Secret("sk-canary-5f2d9a77c1-2")
    store.close()


def test_the_backup_from_before_a_migration_can_be_restored(tmp_path: Path) -> None:
    place = of_the_first_form(tmp_path)
    store = place.open()
    (backup,) = store.backups.list()
    assert backup.reason == "migration"
    put(store, 3)
    _, state = maintenance.restore(store, backup.name, clock=place.clock)
    assert [one.name for one in state.connections] == ["Work 1", "Work 2"]
    assert store.unseal(state.connections[1]).api_key == Secret("sk-canary-5f2d9a77c1-2")
    put(store, 3)
    store.close()


def test_an_old_seal_that_does_not_open_stays_and_is_refused(tmp_path: Path) -> None:
    place = of_the_first_form(tmp_path)
    with closing(sqlite3.connect(place.file, isolation_level=None)) as db:
        db.execute("UPDATE secrets SET ciphertext=zeroblob(40) WHERE connection_id='id-1'")
    store = place.open()
    first, second = store.load().connections
    with pytest.raises(SecretTampered):
        store.unseal(first)
    assert store.unseal(second).api_key == Secret("sk-canary-5f2d9a77c1-2")
    assert forms(place) == {1, 2}
    store.close()


def database_of(place: StorePlace) -> Database:
    store = place.open()
    put(store, 1, 2)
    store.close()
    database = Database()
    database.open(place.file)
    return database


def versions(tmp_path: Path, text: str) -> list[Path]:
    directory = tmp_path / "versions"
    directory.mkdir()
    (directory / f"r{NEXT}_test.py").write_text(text)
    return [Path(creation.__file__).parent / "migrations" / "versions", directory]


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # noqa: S608


def test_rebuilding_a_parent_table_keeps_its_children(place: StorePlace, tmp_path: Path) -> None:
    database = database_of(place)
    before = counts(place.file)
    with database.outside_transactions() as db:
        upgrade.upgrade(db, NEXT, versions=versions(tmp_path, ADD_A_COLUMN))
        assert db.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()
    assert counts(place.file) == before
    assert before["secrets"] == 6


@pytest.mark.parametrize(
    ("text", "error"), [(LOSE_PARENTS, MigrationFailedError), (FAIL_HALF_WAY, Exception)]
)
def test_a_migration_that_fails_leaves_everything_as_it_was(
    place: StorePlace, tmp_path: Path, text: str, error: type[Exception]
) -> None:
    database = database_of(place)
    before = counts(place.file), shape(place.file)
    with database.outside_transactions() as db, pytest.raises(error):
        upgrade.upgrade(db, NEXT, versions=versions(tmp_path, text))
    with database.bare() as raw:
        assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)
    database.close()
    assert (counts(place.file), shape(place.file)) == before
    store = place.open()
    assert store.state is StoreState.READ_WRITE
    store.close()


def test_a_store_is_backed_up_before_it_is_migrated(
    place: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database_of(place).close()
    where = versions(tmp_path, ADD_A_COLUMN)
    monkeypatch.setattr(schemas, "REVISIONS", (*schemas.REVISIONS, NEXT))
    monkeypatch.setattr(tables, "HEAD", NEXT)
    monkeypatch.setattr(upgrade.upgrade, "__kwdefaults__", {"versions": where})
    store = place.open()
    assert store.state is StoreState.READ_WRITE
    (backup,) = store.backups.list()
    assert backup.reason == "migration"
    with closing(sqlite3.connect(backup.path)) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
    store.close()


def test_a_failed_migration_refuses_the_start(
    place: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database_of(place).close()
    monkeypatch.setattr(schemas, "REVISIONS", (*schemas.REVISIONS, NEXT))
    monkeypatch.setattr(tables, "HEAD", NEXT)
    monkeypatch.setattr(upgrade.upgrade, "__kwdefaults__", {"versions": versions(tmp_path, FAIL_HALF_WAY)})
    with pytest.raises(StoreUnusable, match="could not be migrated"):
        place.open()


def test_a_normal_start_does_not_import_alembic(place: StorePlace) -> None:
    place.open().close()
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from pathlib import Path\nfrom store_parts import HandClock, StorePlace\n"
        f"StorePlace(Path({str(place.root)!r}), HandClock()).open().close()\n"
        "print([name for name in ('alembic', 'keyring', 'mako') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
