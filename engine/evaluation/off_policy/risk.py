"""How badly it can end under the target: quantiles, the mean of the worst, and the chance to end below a threshold.

All read the self-normalised distribution function of the rewards, ``F(x) = sum w [r <= x] / sum w``. Chances and
quantiles get Cressie-Read intervals (a chance is the mean of a reward of 0 or 1, and a quantile is where chances cross
it); the mean of the worst has no such form and gets the bootstrap, which covers too little at small effective samples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from engine.evaluation.off_policy.intervals import LEVEL, RESAMPLES, cressie_read
from engine.evaluation.off_policy.log import Flags
from engine.evaluation.off_policy.samples import Estimate, Floats, WeightedSample

ROUNDING: Final = 1e-12
"""Sums of weights miss a probability that they meet by so little."""


def probability_below(sample: WeightedSample, threshold: float, *, level: float = LEVEL) -> Estimate:
    """The chance, [0, 1], that the reward under the target is less than ``threshold``, with Cressie-Read's interval.

    A threshold that comes from the same runs, such as what ``never_grow`` reached, is taken as known exactly.
    """
    return replace(_chance(sample, sample.rewards < threshold, level), method="probability below, Cressie-Read")


def quantile(sample: WeightedSample, probability: float, *, level: float = LEVEL) -> Estimate:
    """The least reward x with ``F(x) >= probability``, and all x that the interval of ``F(x)`` does not rule out.

    The interval inverts Cressie-Read's at every recorded reward; ends that no recorded reward gives are the bounds.
    Source: Owen (2001), Empirical Likelihood, §3.6, for quantiles by inversion. Raises ValueError for a probability
    outside (0, 1) or a sample without weight.
    """
    _inside(probability)
    value = _quantile(sample.rewards, _weighted(sample), probability)
    recorded = np.unique(sample.rewards)
    reached = [_chance(sample, sample.rewards <= x, level) for x in recorded]
    nothing_below = _chance(sample, np.zeros(sample.count, dtype=np.bool_), level)
    possible = (float(x) for x, at in zip(recorded, reached, strict=True) if at.high >= probability)
    low = sample.low if nothing_below.high >= probability else next(possible)
    high = min(
        (float(x) for x, at in zip(recorded, reached, strict=True) if at.low >= probability), default=sample.high
    )
    low, high = min(low, value), max(high, value)
    return Estimate(value=value, low=low, high=high, level=level, method="quantile, Cressie-Read inverted")


def conditional_value_at_risk(
    sample: WeightedSample,
    probability: float,
    generator: np.random.Generator,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The mean of the worst ``probability`` of rewards: ``max over v of v - E[max(v - r, 0)] / probability``.

    Percentiles over samples drawn again from ``generator``; one without weight counts at the bounds. Source:
    Rockafellar and Uryasev (2000), eq. 4, for losses; here low rewards are bad. Raises ValueError for a probability
    outside (0, 1), fewer than 100 resamples or a sample without weight.
    """
    _inside(probability)
    if resamples < 100 or not 0 < level < 1:
        raise ValueError(f"resamples {resamples} must be at least 100 and level {level} inside (0, 1)")
    value = _worst(sample.rewards, _weighted(sample), probability)
    lows, highs = [], []
    for _ in range(resamples):
        drawn = generator.integers(sample.count, size=sample.count)
        weights = sample.weights[drawn]
        found = _worst(sample.rewards[drawn], weights, probability) if weights.any() else None
        lows.append(sample.low if found is None else found)
        highs.append(sample.high if found is None else found)
    low, high = float(np.quantile(lows, (1 - level) / 2)), float(np.quantile(highs, (1 + level) / 2))
    return Estimate(
        value=value, low=min(low, value), high=max(high, value), level=level, method="CVaR, ratio bootstrap"
    )


def _chance(sample: WeightedSample, happens: Flags, level: float) -> Estimate:
    indicator = replace(sample, rewards=happens.astype(np.float64), low=0.0, high=1.0, baseline=None, predicted=None)
    return cressie_read(indicator, level=level)


def _quantile(rewards: Floats, weights: Floats, probability: float) -> float:
    order = np.argsort(rewards, kind="stable")
    reached = np.cumsum(weights[order]) >= (probability - ROUNDING) * weights.sum()
    return float(rewards[order][np.argmax(reached)])


def _worst(rewards: Floats, weights: Floats, probability: float) -> float:
    at = _quantile(rewards, weights, probability)
    short = float(weights @ np.maximum(at - rewards, 0.0)) / float(weights.sum())
    return at - short / probability


def _weighted(sample: WeightedSample) -> Floats:
    if not sample.weights.any():
        raise ValueError("no sample has weight: the target takes none of the logged actions; ask for the support first")
    return sample.weights


def _inside(probability: float) -> None:
    if not 0 < probability < 1:
        raise ValueError(f"probability must be inside (0, 1) but is {probability}; 0.1 is the worst tenth")
