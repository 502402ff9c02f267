"""What a fork costs over the training of the epochs that it runs, those on the way to its epoch included.

CPU seconds of the whole fork (reading and sharing the past, planting, restoring, watching the past) over those of its
epochs, which its bystander measures one by one in the same run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import figure, say

from engine.session import EpochView
from scenarios.experiments.golden import HASTY
from scenarios.lab import Lab

LIMIT = 1.1
ROUNDS = 3
EPOCHS = 120
AT = 40
COURSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("with nothing changed", {}),
    ("under another policy, which watches the past", {"tamiyo": "random_growth"}),
    ("under another run key", {"key": 5}),
)


class Epochs:
    """A bystander that takes the CPU time at the end of each epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, view: EpochView) -> None:
        self.times.append(time.process_time())

    @property
    def cost(self) -> float:
        """CPU seconds of all epochs seen; what comes before the first end is not known and taken for the median."""
        costs = [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]
        return sum(costs) + statistics.median(costs)


def ratio(lab: Lab, parent: str, changes: dict[str, Any]) -> tuple[float, int]:
    """Cost of a fork over the cost of its epochs, and how many those were."""
    epochs, began = Epochs(), time.process_time()
    lab.fork(parent, AT, watch=epochs, **changes)
    return (time.process_time() - began) / epochs.cost, len(epochs.times)


def main() -> None:
    """Print the figures."""
    say(f"forking: digits, {EPOCHS} epochs, at epoch {AT}; CPU time of the fork over that of the epochs that it runs")
    overrides = {**HASTY, "training.epochs": EPOCHS}
    found: dict[str, list[tuple[float, int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            with Lab(f"sqlite:///{Path(folder) / str(number)}.db") as lab:
                parent = lab.run("digits", key=number, overrides=overrides).run
                found.setdefault("the first at this epoch: its checkpoint is gone", []).append(ratio(lab, parent, {}))
                for course, changes in COURSES:
                    found.setdefault(course, []).append(ratio(lab, parent, changes))
    for course, costs in found.items():
        typical = statistics.median(cost for cost, _ in costs)
        label = f"{course} ({costs[0][1]} epochs)"
        figure(label, f"{typical:.3f}", f"{LIMIT:g}", met=typical <= LIMIT)


if __name__ == "__main__":
    main()
