"""A learned guess at a blueprint's gain in accuracy: Bayesian linear regression on its features, one report at a time.

Posterior after each observation by the recursive least squares update; equal to ridge regression with penalty
(noise / prior)^2 over all of them. Source: Bishop, Pattern Recognition and Machine Learning, §3.3. Sums are exact
(``math.fsum``) rather than a linear algebra library's, whose last bits depend on the processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, final

from domain.karn.features import FEATURES
from domain.values import Value

PRIOR: Final = 0.2
"""Standard deviation of a weight before anything is known."""
NOISE: Final = 0.05
"""Standard deviation of one observed gain: five points."""

_D: Final = len(FEATURES)


@final
class LearnedReward(Value):
    """What is known of the weights: their mean and covariance."""

    weights: tuple[float, ...] = (0.0,) * _D
    covariance: tuple[float, ...] = tuple(PRIOR**2 * (i == j) for i in range(_D) for j in range(i + 1))
    """Lower triangle, row by row."""
    samples: int = 0
    """Gains that it learned from."""

    def predicted(self, seen: Sequence[float]) -> float:
        """Expected gain of what has these features, within [-1, 1]."""
        return max(-1.0, min(1.0, _dot(self.weights, seen)))

    def after(self, seen: Sequence[float], gain: float) -> LearnedReward:
        """With one gain more, [-1, 1]. One that is not a number teaches nothing."""
        if not math.isfinite(gain):
            return self
        rows = self._rows()
        turned = [_dot(row, seen) for row in rows]
        total = NOISE**2 + _dot(turned, seen)
        error = gain - _dot(self.weights, seen)
        return LearnedReward(
            weights=tuple(weight + step * error / total for weight, step in zip(self.weights, turned, strict=True)),
            covariance=tuple(rows[i][j] - turned[i] * turned[j] / total for i in range(_D) for j in range(i + 1)),
            samples=self.samples + 1,
        )

    def _rows(self) -> list[list[float]]:
        """The whole covariance."""
        at = self.covariance
        return [[at[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for j in range(_D)] for i in range(_D)]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))
