from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.off_policy.exploration import Exploration
from engine.evaluation.off_policy.support import effective_sample_size


def simulated_share(question: Exploration, rate: float, episodes: int, seed: int) -> float:
    """Plays episodes: in each decision action 0 is the behaviour's choice, and 1 the target's where they differ."""
    generator = np.random.Generator(np.random.PCG64(seed))
    weights = np.ones(episodes)
    for decision in range(question.horizon):
        behaviour = np.full(question.actions, rate / question.actions)
        behaviour[0] += 1 - rate
        target = np.full(question.actions, question.target_rate / question.actions)
        target[1 if decision < question.differing else 0] += 1 - question.target_rate
        weights *= (target / behaviour)[generator.choice(question.actions, size=episodes, p=behaviour)]
    return effective_sample_size(weights) / episodes


@pytest.mark.parametrize(
    ("question", "rate"),
    [
        (Exploration(horizon=5, actions=3), 0.3),
        (Exploration(horizon=5, actions=3, differing=1), 0.5),
        (Exploration(horizon=4, actions=4, differing=2, target_rate=0.5), 0.6),
        (Exploration(horizon=8, actions=2, differing=3, target_rate=0.2), 0.7),
        (Exploration(horizon=3, actions=5, differing=1), 1.0),
    ],
)
def test_the_expected_share_is_what_simulated_episodes_have(question: Exploration, rate: float) -> None:
    assert simulated_share(question, rate, 200_000, 1) == pytest.approx(question.share(rate), rel=0.04)


def test_for_a_deterministic_target_the_share_is_the_chance_to_take_its_every_choice() -> None:
    question = Exploration(horizon=6, actions=4, differing=2)

    assert question.share(0.2) == pytest.approx(0.05**2 * 0.85**4)
    assert Exploration(horizon=6, actions=4).share(0.0) == 1.0
    assert question.share(0.0) == 0.0


def test_the_numbers_of_episodes_are_by_hand() -> None:
    question = Exploration(horizon=2, actions=2, differing=1)  # at rate 1/2: 1/4 * 3/4 = 3/16

    assert question.episodes(0.5, effective=30) == 160
    # 1.96 * 0.5 / 0.1 = 9.8: 96.04 effective ones, 512.2 episodes.
    assert question.episodes_for_width(0.5, width=0.2, spread=0.5) == 513


def test_more_differing_decisions_and_longer_horizons_need_more_exploration() -> None:
    rates = [Exploration(horizon=10, actions=3, differing=k).best_rate() for k in range(4)]

    assert rates == sorted(rates)
    assert rates[0] == 0.0
    assert Exploration(horizon=20, actions=3, differing=1).share(0.2) < Exploration(
        horizon=10, actions=3, differing=1
    ).share(0.2)


@given(
    horizon=st.integers(1, 12),
    actions=st.integers(2, 6),
    differing=st.integers(0, 3),
    target_rate=st.sampled_from([0.0, 0.1, 0.5]),
    effective=st.floats(1, 50),
)
def test_the_least_rate_gives_what_is_wanted_and_less_does_not(
    horizon: int, actions: int, differing: int, target_rate: float, effective: float
) -> None:
    question = Exploration(horizon=horizon, actions=actions, differing=min(differing, horizon), target_rate=target_rate)
    episodes = question.episodes(max(question.best_rate(), 1e-3), effective=effective) + 1
    rate = question.rate(episodes=episodes, effective=effective)

    assert episodes * question.share(rate) >= effective * (1 - 1e-9)
    assert rate == 0.0 or episodes * question.share(rate * 0.99) < effective
    assert 0 <= rate <= 1


@given(st.floats(0.0, 1.0), st.integers(1, 10), st.integers(2, 5))
def test_a_target_that_is_the_behaviour_wastes_nothing(rate: float, horizon: int, actions: int) -> None:
    assert Exploration(horizon=horizon, actions=actions, target_rate=rate).share(rate) == pytest.approx(1.0)


def test_what_no_rate_can_give_is_refused_with_what_the_best_one_gives() -> None:
    question = Exploration(horizon=10, actions=4, differing=5)

    with pytest.raises(
        ValueError, match=r"100 episodes hold .* at best, at rate 0\.\d+, but 30 are wanted; record \d+"
    ):
        question.rate(episodes=100, effective=30)
    with pytest.raises(ValueError, match="at exploration rate 0 the log never holds what the target does"):
        question.episodes(0.0, effective=30)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"horizon": 0, "actions": 2}, "horizon 0 must be at least 1 and actions 2 at least 2"),
        ({"horizon": 1, "actions": 1}, "count only decisions that leave a choice"),
        ({"horizon": 3, "actions": 2, "differing": 4}, r"differing is 4 but must lie in \[0, 3\]"),
        ({"horizon": 3, "actions": 2, "target_rate": 1.5}, r"target_rate is 1.5 but must lie in \[0, 1\]"),
    ],
)
def test_a_question_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Exploration(**fields)


def test_rates_and_wishes_out_of_range_are_refused() -> None:
    question = Exploration(horizon=3, actions=2)

    with pytest.raises(ValueError, match=r"an exploration rate must lie in \[0, 1\] but is 2"):
        question.share(2)
    with pytest.raises(ValueError, match="effective must be above 0"):
        question.episodes(0.5, effective=0)
    with pytest.raises(ValueError, match="width must be above 0 and finite but is inf"):
        question.episodes_for_width(0.5, width=math.inf, spread=1.0)
