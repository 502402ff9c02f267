"""The model behind a risk score, as data: what was fitted elsewhere is evaluated here, the same everywhere.

Source: Urabrask v0.1a: P(failure) from a gradient-boosted tree, or a logistic regression, over the flattened WEP.
"""

from __future__ import annotations

import hashlib
from typing import Literal, final

from pydantic import Field

from domain.values import Value


@final
class Tree(Value):
    """One regression tree as parallel columns, node 0 its root. A leaf has feature -1."""

    features: tuple[int, ...]
    thresholds: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    values: tuple[float, ...]


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
