from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from engine.evaluation.off_policy.risk import conditional_value_at_risk, probability_below, quantile
from engine.evaluation.off_policy.samples import WeightedSample


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def small() -> WeightedSample:
    """Under the target: 0.1 with 1/10, 0.2 with 4/10, 0.4 with 3/10, 0.8 with 2/10."""
    return WeightedSample(
        weights=np.array([1.2, 0.4, 0.8, 1.6]),
        rewards=np.array([0.4, 0.1, 0.8, 0.2]),
        low=0.0,
        high=1.0,
        weight_max=3.0,
    )


def shifted(n: int, seed: int) -> WeightedSample:
    """Behaviour N(0, 1), target N(1/2, 1), both folded into [0, 1] by the normal distribution function."""
    z = generator(seed).standard_normal(n)
    return WeightedSample(weights=np.exp(z / 2 - 1 / 8), rewards=norm.cdf(z), low=0.0, high=1.0)


def test_values_on_four_samples_are_by_hand() -> None:
    assert probability_below(small(), 0.4).value == pytest.approx(0.5)
    assert probability_below(small(), 0.41).value == pytest.approx(0.8)
    assert [quantile(small(), p).value for p in (0.05, 0.1, 0.3, 0.5, 0.6, 0.9)] == [0.1, 0.1, 0.2, 0.2, 0.4, 0.8]
    # The worst fifth: all of 0.1 and a quarter of 0.2.
    assert conditional_value_at_risk(small(), 0.2, generator()).value == pytest.approx((0.1 + 0.2) / 2)
    assert conditional_value_at_risk(small(), 0.05, generator()).value == pytest.approx(0.1)


def test_they_converge_to_what_the_target_has() -> None:
    sample = shifted(20_000, 1)
    tenth = float(norm.cdf(norm.ppf(0.1) + 0.5))
    grid = (np.arange(100_000) + 0.5) / 100_000 * 0.1

    below, median = probability_below(sample, tenth), quantile(shifted(2000, 1), 0.5)
    worst = conditional_value_at_risk(sample, 0.1, generator(), resamples=200)
    truth = float(norm.cdf(norm.ppf(grid) + 0.5).mean())
    assert below.covers(0.1)
    assert below.width < 0.02
    assert median.covers(float(norm.cdf(0.5)))
    assert median.width < 0.15
    assert worst.covers(truth)
    assert worst.width < 0.05


def test_without_the_weights_they_would_answer_for_the_behaviour() -> None:
    """Teeth: unit weights put the same samples far from the target's values."""
    sample = shifted(2000, 2)
    itself = WeightedSample.of_terms(sample.rewards, low=0.0, high=1.0)

    assert not quantile(itself, 0.5).covers(float(norm.cdf(0.5)))
    assert not probability_below(itself, float(norm.cdf(0.5))).covers(0.5)
    assert quantile(itself, 0.5).covers(0.5)


def test_intervals_of_chances_and_quantiles_hold_the_truth_in_93_of_100_logs() -> None:
    chances = quantiles = 0
    for seed in range(100):
        sample = shifted(80, seed)
        chances += probability_below(sample, float(norm.cdf(0.5))).covers(0.5)
        quantiles += quantile(sample, 0.25).covers(float(norm.cdf(norm.ppf(0.25) + 0.5)))

    assert chances >= 93
    assert quantiles >= 93


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), min_size=2, max_size=10).filter(
        lambda pairs: any(w > 1e-6 for w, _ in pairs)
    ),
    st.floats(0.05, 0.95),
)
def test_the_worst_is_no_better_than_its_quantile_and_all_are_in_order(
    pairs: list[tuple[float, float]], probability: float
) -> None:
    weights, rewards = (np.array(part) for part in zip(*pairs, strict=True))
    sample = WeightedSample(weights=weights, rewards=rewards, low=0.0, high=1.0)
    at = quantile(sample, probability)
    worst = conditional_value_at_risk(sample, probability, generator(), resamples=100)
    below = probability_below(sample, at.value)

    assert worst.value <= at.value + 1e-9
    assert below.value < probability + 1e-9
    for found in (at, worst, below):
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_questions_without_an_answer_are_refused() -> None:
    empty = WeightedSample(weights=np.zeros(3), rewards=np.zeros(3), low=0.0, high=1.0)

    with pytest.raises(ValueError, match="no sample has weight"):
        quantile(empty, 0.5)
    with pytest.raises(ValueError, match=r"probability must be inside \(0, 1\) but is 0; 0.1 is the worst tenth"):
        quantile(small(), 0)
    with pytest.raises(ValueError, match="resamples 5 must be at least 100"):
        conditional_value_at_risk(small(), 0.1, generator(), resamples=5)
