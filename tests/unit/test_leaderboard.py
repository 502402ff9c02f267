"""What a leaderboard says, and what it does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from engine.evaluation.improvement import probability_of_improvement
from engine.evaluation.leaderboard import Leaderboard, holm, interquartile_mean, leaderboard, sign_flip_p_value
from engine.evaluation.verdict import Verdict
from engine.randomness import stream


def table(effects: dict[str, float], *, keys: int = 8, scenarios: int = 1, spread: float = 1.0) -> Any:
    """Scores of policies whose runs share what their run key brings."""
    generator = stream(5, "scores")
    shared = generator.normal(size=(scenarios, keys))
    return {
        policy: {
            f"scenario {s}": {k: 10.0**s * (shared[s, k] + effect + spread * generator.normal()) for k in range(keys)}
            for s in range(scenarios)
        }
        for policy, effect in effects.items()
    }


def board(scores: Any, baseline: str = "plain", **also: Any) -> Leaderboard:
    return leaderboard(
        scores, baseline=baseline, estimand="final accuracy from scratch", generator=stream(1, "board"), **also
    )


def test_better_worse_and_no_difference_are_told_in_words_and_in_order() -> None:
    found = board(table({"plain": 0, "good": 5, "bad": -5, "alike": 0.1}))

    assert [(row.policy, row.rank, row.tied, row.verdict) for row in found.rows if row.policy in {"good", "bad"}] == [
        ("good", 1, False, Verdict.BETTER),
        ("bad", 4, False, Verdict.WORSE),
    ]
    assert {(row.rank, row.tied) for row in found.rows if row.policy in {"plain", "alike"}} == {(2, True)}


def test_every_difference_says_what_it_is_about() -> None:
    found = board(table({"plain": 0, "good": 5}))
    good, plain = found.rows

    assert good.difference is not None
    assert good.difference.estimand == "final accuracy from scratch, good minus plain"
    assert (plain.difference, plain.p_value, plain.improvement, plain.verdict) == (None, None, None, Verdict.BASELINE)


def test_equal_scores_tie() -> None:
    scores = table({"plain": 0})
    found = board({"plain": scores["plain"], "same": scores["plain"]})

    assert [(row.rank, row.tied) for row in found.rows] == [(1, True), (1, True)]
    same = next(row for row in found.rows if row.policy == "same")
    assert same.verdict is Verdict.NO_DIFFERENCE_SHOWN and same.p_value == 1
    assert same.improvement is not None and same.improvement.probability == 0.5


def test_five_pairs_cannot_show_anything_and_six_can() -> None:
    few, enough = (board(table({"plain": 0, "good": 99}, keys=keys)) for keys in (5, 6))

    assert (few.p_smallest, few.can_show, few.rows[0].verdict) == (2 / 32, False, Verdict.NO_DIFFERENCE_SHOWN)
    assert (enough.p_smallest, enough.can_show, enough.rows[0].verdict) == (2 / 64, True, Verdict.BETTER)


def test_more_policies_need_more_pairs() -> None:
    two = board(table({"plain": 0, "good": 99, "other": 0}, keys=6))

    assert not two.can_show
    assert two.rows[0].p_value == 2 / 64 and two.rows[0].p_adjusted == 2 * 2 / 64


def test_holm_multiplies_the_smallest_most_and_stays_in_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("policies", [3])
def test_among_policies_that_do_not_differ_hardly_any_leaderboard_shows_a_difference(policies: int) -> None:
    generator = stream(7, "null")
    wrong = 0
    for _ in range(400):
        p_values = [sign_flip_p_value(generator.standard_t(3, size=8), generator) for _ in range(policies)]
        wrong += min(holm(p_values)) <= 0.05

    assert wrong / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_permutation_test_is_exact_for_few_pairs() -> None:
    assert sign_flip_p_value(np.array([1.0, 2.0, 3.0, 4.0]), stream(1, "x")) == 2 / 16
    assert sign_flip_p_value(np.array([1.0, 2.0, 3.0, -4.0]), stream(1, "x")) == pytest.approx(14 / 16)
    assert sign_flip_p_value(np.zeros(4), stream(1, "x")) == 1
    assert sign_flip_p_value(np.array([3.0]), stream(1, "x")) == 1


@pytest.mark.parametrize("pairs", [2, 6, 9, 40])
def test_the_permutation_test_agrees_with_scipy(pairs: int) -> None:
    values = stream(pairs, "values").normal(0.3, 1, pairs)
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", vectorized=True, rng=stream(1, "scipy")
    ).pvalue

    ours = sign_flip_p_value(values, stream(1, "ours"))
    assert ours == pytest.approx(theirs, abs=0.02 if pairs == 40 else 1e-12)


def test_one_scenario_keeps_its_scale_and_several_share_one() -> None:
    alone, pooled = board(table({"plain": 0, "good": 5})), board(table({"plain": 0, "good": 5}, scenarios=3))

    assert alone.normalised == ()
    assert [scenario.scenario for scenario in pooled.normalised] == ["scenario 0", "scenario 1", "scenario 2"]
    assert pooled.pairs == 24 and (pooled.profile_at[0], pooled.profile_at[-1]) == (0, 1)
    assert pooled.rows[0].difference is not None and pooled.rows[0].difference.strata == 3
    assert 0 <= pooled.rows[1].mean < pooled.rows[0].mean <= 1


def test_the_scale_of_one_scenario_does_not_outweigh_the_others() -> None:
    scores = table({"plain": 0, "good": 5}, scenarios=2)
    blown_up = {
        p: {s: {k: v * (1e6 if s == "scenario 1" else 1) for k, v in keys.items()} for s, keys in by.items()}
        for p, by in scores.items()
    }

    assert [row.mean for row in board(scores).rows] == pytest.approx([row.mean for row in board(blown_up).rows])


def test_a_scenario_where_all_scores_are_equal_adds_nothing() -> None:
    scores = table({"plain": 0, "good": 5}, scenarios=2)
    for by in scores.values():
        by["scenario 1"] = dict.fromkeys(by["scenario 1"], 7.0)

    assert board(scores).rows[0].difference.mean == pytest.approx(
        board({p: {"scenario 0": by["scenario 0"], "scenario 1": by["scenario 1"]} for p, by in scores.items()})
        .rows[0]
        .difference.mean
    )  # type: ignore[union-attr]
    assert board(scores).normalised[1].worst == board(scores).normalised[1].best == 7


def test_the_profile_falls_from_nearly_all_runs_to_none() -> None:
    for row in board(table({"plain": 0, "good": 5}, scenarios=2)).rows:
        assert list(row.profile) == sorted(row.profile, reverse=True)
        assert 1 >= row.profile[0] > 0.9 or row.policy == "plain"
        assert row.profile[-1] == 0


def test_the_interquartile_mean_ignores_the_ends() -> None:
    assert interquartile_mean(np.array([-1e9, 1.0, 2.0, 1e9])) == 1.5


def test_runs_that_ended_badly_are_counted_as_what_they_are_said_to_be_worth() -> None:
    scores = table({"plain": 0, "good": 5})
    scores["good"]["scenario 0"][2] = math.nan
    with pytest.raises(ValueError, match="score 2 of good on scenario 0 is NaN"):
        board(scores)
    found = board(scores, failed=-9.0)

    assert {row.policy: row.failures for row in found.rows} == {"plain": 0, "good": 1}


def test_a_leaderboard_does_not_depend_on_the_order_it_is_told_in_and_travels_as_json() -> None:
    scores = table({"plain": 0, "good": 1, "alike": 0}, scenarios=2)
    turned = {
        p: {s: dict(reversed(keys.items())) for s, keys in reversed(by.items())} for p, by in reversed(scores.items())
    }
    found = board(scores)

    assert found.model_dump_json() == board(turned).model_dump_json()
    assert Leaderboard.model_validate_json(found.model_dump_json(), strict=False) == found


def test_what_cannot_be_ranked_is_refused() -> None:
    scores = table({"plain": 0, "good": 5})
    with pytest.raises(ValueError, match="'none' has no scores; there are good, plain"):
        board(scores, baseline="none")
    with pytest.raises(ValueError, match="needs a run key in each"):
        board({"plain": {"scenario 0": {}}})
    with pytest.raises(ValueError, match=r"good was run on \['x'\], the baseline on \['scenario 0'\]"):
        board({**scores, "good": {"x": {1: 1.0}}})
    del scores["good"]["scenario 0"][3]
    with pytest.raises(ValueError, match=r"differ in run keys \[3\] of scenario 0"):
        board(scores)


def test_a_policy_that_always_wins_improves_surely_but_not_certainly() -> None:
    ones, zeros = [np.ones(5)], [np.zeros(5)]
    found = probability_of_improvement(ones, zeros, level=0.95, generator=stream(1, "x"))
    against = probability_of_improvement(zeros, ones, level=0.95, generator=stream(1, "x"))

    assert (found.probability, found.high) == (1, 1) and 0.5 < found.low < 0.6
    assert (against.probability, against.low) == (0, 0) and against.high == pytest.approx(1 - found.low)


def test_the_probability_of_improvement_is_a_mean_over_scenarios() -> None:
    found = probability_of_improvement(
        [np.array([2.0, 2.0]), np.array([1.0])],
        [np.array([1.0, 1.0]), np.array([1.0])],
        level=0.95,
        generator=stream(1, "x"),
    )

    assert found.probability == 0.75


@pytest.mark.parametrize("keys", [3, 5, 10, 30])
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_the_interval_of_the_improvement_covers_the_truth_in_93_percent_at_least(keys: int, effect: float) -> None:
    generator = stream(keys, "improvement")
    truth = 0.5 * (1 + math.erf(effect / 2))  # P(X - Y > 0) for X - Y normal with variance 2
    held = 0
    for _ in range(300):
        better, plain = generator.normal(effect, 1, keys), generator.normal(0, 1, keys)
        found = probability_of_improvement([better], [plain], level=0.95, generator=generator)
        held += found.low <= truth <= found.high

    assert held / 300 >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 300)
