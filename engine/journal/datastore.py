"""The SQLite file: what makes it a journal, and connections that use it safely from several processes.

``synchronous`` is NORMAL unless asked otherwise. In WAL mode a killed process then loses nothing; after a power cut
the last epochs may be missing but never torn, and training them again gives the same events. FULL waits for the disk
at every epoch, which costs more than the two hundredths of an epoch that recording may cost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

from engine.journal.addresses import Synchronous
from engine.journal.errors import JournalTooNew, NotAJournal

APPLICATION_ID: Final = 0x7265_6772
"""``regr`` in SQLite's header field for the kind of file."""

FORMAT: Final = 1
"""Version of the tables below."""

LOCK_TIMEOUT_S: Final = 10
"""How long a writer waits for another."""
OPENINGS: Final = 100
"""How often a new file is tried that others open at the same time; each try waits for them."""

EVENTS_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS {name} ("
    "notification_id INTEGER PRIMARY KEY AUTOINCREMENT, "  # never used again, even after the last row is deleted
    "originator_id TEXT NOT NULL, "
    "originator_version INTEGER NOT NULL, "
    "topic TEXT NOT NULL, "
    "state BLOB NOT NULL, "
    "checksum INTEGER NOT NULL, "
    "UNIQUE (originator_id, originator_version))"
)

_SCHEMA: Final = (
    EVENTS_TABLE.format(name="stored_events"),
    # One row a sealed epoch. See seals.py.
    "CREATE TABLE heads (run_id TEXT NOT NULL, epoch INTEGER NOT NULL, position INTEGER NOT NULL, "
    "digest TEXT NOT NULL, PRIMARY KEY (run_id, epoch)) WITHOUT ROWID",
    # Names that are taken, in the order of taking, whether or not anything is recorded under them.
    "CREATE TABLE claims (number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE)",
    # Wall clock, host name and the like: no digest covers them.
    "CREATE TABLE notes (run_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, "
    "PRIMARY KEY (run_id, name)) WITHOUT ROWID",
    # How far each consumer got. The library's own table, with the mark of its current layout.
    "CREATE TABLE tracking (application_name TEXT, notification_id INTEGER, PRIMARY KEY (application_name)) "
    "WITHOUT ROWID",
    "INSERT INTO tracking VALUES ('__migration__', 1)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)


def prepare(path: Path) -> None:
    """Make ``path`` a journal if it is new or empty, and check that it is one if not.

    Raises NotAJournal, JournalTooNew, or sqlite3.Error if the file cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
    try:
        if _pragma(connection, "application_id") == 0:
            connection.execute("BEGIN IMMEDIATE")  # one process makes the tables, the others find them
            try:
                _create(connection, path)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        _check(connection, path)
        _write_ahead(connection)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise NotAJournal(f"{path} is no SQLite file, so no journal; name another file or a new one") from error
        raise
    finally:
        connection.close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """See to it that readers and the writer do not wait for each other.

    SQLite does not wait here for others that open a new file at the same time, but it does at a transaction's beginning.
    """
    for _ in range(OPENINGS):
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != 0:
        return
    if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise NotAJournal(f"{path} is another program's database, not a journal; name another file or a new one")
    for statement in _SCHEMA:
        connection.execute(statement)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise NotAJournal(f"{path} is another program's database, not a journal; name another file or a new one")
    version = _pragma(connection, "user_version")
    if version > FORMAT:
        raise JournalTooNew(
            f"{path} has journal format {version} but this regrow reads up to {FORMAT}; use a newer regrow"
        )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


class JournalTransaction(SQLiteTransaction):
    """Takes the write lock at once: a lock asked for half-way through fails without waiting its turn."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE" if self.commit else "BEGIN")
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error
        return cursor


class JournalConnection(SQLiteConnection):
    """A connection that hands out our transactions, and that is closed only by whoever uses it."""

    closes_when_returned = False

    def close(self) -> None:
        """Close now, or when it is returned if its pool was closed while another thread used it.

        Closing a connection under a running statement is a segmentation fault.
        """
        if not self.closes_when_returned:
            super().close()

    @contextmanager
    def transaction(self, *, commit: bool) -> Generator[SQLiteCursor, None, None]:
        """A cursor in a transaction, kept if ``commit``."""
        with JournalTransaction(self, commit=commit) as cursor, cursor:
            yield cursor


class JournalPool(SQLiteConnectionPool):
    """The library's pool, with the sync setting it lacks. The file is in WAL mode already: see ``prepare``."""

    synchronous: Synchronous = "normal"

    def close(self) -> None:
        """Close what lies in the pool at once, and what is in use as soon as it comes back."""
        with self._put_condition:
            for connection in self._in_use.values():
                assert isinstance(connection, JournalConnection)
                connection.closes_when_returned = True
            super().close()

    def put_connection(self, conn: SQLiteConnection) -> None:
        """Take a connection back."""
        if self.closed and isinstance(conn, JournalConnection) and conn.closes_when_returned:
            conn.closes_when_returned = False
            conn.close()
        else:
            super().put_connection(conn)

    def _create_connection(self) -> SQLiteConnection:
        try:
            raw = sqlite3.connect(
                self.db_name,
                check_same_thread=False,
                isolation_level=None,
                cached_statements=64,  # the library's own pool keeps one, so prepares nearly every statement anew
                timeout=LOCK_TIMEOUT_S,
            )
            raw.execute(f"PRAGMA synchronous = {self.synchronous.upper()}")
        except sqlite3.Error as error:
            raise InterfaceError(error) from error
        raw.row_factory = sqlite3.Row
        return JournalConnection(raw, max_age=self.max_age)


@final
class JournalDatastore(SQLiteDatastore):
    """A journal's file."""

    def __init__(self, path: Path, *, synchronous: Synchronous = "normal") -> None:
        prepare(path)
        super().__init__(str(path.absolute()), lock_timeout=LOCK_TIMEOUT_S, originator_id_type="text")
        self.pool.close()
        self.pool = JournalPool(db_name=str(path.absolute()), lock_timeout=LOCK_TIMEOUT_S, pool_timeout=LOCK_TIMEOUT_S)
        self.pool.synchronous = synchronous

    def __del__(self) -> None:
        if hasattr(self, "pool"):
            self.close()
