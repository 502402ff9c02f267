"""Records ``replays/golden``: small runs of every kind, which every later version must replay: ``make golden``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from engine.session import EpochView
from scenarios.lab import Lab
from scenarios.runs.orders import GrowthOrder, give
from scenarios.runs.results import RunResult

FOLDER: Final = Path(__file__).parents[2] / "replays" / "golden"

HASTY: Final = {
    "tamiyo_config.plateau_patience": 3,
    "tamiyo_config.min_improvement_delta": 0.02,
    "tamiyo_config.reserve_epochs": 5,
}
"""Grows early, so that a short run holds a whole adaptation."""


OLD: Final = (FOLDER / "version-1", FOLDER / "version-2")
"""Runs that earlier versions recorded, which are never recorded anew."""


@final
class Golden(NamedTuple):
    """What to record."""

    name: str
    scenario: str
    tamiyo: str
    key: int
    epochs: int = 36
    settings: Mapping[str, Any] = {}
    karn: str | None = None
    fork: tuple[int, str] | None = None
    """An epoch, and the policy that takes over after it."""
    pause: range | None = None
    """The epochs that begin with growth paused."""

    @property
    def file_name(self) -> str:
        """Where it lies in ``replays/golden``."""
        return f"{self.name}.jsonl"


RUNS: Final = (
    Golden("designed", "xor4", "as_designed", key=1),
    Golden(
        "designed-dropout-mid-pass",
        "digits",
        "as_designed",
        key=1,
        settings={"host.dropout": 0.1, "training.batches_per_epoch": 10},
    ),
    Golden("implemented", "digits", "as_implemented", key=1, epochs=40),  # the simplified lifecycle
    Golden("random", "checkerboard", "random_growth", key=1, epochs=40),  # draws from a named stream; ends CULLED
    Golden("softened", "spirals", "as_designed?epsilon=0.05", key=1),
    Golden("forked", "spheres", "never_grow", key=2, fork=(8, "as_designed")),
    Golden("invented", "xor4", "as_designed", key=1, karn="evolution", epochs=50),  # candidates certified in torch
    Golden("drawn", "spirals", "as_designed?seeds=thompson&strategy=NONE", key=1),  # seed and blueprint by odds
    Golden("paused", "xor4", "as_designed", key=1, epochs=44, pause=range(6, 16)),
)
"""The ways in which a run can come about."""


def record(golden: Golden, folder: Path) -> RunResult:
    """Record, verify and export one of them into ``folder``."""
    with tempfile.TemporaryDirectory() as scratch, Lab(f"sqlite:///{scratch}/golden.db") as lab:
        settings = {**HASTY, "training.epochs": golden.epochs, **golden.settings}
        result = lab.run(
            golden.scenario,
            tamiyo=golden.tamiyo,
            karn=golden.karn,
            key=golden.key,
            overrides=settings,
            watch=partial(_steer, lab, golden.pause or range(0)),
        )
        if golden.fork is not None:
            at, policy = golden.fork
            result = lab.fork(result.run, at, tamiyo=policy)
        rung = lab.verify(result.run).rung
        assert rung == 3, f"{result.run} reaches rung {rung} only"
        lab.export(result.run, folder / golden.file_name)
    return result


def _steer(lab: Lab, pause: range, view: EpochView) -> None:
    """Leave the orders that pause growth for the epochs of ``pause``."""
    coming = view.state.epoch + 1
    if pause and coming in {pause.start, pause.stop}:
        order = GrowthOrder(paused=coming == pause.start, by="golden", reason="a pause that has to replay")
        give(lab.journal, lab.journal.runs()[-1], order)


def main() -> None:
    """Record all of them."""
    for golden in RUNS:
        result = record(golden, FOLDER)
        size = (FOLDER / golden.file_name).stat().st_size
        outcomes = ", ".join(result.metrics.outcomes) or "nothing concluded"
        sys.stdout.write(f"{golden.file_name}: {result.epochs} epochs, {outcomes}, {size} bytes\n")


if __name__ == "__main__":
    main()
