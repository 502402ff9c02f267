"""Records ``replays/golden``: one small run of each task, which every later version must replay: ``make golden``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from scenarios import specification
from scenarios.lab import Lab

FOLDER: Final = Path(__file__).parent.parent / "replays" / "golden"
EPOCHS: Final = 45
"""Long enough for one whole adaptation on every task."""


def main() -> None:
    """Record, verify and export one run a task, and one on the simplified lifecycle."""
    with tempfile.TemporaryDirectory() as folder, Lab(f"sqlite:///{folder}/golden.db") as lab:
        jobs = [(name, "as_designed") for name in specification.names()] + [("digits", "as_implemented")]
        for name, tamiyo in jobs:
            small = {"training.epochs": EPOCHS, "tamiyo_config.plateau_patience": 4, "tamiyo_config.reserve_epochs": 5}
            result = lab.run(name, tamiyo=tamiyo, key=1, overrides=small)
            assert lab.verify(result.run).rung == 3, f"{result.run} does not verify"
            path = FOLDER / f"{name}-{tamiyo}.jsonl"
            lab.export(result.run, path)
            sys.stdout.write(
                f"{path.name}: {result.epochs} epochs, {result.metrics.outcomes}, {path.stat().st_size} bytes\n"
            )


if __name__ == "__main__":
    main()
