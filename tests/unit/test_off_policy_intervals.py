"""Intervals. What share of the time they hold the truth is measured in tests/benchmarks/covering.py."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import f as f_distribution

from engine.evaluation.off_policy.intervals import betting, cressie_read, empirical_bernstein, ratio_bootstrap
from engine.evaluation.off_policy.samples import Estimate, WeightedSample


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def bandit(n: int, seed: int, *, actions: int = 6, model: bool = False) -> WeightedSample:
    """A uniform behaviour and a target that always takes action 0: weights 0 and ``actions``; its value is 0.7."""
    draw = generator(seed)
    chosen = draw.integers(actions, size=n)
    rewards = (draw.random(n) < np.where(chosen == 0, 0.7, 0.3)).astype(float)
    return WeightedSample(
        weights=np.where(chosen == 0, float(actions), 0.0),
        rewards=rewards,
        low=0.0,
        high=1.0,
        weight_max=float(actions),
        baseline=np.full(n, 0.6) if model else None,
        predicted=np.where(chosen == 0, 0.6, 0.3) if model else None,
    )


METHODS: dict[str, Callable[[WeightedSample], Estimate]] = {
    "Cressie-Read": cressie_read,
    "ratio bootstrap": lambda sample: ratio_bootstrap(sample, generator(), resamples=200),
    "empirical Bernstein": empirical_bernstein,
    "betting": betting,
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("model", [False, True])
def test_an_interval_lies_in_the_bounds_around_its_value_and_shrinks_with_samples(name: str, *, model: bool) -> None:
    few, many = METHODS[name](bandit(300, 1, model=model)), METHODS[name](bandit(30_000, 1, model=model))

    for found in (few, many):
        assert found.method == name
        assert found.level == 0.95
        assert 0.0 <= found.low <= found.value <= found.high <= 1.0
        assert found.covers(0.7)
    assert many.width < 0.5 * few.width


@pytest.mark.parametrize("name", METHODS)
def test_an_interval_tells_the_target_from_the_behaviour(name: str) -> None:
    """Teeth: with weights of 1, which is what the behaviour itself is worth, 0.7 is outside."""
    logged = bandit(30_000, 2)
    itself = WeightedSample.of_terms(logged.rewards, low=0.0, high=1.0)

    assert not METHODS[name](itself).covers(0.7)
    assert METHODS[name](itself).covers(0.7 / 6 + 0.3 * 5 / 6)


def test_cressie_read_is_what_a_numerical_search_over_reweightings_finds() -> None:
    """The closed form against scipy: least value of (samples + one unseen) under the constraints and the budget."""
    weights = np.array([0.5, 1.5, 0.0, 2.0, 0.25, 1.0, 0.75, 1.25])
    rewards = np.array([1.0, 0.5, 0.25, 0.75, 0.0, 1.0, 0.5, 0.25])
    sample = WeightedSample(weights=weights, rewards=rewards, low=0.0, high=1.0, weight_max=4.0)
    n = weights.size
    tried = [0.0, 4.0, *np.geomspace(1.0, 4.0, 12)]

    def cost_of(unseen: float) -> float:
        atoms = np.append(weights, unseen)
        # The cheapest change of weights that makes the mean weight 1, solved as least squares.
        rows = np.stack([np.ones(n + 1), atoms])
        change = np.linalg.lstsq(rows, np.array([0.0, (n + 1) - atoms.sum()]), rcond=None)[0]
        return float((change**2).mean())

    def least(unseen: float, reward: float, sign: float, budget: float) -> float:
        atoms, values = np.append(weights, unseen), sign * np.append(weights * rewards, unseen * reward)
        found = minimize(
            lambda p: float((p * values).mean()),
            np.ones(n + 1),
            jac=lambda p: values / (n + 1),
            constraints=[
                {"type": "eq", "fun": lambda p: p.mean() - 1},
                {"type": "eq", "fun": lambda p: (p * atoms).mean() - 1},
                {"type": "ineq", "fun": lambda p: budget - float(((p - 1) ** 2).mean())},
            ],
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 500},
        )
        return sign * float(found.fun)

    budget = cost_of(4.0 if weights.sum() < n else 0.0) + float(f_distribution.isf(0.05, 1, n)) / (n + 1)
    low = min(least(u, 0.0, 1.0, budget) for u in tried if cost_of(u) <= budget)
    high = max(least(u, 1.0, -1.0, budget) for u in tried if cost_of(u) <= budget)
    found = cressie_read(sample)

    assert found.low == pytest.approx(max(low, 0.0), abs=1e-6)
    assert found.high == pytest.approx(min(high, 1.0), abs=1e-6)


def test_an_unknown_largest_weight_is_the_limit_of_a_large_one_and_costs_width() -> None:
    known = bandit(400, 3)
    open_ended = WeightedSample(weights=known.weights, rewards=known.rewards, low=0.0, high=1.0)
    huge = WeightedSample(weights=known.weights, rewards=known.rewards, low=0.0, high=1.0, weight_max=1e8)

    assert cressie_read(open_ended).width > cressie_read(known).width
    assert cressie_read(open_ended).low == pytest.approx(cressie_read(huge).low, abs=1e-4)


def test_a_rare_action_that_decides_everything_is_within_the_interval_though_it_was_not_seen() -> None:
    """Behaviour 1/60, target 3/10, worth 0; 20 samples without it all earned 1. The truth is 0.7."""
    unseen = WeightedSample(weights=np.full(20, 0.7 / (59 / 60)), rewards=np.ones(20), low=0.0, high=1.0)

    assert cressie_read(unseen).covers(0.7)
    assert not ratio_bootstrap(unseen, generator()).covers(0.7), "which is why it is not the default"


@given(st.floats(-50, 50), st.floats(0.1, 20))
def test_intervals_move_and_stretch_with_the_reward(shift: float, scale: float) -> None:
    plain = bandit(60, 4)
    moved = WeightedSample(
        weights=plain.weights,
        rewards=plain.rewards * scale + shift,
        low=shift,
        high=shift + scale,
        weight_max=plain.weight_max,
    )
    for name in ("Cressie-Read", "empirical Bernstein", "betting"):
        one, other = METHODS[name](plain), METHODS[name](moved)
        assert other.low == pytest.approx(one.low * scale + shift, abs=1e-6 * (scale + abs(shift)))
        assert other.high == pytest.approx(one.high * scale + shift, abs=1e-6 * (scale + abs(shift)))


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(-1, 3)), min_size=2, max_size=12),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_whatever_was_logged_every_interval_is_in_order(pairs: list[tuple[float, float]], level: float) -> None:
    weights, rewards = (np.array(part) for part in zip(*pairs, strict=True))
    sample = WeightedSample(weights=weights, rewards=rewards, low=-1.0, high=3.0, weight_max=50.0)
    found = [
        cressie_read(sample, level=level),
        ratio_bootstrap(sample, generator(), level=level, resamples=100),
        empirical_bernstein(sample, level=level),
        betting(sample, level=level),
    ]

    for one in found:
        assert -1.0 <= one.low <= one.value <= one.high <= 3.0


@pytest.mark.parametrize("name", ["Cressie-Read", "empirical Bernstein", "betting"])
def test_more_confidence_is_a_wider_interval(name: str) -> None:
    method: Any = {"Cressie-Read": cressie_read, "empirical Bernstein": empirical_bernstein, "betting": betting}[name]
    widths = [method(bandit(3000, 5), level=level).width for level in (0.5, 0.9, 0.99)]

    assert all(one < other for one, other in itertools.pairwise(widths))


def test_empirical_bernstein_is_by_hand() -> None:
    terms = np.array([0.0, 0.25, 0.5, 1.0] * 50)
    found = empirical_bernstein(WeightedSample.of_terms(terms, low=0.0, high=1.0))
    logarithm = math.log(2 / 0.025)
    half = math.sqrt(2 * terms.var(ddof=1) * logarithm / 200) + 7 * logarithm / (3 * 199)

    assert found.low == pytest.approx(terms.mean() - half, abs=1e-8)
    assert found.high == pytest.approx(terms.mean() + half, abs=1e-8)


def test_the_bootstrap_repeats_itself_from_an_equal_generator() -> None:
    sample = bandit(50, 6)

    assert ratio_bootstrap(sample, generator(1)) == ratio_bootstrap(sample, generator(1))
    assert ratio_bootstrap(sample, generator(1)) != ratio_bootstrap(sample, generator(2))


def test_a_betting_interval_is_never_wrong_at_any_time_more_often_than_it_says() -> None:
    """300 sequences looked at after 20, 40, ... 200 samples; ever missing the truth happens in under 5 % of them."""
    missed = 0
    for seed in range(300):
        full = bandit(200, seed)
        looks = (
            WeightedSample(weights=full.weights[:n], rewards=full.rewards[:n], low=0.0, high=1.0)
            for n in range(20, 201, 20)
        )
        missed += any(not betting(look).covers(0.7) for look in looks)

    assert missed / 300 <= 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.array([1.0])}, "needs at least 2 samples but got 1"),
        ({"weights": np.array([1.0, -1.0])}, "weight of sample 1 is -1.0 but its bounds are 0.0 and inf"),
        ({"rewards": np.array([0.0, 2.0])}, "reward of sample 1 is 2.0 but its bounds are 0.0 and 1.0; widen"),
        ({"rewards": np.array([0.0, np.nan])}, "the reward of sample 1 is nan but must be finite"),
        ({"low": 1.0}, "reward bounds must be finite and in order but are 1.0 and 1.0"),
        ({"weight_max": 0.5}, "weight bounds must enclose 1, the true mean, but are 0.0 and 0.5"),
        ({"baseline": np.zeros(2)}, "needs both baseline and predicted but one is missing"),
        ({"baseline": np.zeros(2), "predicted": np.full(2, 7.0)}, "predicted of sample 0 is 7.0 but its bounds"),
    ],
)
def test_a_sample_that_no_interval_fits_is_refused(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"weights": np.ones(2), "rewards": np.array([0.0, 1.0]), "low": 0.0, "high": 1.0}
    if "weights" in changes:
        fields["rewards"] = np.zeros(len(changes["weights"]))

    with pytest.raises(ValueError, match=message):
        WeightedSample(**(fields | changes))


def test_levels_and_missing_bounds_are_refused() -> None:
    sample = WeightedSample(weights=np.ones(2), rewards=np.zeros(2), low=0.0, high=1.0)

    with pytest.raises(ValueError, match=r"level must be inside \(0, 1\) but is 95"):
        cressie_read(sample, level=95)
    with pytest.raises(ValueError, match="needs the largest possible weight; give weight_max or use cressie_read"):
        empirical_bernstein(sample)
    with pytest.raises(ValueError, match="resamples must be at least 100 but is 10"):
        ratio_bootstrap(sample, generator(), resamples=10)
