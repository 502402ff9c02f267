"""The risk model: as data it says what scikit-learn says, and it learns from what became of blueprints."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import default_rng
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from domain.blueprint import WEP
from domain.events import BlueprintCertified, BlueprintRegistered, DomainEvent
from domain.lifecycle import Outcome
from domain.urabrask.certificate import CrucibleStage
from domain.urabrask.prior import PRIOR
from domain.urabrask.risk import OUTLYING, RiskModel
from domain.urza.commands import Certify, decide
from domain.urza.library import BlueprintLibrary, evolve
from engine.innovation import risk_fitting
from engine.innovation.risk_fitting import BOOSTED_FROM, FITTED_FROM, RiskSample, fitted, samples_of
from tests.support.library_events import certificate, register, report, small_id

FEW, MANY = 60, BOOSTED_FROM + 60


def samples(count: int) -> tuple[RiskSample, ...]:
    """Outcomes that depend on the gain and, not linearly, on the gradient's norm; some profiles are incomplete."""
    random = default_rng(7)
    found = []
    for number in range(count):
        gain, norm, depth = random.normal(0.1, 0.1), random.lognormal(1.0, 1.0), float(random.integers(1, 12))
        failed = gain + 0.05 * random.standard_normal() < 0.08 or 2.0 < norm < 4.0
        ending = (Outcome.CULLED, Outcome.ROLLED_BACK, CrucibleStage.ROBUSTNESS)[number % 3]
        wep: WEP = (("dynamic.gain", gain), ("robustness.max_gradient_norm", norm), ("static.graph_depth", depth))
        found.append(RiskSample(wep[: 2 + number % 2], ending if failed else Outcome.FOSSILIZED))
    return tuple(found)


def _by_scikit_learn(model: RiskModel, taken: tuple[RiskSample, ...]) -> list[float]:
    """Probabilities of a classifier of its own, fitted to what the model makes of the profiles."""
    features = np.array([model.standardised(sample.wep) for sample in taken])
    labels = [sample.failed for sample in taken]
    boosted = GradientBoostingClassifier(
        n_estimators=risk_fitting.TREES,
        max_depth=risk_fitting.DEPTH,
        learning_rate=risk_fitting.LEARNING_RATE,
        min_samples_leaf=risk_fitting.LEAF,
        random_state=0,
    )
    classifier = boosted if model.kind == "boosted" else LogisticRegression(max_iter=1000)
    classifier.fit(features, labels)
    return [float(value) for value in classifier.predict_proba(features)[:, 1]]


@pytest.mark.parametrize(("count", "kind"), [(FEW, "logistic"), (MANY, "boosted")])
def test_its_probabilities_are_those_of_scikit_learn(count: int, kind: str) -> None:
    taken = samples(count)
    model = fitted(taken)
    assert (model.kind, model.samples) == (kind, count)
    own = [model.score(sample.wep) for sample in taken]
    assert own == pytest.approx(_by_scikit_learn(model, taken), abs=1e-9)


def test_trees_learn_what_no_line_can_and_say_so_by_their_auc() -> None:
    straight, bent = fitted(samples(BOOSTED_FROM - 1)), fitted(samples(MANY))
    assert straight.auc is not None
    assert bent.auc is not None
    assert 0.6 < straight.auc < bent.auc


def test_equal_samples_give_equal_bytes_and_the_model_survives_json() -> None:
    model = fitted(samples(MANY))
    assert fitted(samples(MANY)).digest == model.digest
    assert RiskModel.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize(
    "taken", [(), samples(FITTED_FROM - 1), tuple(RiskSample(s.wep, Outcome.CULLED) for s in samples(FEW))]
)
def test_too_few_outcomes_leave_the_prior(taken: tuple[RiskSample, ...]) -> None:
    assert fitted(taken) == PRIOR


def test_a_feature_that_a_profile_lacks_counts_as_its_mean() -> None:
    assert PRIOR.score(()) == 0.5
    assert PRIOR.standardised((("dynamic.gain", 0.05),)) == (0.0,) * len(PRIOR.features)


def test_a_feature_that_never_varied_has_scale_one_and_no_say() -> None:
    taken = tuple(RiskSample((*each.wep, ("static.redundancy_score", 0.1)), each.ending) for each in samples(FEW))
    model = fitted(taken)
    at = model.features.index("static.redundancy_score")

    assert np.full(FEW, 0.1).std() > 0, "rounding alone makes it vary"
    assert model.scales[at] == 1.0
    assert model.score((("static.redundancy_score", 0.2),)) == pytest.approx(model.score(()), abs=1e-6)


def test_an_outlier_counts_no_further_than_the_limit() -> None:
    at = PRIOR.features.index("robustness.max_gradient_norm")
    wep = (("robustness.max_gradient_norm", 1e30),)
    assert PRIOR.standardised(wep)[at] == OUTLYING


def test_odds_beyond_floating_point_are_still_probabilities() -> None:
    certain = PRIOR.model_copy(update={"intercept": 5000.0})
    assert (certain.score(()), certain.model_copy(update={"intercept": -5000.0}).score(())) == (1.0, 0.0)


def test_the_prior_trusts_a_gain_and_doubts_a_placebo() -> None:
    risks = [PRIOR.score((("dynamic.gain", gain),)) for gain in (0.25, 0.15, 0.0)]
    assert risks == sorted(risks)
    assert risks[0] < 0.1 < risks[1] < 0.4 < risks[2]


def test_every_outcome_with_a_known_profile_is_a_sample() -> None:
    library, events = BlueprintLibrary(), list[DomainEvent]()
    for command in (
        register(1),
        Certify(blueprint_id=small_id(1), certificate=certificate()),
        register(2),
        Certify(blueprint_id=small_id(2), certificate=certificate(passed=False)),
        register(3),
    ):
        events.append(decide(library, command, epoch=1))
        library = evolve(library, events[-1])
    assert isinstance(events[0], BlueprintRegistered)
    assert isinstance(events[1], BlueprintCertified)
    reports = (report(small_id(1), Outcome.FOSSILIZED), report(small_id(1), Outcome.ROLLED_BACK))
    unknown = report(small_id(3), Outcome.CULLED)  # never certified: nothing is known of it
    found = samples_of((*events, *reports, unknown))
    assert [sample.ending for sample in found] == [CrucibleStage.STATIC, Outcome.FOSSILIZED, Outcome.ROLLED_BACK]
    assert [sample.failed for sample in found] == [True, False, True]
    assert all(math.isfinite(value) for sample in found for _, value in sample.wep)
