"""Records ``replays/golden``: one small run of each task, which every later version must replay: ``make golden``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple, final

from scenarios.lab import Lab
from scenarios.runs.results import RunResult

FOLDER: Final = Path(__file__).parents[2] / "replays" / "golden"

HASTY: Final = {
    "tamiyo_config.plateau_patience": 3,
    "tamiyo_config.min_improvement_delta": 0.02,
    "tamiyo_config.reserve_epochs": 5,
}
"""Grows early, so that a short run holds a whole adaptation."""


@final
class Golden(NamedTuple):
    """What to record."""

    scenario: str
    tamiyo: str
    key: int
    epochs: int = 36

    @property
    def file_name(self) -> str:
        """Where it lies in ``replays/golden``."""
        return f"{self.scenario}-{self.tamiyo}.jsonl"


RUNS: Final = (
    Golden("checkerboard", "as_designed", key=1),
    Golden("clusters", "as_designed", key=2),
    Golden("digits", "as_designed", key=1),
    Golden("mnist1d", "as_designed", key=1),
    Golden("spheres", "as_designed", key=2),
    Golden("spirals", "as_designed", key=1),
    Golden("xor4", "as_designed", key=1),
    Golden("checkerboard", "random_growth", key=1, epochs=40),  # draws from a named stream; ends CULLED
    Golden("digits", "as_implemented", key=1, epochs=40),  # the simplified lifecycle
)
"""One run a task under ``as_designed``, and the other ways to grow."""


def record(golden: Golden, folder: Path) -> RunResult:
    """Record, verify and export one of them into ``folder``."""
    with tempfile.TemporaryDirectory() as scratch, Lab(f"sqlite:///{scratch}/golden.db") as lab:
        settings = {**HASTY, "training.epochs": golden.epochs}
        result = lab.run(golden.scenario, tamiyo=golden.tamiyo, key=golden.key, overrides=settings)
        rung = lab.verify(result.run).rung
        assert rung == 3, f"{result.run} reaches rung {rung} only"
        lab.export(result.run, folder / golden.file_name)
    return result


def main() -> None:
    """Record all of them."""
    for golden in RUNS:
        result = record(golden, FOLDER)
        size = (FOLDER / golden.file_name).stat().st_size
        outcomes = ", ".join(result.metrics.outcomes) or "nothing concluded"
        sys.stdout.write(f"{golden.file_name}: {result.epochs} epochs, {outcomes}, {size} bytes\n")


if __name__ == "__main__":
    main()
