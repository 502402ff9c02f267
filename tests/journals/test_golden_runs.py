"""Every version replays what an earlier one recorded, and refuses what was tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.events import AdaptationRewarded, DecisionMade, SeedGerminated
from domain.header import Rule
from engine.checkers import check
from engine.courses import header_of
from scenarios import specification
from scenarios.experiments.golden import FOLDER as GOLDEN
from scenarios.experiments.golden import OLD, RUNS
from scenarios.lab import Lab
from tests.support.commands import Shell
from tests.support.grown_runs import address
from tests.support.rejected_runs import FOLDER as REJECTED
from tests.support.rejected_runs import FORGERIES

DAMAGED = 5
SIZE_MAX = 250_000
FIRST_FILES, SECOND_FILES = (sorted(folder.glob("*.jsonl")) for folder in OLD)
FILES = [*(GOLDEN / golden.file_name for golden in RUNS), *FIRST_FILES, *SECOND_FILES]


def test_there_is_a_golden_run_of_every_kind_and_nothing_else() -> None:
    assert {file.name for file in GOLDEN.glob("*.jsonl")} == {golden.file_name for golden in RUNS}


def test_the_first_version_left_one_of_every_task() -> None:
    assert {file.stem.partition("-")[0] for file in FIRST_FILES} == set(specification.names())
    assert len(FIRST_FILES) == 9


@pytest.mark.parametrize("file", SECOND_FILES, ids=lambda file: file.stem)
def test_a_run_from_before_rewards_and_certificates_keeps_its_rules(file: Path, tmp_path: Path) -> None:
    with Lab(address(tmp_path)) as lab:
        events = [event for _, event in lab.events(lab.import_(file))]

    assert Rule.LEGAL_ACTIONS_RECORDED in header_of(events).rules
    assert Rule.REWARDS_RECORDED not in header_of(events).rules
    assert not any(isinstance(event, AdaptationRewarded) for event in events)


def test_the_second_version_left_one_of_every_kind() -> None:
    assert len(SECOND_FILES) == 6


@pytest.mark.parametrize("file", FIRST_FILES, ids=lambda file: file.stem)
def test_an_old_run_keeps_its_rules_and_its_versions(file: Path, tmp_path: Path) -> None:
    with Lab(address(tmp_path)) as lab:
        run = lab.import_(file)
        events = [event for _, event in lab.events(run)]
        topics = {row.topic for row in lab.journal.raw(run)}

    assert Rule.LEGAL_ACTIONS_RECORDED not in header_of(events).rules
    assert {"run-started:1", "decision-made:1"} <= topics
    assert not any(event.decision.legal for event in events if isinstance(event, DecisionMade))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_golden_run_is_imported_and_decided_again_the_same(file: Path, tmp_path: Path) -> None:
    assert file.stat().st_size < SIZE_MAX
    with Lab(address(tmp_path)) as lab:
        run = lab.import_(file)
        reached = lab.verify(run)
        result = lab.result(run)
        events = [event for _, event in lab.events(run)]
        lab.export(run, tmp_path / "again.jsonl")

    assert (reached.rung, reached.divergence) == (3, None)
    assert result.ending == "COMPLETED"
    assert any(isinstance(event, SeedGerminated) for event in events)
    assert result.metrics.outcomes or result.tamiyo == "as_implemented", "a whole adaptation"
    assert check(events) == []
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()


def test_the_smallest_golden_run_is_trained_again_where_it_can_be_compared(tmp_path: Path) -> None:
    file = min(FILES, key=lambda file: file.stat().st_size)
    with Lab(address(tmp_path)) as lab:
        reached = lab.verify(lab.import_(file), retrain=True)

    assert reached.divergence is None
    assert (reached.rung, reached.not_comparable) == (4, None) or reached.not_comparable


def test_no_failure_that_was_found_has_come_back(tmp_path: Path) -> None:
    with Lab(address(tmp_path)) as lab:
        for file in sorted((GOLDEN.parent / "found").glob("*.jsonl")):
            assert check([event for _, event in lab.events(lab.import_(file))]) == [], file.name


def test_there_is_a_rejected_run_of_every_forgery_and_nothing_else() -> None:
    assert {file.stem for file in REJECTED.glob("*.jsonl")} == FORGERIES.keys()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_rejected_run_is_refused_and_its_place_named(forgery: str, tmp_path: Path) -> None:
    file = REJECTED / f"{forgery}.jsonl"
    assert file.stat().st_size < SIZE_MAX
    shell = Shell(tmp_path)

    answer = shell.inside("import", str(file))

    assert (answer.code, answer.out) == (DAMAGED, "")
    assert f"{forgery}.jsonl is damaged at position" in answer.complaint
    assert FORGERIES[forgery].said in answer.complaint
    assert shell.inside("runs", "--json").document == []
