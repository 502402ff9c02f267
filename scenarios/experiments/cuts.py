"""Cuts twenty runs at three epochs each and goes on: resumed in a new process, and forked with nothing changed.

``make cuts``. Each run must come to the same end as the one that was never cut: every event, the weights, and the last
checkpoint's bytes, which hold weights, optimizer, grafts and the policies' memory. What was drawn from each random
stream is in the events. A cut is a process that kills itself right after an epoch was sealed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, final

from domain.events import CheckpointSaved, EpochCompleted, SeedGerminated
from engine.randomness import stream
from engine.session import EpochView
from scenarios.experiments.golden import HASTY
from scenarios.lab import PARENT, Lab

EPOCHS: Final = 45
"""A multiple of the epochs between checkpoints: the last boundary of each run is saved."""
CUTS: Final = 3
PROCESSES: Final = 2
TASKS: Final = ("checkerboard", "clusters", "digits", "mnist1d", "spheres", "spirals", "xor4")
SIMPLIFIED: Final = "composed?gates=simplified"
"""Grows at a plateau as the design does, so early enough for a short run, under the implementation's lifecycle."""


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A run to cut."""

    scenario: str
    tamiyo: str
    key: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def overrides(self) -> dict[str, Any]:
        """What differs from the scenario."""
        return {**HASTY, "training.epochs": EPOCHS, **self.settings}

    def cuts(self, count: int) -> list[int]:
        """The epochs after which it is cut, drawn from its own key, in order."""
        epochs = int(self.overrides["training.epochs"])
        drawn = stream(self.key, f"cuts/{self.scenario}/{self.tamiyo}").choice(epochs - 1, size=count, replace=False)
        return sorted(int(epoch) + 1 for epoch in drawn)


def _plans() -> tuple[Plan, ...]:
    pairs = [(task, tamiyo) for tamiyo in ("as_designed", SIMPLIFIED) for task in TASKS]
    pairs += [("spirals", "as_implemented"), ("checkerboard", "as_implemented")]
    pairs += [("clusters", "random_growth"), ("xor4", "random_growth")]
    pairs += [("spheres", "always_grow"), ("digits", "always_grow")]
    found = []
    for number, (task, tamiyo) in enumerate(pairs):
        settings: dict[str, Any] = {"host.dropout": 0.1} if number % 2 else {}
        if number % 3 != 1:  # no divisor of the batches in the data: boundaries fall into the middle of their order
            settings["training.batches_per_epoch"] = 11
        found.append(Plan(task, tamiyo, key=number + 1, settings=settings))
    return tuple(found)


PLANS: Final = _plans()
"""All tasks under both lifecycles, half of them with dropout; the order of the data is shuffled in all of them."""


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of cutting one run."""

    plan: Plan
    cuts: tuple[int, ...]
    germinations: tuple[int, ...]
    """The epochs at which something germinated in the run that was never cut."""
    resumed: tuple[tuple[str, ...], ...]
    """What differs in each run that was resumed: nothing where it is equal."""
    forked: tuple[tuple[str, ...], ...]
    """The same of each fork."""

    @property
    def line(self) -> str:
        """In a line."""
        settings = ", ".join(f"{name}={value}" for name, value in self.plan.settings.items()) or "as it comes"
        count = len(self.cuts)
        return (
            f"{self.plan.scenario:13}{self.plan.tamiyo:27}cut at {', '.join(map(str, self.cuts)):12}"
            f"resumed {self.resumed.count(())}/{count}, forks {self.forked.count(())}/{count}  "
            f"germinated at {', '.join(map(str, self.germinations)) or '-'} ({settings})"
        )


