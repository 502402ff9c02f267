"""What intervals are put on: rewards under importance weights, with their known bounds, and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def column(name: str, values: ArrayLike, samples: int | None = None) -> Floats:
    """Read-only finite float64, shape (n,). Raises ValueError for another shape or length, NaN or an infinity."""
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or (samples is not None and array.size != samples):
        wanted = "(n,)" if samples is None else f"({samples},)"
        raise ValueError(f"{name} has shape {array.shape} but must have {wanted}; give one number a sample")
    if not np.isfinite(array).all():
        index = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"{name} of sample {index} is {array[index]} but must be finite; leave that sample out")
    array.setflags(write=False)
    return array


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float
    level: float
    """Confidence, inside (0, 1)."""
    method: str

    @property
    def width(self) -> float:
        """``high - low``, at least 0."""
        return self.high - self.low

    def covers(self, truth: float) -> bool:
        """Whether ``truth`` lies inside, ends included."""
        return self.low <= truth <= self.high


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedSample:
    """n independent samples of the behaviour whose value under the target is ``E[baseline + weight (reward - predicted)]``.

    The mean weight is 1 in truth: that is what makes it off-policy, and Cressie-Read uses it. Without a reward model
    ``baseline`` and ``predicted`` are 0. Raises ValueError for fewer than 2 samples, negative weights, or anything
    outside the bounds given.
    """

    weights: Floats
    """Target over behaviour probability of what was chosen, [0, inf), shape (n,)."""
    rewards: Floats
    """Or returns, one an episode; [low, high], shape (n,)."""
    low: float
    """The least reward that is possible, known beforehand and not read off the sample."""
    high: float
    """The largest, above ``low``."""
    weight_max: float = math.inf
    """The largest weight that is possible, at least 1; infinite where unknown, which costs width."""
    weight_min: float = 0.0
    """The least, [0, 1]."""
    baseline: Floats | None = None
    """A reward model's mean under the target, [low, high], shape (n,); fitted on other data."""
    predicted: Floats | None = None
    """The model's reward of what was chosen, [low, high], shape (n,); given if and only if ``baseline`` is."""

    def __post_init__(self) -> None:
        """Raises ValueError as the class says."""
        weights = column("the weight", self.weights)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "rewards", column("the reward", self.rewards, weights.size))
        if weights.size < 2:
            raise ValueError(f"an interval needs at least 2 samples but got {weights.size}; record more")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"reward bounds must be finite and in order but are {self.low} and {self.high}")
        if not 0 <= self.weight_min <= 1 <= self.weight_max:
            raise ValueError(
                f"weight bounds must enclose 1, the true mean, but are {self.weight_min} and {self.weight_max}"
            )
        _inside("weight", weights, self.weight_min, self.weight_max)
        _inside("reward", self.rewards, self.low, self.high)
        if (self.baseline is None) != (self.predicted is None):
            raise ValueError("a reward model needs both baseline and predicted but one is missing; give both or none")
        for name, values in (("baseline", self.baseline), ("predicted", self.predicted)):
            if values is not None:
                object.__setattr__(self, name, column(f"the {name}", values, weights.size))
                _inside(name, np.asarray(values), self.low, self.high)

    @classmethod
    def of_terms(cls, terms: ArrayLike, *, low: float, high: float) -> WeightedSample:
        """Samples whose plain mean is the value, such as the terms of sequential DR, within known bounds."""
        values = column("the term", terms)
        return cls(weights=np.ones(values.size), rewards=values, low=low, high=high, weight_min=1.0, weight_max=1.0)

    @property
    def count(self) -> int:
        """n, at least 2."""
        return int(self.weights.size)

    @property
    def span(self) -> float:
        """``high - low``, above 0."""
        return self.high - self.low

    def raised(self) -> tuple[Floats, float]:
        """Terms of at least 0 and what to add to their mean to get the value: tight from below.

        ``weight (reward - low)``, plus ``low``: exact because the mean weight is 1. With a reward model the residual's
        least value is ``low - high``: ``(baseline - low) + weight (residual + high - low)``, plus ``2 low - high``.
        """
        if self.baseline is None or self.predicted is None:
            return self.weights * (self.rewards - self.low), self.low
        residual = self.rewards - self.predicted
        return (self.baseline - self.low) + self.weights * (residual + self.span), self.low - self.span

    def mirrored(self) -> WeightedSample:
        """The same with every reward negated: an upper bound is minus a lower bound of this."""
        return WeightedSample(
            weights=self.weights,
            rewards=-self.rewards,
            low=-self.high,
            high=-self.low,
            weight_max=self.weight_max,
            weight_min=self.weight_min,
            baseline=None if self.baseline is None else -self.baseline,
            predicted=None if self.predicted is None else -self.predicted,
        )

    def raised_max(self) -> float:
        """The largest value that a term of ``raised`` can take, above 0; may be infinite."""
        if self.baseline is None:
            return self.weight_max * self.span
        return self.span + self.weight_max * 2 * self.span

    def self_normalised(self) -> float:
        """``mean baseline + sum weight (reward - predicted) / sum weight``; the middle of the bounds without weight."""
        total = float(self.weights.sum())
        if total == 0:
            return (self.low + self.high) / 2
        baseline = 0.0 if self.baseline is None else float(self.baseline.mean())
        residual = self.rewards if self.predicted is None else self.rewards - self.predicted
        return self.within(baseline + float(self.weights @ residual) / total)

    def within(self, value: float) -> float:
        """``value``, no further out than the reward's bounds: the truth lies inside them."""
        return min(max(value, self.low), self.high)


def _inside(name: str, values: Floats, low: float, high: float) -> None:
    # A product of ratios may miss its own bound by rounding.
    slack = 1e-9 * max(1.0, abs(low), abs(high) if math.isfinite(high) else 1.0)
    outside = (values < low - slack) | (values > high + slack)
    if outside.any():
        index = int(np.argmax(outside))
        raise ValueError(
            f"{name} of sample {index} is {values[index]} but its bounds are {low} and {high}; widen the bounds"
        )
