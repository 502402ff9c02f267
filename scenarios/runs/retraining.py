"""Training a recorded run again in a process of its own: the evidence for rung 4."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from domain.events import DomainEvent
from domain.header import RunHeader
from engine.courses import headers_of
from engine.journal.blobs import RunBlobs
from engine.replay import Retrained, replay
from engine.trainers.stores import MemoryStore
from engine.trainers.trainer import Trainer
from scenarios import composition
from scenarios.runs import trainers
from scenarios.runs.starting import Contents, newest_start


def retrain_elsewhere(blobs: RunBlobs, first_epoch: int, events: Sequence[DomainEvent]) -> Retrained:
    """Train ``events`` again in a new process, from the newest usable checkpoint that is not after ``first_epoch``.

    A run that was simulated, from a fork on or whole, is simulated again from its planting.
    """
    kinds = {trainers.kind(header) for header in headers_of(events)}
    if trainers.RECORDED in kinds:
        return "the run was decided over a recording, at least from a fork on: there is nothing to train again"
    # The last epoch's own checkpoint would leave nothing to train.
    latest = min(first_epoch, events[-1].epoch - 1) if kinds == {trainers.LIVE} else 0
    contents = newest_start(blobs, events, latest)
    dynamics = [header.trainer.partition(":")[2] for header in headers_of(events)]
    kept = {digest: blobs.get(digest) for digest in dynamics if digest}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_retrain, list(events), contents, kept).result()


def _retrain(events: Sequence[DomainEvent], contents: Contents, dynamics: Mapping[str, bytes]) -> Retrained:
    for header in headers_of(events):
        obstacle = trainers.not_comparable(header)
        if obstacle is not None:
            return obstacle
    store, files = MemoryStore(), contents.files or {}
    for content in (*files.values(), *dynamics.values()):
        store.put(content)
    start = contents.start(trainers.controllers_in(files) if files else {})

    def made(header: RunHeader) -> Trainer:
        makes = trainers.live if trainers.kind(header) == trainers.LIVE else trainers.simulated
        return makes(header, store)

    divergence = replay(events, made, composition.policies, start=start)
    return divergence or contents.epoch
