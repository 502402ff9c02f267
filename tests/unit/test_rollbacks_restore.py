"""A rollback restores host, optimizer, Kasmina and the policies in lockstep, to the bit; the log is never rewound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    CheckpointSaved,
    FieldReportFiled,
    PanicRaised,
    RollbackOrdered,
    RollbackSource,
)
from domain.lifecycle import Outcome, Stage
from engine.checkers import check
from engine.session import EpochView, Session
from engine.sink import Tape
from engine.trainers.live.checkpoints import Snapshot, unpack
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import MemoryStore
from scenarios import composition, specification
from scenarios.experiments.golden import HASTY
from scenarios.runs import trainers

torch.set_num_threads(1)


@dataclass(frozen=True)
class State:
    """The bits of a trainer and of the policies' memory, but for the layers' columns: they follow the seeds' own time."""

    tensors: Mapping[str, bytes]
    memories: str
    watchdog: tuple[tuple[float, ...], int]

    @classmethod
    def of(cls, snapshot: Snapshot) -> State:
        """Copied: a snapshot shares its memory with the trainer."""
        lasting = {name: tensor for name, tensor in snapshot.tensors.items() if not name.startswith("columns/")}
        bits = {name: tensor.detach().numpy().tobytes() for name, tensor in lasting.items()}
        structure = snapshot.structure
        return cls(bits, structure.controller, (structure.losses, structure.anomalies))


@dataclass
class Poisoned:
    """A run whose host is poisoned once, while a blueprint is fine-tuned in it."""

    session: Session = field(init=False)
    trainer: LiveTrainer = field(init=False)
    store: MemoryStore = field(default_factory=MemoryStore)
    tape: Tape = field(default_factory=Tape)
    poisoned_at: int | None = None
    saved: State | None = None
    """What was saved in the checkpoint that the first rollback went back to."""
    found: State | None = None
    """What was there once it was carried out."""

    def run(self) -> RunEnding | None:
        scenario = specification.load("xor4", {**HASTY, "training.epochs": 40})
        here = trainers.fingerprint(1)
        header, tamiyo, karn = composition.header(scenario, 1, "as_designed", "no_invention", here)
        self.trainer = LiveTrainer(composition.loader(header), self.store)
        self.session = Session(self.trainer, tamiyo, karn, self.tape, watch=self.watch)
        return self.session.run(header, composition.first_library()).ending

    def watch(self, view: EpochView) -> None:
        epoch, seeds = view.state.epoch, view.state.seeds.values()
        if self.poisoned_at is None and any(seed.stage is Stage.FINE_TUNING for seed in seeds):
            self.poisoned_at = epoch
            with torch.no_grad():
                next(iter(self.trainer.network.host.values())).view(-1)[0] = math.inf
        for event in view.events:
            if isinstance(event, RollbackOrdered) and self.saved is None:
                self.saved = State.of(unpack(self.store.get(event.checkpoint)))
                self.found = State.of(self.trainer.snapshot(epoch, self.session.memories.to_json()))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.tape.events if isinstance(event, kind)]


def test_everything_is_as_it_was_at_the_checkpoint_to_the_bit_and_the_report_survives() -> None:
    poisoned = Poisoned()
    ending = poisoned.run()
    saved, found = poisoned.saved, poisoned.found
    (panic,), (ordered,) = poisoned.of(PanicRaised), poisoned.of(RollbackOrdered)[:1]

    assert poisoned.poisoned_at is not None
    assert (panic.epoch, ordered.epoch) == (poisoned.poisoned_at + 1,) * 2
    assert ordered.source is RollbackSource.TOLARIA
    assert saved is not None
    assert {name.partition("/")[0] for name in saved.tensors} == {"host", "optimizer", "health", "initial_norms"}
    assert found == saved
    concluded = [event for event in poisoned.of(AdaptationConcluded) if event.epoch == panic.epoch]
    assert [event.outcome for event in concluded] == [Outcome.ROLLED_BACK]
    assert [event.report.outcome for event in poisoned.of(FieldReportFiled)][:1] == [Outcome.ROLLED_BACK]
    assert ending is RunEnding.COMPLETED
    assert check(poisoned.tape.events) == []


def test_the_log_goes_on_where_it_was_and_forgets_the_checkpoints_of_the_past_that_it_left() -> None:
    poisoned = Poisoned()
    poisoned.run()
    (ordered,) = poisoned.of(RollbackOrdered)[:1]
    earlier = [event for event in poisoned.of(CheckpointSaved) if event.epoch < ordered.epoch]

    assert [event.epoch for event in poisoned.tape.events] == sorted(event.epoch for event in poisoned.tape.events)
    assert any(event.epoch > ordered.checkpoint_epoch for event in earlier)
    assert ordered.checkpoint in {event.checkpoint for event in earlier}
