"""A live run through every stage that holds a blueprint, recorded with a checkpoint at each boundary, to be cut anywhere.

``python -m tests.support.staged_runs FOLDER...`` goes on from every boundary of each run that ``write`` put into a folder
named by its settings, in a process of its own, and prints as JSON what came of each cut.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from domain.commands import Reads
from domain.events import DomainEvent
from domain.hardware import HardwareContext
from domain.header import RunHeader
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Stage
from domain.run import RunState, rebuild
from engine.journal.blobs import BlobStore
from engine.journal.codec import Codec
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import CheckpointStore, MemoryStore
from scenarios.tasks import spirals
from tests.support.live_runs import TASK, HandRun, amended, header

FIRST, SECOND, THIRD = SeedId(layer=0, index=0), SeedId(layer=1, index=1), SeedId(layer=0, index=1)
EPOCHS: Final = 22
PLAN: Final[dict[int, tuple[tuple[SeedId, Stage], ...]]] = {
    3: ((FIRST, Stage.TRAINING),),
    5: ((FIRST, Stage.GRAFTING),),
    8: ((FIRST, Stage.STABILIZATION),),
    9: ((FIRST, Stage.EVALUATING),),
    10: ((FIRST, Stage.FINE_TUNING),),
    12: ((FIRST, Stage.ACTIVE),),
    13: ((SECOND, Stage.TRAINING),),
    14: ((FIRST, Stage.FOSSILIZED),),
    15: ((SECOND, Stage.GRAFTING),),
    17: ((SECOND, Stage.ERROR_RECOVERY),),
    18: ((SECOND, Stage.DORMANT),),
}
"""Epoch to moves at its end; two seeds are germinated at epochs 2 and 12, a third at 19."""
_MID_PASS: Final[dict[str, Any]] = {"dropout": 0.3, "batches_per_epoch": 2}
"""A pass has three batches, the last one short: two boundaries of three lie within one."""
SETTINGS: Final[list[dict[str, Any]]] = [
    {},
    {"freeze_fossilized": False, "freeze_host_on_trial": False},
    _MID_PASS,
    _MID_PASS,
    _MID_PASS,
]
FORKED_AFTER: Final = {3: 3, 4: 16}
"""Settings to the epoch after which the run goes on under another header."""


def planted(store: CheckpointStore, settings: int) -> HandRun:
    """The run, untrained."""
    return HandRun(LiveTrainer(spirals.load, store), _header(settings))


def _header(settings: int) -> RunHeader:
    return header(TASK, 2, hidden=(6, 5), seeds=2, batch_size=32, checkpoints_kept=100, **SETTINGS[settings])


def _other(settings: int) -> RunHeader:
    """Everything that a fork may change for the trainer."""
    return amended(
        _header(settings),
        run_key=77,
        dropout=0.1,
        hardware=HardwareContext(compute_capacity_tflops=0.01),
        learning_rate=0.004,
        blueprint_learning_rate_factor=3.0,
        weight_decay=0.01,
        batch_size=24,
        batches_per_epoch=5,
        freeze_fossilized=False,
        freeze_host_on_trial=False,
    )


def train(run: HandRun, settings: int) -> str:
    """One epoch, under another header if it is the time for one: what it gave, and the checkpoint it ended with."""
    if FORKED_AFTER.get(settings) == run.state.epoch:
        run.fork(_other(settings))
    outcome = run.train().model_dump_json()
    _boundary(run)
    saved = run.trainer.checkpoint(Epoch(run.state.epoch), controller(run.state.epoch))
    run.record(saved)
    return outcome


def controller(epoch: int) -> str:
    """What stands for the policies' memory."""
    return f'{{"epoch":{epoch}}}'


def _boundary(run: HandRun) -> None:
    """What is decided at the end of the epoch that was just trained."""
    epoch = run.state.epoch
    if epoch == 2:
        run.germinate(FIRST, "residual_mlp")
    if epoch == 12:
        run.germinate(SECOND, "se_gate", Reads.LAYER)
    if epoch == 19:
        run.germinate(THIRD, "glu", Reads.INPUT)
    for seed, stage in PLAN.get(epoch, ()):
        run.move(seed, stage)
    for seed in (FIRST, SECOND):
        adaptation = run.state.seed(seed).adaptation
        if adaptation is not None and run.state.seed(seed).stage is Stage.GRAFTING:
            run.blend(seed, min(adaptation.alpha + 0.4, 1.0))
    run.act()


@dataclass(frozen=True)
class Staged:
    """A whole run: its checkpoints, its state at every boundary, what every epoch gave, and its events."""

    store: MemoryStore
    states: tuple[RunState, ...]
    outcomes: tuple[str, ...]
    events: tuple[DomainEvent, ...]

    def checkpoint(self, cut: int) -> str:
        """Saved at the end of epoch ``cut``."""
        return self.states[cut - 1].checkpoints[-1].checkpoint

    def rest(self, cut: int) -> str:
        """Digest of everything after ``cut``: what each epoch gave and its checkpoint."""
        return _digest([(self.outcomes[epoch - 1], self.checkpoint(epoch)) for epoch in range(cut + 1, EPOCHS + 1)])


def _digest(found: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


@cache
def recorded(settings: int) -> Staged:
    """The run from its planting to its end, never stopped."""
    store = MemoryStore()
    run = planted(store, settings)
    states, outcomes = [], []
    for _ in range(EPOCHS):
        outcomes.append(train(run, settings))
        states.append(run.state)
    return Staged(store, tuple(states), tuple(outcomes), tuple(run.events))


def resumed(store: CheckpointStore, state: RunState, digest: str = "") -> HandRun:
    """The run freshly planted and restored from the newest checkpoint of ``state``, or from what is under ``digest``."""
    run = HandRun(LiveTrainer(spirals.load, store), state.planted or state.started)
    if state.planted is not None:
        run.trainer.amend(state.started)
    run.state = state
    assert run.trainer.restore(digest or state.checkpoints[-1].checkpoint, state) == controller(state.epoch)
    return run


# In another process


def write(folder: Path, settings: int) -> None:
    """Put the recorded run's events and checkpoints into a new folder."""
    folder.mkdir()
    run, codec = recorded(settings), Codec()
    blobs = BlobStore(folder / "blobs").for_run("staged")
    for epoch in range(1, EPOCHS + 1):
        blobs.put(run.store.get(run.checkpoint(epoch)))
    lines = [json.dumps([codec.topic(type(event)), codec.encode(event).decode()]) for event in run.events]
    (folder / "events.jsonl").write_text("\n".join(lines), encoding="utf-8")


def go_on(folder: Path, settings: int) -> dict[int, str]:
    """From what ``write`` wrote: for every cut the digest of everything after it."""
    codec = Codec()
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    events = [codec.decode(topic, text.encode()) for topic, text in lines]
    found: dict[int, str] = {}
    for cut in range(1, EPOCHS):
        state = rebuild(event for event in events if event.epoch <= cut)
        run = resumed(BlobStore(folder / "blobs").for_run("staged"), state)
        rest = [(train(run, settings), run.state.checkpoints[-1].checkpoint) for _ in range(cut, EPOCHS)]
        found[cut] = _digest(rest)
    return found


if __name__ == "__main__":
    FOLDERS = [Path(folder) for folder in sys.argv[1:]]
    sys.stdout.write(json.dumps({folder.name: go_on(folder, int(folder.name)) for folder in FOLDERS}))
