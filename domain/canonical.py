"""A seed as plain JSON values in a fixed order: what the digest of a run's state is taken over."""

from __future__ import annotations

from typing import Any

from domain.seed import Seed


def canonical_seed(seed: Seed) -> list[Any]:
    """Every field of the seed and of its adaptation. A field that is added to either belongs here too."""
    open_ = seed.adaptation
    return [
        str(seed.seed_id),
        seed.stage.value,
        seed.since,
        seed.attempts,
        seed.embargoed_until,
        seed.locked,
        seed.faults,
        seed.faulted_at,
        None
        if open_ is None
        else [
            open_.attempt,
            open_.blueprint_id,
            open_.reads.value,
            open_.grafting.value,
            open_.germinated_at,
            open_.pre_accuracy,
            open_.pre_loss,
            open_.baseline_accuracy,
            open_.alpha,
            open_.ramp_steps,
            open_.outcome.value if open_.outcome else None,
            open_.measurements,
            open_.max_latency_ms,
            open_.memory_mb_sum,
            open_.gradient_variance_sum,
        ],
    ]
