"""What decisions and their outcomes have to do with each other. Source: the assessed correlation analysis, D9.

The source also correlates hashes of layer and request, which differ from process to process. A layer stands for itself
here, by its index; in place of the request stands how rash it was to ask for it (the reward's risk, which grows with the
size of the blueprint).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import numpy as np

from domain.analysis.outcomes import DecisionOutcome
from domain.reward.worth import RewardComponent
from domain.values import Value

WINDOW: Final = 100
"""Decisions that are looked at, the newest."""
SAMPLES_MIN: Final = 10
INFORMED_MIN: Final = 20
"""Decisions before mutual information says anything."""
SIGNIFICANT: Final = 0.05
CONFIDENCE_CUTS: Final = (0.3, 0.5, 0.7, 0.9)

FEATURES: Final[Mapping[str, Callable[[DecisionOutcome], float]]] = {
    "confidence": lambda it: it.confidence,
    "urgency": lambda it: it.urgency,
    "layer": lambda it: float(it.adaptation.seed.layer),
    "risk": lambda it: it.reward.risk,
}
"""What is looked at in a decision."""

OUTCOMES: Final = (
    RewardComponent.ACCURACY,
    RewardComponent.SPEED,
    RewardComponent.MEMORY,
    RewardComponent.STABILITY,
    RewardComponent.SAFETY,
)
"""What is looked at in its reward."""


@final
class Correlation(Value):
    """A feature of decisions and an outcome that go together, by Pearson's coefficient."""

    feature: str
    outcome: RewardComponent
    coefficient: float
    """[-1, 1]."""
    p_value: float
    """Probability of one as large by chance, [0, 1]."""
    samples: int


def correlations(decisions: Sequence[DecisionOutcome]) -> tuple[Correlation, ...]:
    """The pairs that go together significantly (p < 0.05) in the last 100 of ``decisions``, oldest first.

    Nothing below ten of them, nor of what never varied.
    """
    latest = decisions[-WINDOW:]
    if len(latest) < SAMPLES_MIN:
        return ()
    found = []
    outcomes = {outcome: [it.components[outcome] for it in latest] for outcome in OUTCOMES}
    for feature, of in FEATURES.items():
        asked = [of(it) for it in latest]
        for outcome, came in outcomes.items():
            pair = _correlation(feature, asked, outcome, came)
            if pair is not None and pair.p_value < SIGNIFICANT:
                found.append(pair)
    return tuple(found)


def _correlation(
    feature: str, asked: Sequence[float], outcome: RewardComponent, came: Sequence[float]
) -> Correlation | None:
    from scipy import stats

    if max(asked) - min(asked) < 1e-12 or max(came) - min(came) < 1e-12:
        return None
    result = stats.pearsonr(asked, came)
    return Correlation(
        feature=feature,
        outcome=outcome,
        coefficient=float(result.statistic),
        p_value=float(result.pvalue),
        samples=len(asked),
    )


def mutual_information(decisions: Sequence[DecisionOutcome]) -> float | None:
    """How much the confidence of the last 100 decisions tells of their success, in nats, from 0 to ln 2.

    Confidence counts by the bins between 0.3, 0.5, 0.7 and 0.9. None below twenty decisions.
    """
    from scipy import stats

    latest = decisions[-WINDOW:]
    if len(latest) < INFORMED_MIN:
        return None
    joint = np.zeros((len(CONFIDENCE_CUTS) + 1, 2))
    for it in latest:
        joint[int(np.digitize(it.confidence, CONFIDENCE_CUTS)), int(succeeded(it))] += 1.0
    joint /= len(latest)
    apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return max(float(stats.entropy(joint.ravel(), apart.ravel())), 0.0)


def succeeded(it: DecisionOutcome) -> bool:
    """Whether a decision was a success: accuracy above 0, speed above 0 or stability above 0.7."""
    said = it.components
    return (
        said[RewardComponent.ACCURACY] > 0.0
        or said[RewardComponent.SPEED] > 0.0
        or said[RewardComponent.STABILITY] > 0.7
    )
