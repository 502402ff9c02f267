"""The PostgreSQL recorder behind the library's recorder interface: the same meaning as the SQLite one, for many writers.

The library's own takes a lock on the whole table and numbers by a sequence, which leaves gaps where a transaction was
rolled back. Here every writer takes the lock of the one row that counts the notifications, as SQLite does inside
``AUTOINCREMENT``: ids have no gaps, become visible in their order, and are never used again. Readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, OperationalError, StoredEvent, Subscription
from eventsourcing.postgres import PostgresProcessRecorder
from psycopg import Cursor
from psycopg.rows import DictRow

from engine.journal.codec import Stored
from engine.journal.postgres_datastore import PostgresJournalDatastore
from engine.journal.seals import Head, Row, check_of
from engine.journal.subscription import Subscriptions

_BLOCK: Final = 256
"""Rows of one INSERT. A row is at most 1 MB, and a statement at most 1 GB."""

_POSITION_MAX: Final = 2**63 - 1

_INSERT: Final = (
    "WITH counted AS (UPDATE journal SET notifications = notifications + %s RETURNING notifications - %s AS before) "
    "INSERT INTO stored_events (notification_id, originator_id, originator_version, topic, state, checksum) "
    "SELECT before + ordinal, run_id, position, topic, state, checksum FROM counted, "
    "unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bigint[]) "
    "WITH ORDINALITY AS given (run_id, position, topic, state, checksum, ordinal)"
)

_ROW: Final = "SELECT originator_version, topic, state, checksum FROM stored_events WHERE originator_id = %s"

_HEADS: Final = "SELECT epoch, position, digest FROM heads WHERE run_id = %s ORDER BY epoch"


def _key(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


@final
class PostgresJournalRecorder(PostgresProcessRecorder):
    """Application, process and tracking recorder, and the store that ``Journal`` speaks to."""

    datastore: PostgresJournalDatastore

    def __init__(self, datastore: PostgresJournalDatastore) -> None:
        super().__init__(datastore)
        self._subscriptions = Subscriptions()

    def create_table(self) -> None:
        """Nothing to do: a datastore that is open has its tables."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record events, all or none, and wake the subscriptions."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_events(cursor, stored_events, **kwargs)  # the library's: what goes with the events
            last = _insert(
                cursor,
                [_key(stored.originator_id) for stored in stored_events],
                [
                    Row(stored.originator_version, stored.topic, stored.state, check_of(stored.topic, stored.state))
                    for stored in stored_events
                ],
            )
        self._subscriptions.wake()
        return list(range(last - len(stored_events) + 1, last + 1))

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Every notification after ``gt``, those to come included. ``stop()`` or closing the recorder ends it."""
        return self._subscriptions.begin(self, gt, topics)

    def close(self) -> None:
        """End the subscriptions and close the connections."""
        self._subscriptions.stop()
        self.datastore.close()

    # What a journal asks beyond the library's interface: the methods of ``RunStore``.

    def insert_epochs(self, run_id: str, rows: Sequence[Row], heads: Sequence[Head]) -> None:
        """Record sealed epochs, all or nothing. Raises the library's IntegrityError if any of it is recorded.

        A connection that is lost may have been lost after the commit; the heads, which hold the digests of all that
        was to be recorded, then tell.
        """
        tried = False

        def record() -> None:
            nonlocal tried
            if not tried or not set(heads) <= set(self.select_heads(run_id)):
                tried = True
                self._insert_epochs(run_id, rows, heads)

        self.datastore.surviving(record)
        self._subscriptions.wake()

    def _insert_epochs(self, run_id: str, rows: Sequence[Row], heads: Sequence[Head]) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            _insert(cursor, [run_id] * len(rows), rows)
            statement = "INSERT INTO heads SELECT %s, * FROM unnest(%b::bigint[], %b::bigint[], %b::text[])"
            cursor.execute(statement, (run_id, *map(list, zip(*heads, strict=True))))
            if rows[0].position == 1:
                cursor.execute("INSERT INTO claims (run_id) VALUES (%s) ON CONFLICT DO NOTHING", (run_id,))

    def select_rows(
        self, run_id: str, after: int = 0, upto: int | None = None, topics: Sequence[str] = ()
    ) -> list[Row]:
        """Rows of a run with ``after`` < position <= ``upto``, in order; of all topics if none are named."""
        statement = f"{_ROW} AND originator_version > %s AND originator_version <= %s "
        params: tuple[Any, ...] = (run_id, after, _POSITION_MAX if upto is None else upto)
        if topics:
            statement += "AND topic = ANY(%s) "
            params = (*params, list(topics))
        return list(map(Row._make, self.datastore.fetch(statement + "ORDER BY originator_version", params)))

    def fetch_rows(self, run_id: str, after: int = 0, upto: int | None = None) -> list[Stored]:
        """As ``select_rows``, plain tuples."""
        statement = f"{_ROW} AND originator_version > %s AND originator_version <= %s ORDER BY originator_version"
        return self.datastore.fetch(statement, (run_id, after, _POSITION_MAX if upto is None else upto))

    def select_last_rows(self, run_id: str, topics: Sequence[str], limit: int = 1) -> list[Row]:
        """The latest ``limit`` rows of a run under any of ``topics``, latest first."""
        statement = f"{_ROW} AND topic = ANY(%s) ORDER BY originator_version DESC LIMIT %s"
        return list(map(Row._make, self.datastore.fetch(statement, (run_id, list(topics), limit))))

    def select_positions(self, run_id: str) -> list[int]:
        """The positions of a run, in order."""
        statement = "SELECT originator_version FROM stored_events WHERE originator_id = %s ORDER BY 1"
        return [position for (position,) in self.datastore.fetch(statement, (run_id,))]

    def select_heads(self, run_id: str) -> list[Head]:
        """The heads of a run's epochs, in order."""
        return list(map(Head._make, self.datastore.fetch(_HEADS, (run_id,))))

    def last_head(self, run_id: str) -> Head | None:
        """The head of a run's last sealed epoch."""
        found = self.datastore.fetch(f"{_HEADS} DESC LIMIT 1", (run_id,))
        return Head(*found[0]) if found else None

    def select_runs(self) -> list[tuple[str, Head, int]]:
        """Runs with at least one epoch, oldest first: id, last head, and the position before its last two epochs."""
        statement = (
            "SELECT claims.run_id, last.epoch, last.position, last.digest, COALESCE("
            "(SELECT position FROM heads WHERE heads.run_id = claims.run_id AND heads.epoch = last.epoch - 2), 0) "
            "FROM claims JOIN LATERAL (SELECT epoch, position, digest FROM heads WHERE heads.run_id = claims.run_id "
            "ORDER BY epoch DESC LIMIT 1) AS last ON true ORDER BY claims.number"
        )
        return [
            (run_id, Head(epoch, at, digest), before)
            for run_id, epoch, at, digest, before in self.datastore.fetch(statement)
        ]

    def claim(self, run_id: str) -> bool:
        """Take a name. False if it is taken."""
        statement = "INSERT INTO claims (run_id) VALUES (%s) ON CONFLICT DO NOTHING RETURNING number"
        return bool(self.datastore.fetch(statement, (run_id,)))

    def put_note(self, run_id: str, name: str, value: str) -> None:
        """Keep or replace a note."""
        statement = (
            "INSERT INTO notes VALUES (%s, %s, %b) ON CONFLICT (run_id, name) DO UPDATE SET value = EXCLUDED.value"
        )
        self.datastore.fetch(statement, (run_id, name, value.encode()))

    def select_notes(self, run_id: str) -> dict[str, str]:
        """A run's notes by name."""
        found = self.datastore.fetch("SELECT name, value FROM notes WHERE run_id = %s ORDER BY name", (run_id,))
        return {name: str(value, "utf-8") for name, value in found}

    def complaint(self) -> None:
        """Nothing: PostgreSQL checks the sums of its own pages, and what it cannot read it says on reading."""


def _insert(cursor: Cursor[DictRow], run_ids: Sequence[str], rows: Sequence[Row]) -> int:
    """Record rows of the runs named beside them; return the last notification id of the journal.

    Takes the counter's lock until the end of the transaction.
    """
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        ids = list(run_ids[start : start + _BLOCK])
        cursor.execute(_INSERT, (len(block), len(block), ids, *map(list, zip(*block, strict=True))))
        if cursor.rowcount != len(block):
            raise OperationalError("the row that counts the notifications is missing from the table journal")
    found = cursor.execute("SELECT notifications FROM journal").fetchone()
    return int(found["notifications"]) if found else 0
