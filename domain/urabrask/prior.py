"""The risk model before there is any outcome to fit one to. Source: Urabrask v0.1a, which starts with a logistic one.

The coefficients are judged, not fitted. A blueprint that gains 0.05 on the benchmark and is ordinary otherwise is as
likely to fail as not. What decides is the gain: 0.05 more of it takes one off the log-odds, so the workhorses of the
catalogue (gain 0.17) come out near 0.1, a gate that gains 0.1 near 0.3, and what gains nothing, linear maps and
placebos among it, at about 0.7 and more. Everything else moves the log-odds by a few tenths.
"""

from __future__ import annotations

from typing import Final

from domain.urabrask.certificate import GAIN
from domain.urabrask.risk import RiskModel

_TERMS: Final = (
    # feature, mean, scale, what one scale adds to the log-odds of failing
    ("dynamic.convergence_epochs", 30.0, 25.0, 0.2),
    (GAIN, 0.05, 0.05, -1.0),
    ("robustness.accuracy_on_corrupted_data", 0.7, 0.1, -0.3),
    ("robustness.adversarial_attack_success_rate", 0.25, 0.1, 0.3),
    ("robustness.gradient_variance", 0.1, 10.0, 0.2),
    ("robustness.max_gradient_norm", 5.0, 20.0, 0.3),
    ("static.graph_depth", 5.0, 15.0, 0.3),
    ("static.has_known_anti_patterns", 0.0, 1.0, 0.7),
    ("static.parameter_count", 500.0, 5000.0, 0.4),
    ("static.redundancy_score", 0.0, 0.5, 0.5),
)

PRIOR: Final = RiskModel(
    kind="logistic",
    features=tuple(name for name, _, _, _ in _TERMS),
    means=tuple(mean for _, mean, _, _ in _TERMS),
    scales=tuple(scale for _, _, scale, _ in _TERMS),
    coefficients=tuple(coefficient for _, _, _, coefficient in _TERMS),
)
"""Fitted to nothing."""
