"""What each component of the reward weighs, and how that is learned from rewards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from domain.reward.config import RewardConfig
from domain.reward.worth import MultiMetricReward, RewardComponent

WEIGHTED: Final[Mapping[RewardComponent, float]] = {
    RewardComponent.ACCURACY: 0.25,
    RewardComponent.SPEED: 0.20,
    RewardComponent.MEMORY: 0.15,
    RewardComponent.STABILITY: 0.20,
    RewardComponent.SAFETY: 0.15,
    RewardComponent.INNOVATION: 0.05,
}
"""The six that are weighted and where their weights begin. Consistency is a bonus outside of them. Source: D9, K 20."""
assert math.isclose(math.fsum(WEIGHTED.values()), 1.0)

Weights = tuple[float, ...]
"""One for each of ``WEIGHTED``, in its order."""

FIRST_WEIGHTS: Final[Weights] = tuple(WEIGHTED.values())
RESTING: Final[Weights] = (0.0,) * len(WEIGHTED)
"""The last step of weights that never moved."""


def learned(
    weights: Weights, steps: Weights, reward: MultiMetricReward, config: RewardConfig
) -> tuple[Weights, Weights]:
    """The weights after ``reward``, and the step that each of them took.

    A component's contribution is its weight times its value. It grows by learning_rate times the contribution where that
    and the reward are positive, falls by as much where both are negative, and takes ``momentum`` of its last step again;
    none falls under 0, and they sum to 1 again. Source: D9; the floor: its [REC].
    """
    components = dict(reward.components)
    moved, taken = [], []
    for component, weight, last in zip(WEIGHTED, weights, steps, strict=True):
        contribution = weight * components[component]
        agrees = contribution * reward.total > 0.0
        step = config.momentum * last + (config.learning_rate * contribution if agrees else 0.0)
        taken.append(step)
        moved.append(max(weight + step, 0.0))
    whole = math.fsum(moved)
    return (tuple(weight / whole for weight in moved) if whole > 0.0 else FIRST_WEIGHTS), tuple(taken)
