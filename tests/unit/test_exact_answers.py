"""What an exact evaluation makes of its trials, worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.evaluation.racing import Race
from engine.evaluation.sweep import JobFailed
from engine.evaluation.verdict import Verdict
from scenarios import specification
from scenarios.display.comparisons import evaluation_lines
from scenarios.specification import BadInput
from scenarios.whatif.controls import Arm, control_arms, host_parameters
from scenarios.whatif.exact import Trial, Tried, answer
from scenarios.whatif.figures import Figures
from scenarios.whatif.question import Question

SCENARIO = specification.load("xor4")
KEYS = tuple(range(8))
QUESTION = Question(scenario=SCENARIO, policies=("better", "plain"), baseline="plain", keys=KEYS)

Told = list[tuple[Trial, Tried | JobFailed]]


def told(scores: Mapping[str, Mapping[int, float | str | None]]) -> Told:
    """Trials by policy and run key: an accuracy, the ending of a run without one, or None for a worker that died."""
    found: Told = []
    for policy, by_key in scores.items():
        for key, score in by_key.items():
            arm = Arm(label=policy, policy=policy, scenario=SCENARIO)
            trial = Trial(name=f"{policy}, key {key}", journal="", arm=arm, key=key, at=None, origin="never_grow")
            if score is None:
                found.append((trial, JobFailed(trial.name, "its worker died", attempts=3)))
                continue
            ending, accuracy = (score, None) if isinstance(score, str) else ("COMPLETED", score)
            found.append((trial, Tried(arm=policy, key=key, ending=ending, figures=figures(accuracy))))
    return found


def figures(accuracy: float | None, *, germinations: int = 0, added: int = 0, work: float = 0.0) -> Figures:
    return Figures(
        run="run",
        final_accuracy=accuracy,
        best_accuracy=0.0,
        area=0.0,
        epochs_to_target=None,
        parameters_added=added,
        gigaflops=work,
        cpu_seconds=None,
        germinations=germinations,
        outcomes={},
        rollbacks=0,
        reward=None,
    )


def even(of: float) -> dict[int, float | str | None]:
    return {key: of + key / 100 for key in KEYS}


def test_a_worker_that_died_leaves_its_run_key_out_for_every_policy() -> None:
    found = answer(QUESTION, "exact", told({"better": even(0.8) | {3: None}, "plain": even(0.5)}))

    assert (found.leaderboard.pairs, [row.runs for row in found.leaderboard.rows]) == (7, [7, 7])
    assert [row.failures for row in found.leaderboard.rows] == [0, 0]
    assert found.leaderboard.rows[0].difference is not None
    assert found.leaderboard.rows[0].difference.mean == pytest.approx(0.3)
    assert "7 run keys" in found.estimand and found.failed == ("better, key 3: its worker died",)
    assert evaluation_lines(found)[-1] == "left out, with the others of that run key: better, key 3: its worker died"


def test_a_run_that_ended_badly_counts_as_0_and_is_told() -> None:
    found = answer(QUESTION, "exact", told({"better": even(0.8) | {3: "DIVERGED"}, "plain": even(0.5)}))

    better = next(row for row in found.leaderboard.rows if row.policy == "better")
    assert (better.runs, better.failures) == (8, 1)
    assert better.mean == pytest.approx((8 * 0.8 + 0.28 - 0.83) / 8)
    assert "1 runs under better ended badly and count as 0." in evaluation_lines(found)


def test_where_no_run_key_has_every_policy_nothing_is_compared() -> None:
    with pytest.raises(BadInput, match="nothing can be compared: better, key 0: its worker died"):
        answer(QUESTION, "exact", told({"better": dict.fromkeys(KEYS), "plain": even(0.5)}))


def test_after_a_race_the_verdicts_are_the_race_s() -> None:
    race = Race.between(["better"], baseline="plain", run_key=0, looks_max=1)
    race = race.fed({"better": [0.5, 0.6], "plain": [0.4, 0.7]})
    trials = told({"better": even(0.8), "plain": even(0.5)})
    alone, raced = (answer(QUESTION, "exact", trials, race=each).leaderboard for each in (None, race))

    assert race.decided == {"better": Verdict.NO_DIFFERENCE_SHOWN}
    assert {row.policy: row.verdict for row in alone.rows}["better"] is Verdict.BETTER
    assert {row.policy: (row.verdict, row.rank, row.tied) for row in raced.rows} == {
        "better": (Verdict.NO_DIFFERENCE_SHOWN, 1, True),
        "plain": (Verdict.BASELINE, 1, True),
    }


def test_control_arms_germinate_as_often_as_the_policy_did_whether_or_not_that_concluded() -> None:
    runs = [figures(0.5, germinations=number, added=100, work=1.0) for number in (1, 3)]
    arms = {arm.label: arm for arm in control_arms(SCENARIO, runs, from_scratch=True)}

    assert "random_time?germinations=2" in arms
    assert any(label.startswith("fixed_schedule?epochs=") and label.count("-") == 1 for label in arms)
    wanted = host_parameters(SCENARIO, SCENARIO.host.hidden) + 100
    (static,) = (arm.scenario for label, arm in arms.items() if label == f"static, {wanted} parameters")
    assert host_parameters(static, static.host.hidden) == pytest.approx(wanted, abs=4)
    from_one_state = control_arms(SCENARIO, runs, from_scratch=False)
    assert not any(arm.label.startswith("static") for arm in from_one_state)
    assert control_arms(SCENARIO, [], from_scratch=True) == ()
