"""The shaped reward."""

from __future__ import annotations

import math

import pytest

from domain.lifecycle import Outcome
from domain.reward.shaped import outcome_reward, parameter_growth_ratio, shaped_reward


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.FOSSILIZED, 1.0),
        (Outcome.CULLED, -0.5),
        (Outcome.ROLLED_BACK, -1.0),
        (Outcome.CANCELLED, -0.1),
        (None, 0.0),
    ],
)
def test_the_outcome_decides_most_of_the_reward(outcome: Outcome | None, expected: float) -> None:
    assert outcome_reward(outcome) == expected
    assert shaped_reward(outcome, health_improvement=0.0, latency_increase=0.0, growth_ratio=0.0) == expected


def test_health_is_rewarded_and_latency_and_growth_are_not() -> None:
    reward = shaped_reward(Outcome.FOSSILIZED, health_improvement=0.4, latency_increase=2.0, growth_ratio=3.0)

    assert reward == pytest.approx(0.04 - 0.1 + 1.0 - 0.03, abs=1e-15)


def test_growth_is_a_share_of_what_there_was() -> None:
    assert parameter_growth_ratio(100, 150) == 0.5
    assert parameter_growth_ratio(150, 75) == -0.5
    assert parameter_growth_ratio(0, 0) == 0.0
    assert parameter_growth_ratio(0, 1) == math.inf


def test_what_could_not_be_measured_has_no_reward() -> None:
    assert math.isnan(shaped_reward(None, health_improvement=math.nan, latency_increase=0.0, growth_ratio=0.0))
