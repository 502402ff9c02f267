"""How a series goes: its slope, how steady it is, and whether rewards rise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

VARIANCE_SCALE: Final = 0.01
"""The variance at which a series counts as half steady."""
SIGNIFICANT: Final = 0.05
"""Chance findings are told from others at this probability."""
TREND_POINTS: Final = 5
"""Measurements that a trend is taken through."""
SPREAD_MIN: Final = 1e-8
"""Below this standard deviation a series does not move."""


def slope(points: Sequence[tuple[int, float]]) -> float:
    """The least-squares slope through ``points`` of place and value; 0 below two of them.

    The assessed code divides a sample covariance by a population variance, which is n/(n-1) times as steep; this is the
    plain slope, as the domain reference asks (D7).
    """
    count = len(points)
    if count < 2:
        return 0.0
    middle = sum(place for place, _ in points) / count
    mean = math.fsum(value for _, value in points) / count
    across = math.fsum((place - middle) * (value - mean) for place, value in points)
    return across / math.fsum((place - middle) ** 2 for place, _ in points)


def recent_trend(values: Sequence[float | None]) -> float:
    """How ``values``, one an epoch and oldest first, moved an epoch: the slope through the last five measured ones.

    None was not measured, and neither was a value that equals the one before it to the last bit: trainers report more
    often than they measure and hold what they know meanwhile, which is no news.
    """
    points: list[tuple[int, float]] = []
    for place, value in enumerate(values):
        if value is not None and (not points or value != points[-1][1]):
            points.append((place, value))
    return slope(points[-TREND_POINTS:])


def steadiness(values: Sequence[float]) -> float:
    """0.01 / (variance + 0.01), in (0, 1]: 1 for a series that does not move, and for one of fewer than two values.

    The assessed 1 / (variance + 0.01), cut at 1, is 1 for every variance under 0.99; this is what it was meant for.
    """
    if len(values) < 2:
        return 1.0
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return VARIANCE_SCALE / (variance + VARIANCE_SCALE)


def reward_trend(rewards: Sequence[float]) -> float:
    """Whether rewards, oldest first, rise or fall, in (-1, 1): tanh(slope n / standard deviation).

    0 where linear regression finds no slope (p > 0.05), where they hardly differ, or below three of them. Source: D9.
    """
    from scipy import stats

    count = len(rewards)
    mean = math.fsum(rewards) / count if count else 0.0
    spread = math.sqrt(math.fsum((reward - mean) ** 2 for reward in rewards) / count) if count else 0.0
    if count < 3 or spread < SPREAD_MIN:
        return 0.0
    line = stats.linregress(range(count), rewards)
    return 0.0 if line.pvalue > SIGNIFICANT else math.tanh(float(line.slope) * count / spread)
