"""A sink that records what a session seals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from domain.events import DomainEvent, EpochSealed, RunEnded
from engine.journal.journal import Journal
from engine.journal.seals import GENESIS_HEAD, Head


@final
class JournalSink:
    """Appends each epoch of one run to a journal, in one transaction an epoch.

    Two processes that record one run train the same epochs: one that is ``alone`` stops where another was faster.
    Where epochs are cheap to have again, ``together`` of them share a transaction.
    """

    def __init__(
        self, journal: Journal, run_id: str, after: Head | None = None, *, alone: bool = False, together: int = 1
    ) -> None:
        self._journal = journal
        self._run_id = run_id
        self._alone = alone
        self._together = together
        self.head: Head = after or journal.head(run_id) or GENESIS_HEAD
        """Where the recording stands."""

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        """Record ``events`` and their seal. Raises StorageFailed, EpochConflict; then nothing of the epoch is recorded."""
        ends = any(isinstance(event, RunEnded) for event in events)
        seal, self.head = self._journal.seal_epoch(
            self._run_id,
            self.head.position + 1,
            events,
            epoch=epoch,
            state_digest=state_digest,
            memory_digest=memory_digest,
            alone=self._alone,
            held=not ends and (epoch + 1) % self._together != 0,
        )
        return seal
