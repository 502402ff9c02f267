"""Rewards, formula and learned, against numbers that can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.library_events import certificate, report

from domain.commands import Reads
from domain.karn.features import FEATURES, features
from domain.karn.learned_reward import NOISE, PRIOR, LearnedReward
from domain.karn.operator_bandit import REFUSED, OperatorBandit, best
from domain.karn.reward_model import (
    ENERGY,
    FAILURE,
    LATENCY,
    LATENCY_SCALE,
    WEIGHTS,
    Terms,
    accuracy_of,
    certified_reward,
    foreseen,
    reward,
)
from domain.lifecycle import Outcome
from domain.urabrask.certificate import GAIN
from domain.urza.catalogue import INITIAL, registrations, residual_mlp
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.record import BlueprintRecord


def workhorse() -> tuple[BlueprintLibrary, BlueprintRecord]:
    library = BlueprintLibrary()
    for event in registrations():
        library = evolve(library, event)
    return library, library.by_name("residual_mlp")


def test_the_formula_weighs_its_terms_and_the_exotic_mode_doubles_novelty() -> None:
    terms = Terms(accuracy=0.1, latency=0.2, power=0.3, novelty=0.4)

    assert terms.reward() == pytest.approx(0.1 - 0.04 - 0.03 + 0.08)
    assert terms.reward(WEIGHTS.exotic()) == pytest.approx(0.1 - 0.04 - 0.03 + 0.16)


def test_the_workhorse_costs_a_tenth_of_each_scale() -> None:
    terms = foreseen(residual_mlp(32), Reads.BOTH, accuracy=0.0, novelty=0.0)

    assert (terms.latency, terms.power) == (pytest.approx(0.1), pytest.approx(0.1))
    assert terms.reward() == pytest.approx(-0.03)


def test_field_reports_count_before_the_certificate_and_that_before_the_estimate() -> None:
    library, record = workhorse()
    certified = replace(record, certificate=certificate().model_copy(update={"wep": ((GAIN, 0.3),)}))
    used = evolve(library, report(record.blueprint_id, Outcome.FOSSILIZED)).record(record.blueprint_id)

    assert accuracy_of(record) == 0.110
    assert accuracy_of(certified) == 0.3
    assert accuracy_of(replace(used, certificate=certified.certificate)) == 0.25
    assert reward(record) == pytest.approx(0.110 - 0.03)


def test_the_certified_reward_is_the_certificates_alone() -> None:
    library, record = workhorse()
    used = evolve(library, report(record.blueprint_id, Outcome.FOSSILIZED)).record(record.blueprint_id)
    wep = ((ENERGY, 0.0), (GAIN, 0.3), (LATENCY, LATENCY_SCALE / 2))
    certified = replace(used, certificate=certificate().model_copy(update={"wep": wep}))
    failed = replace(used, certificate=certificate(passed=False).model_copy(update={"wep": wep}))

    assert certified_reward(certified) == pytest.approx(0.3 - 0.2 * 0.5)
    assert certified_reward(failed) == pytest.approx(FAILURE - 0.2 * 0.5)


def test_what_the_model_learns_is_ridge_regression() -> None:
    random = np.random.Generator(np.random.PCG64(1))
    inputs = random.random((30, len(FEATURES)))
    gains = inputs @ random.normal(0, 0.1, len(FEATURES)) + random.normal(0, 0.01, 30)

    model = LearnedReward()
    for row, gain in zip(inputs.tolist(), gains.tolist(), strict=True):
        model = model.after(row, gain)

    penalty = (NOISE / PRIOR) ** 2
    ridge = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(len(FEATURES)), inputs.T @ gains)
    assert np.allclose(model.weights, ridge)
    assert model.samples == 30
    assert LearnedReward.model_validate_json(model.model_dump_json()) == model


def test_a_gain_that_is_not_a_number_teaches_nothing() -> None:
    assert LearnedReward().after((0.0,) * len(FEATURES), math.nan) == LearnedReward()


def test_features_stay_in_proportion() -> None:
    for graph, metadata in INITIAL:
        found = features(graph, metadata.default_reads)
        assert len(found) == len(FEATURES)
        assert all(0 <= value <= 1.5 for value in found)
    assert features(residual_mlp(8), Reads.BOTH, in_the_field=True)[-1] == 1.0


def test_the_bandit_tries_every_operator_then_prefers_what_pays() -> None:
    names, bandit, drafted = ("deepen", "prune", "widen"), OperatorBandit(), dict[str, int]()
    first = []
    for _ in names:
        first.append(best(bandit.scores(names, drafted)))
        drafted[first[-1]] = 1
    for _ in range(20):
        bandit = bandit.after("deepen", 0.0).after("prune", -0.1).after("widen", 0.1)

    assert sorted(first) == sorted(names)
    assert best(bandit.scores(names, {})) == "widen"
    assert bandit.mean("widen") == pytest.approx(2.0 / 21)
    assert bandit.mean("unheard") == 0.0


def test_a_reward_that_is_not_a_number_counts_as_a_refusal() -> None:
    assert OperatorBandit().after("prune", math.nan) == OperatorBandit().after("prune", REFUSED)
