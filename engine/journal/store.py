"""What a journal asks of a recorder, whatever the database.

``JournalRecorder`` is the one for SQLite, ``PostgresJournalRecorder`` the one for PostgreSQL. To add a database: a
recorder with these methods, a place for blobs, and a scheme in ``addresses.open_store``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from eventsourcing.persistence import Notification

from engine.journal.codec import Stored
from engine.journal.seals import Head, Row


class RunStore(Protocol):
    """What a journal asks of a recorder, whatever the database."""

    def insert_epochs(self, run_id: str, rows: Sequence[Row], heads: Sequence[Head]) -> None:
        """Record sealed epochs, all or nothing. Raises IntegrityError if any of it is recorded."""
        ...

    def select_rows(
        self, run_id: str, after: int = 0, upto: int | None = None, topics: Sequence[str] = ()
    ) -> list[Row]:
        """Rows with ``after`` < position <= ``upto``, in order; of all topics if none are named."""
        ...

    def fetch_rows(self, run_id: str, after: int = 0, upto: int | None = None) -> list[Stored]:
        """As ``select_rows`` without ceremony, for reading whole runs."""
        ...

    def select_last_rows(self, run_id: str, topics: Sequence[str], limit: int = 1) -> list[Row]:
        """The latest ``limit`` rows under any of ``topics``, latest first."""
        ...

    def select_positions(self, run_id: str) -> list[int]:
        """The positions of a run, in order."""
        ...

    def select_heads(self, run_id: str) -> list[Head]:
        """The heads of a run's epochs, in order."""
        ...

    def last_head(self, run_id: str) -> Head | None:
        """The head of a run's last sealed epoch."""
        ...

    def select_runs(self) -> list[tuple[str, Head, int]]:
        """Runs with an epoch, oldest first: id, last head, position before the last two epochs."""
        ...

    def claim(self, run_id: str) -> bool:
        """Take a name. False if it is taken."""
        ...

    def put_note(self, run_id: str, name: str, value: str) -> None:
        """Keep or replace a note."""
        ...

    def select_notes(self, run_id: str) -> dict[str, str]:
        """A run's notes by name."""
        ...

    def complaint(self) -> tuple[str, tuple[str, int] | None] | None:
        """What the database finds wrong with its own file, with run and position if it names a row."""
        ...

    def max_notification_id(self) -> int | None:
        """The latest notification of all runs; None if there is none."""
        ...

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> AbstractContextManager[Iterator[Notification]]:
        """Every notification after ``gt``, those to come included."""
        ...

    def close(self) -> None:
        """End the subscriptions and close the file."""
        ...
