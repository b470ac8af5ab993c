"""Keep records in one SQLite file: a single machine needs no other service.

Durability: write-ahead log with ``synchronous=FULL``, so a commit has been synced when it is
answered. Exclusion: an advisory lock on ``<file>.lock``, which the kernel lets go when its holder
dies; a second scheduler on the machine waits there and takes over (the lock is on a file of its
own because closing any handle of the database would drop SQLite's locks). The lock is only a
courtesy, the epoch in the database is the fence.

Speed: a batch is a few multi-row statements. ``executemany`` takes and gives back the interpreter
lock for every row, which beside a busy loop is a hundred times slower.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from scheduler.core.ids import Epoch
from scheduler.core.records import Kind, Put, Record
from scheduler.store.codec import Codec
from scheduler.store.contract import (
    SCHEMA_VERSION,
    CommitUnknown,
    CorruptState,
    Elected,
    Lost,
    NewerSchema,
    StaleEpoch,
    StoreUnavailable,
)

_log = structlog.get_logger("store")

_APPLICATION_ID = 0x45475254
"""``EGRT`` in the header of the file: another program's database is refused."""

_META = "meta"
"""Kind of the rows about the store itself: ``epoch`` and ``schema``."""

_ROWS_PER_STATEMENT = 500
_LOCK_POLL_S = 0.2
_BUSY_TIMEOUT_S = 5.0

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NOT_WRITTEN = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}
"""Failures of COMMIT after which the last frame, which makes it valid, cannot be in the log."""


