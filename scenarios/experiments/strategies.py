"""What does each way to choose yield? The table of ``scenarios/README.md``: ``python -m scenarios.experiments.strategies``.

Each of the 13 blueprint selection strategies, and each of the five bandits that choose seeds under PERFORMANCE, on the
same run keys. Every run is recorded and trained again in a new process; what is recorded and verified already is not run
again, so the experiment goes on where it was cut off. Judged on the test set, which no policy sees.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final, final

from domain.events import EpochCompleted
from domain.lifecycle import Outcome
from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.config import SELECTABLE, BlueprintSelectionStrategy
from domain.values import Value
from scenarios import specification
from scenarios.experiments.growth import paired_interval
from scenarios.experiments.readme_tables import write_table
from scenarios.lab import Lab
from scenarios.runs.once import run_once
from scenarios.runs.results import RunResult

SCENARIOS: Final = ("digits", "spirals")
VERIFIED: Final = "rung"
"""The note beside a run that says how far it was verified, and as which digest."""
OUTCOMES: Final = (Outcome.FOSSILIZED, Outcome.CULLED, Outcome.ROLLED_BACK, Outcome.CANCELLED)


def policies() -> dict[str, str]:
    """What the table calls each way to choose, and the policy that chooses so."""
    strategies = {each.value: f"as_designed?strategy={each.value}" for each in SELECTABLE}
    performance = BlueprintSelectionStrategy.PERFORMANCE.value
    ways = [way.value for way in SeedSelection if way is not SeedSelection.NEED]
    return strategies | {
        f"{performance}, seeds by {way}": f"as_designed?seeds={way}&strategy={performance}" for way in ways
    }


@final
class Job(Value):
    """One run to be recorded and verified."""

    scenario: str
    title: str
    key: int
    journal: str
    epochs: int | None = None
    """None for as many as the scenario says."""


@final
class Trial(Value):
    """What came of it."""

    scenario: str
    title: str
    key: int
    accuracy: float
    """On the test set at the end, [0, 1]."""
    added: int
    """Parameters at the end less those of the host."""
    outcomes: dict[str, int]
    rung: int


def measure(job: Job) -> Trial:
    """Record the run unless it is recorded, and verify it unless it is verified."""
    overrides: dict[str, Any] = {} if job.epochs is None else {"training.epochs": job.epochs}
    scenario = specification.load(job.scenario, overrides)
    with Lab(job.journal) as lab:
        result = run_once(lab, scenario, tamiyo=policies()[job.title], key=job.key)
        assert result.metrics.test_accuracy is not None, f"{result.run} has no ending"
        return Trial(
            scenario=job.scenario,
            title=job.title,
            key=job.key,
            accuracy=result.metrics.test_accuracy,
            added=result.metrics.parameters - _host_parameters(lab, result.run),
            outcomes=dict(result.metrics.outcomes),
            rung=_rung(lab, result),
        )


def _host_parameters(lab: Lab, run: str) -> int:
    """Parameters after the first epoch, at whose end nothing has been grown yet."""
    return next(event.parameters for event in lab.journal.events(run) if isinstance(event, EpochCompleted))


def _rung(lab: Lab, result: RunResult) -> int:
    digest, _, rung = lab.journal.notes(result.run).get(VERIFIED, "").partition(" ")
    if digest == result.digest:
        return int(rung)
    reached = lab.verify(result.run, retrain=True)
    lab.journal.note(result.run, VERIFIED, f"{result.digest} {reached.rung}")
    return reached.rung


def row(trials: Sequence[Trial]) -> str:
    """One line of the table: one way to choose on one scenario."""
    first = trials[0]
    total = sum((Counter(trial.outcomes) for trial in trials), Counter[str]())
    outcomes = " | ".join(str(total[outcome.value]) for outcome in OUTCOMES)
    added = statistics.fmean(trial.added for trial in trials)
    reproduced = sum(trial.rung == 4 for trial in trials)
    return (
        f"| {first.scenario} | {first.title} | {_mean([trial.accuracy for trial in trials])} | {added:.0f} | "
        f"{outcomes} | {reproduced} of {len(trials)} |"
    )


def _mean(values: Sequence[float]) -> str:
    """The mean, with its 95 % interval from two values on."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    found = paired_interval(values)
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def table(trials: Sequence[Trial]) -> str:
    """The whole table in Markdown."""
    head = [
        "| scenario | chosen by | test accuracy [95 %] | parameters added | fossilized | culled | rolled back | "
        "cancelled | runs at rung 4 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row(group) for group in _groups(trials))])


def _groups(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    for scenario in sorted({trial.scenario for trial in trials}):
        for title in policies():
            group = [trial for trial in trials if (trial.scenario, trial.title) == (scenario, title)]
            if group:
                yield group


def main() -> None:
    """Record, verify and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=specification.names())
    parser.add_argument("--keys", type=int, default=10, help="run keys 0 to this, at least 1")
    parser.add_argument("--only", nargs="+", default=list(policies()), choices=list(policies()), metavar="WAY")
    parser.add_argument("--epochs", type=int, help="shorter runs, to try it; by default the scenario's")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--journal", default="sqlite:///.regrow/strategies.db")
    parser.add_argument("--write", action="store_true", help="put the table into scenarios/README.md")
    chosen = parser.parse_args()
    Lab(chosen.journal).__exit__(None, None, None)  # made once, before two processes want it
    jobs = [
        Job(scenario=scenario, title=title, key=key, journal=chosen.journal, epochs=chosen.epochs)
        for scenario in chosen.scenarios
        for key in range(chosen.keys)
        for title in chosen.only
    ]
    trials = []
    with ProcessPoolExecutor(chosen.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for trial in pool.map(measure, jobs):
            trials.append(trial)
            sys.stderr.write(
                f"{trial.scenario} {trial.key} {trial.title}: {trial.accuracy:.3f}, +{trial.added} parameters, "
                f"rung {trial.rung}\n"
            )
    text = table(trials)
    sys.stdout.write(text + "\n")
    if chosen.write:
        write_table("strategies", text)


if __name__ == "__main__":
    main()
