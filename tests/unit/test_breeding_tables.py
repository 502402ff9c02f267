"""The tables of the breeding experiment, from summaries alone."""

from __future__ import annotations

import pytest
from scipy import stats

from domain.evolution.header import GenerationSummary
from scenarios.evolving.recorded import EvolutionResult
from scenarios.experiments.breeding import Bred, slope, tables


def summary(generation: int, reward: float) -> GenerationSummary:
    return GenerationSummary(
        generation=generation,
        proposed=10,
        refused=1,
        certified=8,
        at_least_moderate=6,
        mean_reward=reward,
        diversity=0.8,
        distance=0.6,
        library_size=20,
        retired=0,
        mean_test_accuracy=0.9,
    )


def evolution(rewards: list[float]) -> list[GenerationSummary]:
    return [summary(number, reward) for number, reward in enumerate(rewards, start=1)]


def test_the_slope_of_one_evolution_is_that_of_ordinary_regression() -> None:
    rewards = [0.1, 0.13, 0.12, 0.18, 0.2]
    fit = stats.linregress(range(1, 6), rewards)
    half = stats.t.ppf(0.975, 3) * fit.stderr
    found = slope([evolution(rewards)])

    assert (found.mean, found.low, found.high) == pytest.approx((fit.slope, fit.slope - half, fit.slope + half))


def test_evolutions_share_their_slope_and_not_their_level() -> None:
    low, high = [0.1, 0.2, 0.3, 0.41], [0.6, 0.7, 0.8, 0.89]
    found = slope([evolution(low), evolution(high)])

    assert found.mean == pytest.approx(0.1, abs=0.005)
    assert 0.09 < found.low < found.high < 0.11


def told_evolution() -> EvolutionResult:
    return EvolutionResult(
        evolution="evolution-x",
        scenarios=("xor4",),
        karn="evolution",
        key=0,
        digest="0" * 64,
        generation=3,
        generations=3,
        on_offer=20,
        summaries=tuple(evolution([0.1, 0.2, 0.31])),
    )


def test_the_tables_tell_of_every_karn_and_generation() -> None:
    text = tables([("evolution?unprompted=true", [Bred(told_evolution(), (0.01, 0.02), 72.0)])])

    assert "| evolution | mean certified reward | 0.100 | 0.200 | 0.310 |" in text
    assert "60% of 30" in text
    assert "| 2400 |" in text  # 24 valid candidates in 36 s of two cores
    assert "+0.0150 [" in text and "2 runs" in text


def test_runs_that_several_evolutions_are_compared_on_are_counted_once() -> None:
    bred = [Bred(told_evolution(), differences, 72.0) for differences in ((0.01, 0.05), (0.03, -0.01))]

    assert "| +0.0200 [+0.0200, +0.0200], 2 runs | +0.0100 to +0.0300 |" in tables([("evolution", bred)])
