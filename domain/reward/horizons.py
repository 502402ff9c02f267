"""What an adaptation did within each of four horizons, which are counted in epochs. Source: D9, K 22."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from domain.reward.config import RewardConfig
from domain.reward.worth import TemporalImpact

DISCOUNTS: Final = (1.0, 0.9, 0.8, 0.7)
"""Of the four horizons, the nearest first."""


def impacts(
    config: RewardConfig,
    reached: Sequence[float],
    *,
    accuracy_before: float,
    confidence: float,
    urgency: float,
    extent: float,
) -> tuple[TemporalImpact, ...]:
    """The impact within each horizon.

    ``reached`` holds the validation accuracy at the end of every horizon that has passed: there the impact is its change
    since germination, scaled and held within [-1, 1]. Where none has passed it is what was to be expected at the
    decision: half the confidence, more or less by how pressing it was and how much it asked for (``extent``, [0, 1]).
    """
    hoped = expected(confidence, urgency, extent)
    found = []
    for place, (name, epochs) in enumerate(config.horizons):
        measured = place < len(reached)
        change = config.impact_scale * (reached[place] - accuracy_before) if measured else hoped[place]
        found.append(TemporalImpact(horizon=name, epochs=epochs, impact=held(change), measured=measured))
    return tuple(found)


def expected(confidence: float, urgency: float, extent: float) -> tuple[float, float, float, float]:
    """The impacts that a decision promises, by horizon: b (1 + 0.3 u), b (0.8 + 0.4 k), b (0.6 + 0.3 c), b (0.4 + 0.4 k).

    b = 0.5 c; c confidence, u urgency, k ``extent``, each in [0, 1].
    """
    b = 0.5 * confidence
    return (
        b * (1.0 + 0.3 * urgency),
        b * (0.8 + 0.4 * extent),
        b * (0.6 + 0.3 * confidence),
        b * (0.4 + 0.4 * extent),
    )


def discounted(found: Sequence[TemporalImpact]) -> float:
    """The sum of the impacts, each with its discount."""
    return math.fsum(discount * each.impact for discount, each in zip(DISCOUNTS, found, strict=True))


def held(value: float) -> float:
    """``value`` within [-1, 1]; 0 for what is no number, which says nothing either way."""
    return 0.0 if math.isnan(value) else min(max(value, -1.0), 1.0)
