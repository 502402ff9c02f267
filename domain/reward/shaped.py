"""What an adaptation was worth: the shaped reward that a controller learns from. Pure functions.

    r = 0.1 health_improvement - 0.05 latency_increase + g(outcome) - 0.01 parameter_growth_ratio
    g = +1.0 FOSSILIZED, -0.5 CULLED, -1.0 ROLLED_BACK, -0.1 CANCELLED, 0 otherwise

Source: the high-level design, C.6.4. It names neither units nor moments; here health is ``1 - need`` in [0, 1], latency
is in ms a sample, and each change is the value at the conclusion less the value at germination.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from domain.lifecycle import Outcome

HEALTH_WEIGHT: Final = 0.1
LATENCY_WEIGHT: Final = 0.05
GROWTH_WEIGHT: Final = 0.01

OUTCOME_REWARD: Final[Mapping[Outcome, float]] = {
    Outcome.FOSSILIZED: 1.0,
    Outcome.CULLED: -0.5,
    Outcome.ROLLED_BACK: -1.0,
    Outcome.CANCELLED: -0.1,
}
assert set(OUTCOME_REWARD) == set(Outcome)


def outcome_reward(outcome: Outcome | None) -> float:
    """g(outcome), in [-1, 1]: 0 for an adaptation that has not concluded. Source: C.6.4."""
    return 0.0 if outcome is None else OUTCOME_REWARD[outcome]


def parameter_growth_ratio(before: int, after: int) -> float:
    """Parameters added, as a share of those there were: (after - before) / before. Negative for a network that shrank.

    0 / 0 is 0, growth from nothing infinite. ``before`` and ``after`` are counts, from 0.
    """
    if before == 0:
        return math.inf if after else 0.0
    return (after - before) / before


def shaped_reward(
    outcome: Outcome | None, *, health_improvement: float, latency_increase: float, growth_ratio: float
) -> float:
    """The shaped reward of one adaptation. Source: C.6.4.

    ``health_improvement`` is a difference of health scores, in [-1, 1]; ``latency_increase`` is in ms a sample;
    ``growth_ratio`` is ``parameter_growth_ratio``. NaN in, NaN out.
    """
    return (
        HEALTH_WEIGHT * health_improvement
        - LATENCY_WEIGHT * latency_increase
        + outcome_reward(outcome)
        - GROWTH_WEIGHT * growth_ratio
    )
