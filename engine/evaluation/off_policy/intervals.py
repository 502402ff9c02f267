"""Intervals on an off-policy value. Cressie-Read is the default; the others are there to compare with.

Every interval lies inside the bounds of the reward, is valid for independent samples, and has the self-normalised
estimate, moved into the interval where it lies outside, as its value. To add a method: a function from a
``WeightedSample`` to an ``Estimate``, and a line in tests/benchmarks/covering.py, which measures what it holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from engine.evaluation.off_policy.samples import Estimate, Floats, WeightedSample

LEVEL: Final = 0.95
RESAMPLES: Final = 1000
"""Of the bootstrap."""
UNSEEN_WEIGHTS: Final = 12
"""How many weights the unseen sample is tried at between 1 and the largest, beside both bounds."""
BET_MAX: Final = 0.5
"""The largest share of the capital that the betting interval stakes, inside (0, 1)."""
BISECTIONS: Final = 50
ROUNDING: Final = 1e-9
"""Of the reward's span: ends are moved outward by so much, for bounds that the truth meets exactly."""
FLAT: Final = 1e-12
"""Weights of less variance than this are constant."""
CHUNK: Final = 1 << 20
"""Numbers that the bootstrap holds at once."""


def cressie_read(sample: WeightedSample, *, level: float = LEVEL) -> Estimate:
    """Empirical likelihood under ``E[w] = 1`` with the Cressie-Read divergence of power -2, which has a closed form.

    The lower end is the least value of any reweighting q of the n samples and one unseen sample (w, low), so N = n + 1,
    with ``sum q = 1``, ``sum q w = 1`` and ``mean (N q - 1)^2 <= (F + d) / N``, where d is what the constraints cost at
    their cheapest and F the ``level`` quantile of F(1, n) (not chi-squared, which covers too little for small n).
    Source: Karampatziakis, Langford and Mineiro (2020), "Empirical likelihood for contextual bandits", §4 and
    appendix. Beyond the source, the unseen sample is tried at weights between the bounds too: only the bounds, its
    choice, covered 27 % where the target's rewards hang on an action seldom logged and the largest weight is unknown.

    Raises ValueError for a level outside (0, 1).
    """
    alpha = _alpha(level)
    from scipy.special import fdtri

    quantile = float(fdtri(1, sample.count, 1 - alpha))
    return _two_sided(sample, lambda side: _least_likely(side, quantile), level, "Cressie-Read")


def ratio_bootstrap(
    sample: WeightedSample, generator: np.random.Generator, *, level: float = LEVEL, resamples: int = RESAMPLES
) -> Estimate:
    """Percentiles of the self-normalised estimate over samples drawn again, with replacement, from ``generator``.

    A drawn sample without weight says nothing and counts at the reward's bound. Covers too little at small effective
    sample sizes: it cannot imagine weights that were not seen. Source: Efron (1979); Hesterberg (1995) for ratios.
    Raises ValueError for a level outside (0, 1) or fewer than 100 resamples.
    """
    alpha = _alpha(level)
    if resamples < 100:
        raise ValueError(f"resamples must be at least 100 but is {resamples}; 1000 serve a 95 % interval")
    drawn = _bootstrapped(sample, generator, resamples)
    low = float(np.quantile(np.where(np.isnan(drawn), sample.low, drawn), alpha / 2))
    high = float(np.quantile(np.where(np.isnan(drawn), sample.high, drawn), 1 - alpha / 2))
    return _estimate(sample, low, high, level, "ratio bootstrap")


def empirical_bernstein(sample: WeightedSample, *, level: float = LEVEL) -> Estimate:
    """``mean - sqrt(2 V ln(2/d) / n) - 7 b ln(2/d) / (3 (n - 1))`` for terms in [0, b], at d = (1 - level) / 2 a side.

    Holds for every n, and is wide. Source: Maurer and Pontil (2009), theorem 4. Raises ValueError for a level outside
    (0, 1) or an unknown largest weight.
    """
    logarithm = math.log(4 / _alpha(level))
    if math.isinf(sample.weight_max):
        raise ValueError("empirical Bernstein needs the largest possible weight; give weight_max or use cressie_read")

    def lower(side: WeightedSample) -> float:
        terms, offset = side.raised()
        n, top = side.count, side.raised_max()
        spread = math.sqrt(2 * float(terms.var(ddof=1)) * logarithm / n)
        return offset + float(terms.mean()) - spread - 7 * top * logarithm / (3 * (n - 1))

    return _two_sided(sample, lower, level, "empirical Bernstein")


def betting(sample: WeightedSample, *, level: float = LEVEL) -> Estimate:
    """The last interval of a confidence sequence: valid however often it is looked at, and for unbounded weights.

    Someone bets against each mean m with terms X >= 0 in their order, ``K_t = K_{t-1} (1 + lambda_t (X_t - m))`` with
    ``lambda_t = min(sqrt(2 ln(2/a) / (v_{t-1} t ln(1 + t))), 1 / (2 m))``, a = 1 - level and v the variance so far; a
    mean against which the capital ever reached 2/a is outside. Bets on n samples in all would be narrower, and void as
    soon as the log grows. Source: Waudby-Smith and Ramdas (2024), "Estimating means
    of bounded random variables by betting", theorem 3 and eq. 26, one capital process a side as in Waudby-Smith et al.
    (2022), "Anytime-valid off-policy inference", §2. Raises ValueError for a level outside (0, 1).
    """
    goal = math.log(2 / _alpha(level))
    return _two_sided(sample, lambda side: _outbet(side, goal), level, "betting")


