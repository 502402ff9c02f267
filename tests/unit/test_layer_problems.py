"""Each rule of a problematic layer, just before it holds and just after; trends on lines whose slope is known."""

from __future__ import annotations

import math

import pytest

from domain.analysis.figures import LayerFigures
from domain.analysis.problems import health_trend, problems
from domain.analysis.trends import recent_trend, reward_trend, slope, steadiness

WELL = LayerFigures(layer=0, health=0.8, gradient_norm=1.0, sign_stability=0.9, latency_ms=1.0)


def rules(*window: LayerFigures) -> set[str]:
    return {problem.rule for problem in problems(window)}


def figures(**said: float) -> LayerFigures:
    return LayerFigures(layer=0, **({"health": 0.8} | said))  # type: ignore[arg-type]


def test_nothing_is_wrong_with_a_layer_that_is_well_or_never_reported() -> None:
    assert rules(*[WELL] * 20) == set()
    assert rules() == set()
    assert rules(LayerFigures(layer=0)) == set()


@pytest.mark.parametrize(
    ("rule", "at_limit", "beyond"),
    [
        ("low-health", {"health": 0.3}, {"health": 0.2999}),
        ("errors", {"errors": 5}, {"errors": 6}),
        ("exploding-gradient", {"gradient_norm": 10.0}, {"gradient_norm": 10.01}),
        ("exploding-gradient", {"gradient_norm": 10.0}, {"gradient_norm": math.inf}),
        ("unsteady-gradient", {"sign_stability": 0.3}, {"sign_stability": 0.2999}),
    ],
)
def test_a_limit_itself_is_no_problem_and_what_is_beyond_it_is(
    rule: str, at_limit: dict[str, float], beyond: dict[str, float]
) -> None:
    assert rule not in rules(figures(**at_limit))
    assert rule in rules(figures(**beyond))


def test_faults_add_up_over_the_window() -> None:
    assert rules(*[figures(errors=5)] * 2) == set()
    assert rules(*[figures(errors=5)] * 2, figures(errors=1)) == {"many-errors"}


def test_mean_health_counts_beside_the_latest() -> None:
    assert rules(*[figures(health=0.1)] * 9, figures(health=0.9)) == {"low-mean-health"}


def test_health_that_falls_by_more_than_a_tenth_an_epoch_is_a_problem() -> None:
    assert rules(*[figures(health=0.9 - 0.09 * age) for age in range(5)]) == set()
    assert rules(*[figures(health=0.9 - 0.11 * age) for age in range(5)]) == {"falling-health"}


def test_a_layer_twice_as_slow_as_usual_is_a_problem() -> None:
    usual = [figures(latency_ms=1.0)] * 5

    assert rules(*usual, figures(latency_ms=2.0)) == set()
    assert rules(*usual, figures(latency_ms=2.1)) == {"slow"}
    assert rules(figures(latency_ms=0.0), figures(latency_ms=1.0)) == set(), "from nothing, nothing is slow"


def test_the_slope_is_the_plain_one() -> None:
    assert slope([(place, 0.5 * place) for place in range(5)]) == pytest.approx(0.5)
    assert slope([(3, 1.0)]) == slope([]) == 0.0


def test_a_trend_is_taken_through_the_last_five_measurements() -> None:
    assert recent_trend([9.0, 9.5, 0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(0.1)


def test_a_value_that_is_held_between_measurements_is_no_news() -> None:
    held = [0.8] * 16 + [0.48] * 16 + [0.16] * 3

    assert recent_trend(held) == pytest.approx(-0.02)
    assert recent_trend([0.4] * 30) == 0.0
    assert health_trend([LayerFigures(layer=0), WELL, LayerFigures(layer=0)]) == 0.0


def test_a_series_is_as_steady_as_it_varies_little() -> None:
    assert steadiness([0.5] * 4) == 1.0
    assert steadiness([0.4, 0.6]) == pytest.approx(0.5), "a variance of 0.01 is half steady"
    assert steadiness([7.0]) == 1.0


def test_rewards_have_a_trend_only_where_regression_shows_one() -> None:
    rising = [0.01 * place for place in range(20)]

    assert 0.9 < reward_trend(rising) <= 1.0
    assert reward_trend([-each for each in rising]) == -reward_trend(rising)
    assert reward_trend([1.0, -1.0] * 10) == 0.0
    assert reward_trend([0.3] * 20) == reward_trend([0.1, 0.9]) == reward_trend([]) == 0.0
