"""A store that encrypts: every event's body on its way in, decrypted on its way out. What it wraps never sees one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, final

from eventsourcing.persistence import Notification

from engine.journal.cipher import Cipher
from engine.journal.codec import Stored
from engine.journal.seals import Head, Row, check_of
from engine.journal.store import RunStore

_NO_CHECKSUM: Final = -1
"""Of a row that cannot be decrypted: no bytes have it, so that whoever reads the row calls it damaged."""


@final
class EncryptedStore:
    """Implements ``RunStore`` around another one. Checksums in the database are those of what lies there."""

    def __init__(self, store: RunStore, cipher: Cipher) -> None:
        self._store: Final = store
        self._cipher: Final = cipher

    def _hidden(self, row: Row) -> Row:
        state = self._cipher.encrypt(row.state)
        return Row(row.position, row.topic, state, check_of(row.topic, state))

    def _shown(self, rows: Iterable[Stored]) -> Iterator[Row]:
        for position, topic, state, check in rows:
            yield Row(position, topic, *self._plain(topic, state, check))

    def _plain(self, topic: str, state: bytes, check: int) -> tuple[bytes, int]:
        if not isinstance(state, bytes) or check_of(topic, state) != check:
            return state, _NO_CHECKSUM
        try:
            plain = self._cipher.decrypt(state)
        except ValueError:
            return state, _NO_CHECKSUM
        return plain, check_of(topic, plain)

    def insert_epochs(self, run_id: str, rows: Sequence[Row], heads: Sequence[Head]) -> None:
        """Record sealed epochs, all or nothing. Raises IntegrityError if any of it is recorded."""
        self._store.insert_epochs(run_id, [self._hidden(row) for row in rows], heads)

    def select_rows(
        self, run_id: str, after: int = 0, upto: int | None = None, topics: Sequence[str] = ()
    ) -> list[Row]:
        """Rows with ``after`` < position <= ``upto``, in order; of all topics if none are named."""
        return list(self._shown(self._store.select_rows(run_id, after, upto, topics)))

    def fetch_rows(self, run_id: str, after: int = 0, upto: int | None = None) -> list[Stored]:
        """As ``select_rows`` without ceremony, for reading whole runs."""
        return list(self._shown(self._store.fetch_rows(run_id, after, upto)))

    def select_last_rows(self, run_id: str, topics: Sequence[str], limit: int = 1) -> list[Row]:
        """The latest ``limit`` rows under any of ``topics``, latest first."""
        return list(self._shown(self._store.select_last_rows(run_id, topics, limit)))

    @contextmanager
    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Generator[Iterator[Notification]]:
        """Every notification after ``gt``, those to come included. Raises ValueError at one that was changed."""
        with self._store.subscribe(gt, topics) as subscription:
            yield (replace(told, state=self._cipher.decrypt(told.state)) for told in subscription)

    # What holds no body goes through as it is.

    def select_positions(self, run_id: str) -> list[int]:
        """The positions of a run, in order."""
        return self._store.select_positions(run_id)

    def select_heads(self, run_id: str) -> list[Head]:
        """The heads of a run's epochs, in order."""
        return self._store.select_heads(run_id)

    def last_head(self, run_id: str) -> Head | None:
        """The head of a run's last sealed epoch."""
        return self._store.last_head(run_id)

    def select_runs(self) -> list[tuple[str, Head, int]]:
        """Runs with an epoch, oldest first: id, last head, position before the last two epochs."""
        return self._store.select_runs()

    def claim(self, run_id: str) -> bool:
        """Take a name. False if it is taken."""
        return self._store.claim(run_id)

    def put_note(self, run_id: str, name: str, value: str) -> None:
        """Keep or replace a note."""
        self._store.put_note(run_id, name, value)

    def select_notes(self, run_id: str) -> dict[str, str]:
        """A run's notes by name."""
        return self._store.select_notes(run_id)

    def complaint(self) -> tuple[str, tuple[str, int] | None] | None:
        """What the database finds wrong with its own file, with run and position if it names a row."""
        return self._store.complaint()

    def max_notification_id(self) -> int | None:
        """The latest notification of all runs; None if there is none."""
        return self._store.max_notification_id()

    def close(self) -> None:
        """End the subscriptions and close the file."""
        self._store.close()