def _alpha(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be inside (0, 1) but is {level}; 0.95 is the usual one")
    return 1 - level


def _two_sided(sample: WeightedSample, lower: Callable[[WeightedSample], float], level: float, method: str) -> Estimate:
    """Both ends from one rule for lower ends: the upper one is its answer to the mirrored sample."""
    return _estimate(sample, lower(sample), -lower(sample.mirrored()), level, method)


def _estimate(sample: WeightedSample, low: float, high: float, level: float, method: str) -> Estimate:
    rounding = ROUNDING * sample.span
    low, high = sample.within(low - rounding), sample.within(high + rounding)
    # The two sides can cross where the sample contradicts E[w] = 1: all values between stay possible then.
    low, high = min(low, high), max(low, high)
    value = min(max(sample.self_normalised(), low), high)
    return Estimate(value=value, low=low, high=high, level=level, method=method)


def _least_likely(sample: WeightedSample, quantile: float) -> float:
    terms, offset = sample.raised()
    weights, n = sample.weights, sample.count
    top = min(sample.weight_max, n * max(1.0, float(weights.max())))
    unseen = np.array([sample.weight_min, sample.weight_max, *np.geomspace(1.0, top, UNSEEN_WEIGHTS)])
    cost, centre, spread = _reweighted(terms, weights, unseen)
    cheapest = cost[1] if float(weights.sum()) < n else cost[0]  # what restores a mean weight of 1 at the least cost
    slack = cheapest + quantile / (n + 1) - cost
    ends = np.where(slack < 0, np.inf, centre - np.sqrt(np.maximum(slack, 0) * spread))
    return offset + float(ends.min())


def _reweighted(terms: Floats, weights: Floats, unseen: Floats) -> tuple[Floats, Floats, Floats]:
    """For an unseen sample (weight, term 0) at each weight: cost of the constraints, mean under them, variance left.

    Least squares: the terms regressed on the weights, read off at a weight of 1. An infinite weight is the limit, a
    sample that takes up missing weight but no probability.
    """
    n = weights.size
    total = n + 1
    known = np.where(np.isinf(unseen), 0.0, unseen)
    own_w, own_x = float(weights.mean()), float(terms.mean())
    mean_w = (n * own_w + known) / total
    mean_x = n * own_x / total
    # Sums of squares about the means with the unseen sample, from those about the means without it.
    variance = (n * float(weights.var()) + n * (own_w - mean_w) ** 2 + (known - mean_w) ** 2) / total
    own_covariance = float((weights - own_w) @ (terms - own_x))
    covariance = own_covariance + n * (own_w - mean_w) * (own_x - mean_x) - (known - mean_w) * mean_x
    flat = variance < FLAT
    variance = np.where(flat, 1.0, variance)
    slope = np.where(flat, 0.0, covariance / total / variance)
    cost = np.where(flat, 0.0, (1 - mean_w) ** 2 / variance)
    centre = mean_x + slope * (1 - mean_w)
    spread_x = float(((terms - mean_x) ** 2).sum() + mean_x**2) / total
    spread = np.maximum(spread_x - slope**2 * variance, 0.0)
    limit = np.isinf(unseen)
    return (
        np.where(limit, 1 / n, cost),
        np.where(limit, terms.mean(), centre),
        np.where(limit, terms.var() * n / total, spread),
    )


def _bootstrapped(sample: WeightedSample, generator: np.random.Generator, resamples: int) -> Floats:
    """The self-normalised estimate of each drawn sample, NaN where it has no weight, shape (resamples,)."""
    n = sample.count
    baseline = np.zeros(n) if sample.baseline is None else sample.baseline
    residual = sample.rewards if sample.predicted is None else sample.rewards - sample.predicted
    weighted = sample.weights * residual
    parts = []
    for start in range(0, resamples, step := max(1, CHUNK // n)):
        drawn = generator.integers(n, size=(min(step, resamples - start), n))
        total = sample.weights[drawn].sum(axis=1)
        ratio = weighted[drawn].sum(axis=1) / np.where(total > 0, total, np.nan)
        parts.append(baseline[drawn].mean(axis=1) + ratio)
    return np.concatenate(parts)


def _outbet(sample: WeightedSample, goal: float) -> float:
    """The largest mean against which the capital reached ``exp(goal)``. Capital falls as the mean rises: bisection."""
    terms, offset = sample.raised()
    scaled = terms / sample.span
    n = scaled.size
    # Guesses from before each sample: mean 1/2 and variance 1/4 count as one sample.
    mean = (0.5 + np.cumsum(scaled)) / (np.arange(n) + 2)
    variance = (0.25 + np.cumsum((scaled - mean) ** 2)) / (np.arange(n) + 2)
    before = np.concatenate(([0.25], variance[:-1]))
    steps = np.arange(1, n + 1)
    stakes = np.sqrt(2 * goal / (before * steps * np.log1p(steps)))

    def reached(m: float) -> bool:
        bets = np.minimum(stakes, BET_MAX / m)
        return bool(np.cumsum(np.log1p(bets * (scaled - m))).max() >= goal)

    low, high = 0.0, (sample.high - offset) / sample.span
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) else (low, middle)
    return offset + low * sample.span
