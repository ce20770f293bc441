"""After a kill, a full disk or a failed write, acknowledged changes are kept, and others leave no trace."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nexo.connections.errors import StoreFailed, StoreFull, StoreReadOnly
from nexo.connections.terms import StoreState
from nexo_daemon.store import reading
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.store import Store
from store_parts import HandClock, StorePlace, put
from surroundings import PATIENCE_S

KILLS = int(os.environ.get("NEXO_KILLS", "12"))

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from store_parts import HandClock, StorePlace, connection, credentials
store = StorePlace(Path({root!r}), HandClock()).open()
number = max((int(c.id[3:]) for c in store.load().connections), default=0)
print("ready", flush=True)
while True:
    number += 1
    with store.transaction() as tx:
        revision = tx.next_revision()
        made = tx.insert_connection(connection(number, revision=revision), credentials(f"sk-{{number}}"))
        if number % 3 == 0:
            tx.delete_connection(f"id-{{number - 2}}")
        tx.set_default(made.id, tx.settings.default_id)
    sys.stdout.write(f"{{number}} {{revision}}\\n")
    sys.stdout.flush()
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    place = StorePlace(tmp_path, HandClock())
    script = WRITER.format(tests=str(Path(__file__).parents[2]), root=str(tmp_path))
    acknowledged = 0
    for round_ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            # Killed after a number of commits, at whatever instruction that happens to hit.
            for _ in range(1 + round_ % 7):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            lines = writer.stdout.read().splitlines()
        complete = [line for line in lines if re.fullmatch(r"\d+ \d+", line)]
        store = place.open()
        assert store.state is StoreState.READ_WRITE, store.problem
        state = store.load()
        newest = max(int(one.id[3:]) for one in state.connections)
        if complete:
            acknowledged = int(complete[-1].split()[0])
        assert newest in (acknowledged, acknowledged + 1) or newest >= acknowledged
        assert state.settings.default_id == f"id-{newest}"
        expected = {n for n in range(1, newest + 1) if not (n % 3 == 1 and n + 2 <= newest)}
        assert {int(one.id[3:]) for one in state.connections} == expected
        for one in state.connections:
            key = store.unseal(one).api_key
            assert key is not None
            assert key.reveal() == f"sk-{one.id[3:]}"
        with store.database.bare() as db:
            assert reading.check(db) == []
        acknowledged = newest
        store.close()


def test_kill_9_during_the_very_first_start_leaves_a_start_that_works(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from pathlib import Path\nfrom store_parts import HandClock, StorePlace\n"
        f"print('go', flush=True); StorePlace(Path({str(tmp_path)!r}), HandClock()).open()\n"
        "print('up', flush=True)"
    )
    for wait_ms in (0, 2, 5, 9, 14, 20, 30):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as first:
            assert first.stdout is not None
            first.stdout.readline()
            # Either it is up within that time, or it is killed in the middle.
            select.select([first.stdout], [], [], wait_ms / 1000)
            first.kill()
        store = StorePlace(tmp_path, HandClock()).open()
        assert store.state is StoreState.READ_WRITE, store.problem
        put(store, 1)
        store.close()


def test_a_full_disk_at_every_write_is_an_error_that_changes_nothing(place: StorePlace, store: Store) -> None:
    put(store, 1)
    before = store.load().connections
    failures = 0
    with store.database.bare() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages}")
    for number in range(2, 200):
        try:
            put(store, number, key=lambda n: "k" * 3000)
        except StoreFull:
            failures += 1
            break
    assert failures == 1
    state = store.reload()
    assert len(state.connections) >= len(before)
    assert store.unseal(state.connections[0]).api_key is not None
    with store.database.bare() as db:
        db.execute("PRAGMA max_page_count=1073741823")
    put(store, 500)
    assert any(one.id == "id-500" for one in store.reload().connections)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 700 kB; skipped where it cannot be mounted."""
    where = tmp_path / "disk"
    where.mkdir()
    options = "size=700k,mode=0700"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def fill(path: Path) -> int:
    """Write until there is no space left; the size it came to."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path.stat().st_size


def test_a_full_file_system_then_space_again(small_disk: Path) -> None:
    place = StorePlace(small_disk, HandClock())
    store = place.open()
    put(store, 1)
    filler = small_disk / "filler"
    refused = 0
    for left in range(0, 65536, 4096):
        # Fill up, then give back a little more each time: the write fails at another place each time.
        size = fill(filler)
        os.truncate(filler, max(0, size - left))
        number = 1000 + left
        known = {one.id for one in store.reload().connections}
        try:
            put(store, number, key=lambda n: "k" * 9000)
        except (StoreFull, StoreFailed):
            refused += 1
            assert {one.id for one in store.reload().connections} == known
        else:
            assert {one.id for one in store.reload().connections} == {*known, f"id-{number}"}
        assert store.unseal(store.load().connections[0]).api_key is not None
        filler.unlink()
    assert refused > 0
    put(store, 7777)
    store.close()
    again = place.open()
    assert again.state is StoreState.READ_WRITE, again.problem
    assert any(one.id == "id-7777" for one in again.load().connections)
    again.close()


def test_a_first_start_on_a_full_disk_is_refused_and_works_later(small_disk: Path) -> None:
    place = StorePlace(small_disk, HandClock())
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(StoreUnusable) as caught:
        place.open()
    assert "space" in caught.value.hint
    filler.unlink()
    store = place.open()
    put(store, 1)
    store.close()


def test_a_remount_read_only_is_an_error_that_names_itself(small_disk: Path) -> None:
    place = StorePlace(small_disk, HandClock())
    store = place.open()
    put(store, 1)
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    frozen = place.open()
    assert frozen.state is StoreState.READ_ONLY
    assert "read-only" in frozen.problem
    assert [one.id for one in frozen.load().connections] == ["id-1"]
    with pytest.raises(StoreReadOnly), frozen.transaction() as tx:
        tx.next_revision()
    frozen.close()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    again = place.open()
    put(again, 2)
    again.close()


def test_a_write_beyond_the_limit_of_file_sizes_is_rolled_back(tmp_path: Path) -> None:
    """EFBIG is the input/output error that can be had without a broken disk."""
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from store_parts import HandClock, StorePlace, put
from nexo.connections.errors import NexoError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = StorePlace(Path({str(tmp_path)!r}), HandClock()).open()
put(store, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for number in range(2, 500):
    try:
        put(store, number, key=lambda n: "k" * 5000)
    except NexoError as error:
        print(error.reason)
        break
known = len(store.reload().connections)
assert known == number - 1, (known, number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
put(store, 999)
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("STORE_FULL", "STORE_FAILED")
    store = StorePlace(tmp_path, HandClock()).open()
    assert any(one.id == "id-999" for one in store.load().connections)
    store.close()


@pytest.mark.needs("strace")
def test_a_commit_is_forced_to_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from store_parts import HandClock, StorePlace, put
store = StorePlace(Path({str(tmp_path)!r}), HandClock()).open()
put(store, 1, 2)
for number in range(20):
    os.write(2, b"BEFORE\\n")
    with store.transaction() as tx:
        tx.next_revision(); tx.set_default(f"id-{{1 + number % 2}}", None)
    os.write(2, b"AFTER\\n")
"""
    trace = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-e",
        "trace=fsync,fdatasync,write",
        "-o",
        str(trace),
        sys.executable,
        "-c",
        script,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    syncs, counts = None, []
    for line in trace.read_text().splitlines():
        if 'write(2, "BEFORE' in line:
            syncs = 0
        elif 'write(2, "AFTER' in line and syncs is not None:
            counts.append(syncs)
            syncs = None
        elif syncs is not None and ("fsync(" in line or "fdatasync(" in line) and "= 0" in line:
            syncs += 1
    assert len(counts) == 20
    assert min(counts) >= 1


