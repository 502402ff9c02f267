"""Policies evaluated from a journal of recorded runs, and what the log must not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.events import DecisionDiverged, SeedGerminated
from engine.evaluation.off_policy.support import Verdict
from scenarios import specification
from scenarios.display.off_policy import exploration_lines, off_policy_lines
from scenarios.lab import Lab
from scenarios.specification import BadInput
from scenarios.whatif.exploration import exploration_advice
from scenarios.whatif.figures import figures
from scenarios.whatif.off_policy import OffPolicyEvaluation, OffPolicyRow, evaluate_off_policy, off_policy_evaluation
from scenarios.whatif.off_policy_log import LogRun
from scenarios.whatif.question import Metric, Question

SETTINGS = {"training.epochs": 40, "task.samples": 500, "tamiyo_config.plateau_patience": 4}
SCENARIO = specification.load("xor4", SETTINGS)
SOFT, RANDOM = "as_designed?epsilon=0.02", "random_growth?probability=0.02"
RUNS = {SOFT: 14, RANDOM: 24, "never_grow": 3}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(f"sqlite:///{tmp_path_factory.mktemp('log')}/journal.db") as lab:
        for tamiyo, count in RUNS.items():
            for key in range(count):
                lab.run(SCENARIO, tamiyo=tamiyo, key=key)
        yield lab


def asking(*policies: str, metric: Metric = "final_accuracy", at: int | None = None) -> Question:
    return Question(
        scenario=SCENARIO, policies=policies, baseline=policies[-1], keys=tuple(range(20)), metric=metric, at=at
    )


def runs_of(lab: Lab, *policies: str) -> list[LogRun]:
    return [
        (run.run, lab.journal.events(run.run)) for run in lab.results() if run.tamiyo in policies and not run.parent
    ]


def row_of(told: OffPolicyEvaluation, policy: str) -> OffPolicyRow:
    return next(row for row in told.leaderboard if row.policy == policy)


def results_of(lab: Lab, policy: str) -> list[float]:
    found = [run.metrics.test_accuracy for run in lab.results() if run.tamiyo == policy and not run.parent]
    return [result for result in found if result is not None]


def germinated(lab: Lab, run: str) -> list[int]:
    return [event.epoch for event in lab.journal.events(run) if isinstance(event, SeedGerminated)]


def test_a_policy_is_worth_the_plain_mean_of_its_own_log(lab: Lab) -> None:
    row = row_of(evaluate_off_policy(asking(RANDOM), runs_of(lab, RANDOM)), RANDOM)
    results = results_of(lab, RANDOM)

    assert row.support.verdict is Verdict.OK
    assert row.support.ess == pytest.approx(len(results))
    assert row.weight_max == pytest.approx(1)
    assert row.estimate is not None and row.estimate.low < row.estimate.value < row.estimate.high
    assert row.estimate.value == pytest.approx(sum(results) / len(results), abs=1e-12)
    assert row.weighted_per_decision == pytest.approx(row.estimate.value, abs=1e-12)


def test_a_run_that_is_there_twice_is_no_second_sample(lab: Lab) -> None:
    runs = runs_of(lab, RANDOM)
    once, twice = (evaluate_off_policy(asking(RANDOM), told) for told in (runs, [*runs, *runs]))

    assert twice.leaderboard == once.leaderboard
    assert [(each.what, each.runs) for each in twice.left_out] == [
        (f"{RANDOM} on a run key that it has a run on already", len(runs))
    ]


def test_every_number_says_its_support_and_an_unsupported_policy_gets_none_but_a_command(lab: Lab) -> None:
    told = off_policy_evaluation(lab, asking("as_designed", "always_grow", "as_implemented", SOFT))
    supported, other, foreign = (row_of(told, name) for name in ("as_designed", "always_grow", "as_implemented"))

    assert supported.support.verdict is not Verdict.UNSUPPORTED
    assert supported.estimate is not None and supported.difference is not None and supported.risk is not None
    assert supported.difference.low <= supported.difference.value <= supported.difference.high
    assert supported.risk.below_base is not None, "never_grow has runs in the journal"
    for row in (other, foreign):
        assert row.support.verdict is Verdict.UNSUPPORTED
        numbers = row.model_dump(exclude={"policy", "support", "fork"}).values()
        assert all(number is None for number in numbers)
        assert row.fork is not None
        assert re.search(rf"regrow evaluate xor4 .*{re.escape(row.policy)}.*--keys 0:20 --method exact", row.fork)
    assert "drives the simplified lifecycle but the log was recorded under the full one" in foreign.support.reason


def test_the_lines_show_the_estimand_the_verdicts_and_the_commands(lab: Lab) -> None:
    told = off_policy_evaluation(lab, asking("never_grow", "always_grow", SOFT))
    lines = off_policy_lines(told)

    assert lines[0].startswith("Estimand: final test accuracy after 40 epochs of xor4, from scratch, over run keys")
    assert lines[1] == f"Log: 14 of {SOFT}, 24 of {RANDOM}."
    assert any("UNSUPPORTED" in line and line.count(" -") >= 6 for line in lines)
    assert any(line.startswith("  regrow evaluate xor4 ") for line in lines)
    assert lines[-1] == "Left out: 3 runs: never_grow draws nothing."


def test_runs_of_a_policy_that_never_draws_are_left_out_unless_asked_for(lab: Lab) -> None:
    without = off_policy_evaluation(lab, asking("never_grow"))
    with_them = off_policy_evaluation(lab, asking("never_grow"), deterministic=True)

    assert sum(each.runs for each in without.log) == 38
    assert sum(each.runs for each in with_them.log) == 41
    assert [each.what for each in with_them.left_out] == []


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (asking(SOFT, at=3), "--at 3: recorded runs answer from scratch only"),
        (asking(SOFT, metric="reward"), "--metric reward has no bounds"),
    ],
)
def test_what_no_log_answers_is_refused(lab: Lab, question: Question, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        off_policy_evaluation(lab, question)


def test_runs_under_other_settings_are_no_log_of_this_scenario(lab: Lab) -> None:
    longer = SCENARIO.model_copy(update={"training": SCENARIO.training.model_copy(update={"epochs": 41})})
    question = asking(SOFT).model_copy(update={"scenario": longer})

    with pytest.raises(BadInput, match="41 runs: recorded with other training settings"):
        off_policy_evaluation(lab, question)


# A planted ghost: what was recorded improved although the other policy never germinated


def test_over_a_recording_that_grew_a_policy_that_never_does_ends_where_they_part(lab: Lab) -> None:
    ghost = next(run for run in lab.results() if run.tamiyo == SOFT and germinated(lab, run.run))
    parting = germinated(lab, ghost.run)[0]
    fork = lab.fork(ghost.run, 0, tamiyo="never_grow", trainer="recorded")
    events = lab.journal.events(fork.run)
    told = lab.ledger(ghost.run, "never_grow")

    assert (fork.ending, fork.epochs) == ("LEFT_RECORDING", parting)
    assert [event.epoch for event in events if isinstance(event, DecisionDiverged)] == [parting]
    assert figures(fork.run, events, {}, None).final_accuracy is None
    assert told.boundary == parting
    assert told.is_forced and not told.up_to_boundary().is_forced


def test_no_estimate_of_a_policy_that_never_germinates_uses_a_run_that_did(lab: Lab) -> None:
    runs = runs_of(lab, RANDOM)
    ungrown = [run for run, _ in runs if not germinated(lab, run)]
    results = {run.run: run.metrics.test_accuracy for run in lab.results()}
    row = row_of(evaluate_off_policy(asking("never_grow"), runs), "never_grow")
    plain = [result for run in ungrown if (result := results[run]) is not None]

    assert 4 < len(ungrown) < len(runs)
    assert row.support.ess == pytest.approx(len(ungrown))
    assert row.estimate is not None
    assert row.estimate.value == pytest.approx(sum(plain) / len(plain), abs=1e-12)


def test_a_log_in_which_every_run_germinated_says_nothing_of_a_policy_that_never_does(lab: Lab) -> None:
    grown = [(run, events) for run, events in runs_of(lab, SOFT, RANDOM) if germinated(lab, run)]
    row = row_of(evaluate_off_policy(asking("never_grow"), grown), "never_grow")

    assert row.support.verdict is Verdict.UNSUPPORTED
    assert (row.support.ess, row.estimate) == (0.0, None)


def test_a_log_of_nothing_says_how_to_record_one() -> None:
    with pytest.raises(BadInput, match="no recorded run of xor4 makes a log"):
        evaluate_off_policy(asking(SOFT), [])


# How much exploration


def test_a_deterministic_policy_needs_few_runs_of_its_own_softened_form(lab: Lab) -> None:
    run, events = runs_of(lab, SOFT)[0]
    advice = exploration_advice(run, events, "as_designed", 0.02)

    assert advice.differing == 0 and advice.first_difference is None
    kept = 1 - 0.02 + 0.02 / advice.actions
    assert advice.share == pytest.approx(kept**advice.horizon)
    assert advice.episodes == pytest.approx(50 / advice.share, abs=1)
    assert exploration_lines(advice)[0].startswith(
        f"With epsilon 0.02 and {advice.horizon} boundaries of choice among {advice.actions} legal actions, "
        f"an effective sample of 50 needs {advice.episodes} runs"
    )


def test_a_policy_that_chooses_otherwise_needs_more_than_can_be_recorded_and_is_told_to_fork(lab: Lab) -> None:
    run, events = next(each for each in runs_of(lab, SOFT) if germinated(lab, each[0]))
    advice = exploration_advice(run, events, "never_grow", 0.02)
    lines = exploration_lines(advice)

    assert advice.first_difference == germinated(lab, run)[0]
    assert advice.episodes is not None and advice.episodes > 10_000
    assert lines[-1].endswith("fork instead.")
    assert exploration_lines(exploration_advice(run, events, "never_grow", 0.0))[0].endswith(
        "no number of runs gives an effective sample."
    )


@pytest.mark.parametrize(
    ("tamiyo", "epsilon", "why"), [("as_implemented", 0.1, "no exploration helps"), (SOFT, 2, "--epsilon 2")]
)
def test_a_calculation_without_an_answer_is_refused(lab: Lab, tamiyo: str, epsilon: float, why: str) -> None:
    run, events = runs_of(lab, SOFT)[0]

    with pytest.raises(BadInput, match=why):
        exploration_advice(run, events, tamiyo, epsilon)


def test_an_imported_run_is_as_good_and_one_alone_is_no_support(lab: Lab, tmp_path: Path) -> None:
    run, _ = runs_of(lab, RANDOM)[0]
    lab.export(run, tmp_path / "run.jsonl")
    with Lab(f"sqlite:///{tmp_path}/journal.db") as other:
        other.import_(tmp_path / "run.jsonl")
        row = row_of(off_policy_evaluation(other, asking(RANDOM)), RANDOM)

    assert (row.support.n, row.estimate) == (1, None)
