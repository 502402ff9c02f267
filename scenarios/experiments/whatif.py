"""The house experiment: what is each choice of the design worth? ``make whatif``.

Tamiyo as implemented records a scenario, and at the plateau, just before the design's own trigger would first fire,
forks of that run go on as the design would have it: in everything, or in one choice after another. The other way round
the implementation takes over from the design before its first germination. Every fork of a run key starts from one state
and has the same data order. Judged on the test set, which no policy sees. Recorded once: asked again nothing is trained.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, final

from domain.commands import Germinate
from domain.events import DomainEvent, SeedGerminated
from domain.values import Value
from engine.courses import headers_of
from engine.evaluation.paired import Difference, Pairing, paired_difference
from engine.evaluation.sweep import JobFailed
from engine.evaluation.verdict import Verdict
from engine.randomness import stream
from engine.watching import watch
from scenarios import composition, specification
from scenarios.display.comparisons import interval
from scenarios.experiments.ladder import DESIGN, IMPLEMENTATION, Step, steps
from scenarios.experiments.readme_tables import write_table
from scenarios.lab import Lab
from scenarios.runs.amending import amended
from scenarios.specification import BadInput, Scenario
from scenarios.whatif.controls import Arm
from scenarios.whatif.exact import Trial, Tried, perform
from scenarios.whatif.question import FAILED_SCORE
from scenarios.whatif.sweeping import swept


@final
class Found(Value):
    """What a step is worth."""

    step: Step
    with_it: float
    """Mean final test accuracy, [0, 1]."""
    without_it: float
    grown: tuple[float, float]
    """Mean parameters added by the end, without it and with it."""
    difference: Difference
    verdict: Verdict


@final
class WhatIf(Value):
    """The experiment's answer."""

    scenario: str
    epochs: int
    keys: int
    forked_at: Mapping[str, tuple[int, ...]]
    """Epochs of the forks, by the policy of the runs forked."""
    found: tuple[Found, ...]
    left_out: tuple[str, ...]
    """Run keys that could not be forked and forks that gave no run, each with why."""


def plateau(events: Sequence[DomainEvent]) -> int | None:
    """The first epoch of a recorded run at which the design, watching, would have germinated something."""
    header = amended(headers_of(events)[-1], tamiyo=DESIGN)
    past = watch(events, *composition.policies(header), header)
    return next((seen.epoch for seen in past.boundaries if isinstance(seen.choice.command, Germinate)), None)


def first_germination(events: Sequence[DomainEvent]) -> int | None:
    """The first epoch of a recorded run at which something germinated."""
    return next((event.epoch for event in events if isinstance(event, SeedGerminated)), None)


FORKED_BEFORE: Final[Mapping[str, tuple[Callable[[Sequence[DomainEvent]], int | None], str]]] = {
    IMPLEMENTATION: (plateau, "no epoch at which the design could have germinated anything"),
    DESIGN: (first_germination, "no germination"),
}
"""For runs under each policy: before which epoch they are forked, and what it says where there is none."""


