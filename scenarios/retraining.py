"""Training a recorded run again in a process of its own: the evidence for rung 4."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from domain.events import DomainEvent
from engine.courses import header_of, headers_of
from engine.journal.blobs import RunBlobs
from engine.replay import Retrained, replay
from scenarios import composition, trainers
from scenarios.starting import Contents, newest_start


def retrain_elsewhere(blobs: RunBlobs, first_epoch: int, events: Sequence[DomainEvent]) -> Retrained:
    """Train ``events`` again in a new process, from the newest usable checkpoint that is not after ``first_epoch``."""
    # The last epoch's own checkpoint would leave nothing to train.
    contents = newest_start(blobs, events, min(first_epoch, events[-1].epoch - 1))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_retrain, list(events), contents).result()


def _retrain(events: Sequence[DomainEvent], contents: Contents) -> Retrained:
    from engine.trainers.live.checkpoints import MemoryStore

    header = header_of(events)
    borrowed = next((after.trainer for after in headers_of(events) if after.trainer != "live"), None)
    if borrowed is not None:
        return f"the run was not trained but {borrowed}, at least from a fork on: there is nothing to train again"
    obstacle = trainers.not_comparable(header)
    if obstacle is not None:
        return obstacle
    store, files = MemoryStore(), contents.files or {}
    for content in files.values():
        store.put(content)
    start = contents.start(trainers.controllers_in(files))
    divergence = replay(events, trainers.live(header, store), composition.policies, start=start)
    return divergence or contents.epoch
