"""The house experiment, and the command behind its single steps: small, and the second time for nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domain.commands import Germinate
from domain.tamiyo.composed import Composed
from engine.evaluation.verdict import Verdict
from scenarios import composition, specification
from scenarios.experiments.ladder import LADDER, composed, steps
from scenarios.experiments.readme_tables import write_table
from scenarios.experiments.whatif import Experiment, WhatIf, plateau, table
from scenarios.lab import Lab
from scenarios.specification import BadInput, Scenario
from tests.support.commands import Shell

ROOT = Path(__file__).parents[2]
KEYS = (0, 2)
SMALL = {"training.epochs": 46, "tamiyo_config.plateau_patience": 4, "training.checkpoint_every": 10}


def scenario() -> Scenario:
    return specification.load("xor4", SMALL)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('whatif')}/journal.db"


@pytest.fixture(scope="module")
def told(journal: str) -> WhatIf:
    return Experiment(scenario(), KEYS, journal, workers=1).answer()


def test_the_ladder_leads_from_the_implementation_to_the_design_one_choice_at_a_time() -> None:
    ladder = [step for step in steps() if step.said.startswith("ladder")]

    assert composition.tamiyo(ladder[0].instead_of)[0] == Composed("health", "simplified", "selector", "fixed")
    assert composition.tamiyo(ladder[-1].policy)[0] == Composed()
    assert [step.instead_of for step in ladder[1:]] == [step.policy for step in ladder[:-1]]
    alone = [step for step in steps() if step.said.endswith("alone")]
    assert len(alone) == len(ladder) == len(LADDER)
    assert {step.instead_of for step in alone} == {composed(())}
    for choice, step in zip(LADDER, alone, strict=True):
        kept = {other.factor: other.implementation for other in LADDER if other is not choice}
        assert composition.tamiyo(step.policy)[0] == Composed(**kept)


def test_every_step_is_told_with_its_estimand_its_interval_and_its_verdict(told: WhatIf) -> None:
    assert [found.step for found in told.found] == list(steps())
    for found in told.found:
        assert found.difference.mean == pytest.approx(found.with_it - found.without_it)
        assert found.step.policy in found.difference.estimand and found.step.origin in found.difference.estimand
        assert (found.verdict is Verdict.NO_DIFFERENCE_SHOWN) == (not found.difference.shown)


def test_the_composed_policies_at_both_ends_do_what_the_design_and_the_implementation_do(told: WhatIf) -> None:
    by_said = {found.step.said: found for found in told.found}
    whole, first, last = (
        by_said[said] for said in ("the design takes over", "ladder: the trigger", "ladder: and the grafting strategy")
    )

    assert first.without_it == whole.without_it
    assert last.with_it == whole.with_it


def test_the_fork_is_the_epoch_before_the_design_would_have_germinated(journal: str, told: WhatIf) -> None:
    with Lab(journal) as lab:
        for result in [each for each in lab.results() if each.parent and each.tamiyo == "as_designed"]:
            assert result.parent is not None and result.at_epoch is not None
            assert plateau(lab.journal.events(result.parent)) == result.at_epoch + 1
            first = next(
                event.epoch
                for _, event in lab.events(result.run, topic="decision-made", first=result.at_epoch + 1)
                if isinstance(event.decision.command, Germinate)  # type: ignore[attr-defined]
            )
            assert first == result.at_epoch + 1
            assert result.at_epoch in told.forked_at["as_implemented"]


def test_asked_again_nothing_is_trained_and_the_table_is_the_same(journal: str, told: WhatIf) -> None:
    with Lab(journal) as lab:
        recorded = lab.journal.runs()
        again = Experiment(scenario(), KEYS, journal, workers=1).answer()

        assert (again, table(again)) == (told, table(told))
        assert lab.journal.runs() == recorded


def test_the_table_says_what_it_does_not_show(told: WhatIf) -> None:
    text = table(told)

    assert text.startswith("Estimand: final test accuracy after 46 epochs of `xor4`")
    assert text.count("\n| ") == len(steps()) + 1
    silent = [found for found in told.found if found.verdict is Verdict.NO_DIFFERENCE_SHOWN]
    assert silent and all(found.step.said in text.partition("|\n\n")[2] for found in silent)
    assert "no proof of equality" in text or "The same accuracy on every key" in text


def test_the_table_goes_between_its_marks_and_nowhere_else(told: WhatIf, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    begin, end = "<!-- what-if table: begin -->", "<!-- what-if table: end -->"
    readme.write_text(f"before\n{begin}\nold \\1\n{end}\nafter\n", encoding="utf-8")
    write_table("what-if", table(told), readme)

    assert readme.read_text("utf-8") == f"before\n{begin}\n{table(told)}\n{end}\nafter\n"
    readme.write_text("no marks", encoding="utf-8")
    with pytest.raises(BadInput, match=r"README\.md has no marks"):
        write_table("what-if", table(told), readme)


def test_one_run_key_and_runs_without_a_plateau_are_refused_in_one_line(journal: str) -> None:
    with pytest.raises(BadInput, match="1 run keys: an interval needs 2 or more"):
        Experiment(scenario(), [0], journal).answer()
    short = specification.load("xor4", {"training.epochs": 3})
    with pytest.raises(BadInput, match=r"0 run keys can be compared .* no epoch at which the design could have"):
        Experiment(short, KEYS, journal, workers=1).answer()


def test_the_experiment_is_one_command_and_a_mistake_one_line(tmp_path: Path) -> None:
    asked = [
        sys.executable,
        "-m",
        "scenarios.experiments.whatif",
        "--scenario",
        "digts",
        "--journal",
        f"sqlite:///{tmp_path}/j.db",
    ]
    process = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, check=False)

    assert process.returncode == 2
    assert process.stderr.startswith("whatif: scenario 'digts' is unknown") and process.stderr.count("\n") == 1


def test_an_adaptation_is_attributed_by_command(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = shell.inside("run", "xor4", "--epochs", "14", "--tamiyo", "fixed_schedule?epochs=5", "--json")
    name = run.document["run"]
    asked = ("attribute", name, "--seed", "0.0", "--continuations", "2", "--workers", "1")
    answer = shell.inside(*asked)

    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"Adaptation 0.0#1 of {name}: ") and "Verdict after 2 pairs" in answer.out
    document = shell.inside(*asked, "--never", "--json").document
    assert document["never"] and document["verdict"] and len(document["pairs"]) == 2
    wrong = shell.inside("attribute", name, "--seed", "0.1")
    assert (wrong.code, wrong.complaint[:35]) == (2, "--seed 0.1: it never germinated in ")
    elsewhere = shell.inside(*asked[:-2], "--on", "moon")
    assert (elsewhere.code, elsewhere.complaint[:25]) == (2, "--on moon: a sweep runs o")


def test_what_is_no_number_is_text_in_every_document(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    asked = ("--tamiyo", "always_grow,never_grow", "--keys", "3", "--set", "training.epochs=3", "--workers", "1")
    evaluated = shell.inside("evaluate", "xor4", *asked, "--json")
    queried = shell.inside("query", "SELECT 1 / 0 AS much FROM runs", "--json")

    told = json.loads(evaluated.out, parse_constant=pytest.fail)
    first = next(row for row in told["leaderboard"]["rows"] if row["difference"])
    assert (first["difference"]["low"], first["difference"]["high"]) == ("-Infinity", "Infinity")
    assert json.loads(queried.out, parse_constant=pytest.fail)[0] == {"much": "Infinity"}
