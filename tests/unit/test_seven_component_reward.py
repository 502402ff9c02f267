"""The seven-component reward: each respect by its formula, horizons measured or expected, weights that learn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from domain.commands import GraftingStrategy, Reads
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.reward import components
from domain.reward.config import RewardConfig
from domain.reward.horizons import discounted, expected, impacts
from domain.reward.rewarding import Baseline, Condition, Opened, Past
from domain.reward.weights import FIRST_WEIGHTS, RESTING, learned
from domain.reward.worth import RewardComponent
from tests.support.headers import small_header
from tests.support.rewarded_runs import reward_of

HERE = SeedId(layer=0, index=0)
PLANTED, OTHER = BlueprintId("ab" * 32), BlueprintId("cd" * 32)
GATED = GraftingStrategy.GRAD_NORM_GATED
WELL = Condition(
    health=0.5,
    latency_ms=2.0,
    cache_hit_rate=0.5,
    gradient_health=0.8,
    training_stability=0.9,
    gradient_stability=0.9,
    problematic=(0,),
)


def opened(*, condition: Condition = WELL, **said: Any) -> Opened:
    """An adaptation of seed 0.0 in a network of accuracy 0.5 and 100 parameters."""
    known: dict[str, Any] = {
        "adaptation": AdaptationId(seed=HERE, attempt=1),
        "blueprint_id": PLANTED,
        "reads": Reads.LAYER,
        "grafting": GraftingStrategy.FIXED_RAMP,
        "confidence": 0.9,
        "urgency": 0.5,
        "germinated_at": 10,
        "accuracy": 0.5,
        "baseline": Baseline(0.5, 100.0, condition),
        "highest": 0.5,
        "epochs": 10,
    }
    return Opened(**(known | said))


def past(blueprint: BlueprintId = PLANTED, *, layer: int = 0, total: float = 1.0, confidence: float = 0.9) -> Past:
    return Past(layer, blueprint, confidence, 0.5, total)


def test_accuracy_is_relative_improvement_and_more_for_a_sure_and_pressing_decision() -> None:
    better = replace(WELL, health=0.6)

    assert components.accuracy(opened(), 0.6, better) == pytest.approx(0.2)
    assert components.accuracy(opened(urgency=0.6), 0.6, better) == pytest.approx(0.24)
    assert components.accuracy(opened(), 0.0, WELL) == -0.5, "a network that answers nothing right"
    assert components.accuracy(opened(baseline=Baseline(0.0, 1.0, WELL)), 0.9, WELL) == 0.5, "from nothing"


def test_speed_falls_with_latency_and_rises_with_the_cache() -> None:
    assert components.speed(opened(), replace(WELL, latency_ms=3.0)) == -0.25
    assert components.speed(opened(), replace(WELL, cache_hit_rate=0.75)) == 0.25
    assert components.speed(opened(), replace(WELL, latency_ms=99.0)) == -1.0


def test_memory_falls_with_parameters() -> None:
    assert components.memory(opened(), 150) == -0.5
    assert components.memory(opened(), 80) == pytest.approx(0.2)


def test_stability_loses_by_falls_faults_and_sick_gradients() -> None:
    calm = components.stability(opened(), WELL)

    assert calm == pytest.approx((1 + 0.9 + 0.9) / 3)
    assert components.stability(opened(fall=0.3), WELL) == pytest.approx(calm - 0.1)
    assert components.stability(opened(faults=3, faulty_epochs=2), WELL) == pytest.approx(calm - 0.5)
    assert components.stability(opened(), replace(WELL, gradient_health=0.4)) == pytest.approx(calm - 0.1)
    assert components.stability(opened(), replace(WELL, gradient_health=0.2)) == pytest.approx(calm - 0.3)


def test_a_graft_that_gradients_gate_is_a_fix_for_a_network_that_needs_one() -> None:
    def gains(condition: Condition) -> float:
        plain = opened(condition=condition, fall=0.9)
        return components.stability(replace(plain, grafting=GATED), WELL) - components.stability(plain, WELL)

    assert gains(WELL) == 0.0
    assert gains(replace(WELL, gradient_health=0.4)) == pytest.approx(0.2)
    assert gains(replace(WELL, training_stability=0.4)) == pytest.approx(0.2)


def test_growing_a_network_without_problems_on_a_guess_costs_stability_and_safety() -> None:
    healthy = replace(WELL, problematic=())
    guess = opened(condition=healthy, confidence=0.7)

    assert components.stability(guess, WELL) == pytest.approx(components.stability(opened(), WELL) - 0.2)
    assert components.safety_score(guess, None) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("said", "certified", "score"),
    [
        ({}, None, 0.9),
        ({"confidence": 0.4}, None, 0.7),
        ({"confidence": 0.6, "urgency": 0.9}, None, 0.6),
        ({"confidence": 0.4, "urgency": 0.9}, None, 0.4),
        ({}, 0.2, 0.69),
        ({}, 1.0, 0.93),
    ],
)
def test_safety_is_lost_by_doubt_haste_and_certified_risk(
    said: dict[str, float], certified: float | None, score: float
) -> None:
    assert components.safety_score(opened(**said), certified) == pytest.approx(score)
    assert components.safety(score) == pytest.approx(2 * (score - 0.5))


def test_innovation_is_what_was_seldom_planted_of_late() -> None:
    assert components.innovation(opened(), ()) == 0.1
    assert components.innovation(opened(), [past(OTHER)] * 4) == pytest.approx(0.3)
    assert components.innovation(opened(), [past(), past(OTHER)]) == pytest.approx(0.15)
    assert components.innovation(opened(), [past()] * 30 + [past(OTHER)] * 20) == pytest.approx(0.3)


def test_consistency_is_half_of_what_decisions_like_this_one_got() -> None:
    assert components.consistency(opened(), ()) == 0.0
    assert components.consistency(opened(), [past(total=0.6), past(total=0.2)]) == pytest.approx(0.2)
    assert components.consistency(opened(), [past(total=5.0)]) == 0.5
    assert components.similarity(opened(), past()) == pytest.approx(1.0)
    assert components.similarity(opened(), past(OTHER, layer=1)) == pytest.approx(0.4)
    unlike = past(OTHER, layer=1, confidence=0.0, total=5.0)
    assert components.consistency(opened(), [unlike]) == 0.0


def test_risk_is_doubt_haste_the_wrong_layer_and_how_much_was_asked() -> None:
    assert components.risk(opened(), 0.0) == 0.0
    assert components.risk(opened(confidence=0.6), 0.0) == pytest.approx(0.1)
    assert components.risk(opened(confidence=0.4, urgency=0.8), 0.0) == pytest.approx(0.7)
    assert components.risk(opened(condition=replace(WELL, problematic=(1,))), 0.5) == pytest.approx(0.35)
    assert components.risk(opened(confidence=0.1, urgency=1.0, condition=replace(WELL, problematic=(1,))), 1.0) == 1.0


def test_penalties_begin_where_safety_or_stability_lack() -> None:
    assert components.penalty(0.5, 0.3) == 0.0
    assert components.penalty(0.2, 0.3) == pytest.approx(-0.6)
    assert components.penalty(0.5, -0.7) == pytest.approx(-1.0)


def test_an_impact_is_measured_where_its_horizon_has_passed_and_else_expected() -> None:
    config = RewardConfig(short_epochs=3)
    told = impacts(config, (0.52, 0.9), accuracy_before=0.5, confidence=0.8, urgency=0.5, extent=0.25)

    assert [each.measured for each in told] == [True, True, False, False]
    assert [each.epochs for each in told] == [1, 3, 10, 20]
    assert told[0].impact == pytest.approx(0.2), "two hundredths, ten times"
    assert told[1].impact == 1.0
    assert told[2].impact == pytest.approx(0.4 * (0.6 + 0.24))
    assert told[3].impact == pytest.approx(0.4 * (0.4 + 0.1))
    assert discounted(told) == pytest.approx(0.2 + 0.9 + 0.8 * told[2].impact + 0.7 * told[3].impact)


def test_a_decision_promises_by_its_confidence() -> None:
    assert expected(0.0, 1.0, 1.0) == (0.0, 0.0, 0.0, 0.0)
    assert expected(1.0, 1.0, 1.0) == pytest.approx((0.65, 0.6, 0.45, 0.4))


def test_an_open_adaptation_notes_its_horizons_falls_and_gaps() -> None:
    """Epoch 12 is missing: a horizon that passed in it counts by the next one."""
    horizons = (("a", 1), ("b", 2), ("c", 3), ("d", 9))
    later = opened(epochs=0)
    for epoch, accuracy in ((11, 0.6), (13, 0.4), (14, 0.7)):
        later = later.after(epoch, accuracy, horizons)

    assert later.reached == (0.6, 0.4, 0.4)
    assert (later.highest, later.fall, later.epochs) == (0.7, pytest.approx(0.2), 3)


def test_weights_learn_from_what_agrees_with_the_reward() -> None:
    weights, steps = learned(FIRST_WEIGHTS, RESTING, reward_of(0.8, total=1.0, speed=-1.0), RewardConfig())

    assert math.fsum(weights) == pytest.approx(1.0)
    assert steps == pytest.approx((0.01 * 0.25 * 0.8, 0.0, 0.0, 0.01 * 0.2 * 0.2, 0.0, 0.0))
    assert weights[0] > FIRST_WEIGHTS[0]
    assert weights[1] < FIRST_WEIGHTS[1], "it kept still while others grew"
    _, again = learned(weights, steps, reward_of(-0.8, total=1.0), RewardConfig())
    assert again[0] == pytest.approx(0.9 * steps[0]), "momentum alone: the contribution disagrees"


def test_no_weight_falls_below_nothing() -> None:
    bad = reward_of(-1.0, total=-1.0, speed=-1.0, stability=-1.0)
    config = RewardConfig(learning_rate=1.0, momentum=0.9)
    weights, steps = FIRST_WEIGHTS, RESTING
    for _ in range(12):
        weights, steps = learned(weights, steps, bad, config)

    assert min(weights) == 0.0
    assert math.fsum(weights) == pytest.approx(1.0)


def test_horizons_that_do_not_grow_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"must grow from immediate to long but got \[1, 5, 5, 20\]"):
        RewardConfig(medium_epochs=5)


def test_a_header_says_nothing_of_rewards_as_they_come() -> None:
    """Digests of runs from before there were any stay what they were."""
    header = small_header()

    assert "rewards" not in header.model_dump_json()
    assert "rewards" in header.model_copy(update={"rewards": RewardConfig(short_epochs=4)}).model_dump_json()


def test_all_seven_respects_have_a_value() -> None:
    assert {name for name, _ in reward_of(0.1, total=0.1).components} == set(RewardComponent)