@final
class Experiment:
    """Records what is not recorded yet, and compares."""

    def __init__(
        self,
        scenario: Scenario,
        keys: Sequence[int],
        journal: str,
        *,
        on: str = "local",
        workers: int = 2,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._scenario = scenario
        self._keys = tuple(keys)
        self._journal = journal
        self._on = on
        self._workers = workers
        self._progress = progress
        self._tried: dict[tuple[str, str, int], Tried] = {}
        """What came of it, by origin, policy and run key."""
        self._left_out: list[str] = []

    def answer(self) -> WhatIf:
        """Everything. Raises BadInput where nothing can be compared."""
        if len(set(self._keys)) < 2:
            raise BadInput(f"{len(set(self._keys))} run keys: an interval needs 2 or more")
        Lab(self._journal).__exit__(None, None, None)  # made once, before two processes want it
        told = steps()
        at = self._recorded(dict.fromkeys(step.origin for step in told))
        arms = dict.fromkeys((step.origin, name) for step in told for name in (step.policy, step.instead_of))
        forks = [
            [self._trial(policy, key, at[origin][key], origin) for key in at[origin]]
            for origin, policy in arms
            if policy != origin
        ]  # the run itself is its continuation under its own policy
        # One fork of each run first: it keeps the state that the others start from.
        firsts = {jobs[0].origin: jobs for jobs in reversed(forks) if jobs}
        self._try([job for jobs in firsts.values() for job in jobs])
        self._try([job for jobs in forks for job in jobs if jobs not in firsts.values()])
        return WhatIf(
            scenario=self._scenario.name,
            epochs=self._scenario.training.epochs,
            keys=len(self._keys),
            forked_at={origin: tuple(epochs.values()) for origin, epochs in at.items()},
            found=tuple(self._found(step, list(at[step.origin])) for step in told),
            left_out=tuple(self._left_out),
        )

    def _recorded(self, origins: Collection[str]) -> dict[str, dict[int, int]]:
        """Record the runs to fork; gives the last epoch in common by policy and run key."""
        runs = self._try([self._trial(origin, key, None, origin) for origin in origins for key in self._keys])
        at: dict[str, dict[int, int]] = {origin: {} for origin in origins}
        with Lab(self._journal) as lab:
            for (origin, key), run in runs.items():
                find, absent = FORKED_BEFORE[origin]
                epoch = find(lab.journal.events(run))
                if epoch is None:
                    self._left_out.append(f"key {key} under {origin}: {absent}")
                else:
                    at[origin][key] = epoch - 1
        return at

    def _trial(self, policy: str, key: int, at: int | None, origin: str) -> Trial:
        where = "" if at is None else f" after epoch {at} of {origin}"
        arm = Arm(label=policy, policy=policy, scenario=self._scenario)
        name = f"{policy} on {self._scenario.name}, key {key}{where}"
        return Trial(name=name, journal=self._journal, arm=arm, key=key, at=at, origin=origin)

    def _try(self, jobs: Sequence[Trial]) -> dict[tuple[str, int], str]:
        """Runs by policy and run key; keeps what came of them."""
        runs = {}
        for trial, result in swept(jobs, perform, on=self._on, workers=self._workers, progress=self._tell):
            if isinstance(result, JobFailed):
                self._left_out.append(str(result))
                continue
            self._tried[trial.origin, trial.arm.policy, trial.key] = result
            runs[trial.arm.policy, trial.key] = result.figures.run
        return runs

    def _tell(self, trial: Trial, result: Tried | JobFailed) -> None:
        said = f"failed: {result.reason}" if isinstance(result, JobFailed) else str(result.figures.final_accuracy)[:5]
        self._progress(f"{trial.name}: {said}")

    def _found(self, step: Step, keys: Sequence[int]) -> Found:
        sides = [(step.origin, step.policy), (step.origin, step.instead_of)]
        both = [key for key in keys if all((*side, key) in self._tried for side in sides)]
        if len(both) < 2:
            why = f": {self._left_out[0]}" if self._left_out else ""
            raise BadInput(f"{step.said}: {len(both)} run keys can be compared and an interval needs 2 or more{why}")
        one, other = ([self._tried[*side, key] for key in both] for side in sides)
        difference = paired_difference(
            _scores(one),
            _scores(other),
            estimand=f"{step.said}: final test accuracy under {step.policy} minus {step.instead_of}, from the epoch "
            f"before the design's trigger in runs under {step.origin}",
            generator=stream(0, "whatif/bootstrap"),
            failed=FAILED_SCORE,
        )
        return Found(
            step=step,
            with_it=_mean(_scores(one)),
            without_it=_mean(_scores(other)),
            grown=(_grown(other), _grown(one)),
            difference=difference,
            verdict=_verdict(difference),
        )


def _scores(runs: Sequence[Tried]) -> list[float]:
    """Final test accuracies; NaN for a run that ended badly."""
    return [run.score("final_accuracy") for run in runs]


def _grown(runs: Sequence[Tried]) -> float:
    return statistics.fmean(run.figures.parameters_added for run in runs)


def _mean(scores: Sequence[float]) -> float:
    return statistics.fmean(FAILED_SCORE if math.isnan(score) else score for score in scores)


def _verdict(difference: Difference) -> Verdict:
    if not difference.shown:
        return Verdict.NO_DIFFERENCE_SHOWN
    return Verdict.BETTER if difference.mean > 0 else Verdict.WORSE


def table(told: WhatIf) -> str:
    """The answer in Markdown: what was asked, the table, and what it does not show."""
    head = [
        "| what changes | without | with | difference [95 %] | pairing gained | parameters added | keys | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*_asked(told), "", *head, *(_row(found) for found in told.found), "", *_honest(told)])


def _asked(told: WhatIf) -> list[str]:
    forked = "; ".join(
        f"runs under `{origin}` after epochs {min(epochs)} to {max(epochs)} ({len(epochs)} of {told.keys} keys)"
        for origin, epochs in told.forked_at.items()
    )
    return [
        f"Estimand: final test accuracy after {told.epochs} epochs of `{told.scenario}`, for policies that take over one "
        f"and the same run at the plateau, the epoch before the design's trigger first fires. Forked: {forked}."
    ]


def _row(found: Found) -> str:
    difference = found.difference
    paired = difference.pairing is Pairing.PAIRED
    gained = ("all" if math.isinf(difference.gain) else f"{difference.gain:.1f}x") if paired else "nothing"
    cells = [
        found.step.said,
        f"{found.without_it:.3f}",
        f"{found.with_it:.3f}",
        interval(difference),
        gained,
        f"{found.grown[0]:.0f} → {found.grown[1]:.0f}",
        str(difference.pairs),
        found.verdict.value,
    ]
    return f"| {' | '.join(cells)} |"


def _honest(told: WhatIf) -> list[str]:
    """What the table does not show."""
    silent = [found for found in told.found if found.verdict is Verdict.NO_DIFFERENCE_SHOWN]
    equal = [found.step.said for found in silent if found.difference.low == found.difference.high]
    unseen = [found.step.said for found in silent if found.step.said not in equal]
    lines = []
    if unseen:
        lines.append(
            f"- No difference is shown for {len(unseen)} of {len(told.found)}: {'; '.join(unseen)}. "
            "That is no proof of equality: the interval says how large a difference may have gone unseen."
        )
    if equal:
        lines.append(
            f"- The same accuracy on every key, whatever was decided differently, in {len(equal)} of {len(told.found)}: "
            f"{'; '.join(equal)}."
        )
    lines.append(
        f"- Each interval holds on its own; of {len(told.found)} about one in twenty excludes zero by chance alone."
    )
    return lines + [f"- Left out: {reason}." for reason in told.left_out]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="digits")
    parser.add_argument("--keys", type=int, default=10, help="run keys 0 to this, at least 2")
    parser.add_argument("--epochs", type=int, help="instead of the scenario's")
    parser.add_argument("--journal", default="sqlite:///.regrow/whatif.db")
    parser.add_argument("--on", default="local", help="local, ray or ray=ADDRESS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into scenarios/README.md")
    chosen = parser.parse_args()
    try:
        overrides = {} if chosen.epochs is None else {"training.epochs": chosen.epochs}
        experiment = Experiment(
            specification.load(chosen.scenario, overrides),
            range(chosen.keys),
            chosen.journal,
            on=chosen.on,
            workers=chosen.workers,
            progress=_say,
        )
        text = table(experiment.answer())
        sys.stdout.write(text + "\n")
        if chosen.write:
            write_table("what-if", text)
    except BadInput as error:
        sys.stderr.write(f"whatif: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
