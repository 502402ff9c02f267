"""Short runs with dropout and growth, and the same runs cut off after any epoch."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events import DomainEvent
from scenarios.experiments.golden import HASTY
from scenarios.lab import Lab
from scenarios.runs.results import RunResult

EPOCHS = 26
SETTINGS: dict[str, Any] = {
    **HASTY,
    "training.epochs": EPOCHS,
    "training.checkpoint_every": 4,
    "training.checkpoints_kept": 2,
    "host.dropout": 0.1,
    "training.batches_per_epoch": 5,
}


class Cut(Exception):
    """The process is gone."""


def cutting(after: int) -> Any:
    """A bystander that ends everything as soon as epoch ``after`` is sealed."""

    def watch(view: Any) -> None:
        if view.state.epoch >= after:
            raise Cut

    return watch


def recorded(lab: Lab, tamiyo: str = "as_designed", epochs: int = EPOCHS) -> RunResult:
    return lab.run("xor4", tamiyo=tamiyo, key=1, overrides={**SETTINGS, "training.epochs": epochs})


def cut_run(lab: Lab, after: int, tamiyo: str = "as_designed") -> str:
    """The same run, cut off after an epoch; its id."""
    with pytest.raises(Cut):
        lab.run("xor4", tamiyo=tamiyo, key=1, overrides=SETTINGS, watch=cutting(after))
    return lab.journal.runs()[-1]


def of_kind(events: tuple[DomainEvent, ...], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
