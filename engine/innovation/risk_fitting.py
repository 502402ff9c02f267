"""Fits the risk model to outcomes: logistic regression while they are few, gradient boosting once there is data.

Source: Urabrask v0.1a. Labels are binary: FOSSILIZED 0, CULLED and ROLLED_BACK 1, and a candidate that the crucible
failed 1; which of them it was stays in the sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from domain.blueprint import WEP
from domain.events import BlueprintCertified, BlueprintRegistered, DomainEvent, FieldReportFiled
from domain.identifiers import BlueprintId
from domain.lifecycle import Outcome
from domain.urabrask.certificate import CrucibleStage
from domain.urabrask.prior import PRIOR
from domain.urabrask.risk import RiskModel, Tree

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

FITTED_FROM: Final = 20
"""Samples from which anything is fitted; the prior stands until then."""
EACH_FROM: Final = 4
"""Samples of each label that a fit needs: a model that has seen no failure knows none."""
BOOSTED_FROM: Final = 200
"""Samples from which trees are boosted; with fewer they would learn the sample by heart."""
TREES: Final = 60
DEPTH: Final = 2
LEARNING_RATE: Final = 0.1
LEAF: Final = 5
"""Fewest samples in a leaf."""
FOLDS: Final = 5
TAIL: Final = 0.05
"""Share at each end of a feature's values that is pulled in before its mean and scale are taken."""


@final
@dataclass(frozen=True, slots=True)
class RiskSample:
    """A profile and what became of the blueprint."""

    wep: WEP
    ending: Outcome | CrucibleStage
    """How an adaptation with it ended, or the stage of the crucible that it failed."""

    @property
    def failed(self) -> bool:
        """The label."""
        return self.ending is not Outcome.FOSSILIZED


def samples_of(events: Iterable[DomainEvent]) -> tuple[RiskSample, ...]:
    """Every outcome among the events of a run that a profile is known for, in order.

    A field report counts with the profile that its blueprint had when it was filed.
    """
    profiles: dict[BlueprintId, WEP] = {}
    found: list[RiskSample] = []
    for event in events:
        if isinstance(event, BlueprintRegistered):
            profiles[event.blueprint_id] = event.metadata.urabrask.wep
        elif isinstance(event, BlueprintCertified):
            profiles[event.blueprint_id] = event.certificate.wep
            if event.certificate.failed_stage is not None:
                found.append(RiskSample(event.certificate.wep, CrucibleStage(event.certificate.failed_stage)))
        elif isinstance(event, FieldReportFiled) and profiles.get(event.report.blueprint_id):
            found.append(RiskSample(profiles[event.report.blueprint_id], event.report.outcome))
    return tuple(found)


def fitted(samples: Sequence[RiskSample]) -> RiskModel:
    """The model of these outcomes: equal samples in equal order give equal bytes on one machine. The prior where they are too few.

    Features that a profile lacks are taken to be at their mean.
    """
    labels = np.array([sample.failed for sample in samples], dtype=np.int64)
    rarer = min(int(labels.sum()), len(labels) - int(labels.sum()))
    if len(samples) < FITTED_FROM or rarer < EACH_FROM:
        return PRIOR
    is_boosted = len(samples) >= BOOSTED_FROM
    # Few samples cannot weigh more features than the prior does.
    names = sorted({key for sample in samples for key, _ in sample.wep}) if is_boosted else PRIOR.features
    bare = _centred(tuple(names), samples)
    features = np.array([bare.standardised(sample.wep) for sample in samples])
    classifier = (_boosted if is_boosted else _logistic)()
    folds = min(FOLDS, rarer)
    parts: dict[str, Any] = {"samples": len(samples), "auc": _auc(classifier, features, labels, folds)}
    classifier.fit(features, labels)
    parts |= _trees(classifier, labels) if is_boosted else _weights(classifier)
    return bare.model_copy(update=parts)


def _centred(names: tuple[str, ...], samples: Sequence[RiskSample]) -> RiskModel:
    """A model without an opinion, with mean and scale of each feature; a constant one has scale 1."""
    means, scales = [], []
    for name in names:
        values = np.array([value for sample in samples for key, value in sample.wep if key == name] or [0.0])
        inner = np.clip(values, *np.quantile(values, (TAIL, 1.0 - TAIL)))
        means.append(float(inner.mean()))
        scales.append(float(inner.std()) if inner.min() < inner.max() else 1.0)
    return RiskModel(kind="logistic", features=names, means=tuple(means), scales=tuple(scales))


def _logistic() -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000)


def _boosted() -> GradientBoostingClassifier:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=LEARNING_RATE, min_samples_leaf=LEAF, random_state=0
    )


def _auc(classifier: Any, features: NDArray[np.float64], labels: NDArray[np.int64], folds: int) -> float:
    """Area under the ROC curve of probabilities for samples that the model had not seen."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    split = StratifiedKFold(n_splits=folds, shuffle=True, random_state=0)
    unseen = cross_val_predict(classifier, features, labels, cv=split, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, unseen))


def _weights(classifier: Any) -> dict[str, Any]:
    return {
        "coefficients": tuple(float(value) for value in classifier.coef_[0]),
        "intercept": float(classifier.intercept_[0]),
    }


def _trees(classifier: Any, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Boosting starts from the log-odds of the labels; each tree then adds its value times the rate."""
    share = float(labels.mean())
    return {
        "kind": "boosted",
        "intercept": float(np.log(share / (1.0 - share))),
        "trees": tuple(_tree(entry.tree_) for entry in classifier.estimators_[:, 0]),
        "learning_rate": LEARNING_RATE,
    }


def _tree(grown: Any) -> Tree:
    return Tree(
        features=tuple(max(int(feature), -1) for feature in grown.feature),
        thresholds=tuple(float(threshold) for threshold in grown.threshold),
        left=tuple(int(child) for child in grown.children_left),
        right=tuple(int(child) for child in grown.children_right),
        values=tuple(float(value) for value in grown.value[:, 0, 0]),
    )
