"""What the file does beyond the contract: it refuses, by name, what it must not use."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from scheduler.core.ids import AppId, Epoch
from scheduler.core.records import App, put
from scheduler.store import (
    CorruptState,
    Elected,
    Lost,
    NewerSchema,
    SqliteStore,
    StaleEpoch,
    StoreUnavailable,
)
from tests.unit.store.samples import CODEC, V1

APP = put(App(AppId("/a"), V1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "egret.db"


@pytest.fixture
def store(path: Path):
    store = SqliteStore(path, CODEC)
    yield store
    store.close()


def elect(store: SqliteStore) -> Epoch:
    elected = store.campaign()
    assert isinstance(elected, Elected)
    return elected.epoch


def rewrite(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


def test_a_missing_folder_is_made(tmp_path: Path):
    store = SqliteStore(tmp_path / "var" / "lib" / "egret.db", CODEC)
    assert elect(store) == 1
    store.close()


def test_a_store_that_is_closed_while_it_opens_its_file_keeps_neither_file_nor_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = SqliteStore(path, CODEC)
    opening, release, check = threading.Event(), threading.Event(), SqliteStore._check

    def slow(self: SqliteStore, database: sqlite3.Connection) -> None:
        opening.set()
        release.wait()
        check(self, database)

    monkeypatch.setattr(SqliteStore, "_check", slow)
    ends: list[object] = []
    campaign = threading.Thread(target=lambda: ends.append(store.campaign()))
    campaign.start()
    opening.wait()
    close = threading.Thread(target=store.close)
    close.start()
    store._closing.wait()
    release.set()
    campaign.join()
    close.join()
    assert len(ends) == 1, "the campaign failed"
    assert store._database is None
    assert store._lock_fd is None
    second = SqliteStore(path, CODEC)
    elect(second)
    second.close()


def test_nobody_but_the_owner_may_read_the_file(store: SqliteStore, path: Path):
    elect(store)
    assert path.stat().st_mode & 0o077 == 0


def test_a_path_that_cannot_be_is_refused_by_name(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"file/egret\.db"):
        SqliteStore(tmp_path / "file" / "egret.db", CODEC).campaign()


def test_a_folder_in_the_place_of_the_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        SqliteStore(tmp_path, CODEC).campaign()


def test_a_newer_store_is_refused_and_left_as_it_was(store: SqliteStore, path: Path):
    elect(store)
    store.close()
    rewrite(path, "UPDATE record SET value = '99' WHERE key = 'schema'")
    with pytest.raises(NewerSchema, match=rf"{path} has schema 99"):
        SqliteStore(path, CODEC).campaign()
    rewrite(path, "UPDATE record SET value = '1' WHERE key = 'schema'")
    assert elect(SqliteStore(path, CODEC)) == 2


def test_a_file_that_is_no_database_is_refused_by_name(path: Path):
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(CorruptState, match=str(path)):
        SqliteStore(path, CODEC).campaign()


def test_the_database_of_another_program_is_refused(path: Path):
    rewrite(path, "CREATE TABLE record (kind, key, value)")
    with pytest.raises(CorruptState, match="another program"):
        SqliteStore(path, CODEC).campaign()


def test_a_damaged_page_is_refused_by_name(store: SqliteStore, path: Path):
    epoch = elect(store)
    store.commit(epoch, [put(App(AppId(f"/app-{number:05}"), V1)) for number in range(2_000)])
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 3 + 2000] = os.urandom(2000)
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptState, match=str(path)):
        SqliteStore(path, CODEC).campaign()


def test_a_record_that_cannot_be_decoded_is_named(store: SqliteStore, path: Path):
    store.commit(elect(store), [APP])
    rewrite(path, "UPDATE record SET value = x'ffff' WHERE key = '/a'")
    with pytest.raises(CorruptState, match="app '/a'"):
        list(store.load())


def test_a_kind_that_is_none_of_ours_is_refused(store: SqliteStore, path: Path):
    elect(store)
    rewrite(path, "INSERT INTO record VALUES ('pod', '/a', x'')")
    with pytest.raises(CorruptState, match="unknown kind: pod"):
        list(store.load())


def test_a_full_disk_leaves_nothing_of_the_batch_and_passes(store: SqliteStore):
    epoch = elect(store)
    store.commit(epoch, [APP])
    database = store._connected()
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    many = [put(App(AppId(f"/app-{number}"), V1)) for number in range(2_000)]
    with pytest.raises(StoreUnavailable, match="full"):
        store.commit(epoch, many)
    assert list(store.load()) == [APP]
    database.execute("PRAGMA max_page_count = 1000000")
    store.commit(epoch, many)
    assert len(list(store.load())) == 2_001


def test_a_file_that_became_read_only_is_unavailable(store: SqliteStore):
    epoch = elect(store)
    store._connected().execute("PRAGMA query_only = 1")
    with pytest.raises(StoreUnavailable, match="readonly"):
        store.commit(epoch, [APP])


def test_a_second_scheduler_waits_until_the_first_has_gone(store: SqliteStore, path: Path):
    first = elect(store)
    second = SqliteStore(path, CODEC)
    results: list[Elected | Lost] = []
    waiter = threading.Thread(target=lambda: results.append(second.campaign()))
    waiter.start()
    waiter.join(0.5)
    assert waiter.is_alive()
    store.close()
    waiter.join(30)
    assert results == [Elected(Epoch(first + 1))]
    second.close()


def test_a_waiting_scheduler_can_be_stopped(store: SqliteStore, path: Path):
    elect(store)
    second = SqliteStore(path, CODEC)
    results: list[Elected | Lost] = []
    waiter = threading.Thread(target=lambda: results.append(second.campaign()))
    waiter.start()
    second.close()
    waiter.join(30)
    assert results == [Lost()]


def test_the_epoch_protects_even_when_somebody_removed_the_lock_file(
    store: SqliteStore, path: Path
):
    old = elect(store)
    Path(f"{path}.lock").unlink()
    second = SqliteStore(path, CODEC)
    elect(second)
    with pytest.raises(StaleEpoch):
        store.commit(old, [APP])
    second.close()


def test_a_killed_writer_leaves_whole_batches_and_no_lock(path: Path):
    """Kill -9 in the middle of committing: every batch is there whole or not at all."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from scheduler.core.ids import AppId
        from scheduler.core.records import App, put
        from scheduler.store import SqliteStore
        from tests.unit.store.samples import CODEC, V1
        store = SqliteStore(Path(sys.argv[1]), CODEC)
        epoch = store.campaign().epoch
        for batch in range(1_000_000):
            store.commit(epoch, [put(App(AppId(f"/{batch}/{n}"), V1)) for n in range(20)])
            print(batch, flush=True)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 30:
            break
    process.send_signal(signal.SIGKILL)
    answered = [*process.stdout]
    process.wait()
    store = SqliteStore(path, CODEC)
    assert elect(store) == 2
    batches: dict[str, int] = {}
    for record in store.load():
        batch = record.key.split("/")[1]
        batches[batch] = batches.get(batch, 0) + 1
    assert set(batches.values()) == {20}
    assert len(batches) >= 31 + len(answered)
    store.close()