FAULTY = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from store_parts import HandClock, StorePlace, put
from nexo.connections.errors import NexoError
store = StorePlace(Path({root!r}), HandClock()).open()
for number in range(100, 112):
    try:
        put(store, number)
    except NexoError as error:
        print("refused", error.reason, flush=True)
    else:
        print("saved", number, flush=True)
try:
    print("read", len(store.reload().connections), flush=True)
except NexoError as error:
    print("unreadable", flush=True)
"""


@pytest.mark.needs("strace")
@pytest.mark.parametrize("call", ["pwrite64", "fsync,fdatasync"])
@pytest.mark.parametrize("first", [1, 3, 6, 9, 14])
def test_an_input_output_error_at_any_call_loses_nothing_that_was_acknowledged(
    tmp_path: Path, call: str, first: int
) -> None:
    """EIO from the kernel, from the n-th write or sync on for three calls, then the disk is well again."""
    place = StorePlace(tmp_path, HandClock())
    store = place.open()
    put(store, 1)
    store.close()
    script = FAULTY.format(tests=str(Path(__file__).parents[2]), root=str(tmp_path))
    inject = f"inject={call}:error=EIO:when={first}..{first + 2}"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject),
            *(sys.executable, "-c", script),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    saved = {int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("saved")}
    refused = [line for line in done.stdout.splitlines() if line.startswith("refused")]
    assert refused or done.returncode != 0, done.stdout + done.stderr
    again = place.open()
    assert again.state is StoreState.READ_WRITE, again.problem
    present = {int(one.id[3:]) for one in again.load().connections}
    assert saved <= present
    assert 1 in present
    for one in again.load().connections:
        assert again.unseal(one).api_key is not None
    put(again, 900)
    again.close()