def judged(plan: Plan, count: int, folder: Path) -> Verdict:
    """Record one run, cut it ``count`` times and go on each time. Every step has a process of its own."""
    folder.mkdir()
    cuts = plan.cuts(count)
    whole = f"sqlite:///{folder}/whole.db"
    _in_process(partial(_record_and_fork, whole, plan, cuts))
    journals = [f"sqlite:///{folder}/cut-{cut}.db" for cut in cuts]
    for journal, cut in zip(journals, cuts, strict=True):
        _in_process(partial(_record, journal, plan, cut), ends=-signal.SIGKILL)
        _in_process(partial(_resume, journal))
    with Lab(whole) as lab:
        run, *forks = lab.journal.runs()
        by_epoch = {lab.result(fork).at_epoch: fork for fork in forks}
        events = lab.journal.events(run)
        return Verdict(
            plan=plan,
            cuts=tuple(cuts),
            germinations=tuple(event.epoch for event in events if isinstance(event, SeedGerminated)),
            resumed=tuple(_differences(lab, run, journal) for journal in journals),
            forked=tuple(_differences_of(lab, run, lab, by_epoch[cut]) for cut in cuts),
        )


def _in_process(work: Callable[[], None], ends: int = 0) -> None:
    """Do ``work`` in a new process, which must end as it should."""
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == ends, f"a process ended with {process.exitcode} instead of {ends}"


def _record(journal: str, plan: Plan, cut: int) -> None:
    def watch(view: EpochView) -> None:
        if view.state.epoch == cut:
            os.kill(os.getpid(), signal.SIGKILL)

    with Lab(journal) as lab:
        lab.run(plan.scenario, tamiyo=plan.tamiyo, key=plan.key, overrides=plan.overrides, watch=watch)


def _record_and_fork(journal: str, plan: Plan, cuts: Sequence[int]) -> None:
    with Lab(journal) as lab:
        run = lab.run(plan.scenario, tamiyo=plan.tamiyo, key=plan.key, overrides=plan.overrides).run
        for cut in cuts:
            lab.fork(run, cut)


def _resume(journal: str) -> None:
    with Lab(journal) as lab:
        (run,) = lab.journal.runs()
        lab.resume(run)


def _differences(whole: Lab, run: str, journal: str) -> tuple[str, ...]:
    with Lab(journal) as lab:
        (other,) = lab.journal.runs()
        assert PARENT not in lab.journal.notes(other), "a run that was resumed is no fork"
        return _differences_of(whole, run, lab, other)


def _differences_of(whole: Lab, run: str, lab: Lab, other: str) -> tuple[str, ...]:
    """What of ``other`` is not as in ``run``: events, log, weights, checkpoint."""
    facts = _facts(whole, run), _facts(lab, other)
    return tuple(name for name, value in facts[0].items() if facts[1][name] != value)


def _facts(lab: Lab, run: str) -> dict[str, Any]:
    events = lab.journal.events(run)
    weights = [event.weights_digest for event in events if isinstance(event, EpochCompleted)]
    saved = [event for event in events if isinstance(event, CheckpointSaved)][-1]
    return {
        "events": lab.journal.raw(run),
        "digest of the log": lab.head(run).digest,
        "weights": weights,
        "last checkpoint": (saved.epoch, lab.journal.blobs(run).get(saved.checkpoint)),
    }


def survey(plans: Sequence[Plan], count: int, folder: Path) -> list[Verdict]:
    """Cut each of the plans ``count`` times, a few side by side."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        places = (folder / str(number) for number in range(len(plans)))
        return list(pool.map(lambda plan, place: judged(plan, count, place), plans, places))


def main() -> None:
    """Cut all of them and say whether each came to the same end."""
    with tempfile.TemporaryDirectory() as folder:
        verdicts = survey(PLANS, CUTS, Path(folder))
    for verdict in verdicts:
        sys.stdout.write(verdict.line + "\n")
    total = len(PLANS) * CUTS
    resumed = sum(verdict.resumed.count(()) for verdict in verdicts)
    forked = sum(verdict.forked.count(()) for verdict in verdicts)
    sys.stdout.write(f"{resumed} of {total} resumed equal\n{forked} of {total} forks equal\n")
    sys.exit(0 if resumed == forked == total else 1)


if __name__ == "__main__":
    main()
