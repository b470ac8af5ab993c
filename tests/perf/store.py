"""What codec and SQLite cost: for each task, for a load, and for one commit.

All is CPU time but for the commit, which waits for the disk.
"""

import gc
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time

from scheduler.core.ids import Epoch
from scheduler.core.records import Record
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, Elected, SqliteStore
from tests.perf import worlds
from tests.perf.report import emit

TASK_BUDGET_US = 100.0
_READ_BUDGET_S = 0.12
_DECODE_BUDGET_S = 0.43
_BUDGET_ROWS = 100_000
_COMMIT_BUDGET_MS = 24.0
_COMMIT_ROWS = 500
_COMMITS = 20


@contextmanager
def _elected() -> Iterator[tuple[SqliteStore, Epoch, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "egret.db"
        sqlite = SqliteStore(path, Codec(encode_spec, decode_spec))
        elected = sqlite.campaign()
        assert isinstance(elected, Elected)
        yield sqlite, elected.epoch, path
        sqlite.close()


def _per_task(records: Sequence[Record], tasks: int) -> float:
    """Commit the records of these tasks in batches as the runtime makes them; µs of a task."""
    with _elected() as (sqlite, epoch, _):
        cpu_s, started_s = process_time(), perf_counter()
        for start in range(0, len(records), _COMMIT_ROWS):
            sqlite.commit(epoch, records[start : start + _COMMIT_ROWS])
        wall_s, cpu_s = perf_counter() - started_s, process_time() - cpu_s
    where = {"tasks": tasks, "records_per_task": round(len(records) / tasks, 2)}
    cpu_us = cpu_s / tasks * 1e6
    emit("store", "task", cpu_us, "µs", budget=TASK_BUDGET_US, **where)
    emit("store", "task_wall", wall_s / tasks * 1e6, "µs", **where)
    return cpu_us


def _load(rows: int) -> None:
    """Load a whole store, and write over 500 of its rows at once, fsync and all."""
    records = list(worlds.records(worlds.many_apps(rows)))
    with _elected() as (sqlite, epoch, path):
        sqlite.commit(epoch, records)
        read_s, load_s = _read_s(path), _load_s(sqlite, len(records))
        # Rows that lie next to each other would share their pages.
        batches = [records[number :: rows // _COMMIT_ROWS] for number in range(_COMMITS)]
        commit_s = sorted(_commit_s(sqlite, epoch, batch[:_COMMIT_ROWS]) for batch in batches)
    where, share = {"rows": len(records)}, rows / _BUDGET_ROWS
    emit("store", "read", read_s, "s", budget=_READ_BUDGET_S * share, **where)
    emit("store", "decode", load_s - read_s, "s", budget=_DECODE_BUDGET_S * share, **where)
    median_ms = commit_s[_COMMITS // 2] * 1000
    where = {"upserts": _COMMIT_ROWS, **where}
    emit("store", "commit", median_ms, "ms", budget=_COMMIT_BUDGET_MS, **where)


def _read_s(path: Path) -> float:
    """To get the rows as they are stored."""
    database = sqlite3.connect(path)
    started_s = process_time()
    database.execute("SELECT kind, key, value FROM record ORDER BY kind, key").fetchall()
    read_s = process_time() - started_s
    database.close()
    return read_s


def _load_s(sqlite: SqliteStore, expected: int) -> float:
    """To get the entities, without the collector, as the runtime has it."""
    gc.disable()
    started_s = process_time()
    loaded = list(sqlite.load())
    load_s = process_time() - started_s
    gc.enable()
    assert len(loaded) == expected
    return load_s


def _commit_s(sqlite: SqliteStore, epoch: Epoch, records: Sequence[Record]) -> float:
    started_s = perf_counter()
    sqlite.commit(epoch, records)
    return perf_counter() - started_s


def run(records: Sequence[Record], *, tasks: int, rows: int) -> float:
    """Measure; returns what the records of one task cost, in µs."""
    _load(rows)
    return _per_task(records, tasks)
