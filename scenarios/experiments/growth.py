"""Does growth help? Measures the table of ``scenarios/README.md``: ``make growth``.

Three arms over the same run keys: ``as_designed``, ``never_grow``, and a static network widened to the parameter count
that growth ended with. Judged on the test set, which no policy sees.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from scenarios import specification
from scenarios.experiments.readme_tables import write_table
from scenarios.lab import Lab
from scenarios.runs.results import RunResult
from scenarios.whatif.controls import widened


@dataclass(frozen=True, slots=True)
class Arms:
    """One run key under the three arms; test accuracies in [0, 1]."""

    scenario: str
    key: int
    grown: RunResult
    static: float
    widened: float
    static_parameters: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def paired_interval(differences: Sequence[float]) -> Interval:
    """Mean of paired differences with Student's 95 % interval (n - 1 degrees of freedom). Needs two or more."""
    from scipy import stats

    mean = statistics.fmean(differences)
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * statistics.stdev(differences) / len(differences) ** 0.5
    return Interval(mean, mean - half, mean + half)


def measure(job: tuple[str, int, str]) -> Arms:
    """Run the three arms of one scenario and run key, recorded in the journal."""
    name, key, journal = job
    scenario = specification.load(name)
    with Lab(journal) as lab:
        grown = lab.run(scenario, tamiyo="as_designed", key=key)
        static = lab.run(scenario, tamiyo="never_grow", key=key)
        wide = lab.run(widened(scenario, grown.metrics.parameters), tamiyo="never_grow", key=key)
    return Arms(name, key, grown, _accuracy(static), _accuracy(wide), static.metrics.parameters)


def _accuracy(result: RunResult) -> float:
    assert result.metrics.test_accuracy is not None, f"{result.run} has no ending"
    return result.metrics.test_accuracy


def row(arms: Sequence[Arms]) -> str:
    """One line of the table."""
    scenario = specification.load(arms[0].scenario)
    grown = [_accuracy(arm.grown) for arm in arms]
    gain = paired_interval([_accuracy(arm.grown) - arm.static for arm in arms])
    target = scenario.target
    hits = sum(accuracy >= target for accuracy in grown) if target is not None else 0
    met = "none set" if target is None else f"{target:g}: {'yes' if statistics.fmean(grown) >= target else 'no'}"
    reached = "" if target is None else f" ({hits} of {len(arms)} runs)"
    before, after = arms[0].static_parameters, statistics.fmean(arm.grown.metrics.parameters for arm in arms)
    return (
        f"| {scenario.name} | {_spread([arm.static for arm in arms])} | {_spread(grown)} | "
        f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] | {met}{reached} | "
        f"{_spread([arm.widened for arm in arms])} | {before} → {after:.0f} | {_outcomes(arms)} |"
    )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def _outcomes(arms: Sequence[Arms]) -> str:
    total: dict[str, int] = {}
    for arm in arms:
        for outcome, count in arm.grown.metrics.outcomes.items():
            total[outcome] = total.get(outcome, 0) + count
    return ", ".join(f"{count} {outcome.lower()}" for outcome, count in sorted(total.items())) or "none"


def table(measured: Sequence[Arms]) -> str:
    """The whole table in Markdown."""
    scenarios = sorted({arm.scenario for arm in measured})
    head = [
        "| scenario | never_grow | as_designed | paired difference [95 %] | target reached (mean) | "
        "static, final size | parameters | adaptations |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row([arm for arm in measured if arm.scenario == name]) for name in scenarios)])


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=list(specification.names()))
    parser.add_argument("--keys", type=int, default=10, help="run keys 0 to this, at least 2")
    parser.add_argument("--journal", default="sqlite:///.regrow/growth.db")
    parser.add_argument("--write", action="store_true", help="put the table into scenarios/README.md")
    chosen = parser.parse_args()
    Lab(chosen.journal).__exit__(None, None, None)  # made once, before two processes want it
    jobs = [(name, key, chosen.journal) for name in chosen.scenarios for key in range(chosen.keys)]
    measured = []
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for arms in pool.map(measure, jobs):
            measured.append(arms)
            accuracy = arms.grown.metrics.test_accuracy
            sys.stderr.write(
                f"{arms.scenario} {arms.key}: {arms.static:.3f} -> {accuracy:.3f}, {arms.widened:.3f} wide\n"
            )
    text = table(measured)
    sys.stdout.write(text + "\n")
    if chosen.write:
        write_table("growth", text)


if __name__ == "__main__":
    main()
