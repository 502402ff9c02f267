"""Evaluating on fitted dynamics: what they are fitted to, and when their answer is not to be believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios import specification
from scenarios.display.comparisons import simulated_lines
from scenarios.lab import Lab
from scenarios.specification import BadInput
from scenarios.whatif.question import Question
from scenarios.whatif.simulated import RUNS_MIN, logged

SCENARIO = specification.load("xor4", {"training.epochs": 14, "gates.preset": "fast"})
LOGGED = ("random_growth?probability=0.2", "fixed_schedule?epochs=3", "never_grow")
QUESTION = Question(scenario=SCENARIO, policies=("always_grow", "never_grow"), baseline="never_grow", keys=(0, 1))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(f"sqlite:///{tmp_path_factory.mktemp('simulated')}/journal.db") as made:
        for policy in LOGGED:
            for key in range(3):
                made.run(SCENARIO, tamiyo=policy, key=key)
        yield made


def count(lab: Lab) -> int:
    return sum(map(len, logged(lab.journal, SCENARIO).values()))


def test_dynamics_are_fitted_to_each_run_once_and_to_runs_of_these_settings_only(lab: Lab) -> None:
    assert count(lab) == len(LOGGED) * 3
    again = lab.run(SCENARIO, tamiyo="never_grow", key=0).run
    lab.fork(again, 5)
    lab.fork(again, 5, tamiyo="always_grow")
    faster = {"training.epochs": 14, "training.learning_rate": 0.05}
    lab.run("xor4", tamiyo="never_grow", key=2, overrides=faster)

    assert count(lab) == len(LOGGED) * 3
    with pytest.raises(BadInput, match="holds 1 live runs of xor4 that ended; dynamics need 6 at least"):
        lab.evaluate_simulated(QUESTION.model_copy(update={"scenario": specification.load("xor4", faster)}))


def test_a_simulated_answer_has_its_calibration_and_the_command_that_trains_beside_it(lab: Lab) -> None:
    told = lab.evaluate_simulated(QUESTION)
    lines = simulated_lines(told)

    assert told.fitted_on == 9 and told.error is not None
    assert lines[0].startswith("Estimand: final test accuracy after 14 epochs of xor4, 2 run keys, from scratch")
    assert lines[1].startswith("Fitted on 9 live runs. 3 held-out policies: rank correlation")
    assert all(entry.trusted for entry in told.policies if entry.policy == "never_grow")
    assert told.exact.endswith("--keys 0:2 --method exact")


def test_where_leaving_a_policy_out_leaves_too_few_runs_none_is_held_out(tmp_path: Path) -> None:
    with Lab(f"sqlite:///{tmp_path}/few.db") as few:
        for policy in LOGGED:
            for key in range(2):
                few.run(SCENARIO, tamiyo=policy, key=key)
        told = few.evaluate_simulated(QUESTION)

    assert (told.fitted_on, told.error) == (RUNS_MIN, None)
    assert (
        told.calibration
        == "No policy was held out: that takes three logged policies, and 6 runs without any one of them"
    )


def test_given_dynamics_say_that_nothing_was_held_out_and_other_metrics_are_handed_over(
    lab: Lab, tmp_path: Path
) -> None:
    lab.fit(SCENARIO, tmp_path / "xor4.json")
    told = lab.evaluate_simulated(QUESTION.model_copy(update={"metric": "area"}), tmp_path / "xor4.json")

    assert "No policy was held out: given dynamics are taken as they are" in simulated_lines(told)[1]
    grown = next(entry for entry in told.policies if entry.policy == "always_grow")
    assert not grown.trusted
    assert grown.sentence.startswith("dynamics are checked on the final accuracy, not on the mean validation accuracy")
    assert any(line.startswith("Ask exactly: regrow evaluate xor4 ") for line in simulated_lines(told))
