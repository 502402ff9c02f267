"""Does Karn's loop make better blueprints? Measures the tables of ``scenarios/README.md``: ``breeding``.

Two Karns on the same budget over the same run keys: ``evolution``, which learns, and ``random_search``, which does not.
Then runs on run keys that no evolution saw, once with the library that it ended with and once with the first one.
What is recorded is never recorded again, so an interrupted measurement goes on where it was.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from domain.events import DomainEvent
from domain.evolution.header import GenerationSummary
from scenarios import specification
from scenarios.evolving.field import RunJob, perform
from scenarios.evolving.recorded import EvolutionResult, library_of
from scenarios.evolving.recording import evolve, planned
from scenarios.experiments.growth import Interval, paired_interval
from scenarios.experiments.readme_tables import write_table
from scenarios.lab import Lab
from scenarios.runs import beginning
from scenarios.runs.results import RunResult
from scenarios.specification import Scenario
from scenarios.whatif.figures import CPU_SECONDS
from scenarios.whatif.sweeping import swept

KARNS: Final = (
    "evolution?candidates={candidates}&drafts=20&edits=4&rewards=learned&unprompted=true",
    "random_search?candidates={candidates}&edits=4&unprompted=true",
)
"""Both propose a whole generation at once, up to four edits away from what there is; the one learns, the other does not."""
FRESH: Final = 1000
"""First of the run keys that the libraries are compared on; those of evolutions are drawn from 2^32."""
CORES: Final = 2
SATISFIED: Final = ("tamiyo_config.acc_threshold=0.97",)
"""From here on a host is left alone: one with nothing left to gain culls the best of blueprints, which says nothing."""


@final
@dataclass(frozen=True, slots=True)
class Bred:
    """One evolution, and runs on fresh keys with the library that it ended with against the first library."""

    found: EvolutionResult
    differences: tuple[float, ...]
    """Test accuracy with the evolved library less that with the first one, one a scenario and fresh key."""
    cpu_seconds: float
    """Of its runs and of everything between them, process starts included."""


def slope(summaries: Sequence[Sequence[GenerationSummary]]) -> Interval:
    """Slope of mean certified reward over generations, common to all evolutions, each with a level of its own.

    Least squares with Student's 95 % interval, n - evolutions - 1 degrees of freedom for n generations in all of them.
    """
    from scipy import stats

    lines = [[(one.generation, one.mean_reward) for one in told if one.certified] for told in summaries]
    places, rewards = [], []
    for line in lines:
        middle, level = (statistics.fmean(column) for column in zip(*line, strict=True))
        places += [generation - middle for generation, _ in line]
        rewards += [reward - level for _, reward in line]
    extent = sum(place * place for place in places)
    rise = sum(place * reward for place, reward in zip(places, rewards, strict=True)) / extent
    left = sum((reward - rise * place) ** 2 for place, reward in zip(places, rewards, strict=True))
    freedom = len(places) - len(lines) - 1
    half = float(stats.t.ppf(0.975, freedom)) * (left / freedom / extent) ** 0.5
    return Interval(rise, rise - half, rise + half)


def bred(lab: Lab, scenarios: Sequence[Scenario], karn: str, key: int, how: argparse.Namespace) -> Bred:
    """Record one evolution and compare its library with the first one."""
    plan = planned(scenarios, key=key, generations=how.generations, runs=how.runs, candidates=how.candidates, karn=karn)
    found = evolve(lab, plan, workers=how.workers, progress=_say)
    libraries = (None, library_of(lab.journal, found.evolution))
    jobs = [
        _job(lab, scenario, run_key, library)
        for scenario in scenarios
        for run_key in range(FRESH, FRESH + how.fresh)
        for library in libraries
    ]
    results = [result for _, result in swept(jobs, perform, on="local", workers=how.workers)]
    accuracies = [_accuracy(result) for result in results]
    differences = tuple(evolved - first for first, evolved in zip(accuracies[::2], accuracies[1::2], strict=True))
    return Bred(found, differences, float(lab.journal.notes(found.evolution)[CPU_SECONDS]))


def _job(lab: Lab, scenario: Scenario, key: int, library: Sequence[DomainEvent] | None) -> RunJob:
    """A run with an evolved library, or with the first one."""
    plan = beginning.planned(scenario, key, None, None, None, library)
    name = f"{scenario.name}, key {key}, {'first' if library is None else 'evolved'} library"
    return RunJob(name, lab.address, plan.header, tuple(plan.library))


def _accuracy(result: object) -> float:
    assert isinstance(result, RunResult) and result.metrics.test_accuracy is not None, f"no run: {result}"
    return result.metrics.test_accuracy


def tables(measured: Sequence[tuple[str, Sequence[Bred]]]) -> str:
    """Generations of each Karn, then what came of each."""
    return "\n".join([*_generations(measured), "", *_outcomes(measured)])


def _generations(measured: Sequence[tuple[str, Sequence[Bred]]]) -> Iterator[str]:
    last = max(one.found.generations for _, told in measured for one in told)
    yield "| Karn | figure | " + " | ".join(f"generation {number}" for number in range(1, last + 1)) + " |"
    yield "|---|---|" + "---|" * last
    for karn, told in measured:
        by_generation = list(zip(*(one.found.summaries for one in told), strict=True))
        for label, figure in FIGURES.items():
            cells = [_mean(figure(summary) for summary in summaries) for summaries in by_generation]
            yield f"| {karn.partition('?')[0]} | {label} | " + " | ".join(cells) + " |"


FIGURES: Final[dict[str, Callable[[GenerationSummary], float]]] = {
    "mean certified reward": lambda summary: summary.mean_reward,
    "at least moderate": lambda summary: summary.at_least_moderate / max(1, summary.proposed),
    "unique graphs": lambda summary: summary.diversity,
    "edit distance": lambda summary: summary.distance,
    "test accuracy": lambda summary: summary.mean_test_accuracy,
}
"""What is told of each generation."""


def _mean(values: Iterable[float]) -> str:
    known = [value for value in values if value == value]  # noqa: PLR0124 - leaves NaN out
    return f"{statistics.fmean(known):.3f}" if known else "-"


def _outcomes(measured: Sequence[tuple[str, Sequence[Bred]]]) -> Iterator[str]:
    yield (
        "| Karn | evolutions | reward a generation, slope [95 %] | at least moderate | valid unique candidates an hour, "
        "2 cores | evolved against the library it began with: in fresh runs [95 %] | by evolution |"
    )
    yield "|---|---|---|---|---|---|---|"
    for karn, told in measured:
        summaries = [summary for one in told for summary in one.found.summaries]
        certified, proposed = sum(s.certified for s in summaries), sum(s.proposed for s in summaries)
        moderate = sum(s.at_least_moderate for s in summaries)
        rise = slope([one.found.summaries for one in told])
        # All evolutions meet the same runs with the first library: a run is one observation, however many there are.
        by_run = [statistics.fmean(run) for run in zip(*(one.differences for one in told), strict=True)]
        gain, by_evolution = paired_interval(by_run), [statistics.fmean(one.differences) for one in told]
        an_hour = certified / max(1e-9, sum(one.cpu_seconds for one in told)) * 3600 * CORES
        yield (
            f"| {karn.partition('?')[0]} | {len(told)} | {rise.mean:+.4f} [{rise.low:+.4f}, {rise.high:+.4f}] | "
            f"{moderate / max(1, proposed):.0%} of {proposed} | {an_hour:.0f} | "
            f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {len(by_run)} runs | "
            f"{min(by_evolution):+.4f} to {max(by_evolution):+.4f} |"
        )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=["xor4", "spheres"])
    parser.add_argument("--keys", type=int, default=4, help="evolutions of each Karn")
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--runs", type=int, default=1, help="of each scenario in a generation")
    parser.add_argument("--candidates", type=int, default=12, help="a generation")
    parser.add_argument("--fresh", type=int, default=6, help="run keys to compare the libraries on")
    parser.add_argument("--epochs", type=int, default=None, help="of each run, instead of the scenario's")
    parser.add_argument("--set", action="append", default=[*SATISFIED], help="section.key=value, for every scenario")
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--journal", default="sqlite:///.regrow/breeding.db")
    parser.add_argument("--library", default="first", help="what it begins with, as a scenario's `library`")
    parser.add_argument("--write", action="store_true", help="put the tables into scenarios/README.md")
    chosen = parser.parse_args()
    overrides = dict(specification.parse_override(text) for text in chosen.set)
    overrides["library"] = chosen.library
    if chosen.epochs is not None:
        overrides["training.epochs"] = chosen.epochs
    if len(chosen.scenarios) * chosen.fresh < 2:
        parser.error("an interval needs two fresh runs: more scenarios or a larger --fresh")
    scenarios = [specification.load(name, overrides) for name in chosen.scenarios]
    with Lab(chosen.journal) as lab:
        karns = [karn.format(candidates=chosen.candidates) for karn in KARNS]
        measured = [(karn, [bred(lab, scenarios, karn, key, chosen) for key in range(chosen.keys)]) for karn in karns]
    text = tables(measured)
    sys.stdout.write(text + "\n")
    if chosen.write:
        write_table(f"breeding from {chosen.library}", text)


if __name__ == "__main__":
    main()
