from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tamiyo.bandit_settings import BanditSettings, SeedSelection
from domain.tamiyo.bandits import (
    UNBOUNDED,
    WAYS,
    Arms,
    Circumstances,
    epsilon_greedy,
    performance_weighted,
    round_robin,
    thompson,
    ucb,
)

NOW = Circumstances(epoch=10, urgency=0.5, settings=BanditSettings())


def arms(*, tried: list[int], won: list[int] | None = None, lost: list[int] | None = None, **more: list[float]) -> Arms:
    """Seeds of one layer; what is not said of them is nought."""
    count = len(tried)

    def column(values: list[float] | list[int] | None) -> np.ndarray:
        return np.array(values if values is not None else [0.0] * count, dtype=float)

    return Arms(
        germinations=column(tried),
        in_layer=np.full(count, float(sum(tried))),
        improvements=column(won),
        setbacks=column(lost),
        mean=column(more.get("mean")),
        score=column(more.get("score")),
    )


def test_ucb_adds_to_the_mean_what_the_seed_was_tried_less_than_others() -> None:
    scores, chances = ucb(arms(tried=[4, 1], mean=[0.1, 0.0]), NOW)

    assert scores.tolist() == pytest.approx([0.1 + math.sqrt(2 * math.log(5) / 4), math.sqrt(2 * math.log(5))])
    assert chances.tolist() == [0.0, 1.0]


def test_ucb_takes_what_was_never_tried_first() -> None:
    scores, chances = ucb(arms(tried=[1, 0, 0], mean=[9.0, 0.0, 0.0]), NOW)

    assert (scores[1], chances.tolist()) == (UNBOUNDED, [0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("won", "lost"),
    [([0, 0, 0], [0, 0, 0]), ([5, 2, 0], [1, 2, 0]), ([30, 25, 1], [20, 25, 0]), ([0, 80, 0], [90, 3, 0])],
)
def test_thompson_takes_each_seed_as_often_as_its_draw_is_the_largest(won: list[int], lost: list[int]) -> None:
    _, chances = thompson(arms(tried=[1, 1, 1], won=won, lost=lost), NOW)
    generator = np.random.Generator(np.random.PCG64(3))
    draws = generator.beta(np.array(won) + 1, np.array(lost) + 1, size=(40_000, 3))

    counted = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert chances == pytest.approx(counted, abs=0.01)


def test_thompson_knows_ten_thousand_seeds_that_were_never_tried_as_equals() -> None:
    _, chances = thompson(arms(tried=[0] * 10_000), NOW)

    assert chances == pytest.approx(np.full(10_000, 1e-4))


def test_epsilon_greedy_takes_any_now_and_then_and_less_as_epochs_pass() -> None:
    _, chances = epsilon_greedy(arms(tried=[1, 1], score=[0.1, 0.2]), NOW)

    epsilon = 0.1 * 0.995**10
    assert chances.tolist() == pytest.approx([epsilon / 2, 1 - epsilon / 2])


def test_performance_weighted_is_a_softmax_over_urgent_scores() -> None:
    weights, chances = performance_weighted(arms(tried=[1, 0], score=[0.4, 0.0]), NOW)

    assert weights.tolist() == pytest.approx([0.6, 0.1])
    assert chances[0] == pytest.approx(1 / (1 + math.exp(-0.5)))


def test_performance_weighted_without_temperature_takes_the_best() -> None:
    cold = Circumstances(10, 0.5, BanditSettings(temperature=0.0))

    assert performance_weighted(arms(tried=[1, 0], score=[0.01, 0.0]), cold)[1].tolist() == [0.0, 1.0]


def test_round_robin_goes_on_after_the_last_one_and_starts_over() -> None:
    chosen = [
        int(round_robin(arms(tried=[0, 0, 0]), Circumstances(0, 0.0, BanditSettings(), successor))[1].argmax())
        for successor in (0, 1, 2)
    ]

    assert chosen == [0, 1, 2]


@given(
    way=st.sampled_from(sorted(WAYS, key=lambda way: way.value)),
    seeds=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 60), st.integers(0, 60), st.floats(-1, 1)), min_size=1, max_size=6
    ),
)
def test_every_way_is_a_distribution_over_the_seeds_with_scores_that_are_numbers(
    way: SeedSelection, seeds: list[tuple[int, int, int, float]]
) -> None:
    tried, won, lost, values = (list(column) for column in zip(*seeds, strict=True))

    scores, chances = WAYS[way](arms(tried=tried, won=won, lost=lost, mean=values, score=values), NOW)

    assert np.isfinite(scores).all()
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)
