"""Training a recorded run again in a process of its own: the evidence for rung 4."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from domain.events import CheckpointSaved, DomainEvent, RollbackOrdered
from domain.run import rebuild
from engine.journal.blobs import RunBlobs
from engine.journal.errors import BlobMissing
from engine.replay import Retrained, Start, header_of, replay
from scenarios import composition


def retrain_elsewhere(blobs: RunBlobs, first_epoch: int, events: Sequence[DomainEvent]) -> Retrained:
    """Train ``events`` again in a new process, from the newest usable checkpoint that is not after ``first_epoch``."""
    contents = _contents(blobs, events, first_epoch)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_retrain, list(events), contents).result()


def _contents(blobs: RunBlobs, events: Sequence[DomainEvent], first_epoch: int) -> Mapping[str, bytes]:
    """Every checkpoint needed to start again from one, that one last; none to start from the planting.

    A checkpoint serves if each older one that a later rollback went back to still exists: only the last few are kept.
    """
    # The last epoch's own checkpoint would leave nothing to train.
    latest = min(first_epoch, events[-1].epoch - 1)
    saved = [event for event in events if isinstance(event, CheckpointSaved) and 0 < event.epoch <= latest]
    for candidate in reversed(saved):
        state = rebuild(event for event in events if event.epoch <= candidate.epoch)
        found = {}
        for kept in state.checkpoints:
            try:
                found[kept.checkpoint] = blobs.get(kept.checkpoint)
            except BlobMissing:
                continue
        wanted = {
            event.checkpoint
            for event in events
            if isinstance(event, RollbackOrdered) and event.checkpoint_epoch <= candidate.epoch < event.epoch
        }
        if candidate.checkpoint in found and wanted <= found.keys():
            return found
    return {}


def _retrain(events: Sequence[DomainEvent], contents: Mapping[str, bytes]) -> Retrained:
    from engine.trainers.live.checkpoints import MemoryStore, unpack
    from engine.trainers.live.fingerprint import fingerprint
    from engine.trainers.live.tolaria import LiveTrainer

    header = header_of(events)
    here = fingerprint(header.training.threads)
    if here != header.fingerprint:
        theirs = header.fingerprint.model_dump()
        differing = [f"{name} {theirs[name]} there, {value} here" for name, value in here if theirs[name] != value]
        return "recorded under another fingerprint: " + "; ".join(differing)
    store = MemoryStore()
    snapshots = {store.put(content): unpack(content) for content in contents.values()}
    controllers = {digest: snapshot.structure.controller for digest, snapshot in snapshots.items()}
    start = None
    if snapshots:
        start = Start(epoch=max(snapshot.structure.epoch for snapshot in snapshots.values()), controllers=controllers)
    tamiyo, karn = composition.policies(header)
    divergence = replay(events, LiveTrainer(composition.data(header), store), tamiyo, karn, start=start)
    return divergence or (start.epoch if start else 0)
