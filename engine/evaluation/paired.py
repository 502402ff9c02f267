"""The mean difference of two policies over the same run keys, and whether sharing the keys was worth anything.

Sharing a run key is not pairing: after their first different decision two runs decouple. So each difference states
what pairing gained, as measured, and falls back to the unpaired interval where it gained nothing.

Falling back whenever the measured gain is at most 1 would pick the shorter of two intervals after looking at both:
with a true correlation of -0.5 it covers 89 to 92 % instead of 95 %. Hence two precautions. A correlation too negative
to be chance (one-sided p < 0.2) keeps the paired interval, which is then the wider and the right one; and the unpaired
interval has no more degrees of freedom than the paired one would have.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from enum import StrEnum
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike

from domain.values import Value
from engine.evaluation.intervals import (
    RELATIVE_NOTHING,
    Group,
    Interval,
    Method,
    Numbers,
    freedom,
    interval_of_sum,
    mirrored,
    swapped,
)

OPPOSED_P: Final = 0.2
"""One-sided p-value of a negative correlation below which the two sides are taken to be really opposed."""


@final
class Pairing(StrEnum):
    """Which differences an interval is about."""

    PAIRED = "paired"
    OPPOSED = "paired, although it gained nothing: the two move against each other, and less would be too narrow"
    UNPAIRED = "unpaired: sharing run keys gained nothing"


@final
class Difference(Value):
    """The mean of ``a - b`` over run keys, with its interval and where that comes from."""

    estimand: str
    """What the number is about, in a sentence: "final accuracy from scratch, A minus B"."""
    mean: float
    low: float
    """-inf where there is no interval."""
    high: float
    level: float
    """Nominal coverage, (0, 1)."""
    pairs: int
    strata: int
    """Groups whose own means do not count as spread; 1 where a group had one pair and all were put together."""
    pairing: Pairing
    method: Method
    gain: float
    """Variance of the unpaired difference / variance of the paired one, [0, inf]; 1 where neither side varies."""
    correlation: float | None
    """Of the two sides within strata, [-1, 1]; None where a side does not vary."""
    failures: tuple[int, int]
    """Runs of either side that ended badly and count as what the caller said they are worth."""

    @property
    def shown(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def finite_scores(scores: ArrayLike, *, of: str, failed: float | None = None) -> tuple[Numbers, int]:
    """One-dimensional finite scores, and how many NaNs were replaced by ``failed``.

    Raises ValueError for infinities, for another shape, and for NaN (a run that ended badly) unless ``failed`` says
    what such a run is worth: dropping it would compare only the runs that went well.
    """
    values: Numbers = np.array(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores of {of} are one-dimensional but got shape {values.shape}")
    missing = np.isnan(values)
    if missing.any() and failed is None:
        raise ValueError(
            f"score {int(np.argmax(missing))} of {of} is NaN, a run that ended badly: say with failed= what it is "
            "worth, or leave its run key out on every side"
        )
    values[missing] = np.nan if failed is None else failed
    if not np.isfinite(values).all():
        raise ValueError(f"score {int(np.argmin(np.isfinite(values)))} of {of} is infinite: a mean needs finite scores")
    return values, int(missing.sum())


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    estimand: str,
    generator: np.random.Generator,
    level: float = 0.95,
    strata: Sequence[Hashable] | None = None,
    failed: float | None = None,
) -> Difference:
    """The mean of ``a - b``, shape (pairs,) each, where position i of both belongs to one run key.

    ``strata`` names the task or scenario of each pair: pairs are resampled within it, and every pair counts the same.
    ``failed`` is what a NaN counts as. ``generator`` serves the bootstrap; equal generators give equal results, which
    do not depend on the order of the pairs and change sign when ``a`` and ``b`` change places. Raises ValueError for
    sides of unequal length, no pairs, a level outside (0, 1), and as ``finite_scores``.
    """
    (left, failures_a), (right, failures_b) = (
        finite_scores(a, of="a", failed=failed),
        finite_scores(b, of="b", failed=failed),
    )
    if len(left) != len(right) or len(left) == 0:
        raise ValueError(f"pairs need both sides, one score per run key, but got {len(left)} and {len(right)} scores")
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval must be between 0 and 1 but got {level}")
    parts = _parts(len(left), strata)
    sides = _Sides(left, right, parts)
    pairing = sides.pairing()
    interval = sides.interval(pairing, level, generator)
    return Difference(
        estimand=estimand,
        mean=sides.mean,
        low=interval.low,
        high=interval.high,
        level=level,
        pairs=len(left),
        strata=len(parts),
        pairing=pairing,
        method=interval.method,
        gain=sides.gain,
        correlation=sides.correlation,
        failures=(failures_a, failures_b),
    )


def _parts(count: int, strata: Sequence[Hashable] | None) -> list[list[int]]:
    """Positions by stratum; all in one where a stratum has a single pair, whose spread nobody knows."""
    if strata is None:
        return [list(range(count))]
    if len(strata) != count:
        raise ValueError(f"every pair needs a stratum but got {len(strata)} strata for {count} pairs")
    found: dict[Hashable, list[int]] = {}
    for position, stratum in enumerate(strata):
        found.setdefault(stratum, []).append(position)
    parts = list(found.values())
    return [list(range(count))] if any(len(part) < 2 for part in parts) else parts


@final
class _Sides:
    """Both sides by stratum, and what their spreads are."""

    def __init__(self, left: Numbers, right: Numbers, parts: list[list[int]]) -> None:
        count = len(left)
        difference = left - right
        parts = sorted(parts, key=lambda part: (len(part), _content(difference[part])))
        largest = float(max(np.max(np.abs(left)), np.max(np.abs(right))))
        self._count = count
        self._nothing = (RELATIVE_NOTHING * largest) ** 2
        self._paired = [Group(len(part) / count, np.sort(difference[part])) for part in parts]
        self._left = [Group(len(part) / count, np.sort(left[part])) for part in parts]
        self._right = [Group(-len(part) / count, np.sort(right[part])) for part in parts]
        if count < 2:
            self._variances = (0.0, 0.0, 0.0)
        else:
            paired, one, other = (
                sum(group.variance for group in groups) for groups in (self._paired, self._left, self._right)
            )
            self._variances = (paired, one, other)

    @property
    def mean(self) -> float:
        return sum(group.mean for group in self._paired)

    @property
    def gain(self) -> float:
        paired, one, other = self._variances
        if one + other <= self._nothing:
            return 1.0
        return math.inf if paired <= self._nothing else (one + other) / paired

    @property
    def correlation(self) -> float | None:
        paired, one, other = self._variances
        if min(one, other) <= self._nothing:
            return None
        return max(-1.0, min(1.0, (one + other - paired) / (2 * math.sqrt(one * other))))

    def pairing(self) -> Pairing:
        if self.gain > 1 or self._variances[0] <= self._nothing:
            return Pairing.PAIRED
        return Pairing.OPPOSED if self._opposed() else Pairing.UNPAIRED

    def _opposed(self) -> bool:
        """Whether so negative a correlation would be unlikely by chance (Student's t of the correlation)."""
        from scipy import stats

        degrees = self._count - len(self._paired) - 1
        if self.correlation is None or degrees < 1:
            return False
        rest = max(1e-12, 1 - self.correlation**2)
        return bool(stats.t.cdf(self.correlation * math.sqrt(degrees / rest), degrees) < OPPOSED_P)

    def interval(self, pairing: Pairing, level: float, generator: np.random.Generator) -> Interval:
        if self._count < 2:
            return Interval(-math.inf, math.inf, Method.NOTHING)
        if self._variances[0] <= self._nothing:
            return Interval(self.mean, self.mean, Method.NO_SPREAD)
        sizes = [len(group.values) for group in self._paired]
        if pairing is Pairing.UNPAIRED:
            groups = self._left + self._right
            cap = freedom(self._paired)
            return interval_of_sum(groups, swapped(sizes, generator), level=level, freedom_max=cap)
        return interval_of_sum(self._paired, mirrored(sizes, generator), level=level)


def _content(difference: Numbers) -> tuple[float, ...]:
    """Orders strata whatever their names, the order of their pairs, which side is which and how far apart they are."""
    return tuple(np.sort(np.abs(difference - difference.mean())).tolist())
