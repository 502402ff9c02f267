"""Live runs by strategies and bandits: recorded, decided again the same, and trained again the same elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.events import DecisionMade, SeedGerminated, StageChanged
from domain.lifecycle import ADAPTING
from engine.checkers import check
from scenarios import specification
from scenarios.experiments.strategies import Job, measure, policies, table
from scenarios.lab import Lab
from scenarios.runs.results import RunResult
from tests.support.grown_runs import SMALL, address, events_of

TOGETHER = {
    **SMALL,
    "training.epochs": 30,
    "tamiyo_config.plateau_patience": 2,
    "tamiyo_config.reserve_epochs": 0,
    "tamiyo_config.allow_concurrent_adaptations": True,
    "tamiyo_config.max_active_seeds": 2,
}


def recorded(folder: Path, tamiyo: str) -> RunResult:
    with Lab(address(folder)) as lab:
        return lab.run(specification.load("xor4", TOGETHER), tamiyo=tamiyo, key=3)


@pytest.mark.parametrize(
    "tamiyo", ["as_designed?strategy=NONE", "as_designed?seeds=ucb", "as_designed?strategy=SAFETY"]
)
def test_a_run_by_a_strategy_is_decided_again_the_same(tmp_path: Path, tamiyo: str) -> None:
    result = recorded(tmp_path, tamiyo)
    with Lab(address(tmp_path)) as lab:
        reached = lab.verify(result.run)

    assert (reached.rung, reached.divergence) == (3, None)
    assert check(events_of(tmp_path, result.run)) == []


def test_a_run_of_several_seeds_at_a_time_by_a_bandit_is_trained_again_the_same_elsewhere(tmp_path: Path) -> None:
    mix = "as_designed?hybrid=ACCURACY:0.6,SIZE:0.4&seeds=thompson&strategy=HYBRID"
    result = recorded(tmp_path, mix)
    with Lab(address(tmp_path)) as lab:
        reached = lab.verify(result.run, retrain=True)
    events = events_of(tmp_path, result.run)

    assert (reached.rung, reached.divergence) == (4, None)
    active: set[str] = set()
    most = 0
    for event in events:
        if isinstance(event, StageChanged):
            (active.add if event.target in ADAPTING else active.discard)(str(event.seed))
            most = max(most, len(active))
    assert most == 2
    assert sum(isinstance(event, SeedGerminated) for event in events) >= 2
    drawn = [event.decision for event in events if isinstance(event, DecisionMade) and event.decision.draws]
    assert all(len(decision.odds) > 1 for decision in drawn)
    assert all("HYBRID" in decision.reason and "thompson takes seed" in decision.reason for decision in drawn)


def test_the_experiment_goes_on_where_it_was_and_makes_a_table(tmp_path: Path) -> None:
    titles = ("NONE", "PERFORMANCE, seeds by thompson")
    jobs = [Job(scenario="xor4", title=title, key=1, journal=address(tmp_path), epochs=12) for title in titles]

    trials = [measure(job) for job in jobs]
    with Lab(address(tmp_path)) as lab:
        runs = lab.journal.runs()

    assert [measure(job) for job in jobs] == trials
    with Lab(address(tmp_path)) as lab:
        assert lab.journal.runs() == runs
    lines = table(trials).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == list(titles)
    assert all(line.endswith("| 1 of 1 |") for line in lines[2:])
    assert len(policies()) == 18