class SqliteStore:
    """Records in the SQLite file ``path``, which is made if there is none."""

    def __init__(self, path: Path, codec: Codec) -> None:
        self._path = path
        self._codec = codec
        self._database: sqlite3.Connection | None = None
        self._lock_fd: int | None = None
        self._closing = threading.Event()
        self._in_use = threading.Lock()
        """Held while the file is opened or closed: ``close`` may come from another thread."""

    # ------------------------------------------------------------- leadership

    def campaign(self) -> Elected | Lost:
        """Wait for the lock, check the file, and begin a new epoch."""
        self.resign()
        if not self._wait_for_lock():
            return Lost()
        with self._in_use:
            if self._closing.is_set():
                self._let_go()
                return Lost()
            try:
                database = self._database = self._open()
                return Elected(self._begin_epoch(database))
            except BaseException:
                self._let_go()
                raise

    def resign(self) -> None:
        """Close the file and let go of the lock; those who wait look every 0.2 s."""
        with self._in_use:
            self._let_go()

    def _wait_for_lock(self) -> bool:
        said = False
        while not self._closing.is_set():
            if self._try_lock():
                return True
            if not said:
                _log.info("store_waits_for_lock", path=str(self._path))
                said = True
            self._closing.wait(_LOCK_POLL_S)
        return False

    def _try_lock(self) -> bool:
        lock_path = Path(f"{self._path}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot open {lock_path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever locked a file that has been removed in between holds nothing.
            held = os.fstat(fd).st_ino == lock_path.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            held = False
        if held:
            self._lock_fd = fd
        else:
            os.close(fd)
        return held

    def _begin_epoch(self, database: sqlite3.Connection) -> Epoch:
        try:
            database.execute("BEGIN IMMEDIATE")
            epoch = self._stored_epoch(database) + 1
            database.execute("REPLACE INTO record VALUES (?, 'epoch', ?)", (_META, str(epoch)))
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        return Epoch(epoch)

    def _stored_epoch(self, database: sqlite3.Connection) -> int:
        value = self._meta(database, "epoch")
        return 0 if value is None else value

    def _meta(self, database: sqlite3.Connection, key: str) -> int | None:
        row = database.execute(
            "SELECT value FROM record WHERE kind = ? AND key = ?", (_META, key)
        ).fetchone()
        if row is None:
            return None
        try:
            return int(row[0])
        except (ValueError, TypeError) as error:
            raise CorruptState(f"{self._path}: {key} is {row[0]!r}, not a number") from error

    # ------------------------------------------------------------- the file

    def _open(self) -> sqlite3.Connection:
        try:
            # Definitions may hold passwords: nobody but the owner reads the file.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreUnavailable(f"cannot open {self._path}: {error.strerror}") from error
        database: sqlite3.Connection | None = None
        try:
            database = sqlite3.connect(
                self._path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._check(database)
            self._prepare(database)
        except BaseException as error:
            if database is not None:
                database.close()
            if isinstance(error, sqlite3.Error):
                raise self._refusal(error) from error
            raise
        return database

    def _check(self, database: sqlite3.Connection) -> None:
        [(verdict,)] = database.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise CorruptState(f"{self._path} is damaged: {verdict}")
        (application_id,) = database.execute("PRAGMA application_id").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application_id != _APPLICATION_ID:
            raise CorruptState(f"{self._path} is the database of another program")
        if tables:
            found = self._meta(database, "schema")
            if found is None:
                raise CorruptState(f"{self._path} does not say which schema it has")
            if found > SCHEMA_VERSION:
                raise NewerSchema(
                    f"{self._path} has schema {found}; this scheduler knows {SCHEMA_VERSION}:"
                    " start the newer one"
                )

    def _prepare(self, database: sqlite3.Connection) -> None:
        (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailable(
                f"{self._path} cannot have a write-ahead log (journal mode {mode}):"
                " is it on a network file system?"
            )
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "CREATE TABLE IF NOT EXISTS record"
            " (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
            " PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        database.execute(
            "INSERT INTO record VALUES (?, 'schema', ?) ON CONFLICT DO NOTHING",
            (_META, str(SCHEMA_VERSION)),
        )
        database.execute("COMMIT")

    # ------------------------------------------------------------- records

    def load(self) -> Iterator[Record]:
        """Read every record, by kind, then by key."""
        database = self._connected()
        self._refuse_unknown_kinds(database)
        for kind in Kind:
            try:
                rows = database.execute(
                    "SELECT key, value FROM record WHERE kind = ? ORDER BY key", (kind.value,)
                )
                for key, value in rows:
                    yield self._codec.decode(kind, key, value)
            except sqlite3.Error as error:
                raise self._refusal(error) from error

    def _refuse_unknown_kinds(self, database: sqlite3.Connection) -> None:
        try:
            kinds = {row[0] for row in database.execute("SELECT DISTINCT kind FROM record")}
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        unknown = sorted(kinds - {_META, *Kind})
        if unknown:
            raise CorruptState(f"{self._path} holds records of unknown kind: {', '.join(unknown)}")

    def commit(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Write all records in one synced transaction that first compares the epoch."""
        database = self._connected()
        puts, deletes = self._encoded(records)
        try:
            database.execute("BEGIN IMMEDIATE")
            self._fence(database, epoch)
            _write_puts(database, puts)
            _write_deletes(database, deletes)
        except BaseException as error:
            self._roll_back(database)
            if isinstance(error, sqlite3.Error):
                raise self._refusal(error) from error
            raise
        self._finish(database)

    def _encoded(
        self, records: Sequence[Record]
    ) -> tuple[list[tuple[str, str, bytes]], list[tuple[str, str]]]:
        # Only the last record of each entity counts: an instance that changed twice in a batch
        # is encoded and written once.
        last = {(record.kind, record.key): record for record in records}
        puts: list[tuple[str, str, bytes]] = []
        deletes: list[tuple[str, str]] = []
        for (kind, key), record in last.items():
            if isinstance(record, Put):
                puts.append((kind.value, key, self._codec.encode(record.value)))
            else:
                deletes.append((kind.value, key))
        return puts, deletes

    def _fence(self, database: sqlite3.Connection, epoch: Epoch) -> None:
        stored = self._stored_epoch(database)
        if stored != epoch:
            raise StaleEpoch(f"epoch {epoch} is over, {stored} leads {self._path}")

    def _finish(self, database: sqlite3.Connection) -> None:
        try:
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(database)
            code = _primary_code(error)
            if code in _DAMAGED or code in _NOT_WRITTEN:
                raise self._refusal(error) from error
            raise CommitUnknown(f"{self._path}: {error}") from error

    def _roll_back(self, database: sqlite3.Connection) -> None:
        # SQLite has often rolled back itself after a failure; a second time is an error.
        if database.in_transaction:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        database = self._database
        if database is None:
            raise StoreUnavailable(f"{self._path} is not open: campaign first")
        return database

    def _refusal(self, error: sqlite3.Error) -> CorruptState | StoreUnavailable:
        if _primary_code(error) in _DAMAGED:
            return CorruptState(f"{self._path} is damaged: {error}")
        return StoreUnavailable(f"{self._path}: {error}")

    # ------------------------------------------------------------- the end

    def close(self) -> None:
        """Close the file and let another scheduler lead. Ends a waiting ``campaign``."""
        self._closing.set()
        self.resign()

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            os.close(fd)


def _write_puts(database: sqlite3.Connection, puts: list[tuple[str, str, bytes]]) -> None:
    for start in range(0, len(puts), _ROWS_PER_STATEMENT):
        rows = puts[start : start + _ROWS_PER_STATEMENT]
        places = ",".join(["(?,?,?)"] * len(rows))
        database.execute(
            f"INSERT INTO record VALUES {places}"  # noqa: S608 - nothing but places
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            [column for row in rows for column in row],
        )


def _write_deletes(database: sqlite3.Connection, deletes: list[tuple[str, str]]) -> None:
    for start in range(0, len(deletes), _ROWS_PER_STATEMENT):
        rows = deletes[start : start + _ROWS_PER_STATEMENT]
        places = ",".join(["(?,?)"] * len(rows))
        database.execute(
            f"DELETE FROM record WHERE (kind, key) IN (VALUES {places})",  # noqa: S608 - as above
            [column for row in rows for column in row],
        )


def _primary_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
