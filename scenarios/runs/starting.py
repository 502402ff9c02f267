"""Where a recorded run can be run again from: the checkpoints that are still there, and the boundaries kept for forks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from domain.events import CheckpointSaved, DomainEvent, RollbackOrdered
from domain.run import rebuild
from engine.courses import Start
from engine.journal.blobs import RunBlobs
from engine.journal.errors import BlobMissing
from engine.journal.journal import Journal

KEPT_AT = "kept_at_"
"""A note of this name and an epoch names the checkpoint of that boundary, which was kept for forks."""


@final
@dataclass(frozen=True, slots=True)
class Contents:
    """A place to start from and the bytes that it takes; both nothing for a start from the planting."""

    epoch: int = 0
    checkpoint: str | None = None
    files: Mapping[str, bytes] | None = None
    """By content hash: that checkpoint, and the older ones that a rollback may go back to."""

    def start(self, controllers: Mapping[str, str]) -> Start | None:
        """What a course starts from; ``controllers`` is the memory in each of the files, as JSON."""
        return None if self.checkpoint is None else Start(self.epoch, self.checkpoint, controllers)


def newest_start(blobs: RunBlobs, events: Sequence[DomainEvent], latest: int) -> Contents:
    """The newest checkpoint of epoch ``latest`` or before from which ``events`` can be run again.

    It serves if each older one that a later rollback of these events went back to still exists: only the last few do.
    """
    saved = [event for event in events if isinstance(event, CheckpointSaved) and 0 < event.epoch <= latest]
    for candidate in reversed(saved):
        found = _held(blobs, events, candidate.epoch)
        wanted = {
            event.checkpoint
            for event in events
            if isinstance(event, RollbackOrdered) and event.checkpoint_epoch <= candidate.epoch < event.epoch
        }
        if candidate.checkpoint in found and wanted <= found.keys():
            return Contents(candidate.epoch, candidate.checkpoint, found)
    return Contents()


def start_for_more(journal: Journal, run_id: str, events: Sequence[DomainEvent]) -> Contents:
    """Where to start from in order to train on after ``events``: every checkpoint they still keep has to be there."""
    blobs, last = journal.blobs(run_id), events[-1].epoch
    kept = {saved.checkpoint: saved.epoch for saved in rebuild(events).checkpoints}
    boundary = journal.notes(run_id).get(f"{KEPT_AT}{last}")
    if boundary is not None:
        digest = str(json.loads(boundary))
        found = _held(blobs, events, last)
        try:
            if kept.keys() <= found.keys():
                return Contents(last, digest, {**found, digest: blobs.get(digest)})
        except BlobMissing:
            pass
    start = newest_start(blobs, events, last)
    # What is saved on the way from the start will be there again; what is older must be there already.
    older = {digest for digest, epoch in kept.items() if epoch <= start.epoch}
    return start if older <= (start.files or {}).keys() else Contents()


def _held(blobs: RunBlobs, events: Sequence[DomainEvent], epoch: int) -> dict[str, bytes]:
    """The checkpoints that the run kept at the end of ``epoch``, as far as they are still there."""
    found = {}
    for kept in rebuild(event for event in events if event.epoch <= epoch).checkpoints:
        try:
            found[kept.checkpoint] = blobs.get(kept.checkpoint)
        except BlobMissing:
            continue
    return found
