"""Which checkpoints of a run are kept: the last few, and those that a rollback of something open would go back to."""

from __future__ import annotations

from collections.abc import Mapping

from domain.events import CheckpointSaved
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.seed import Seed


def kept(known: tuple[CheckpointSaved, ...], seeds: Mapping[SeedId, Seed], most: int) -> tuple[CheckpointSaved, ...]:
    """Those of ``known``, oldest first, that are kept: the last ``most``, and what open adaptations may need."""
    latest = set(known[-most:])
    fossilized = last_fossil(seeds)
    open_ = [seed.adaptation for seed in seeds.values() if seed.adaptation and seed.adaptation.outcome is None]
    pinned = {newest_upto(known, epoch) for epoch in {max(entry.germinated_at, fossilized) for entry in open_}}
    return tuple(saved for saved in known if saved in latest | pinned)


def last_fossil(seeds: Mapping[SeedId, Seed]) -> int:
    """Epoch of the latest fossil, 0 without one."""
    return max((seed.since for seed in seeds.values() if seed.stage is Stage.FOSSILIZED), default=0)


def newest_upto(known: tuple[CheckpointSaved, ...], epoch: int) -> CheckpointSaved:
    """The newest checkpoint of ``epoch`` or before; the oldest there is where all are younger."""
    return next((saved for saved in reversed(known) if saved.epoch <= epoch), known[0])
