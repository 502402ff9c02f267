"""The model behind a risk score, as data: what was fitted elsewhere is evaluated here, the same everywhere.

Source: Urabrask v0.1a: P(failure) from a gradient-boosted tree, or a logistic regression, over the flattened WEP.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final, Literal, final

import numpy as np
from pydantic import Field

from domain.blueprint import WEP
from domain.values import Value

OUTLYING: Final = 8.0
"""Scales from its mean at which a feature counts no further: an exploded gradient must not drown everything else."""


@final
class Tree(Value):
    """One regression tree as parallel columns, node 0 its root. A leaf has feature -1."""

    features: tuple[int, ...]
    thresholds: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    values: tuple[float, ...]

    def value(self, features: tuple[float, ...]) -> float:
        """Value of the leaf that the features lead to: left where a feature is at most the threshold."""
        at = 0
        while self.features[at] >= 0:
            is_left = features[self.features[at]] <= self.thresholds[at]
            at = self.left[at] if is_left else self.right[at]
        return self.values[at]


@final
class RiskModel(Value):
    """Log-odds of failing from the features of a WEP: logistic at first, boosted trees once there is data."""

    kind: Literal["logistic", "boosted"]
    features: tuple[str, ...]
    """Keys of the WEP, in order."""
    means: tuple[float, ...]
    scales: tuple[float, ...]
    """Each feature is (value - mean) / scale; one that a WEP lacks is 0 then."""
    coefficients: tuple[float, ...] = ()
    """Of a logistic model."""
    intercept: float = 0.0
    """Log-odds where every feature is at its mean; of boosted trees the start of the sum."""
    trees: tuple[Tree, ...] = ()
    learning_rate: float = 0.0
    samples: int = Field(default=0, ge=0)
    """Outcomes that it was fitted to; 0 for the prior."""
    auc: float | None = None
    """Area under the ROC curve, cross-validated; None where it cannot be said."""

    @property
    def digest(self) -> str:
        """SHA-256 of the model: its version."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def standardised(self, wep: WEP) -> tuple[float, ...]:
        """The features of a profile in scales from their means, within ``OUTLYING``; one that it lacks is 0."""
        known = dict(wep)
        return tuple(
            min(max((known[name] - mean) / scale, -OUTLYING), OUTLYING) if name in known else 0.0
            for name, mean, scale in zip(self.features, self.means, self.scales, strict=True)
        )

    def log_odds(self, wep: WEP) -> float:
        """Logarithm of the odds of failing."""
        features = self.standardised(wep)
        if self.kind == "logistic":
            pairs = zip(self.coefficients, features, strict=True)
            return self.intercept + math.fsum(coefficient * feature for coefficient, feature in pairs)
        # Trees are grown on float32, and a threshold may fall between a float64 and its float32.
        narrow = tuple(float(np.float32(feature)) for feature in features)
        return self.intercept + self.learning_rate * math.fsum(tree.value(narrow) for tree in self.trees)

    def score(self, wep: WEP) -> float:
        """P(failure), [0, 1]."""
        odds = self.log_odds(wep)
        return 1.0 / (1.0 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1.0 + math.exp(odds))
