"""The SQLite recorder behind the library's recorder interface, with what the library's own lacks.

Notification ids that are never used again, bulk inserts, subscriptions that see other processes' events too, and the
side tables of a journal: heads, claimed names, notes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, Notification, OperationalError, StoredEvent, Subscription
from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from engine.journal.codec import Stored
from engine.journal.datastore import EVENTS_TABLE, JournalDatastore
from engine.journal.seals import Head, Row, check_of
from engine.journal.subscription import Subscriptions

_BLOCK: Final = 8
"""Rows of one INSERT. Each statement also updates the counter of AUTOINCREMENT, so fewer are a quarter faster."""

_POSITION_MAX: Final = 2**63 - 1

_ROW: Final = "originator_version, CAST(topic AS BLOB), CAST(state AS BLOB), checksum"
# As bytes, so that a damaged text is read as it lies and not refused by the driver.


def _key(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


class JournalRecorder(SQLiteProcessRecorder):
    """Application, process and tracking recorder, and the store that ``Journal`` speaks to."""

    datastore: JournalDatastore

    def __init__(self, datastore: JournalDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self._subscriptions = Subscriptions()
        columns = "originator_id, originator_version, topic, state, checksum"
        self.insert_events_statement = f"INSERT INTO {events_table_name} ({columns}) VALUES (?,?,?,?,?)"
        block = ",".join(["(?1,?,?,?,?)"] * _BLOCK)
        self._insert_block_statement = f"INSERT INTO {events_table_name} ({columns}) VALUES {block}"
        self.select_max_notification_id_statement = f"SELECT MAX(notification_id) FROM {events_table_name}"

    def construct_create_table_statements(self) -> list[str]:
        """The library's tables, with our own for the events."""
        return [EVENTS_TABLE.format(name=self.events_table_name), *super().construct_create_table_statements()[1:]]

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record events, all or none, and wake the subscriptions."""
        ids = super().insert_events(stored_events, **kwargs)
        self._subscriptions.wake()
        return ids

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        tracking = kwargs.get("tracking")
        if tracking is not None:
            self._insert_tracking(c, tracking)
        return self._insert_rows(
            c,
            [
                (_key(s.originator_id), s.originator_version, s.topic, s.state, check_of(s.topic, s.state))
                for s in stored_events
            ],
        )

    def _insert_rows(self, c: SQLiteCursor, rows: Sequence[tuple[str, int, str, bytes, int]]) -> Sequence[int]:
        if not rows:
            return []
        c.executemany(self.insert_events_statement, rows)
        c.execute("SELECT last_insert_rowid()")
        last = int(c.fetchone()[0])
        return list(range(last - len(rows) + 1, last + 1))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events of all streams in the order of recording."""
        terms, params = ["1"], list[Any]()
        if start is not None:
            terms.append("notification_id >= ?" if inclusive_of_start else "notification_id > ?")
            params.append(start)
        if stop is not None:
            terms.append("notification_id <= ?")
            params.append(stop)
        if topics:
            terms.append(f"topic IN ({','.join('?' * len(topics))})")
            params += topics
        statement = (
            "SELECT notification_id, originator_id, originator_version, topic, state "
            f"FROM {self.events_table_name} WHERE {' AND '.join(terms)} ORDER BY notification_id LIMIT ?"
        )
        with self.datastore.transaction(commit=False) as c:
            c.execute(statement, (*params, limit))
            return [
                Notification(self.convert_originator_id(originator), version, topic, state, id=notification_id)
                for notification_id, originator, version, topic, state in c.fetchall()
            ]

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Every notification after ``gt``, those to come included. ``stop()`` or closing the recorder ends it."""
        return self._subscriptions.begin(self, gt, topics)

    def close(self) -> None:
        """End the subscriptions and close the file."""
        self._subscriptions.stop()
        self.datastore.close()

    # What a journal asks beyond the library's interface. A recorder for another database brings the same methods.

    def insert_epochs(self, run_id: str, rows: Sequence[Row], heads: Sequence[Head]) -> None:
        """Record sealed epochs, all or nothing. Raises the library's IntegrityError if any of it is recorded."""
        with self.datastore.transaction(commit=True) as c:
            whole = len(rows) - len(rows) % _BLOCK
            blocks = [(run_id, *chain.from_iterable(rows[start : start + _BLOCK])) for start in range(0, whole, _BLOCK)]
            c.executemany(self._insert_block_statement, blocks)
            c.executemany(self.insert_events_statement, [(run_id, *row) for row in rows[whole:]])
            c.executemany("INSERT INTO heads VALUES (?,?,?,?)", [(run_id, *head) for head in heads])
            if rows[0].position == 1:
                c.execute("INSERT OR IGNORE INTO claims (run_id) VALUES (?)", (run_id,))
        self._subscriptions.wake()

    def select_rows(
        self, run_id: str, after: int = 0, upto: int | None = None, topics: Sequence[str] = ()
    ) -> list[Row]:
        """Rows of a run with ``after`` < position <= ``upto``, in order; of all topics if none are named."""
        statement = f"SELECT {_ROW} FROM {self.events_table_name} WHERE originator_id=? AND originator_version>? "
        params: tuple[Any, ...] = (run_id, after)
        if upto is not None:
            statement += "AND originator_version<=? "
            params = (*params, upto)
        if topics:
            statement += f"AND topic IN ({','.join('?' * len(topics))}) "
            params = (*params, *topics)
        return self._rows(statement + "ORDER BY originator_version", params)

    def fetch_rows(self, run_id: str, after: int = 0, upto: int | None = None) -> list[Stored]:
        """As ``select_rows`` without ceremony, for reading whole runs. A text that is no UTF-8 comes escaped."""
        statement = (
            f"SELECT originator_version, topic, state, checksum FROM {self.events_table_name} "
            "WHERE originator_id=? AND originator_version BETWEEN ? AND ? ORDER BY originator_version"
        )
        try:
            return self._fetch(statement, (run_id, after + 1, _POSITION_MAX if upto is None else upto))
        except OperationalError:
            return list(self.select_rows(run_id, after, upto))

    def select_last_rows(self, run_id: str, topics: Sequence[str], limit: int = 1) -> list[Row]:
        """The latest ``limit`` rows of a run under any of ``topics``, latest first."""
        statement = (
            f"SELECT {_ROW} FROM {self.events_table_name} WHERE originator_id=? "
            f"AND topic IN ({','.join('?' * len(topics))}) ORDER BY originator_version DESC LIMIT ?"
        )
        return self._rows(statement, (run_id, *topics, limit))

    def select_positions(self, run_id: str) -> list[int]:
        """The positions of a run, read from the index alone."""
        statement = f"SELECT originator_version FROM {self.events_table_name} WHERE originator_id=? ORDER BY 1"
        return [position for (position,) in self._fetch(statement, (run_id,))]

    def select_heads(self, run_id: str) -> list[Head]:
        """The heads of a run's epochs, in order."""
        statement = "SELECT epoch, position, digest FROM heads WHERE run_id=? ORDER BY epoch"
        return list(map(Head._make, self._fetch(statement, (run_id,))))

    def last_head(self, run_id: str) -> Head | None:
        """The head of a run's last sealed epoch."""
        statement = "SELECT epoch, position, digest FROM heads WHERE run_id=? ORDER BY epoch DESC LIMIT 1"
        found = self._fetch(statement, (run_id,))
        return Head(*found[0]) if found else None

    def select_runs(self) -> list[tuple[str, Head, int]]:
        """Runs with at least one epoch, oldest first: id, last head, and the position before its last two epochs."""
        statement = (
            "SELECT claims.run_id, heads.epoch, heads.position, heads.digest, "
            "IFNULL((SELECT position FROM heads AS h WHERE h.run_id = claims.run_id AND h.epoch = heads.epoch - 2), 0) "
            "FROM claims JOIN heads ON heads.run_id = claims.run_id "
            "AND heads.epoch = (SELECT MAX(epoch) FROM heads AS h WHERE h.run_id = claims.run_id) "
            "ORDER BY claims.number"
        )
        return [
            (run_id, Head(epoch, at, digest), before) for run_id, epoch, at, digest, before in self._fetch(statement)
        ]

    def claim(self, run_id: str) -> bool:
        """Take a name. False if it is taken."""
        with self.datastore.transaction(commit=True) as c:
            c.execute("INSERT OR IGNORE INTO claims (run_id) VALUES (?) RETURNING number", (run_id,))
            return bool(c.fetchall())

    def put_note(self, run_id: str, name: str, value: str) -> None:
        """Keep or replace a note."""
        with self.datastore.transaction(commit=True) as c:
            c.execute("INSERT OR REPLACE INTO notes VALUES (?,?,?)", (run_id, name, value))

    def select_notes(self, run_id: str) -> dict[str, str]:
        """A run's notes by name."""
        return dict(self._fetch("SELECT name, value FROM notes WHERE run_id=? ORDER BY name", (run_id,)))

    def complaint(self) -> tuple[str, tuple[str, int] | None] | None:
        """The first thing that SQLite itself finds wrong with the file, and the run and position if it names a row."""
        (line,) = self._fetch("PRAGMA integrity_check(1)")[0]
        if line == "ok":
            return None
        row = re.match(rf"row (\d+) .*index sqlite_autoindex_{self.events_table_name}_1", line)
        return line, self._place_of(int(row[1])) if row else None

    def _place_of(self, ordinal: int) -> tuple[str, int] | None:
        """Run and position that the index knows of the ``ordinal``-th row of the table, counted from 1."""
        table = self.events_table_name
        statement = (
            f"SELECT originator_id, originator_version FROM {table} INDEXED BY sqlite_autoindex_{table}_1 "
            "WHERE originator_id > '' AND notification_id = "
            f"(SELECT notification_id FROM {table} ORDER BY notification_id LIMIT 1 OFFSET ?)"
        )
        return next(((run_id, position) for run_id, position in self._fetch(statement, (ordinal - 1,))), None)

    def _rows(self, statement: str, params: tuple[Any, ...]) -> list[Row]:
        return [
            Row(position, str(topic or b"", "utf-8", "backslashreplace"), state or b"", check)
            for position, topic, state, check in self._fetch(statement, params)
        ]

    def _fetch(self, statement: str, params: tuple[Any, ...] = ()) -> list[Any]:
        """One statement, which sees one state of the file without a transaction around it."""
        with self.datastore.get_connection(commit=False) as connection:
            cursor = connection.cursor().sqlite_cursor
            try:
                cursor.row_factory = None
                rows: list[Any] = cursor.execute(statement, params).fetchall()
            except sqlite3.OperationalError as error:
                raise OperationalError(error) from error
            finally:
                cursor.close()
            return rows
