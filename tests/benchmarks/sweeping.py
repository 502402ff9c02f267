"""What a second process is worth: the same live runs one after the other in this process, then on two."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from measuring import figure, say, wall

from scenarios import specification
from scenarios.lab import Lab
from scenarios.whatif.question import Question

LIMIT: Final = 1.7
KEYS: Final = 60
"""Enough that starting two workers, which load torch, is little of it: over 20 runs it is a quarter of the gain."""
EPOCHS: Final = 120


def evaluated(url: str, workers: int) -> str:
    """Every run's digest of one evaluation into a new journal."""
    scenario = specification.load("xor4", {"training.epochs": EPOCHS})
    question = Question(scenario=scenario, policies=("as_designed",), baseline="as_designed", keys=tuple(range(KEYS)))
    with Lab(url) as lab:
        lab.evaluate(question, workers=workers)
        return " ".join(sorted(result.digest for result in lab.results()))


def main() -> None:
    """Print the figures."""
    say(f"sweeping: {KEYS} live runs of {EPOCHS} epochs, clock of the whole evaluation, starting the workers included")
    digests: dict[int, str] = {}
    taken: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        evaluated(f"sqlite:///{Path(folder) / 'warm.db'}", 1)
        for workers in (1, 2):
            url = f"sqlite:///{Path(folder) / f'{workers}.db'}"
            taken[workers] = wall(lambda url=url, workers=workers: digests.update({workers: evaluated(url, workers)}))  # type: ignore[misc]
    assert digests[1] == digests[2], "two processes recorded other runs than one"
    ratio = taken[1] / taken[2]
    for workers, seconds in taken.items():
        figure(f"{workers} process{'es' if workers > 1 else ''}", f"{seconds:.1f} s")
    figure("two over one, equal digests", f"{ratio:.2f}x", f"{LIMIT}x", met=ratio >= LIMIT)
    sys.stdout.flush()
