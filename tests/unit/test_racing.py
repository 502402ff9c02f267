"""Races that stop early: whom they decide, what they cost, and how seldom they are wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.evaluation.racing import Race
from engine.evaluation.verdict import Verdict
from engine.randomness import stream

BATCH = 5
ARMS = ("a", "b", "c", "d")


def raced(run_key: int, effects: dict[str, float], **settings: Any) -> tuple[Race, int]:
    """A race over normal scores that share what their run key brings, and the runs it took."""
    generator = stream(run_key, "scores")
    race = Race.between(tuple(effects), baseline="plain", run_key=run_key, **({"flips": 2000} | settings))
    runs = 0
    while race.goes_on:
        shared = generator.normal(size=BATCH)
        drawn = {arm: shared + generator.normal(effect, 1, BATCH) for arm, effect in {"plain": 0.0, **effects}.items()}
        race = race.fed({arm: drawn[arm].tolist() for arm in ("plain", *race.undecided)})
        runs += BATCH * (1 + len(race.undecided))
    return race, runs


def test_races_between_equals_are_wrong_as_seldom_as_they_promise() -> None:
    races = [raced(run_key, dict.fromkeys(ARMS, 0.0))[0] for run_key in range(200)]
    wrong = sum(set(race.decided.values()) != {Verdict.NO_DIFFERENCE_SHOWN} for race in races)

    assert wrong / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_skewed_scores_and_no_early_dropping_do_not_change_that() -> None:
    wrong = 0
    for run_key in range(200):
        generator = stream(run_key, "skewed")
        race = Race.between(ARMS, baseline="plain", run_key=run_key, futility=0, flips=1000)
        while race.goes_on:
            race = race.fed({arm: generator.exponential(size=BATCH).tolist() for arm in ("plain", *race.undecided)})
        wrong += set(race.decided.values()) != {Verdict.NO_DIFFERENCE_SHOWN}

    assert wrong / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_a_large_effect_is_found_nearly_always_and_early() -> None:
    races = [raced(run_key, {"a": 2.0, "b": 0.0, "c": -2.0, "d": 0.0}) for run_key in range(40)]
    found = sum(race.decided["a"] is Verdict.BETTER and race.decided["c"] is Verdict.WORSE for race, _ in races)

    assert found >= 38
    assert np.mean([runs for _, runs in races]) < 0.7 * BATCH * 5 * (1 + len(ARMS))


def test_dropping_the_hopeless_saves_runs() -> None:
    kept, dropped = (
        np.mean([raced(run_key, dict.fromkeys(ARMS, 0.0), futility=futility)[1] for run_key in range(20)])
        for futility in (0.0, 0.05)
    )

    assert dropped < 0.75 * kept


def test_who_is_decided_runs_no_more_and_the_last_look_ends_the_race() -> None:
    race = Race.between(("a", "b"), baseline="plain", run_key=1, looks_max=2, futility=0, flips=4000)
    sure = np.linspace(3, 4, 12).tolist()
    noise = np.linspace(-1, 1, 12).tolist()
    race = race.fed({"plain": [0.0] * 12, "a": sure, "b": noise})

    assert race.decided == {"a": Verdict.BETTER} and race.undecided == ("b",) and race.goes_on
    with pytest.raises(ValueError, match=r"exactly \['b', 'plain'\] but got \['a', 'b', 'plain'\]"):
        race.fed({"plain": [0.0], "a": [1.0], "b": [1.0]})
    race = race.fed({"plain": [0.0] * 12, "b": noise})
    assert race.decided == {"a": Verdict.BETTER, "b": Verdict.NO_DIFFERENCE_SHOWN} and not race.goes_on
    assert [lane.decided_at for lane in race.lanes] == [1, 2]
    with pytest.raises(ValueError, match="over after 2 looks"):
        race.fed({"plain": [0.0], "b": [1.0]})


def test_equal_races_are_equal_and_travel_as_json_in_the_middle() -> None:
    race = Race.between(ARMS, baseline="plain", run_key=4, flips=500)
    batch = {arm: stream(index, "batch").normal(size=BATCH).tolist() for index, arm in enumerate(("plain", *ARMS))}
    fed = race.fed(batch)
    reread = Race.model_validate_json(fed.model_dump_json(), strict=False)

    assert reread == fed == race.fed(batch)
    again = {arm: batch[arm] for arm in ("plain", *fed.undecided)}
    assert reread.fed(again) == fed.fed(again)


def test_too_few_runs_decide_nothing_however_different_they_are() -> None:
    race = Race.between(("a",), baseline="plain", run_key=1, looks_max=1).fed({"plain": [0.0] * 4, "a": [9.0] * 4})

    assert race.decided == {"a": Verdict.NO_DIFFERENCE_SHOWN}


def test_runs_without_any_difference_are_no_difference_shown() -> None:
    race, _ = Race.between(("a",), baseline="plain", run_key=1), 0
    while race.goes_on:
        race = race.fed({"plain": [0.5] * 8, "a": [0.5] * 8})

    assert race.decided == {"a": Verdict.NO_DIFFERENCE_SHOWN} and race.looks == 2


@pytest.mark.parametrize(
    "batch", [{"plain": [1.0], "a": [math.nan]}, {"plain": [1.0, 2.0], "a": [1.0]}, {"plain": [], "a": []}]
)
def test_a_batch_without_a_finite_score_for_every_run_is_refused(batch: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="a finite score per run key of every arm"):
        Race.between(("a",), baseline="plain", run_key=1).fed(batch)


@pytest.mark.parametrize("arms", [(), ("a", "a"), ("a", "plain")])
def test_arms_that_are_not_told_apart_are_refused(arms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="arms that differ from each other"):
        Race.between(arms, baseline="plain", run_key=1)
