"""The trainer that trains nothing: it yields what a journal holds, so that a session can decide again over it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar, final

from domain.events import (
    CheckpointSaved,
    DomainEvent,
    EpochCompleted,
    LayerHealthReported,
    PanicRaised,
    SeedFaulted,
    TestScored,
)
from domain.header import RunHeader
from domain.identifiers import Epoch
from domain.run import RunState
from engine.trainers.trainer import CheckpointMissing, Trained

EventT = TypeVar("EventT", bound=DomainEvent)


class RecordingEnded(Exception):
    """The recording holds nothing of the kind asked for at this epoch: here what happens is no longer what happened."""

    def __init__(self, epoch: int, wanted: str) -> None:
        super().__init__(f"the recording has no {wanted} at epoch {epoch}")
        self.epoch = epoch
        self.wanted = wanted


@final
class RecordedTrainer:
    """Gives back each epoch's reports, metrics, faults, checkpoints and scores as they were recorded."""

    def __init__(self, events: Iterable[DomainEvent]) -> None:
        self._epochs: dict[int, list[DomainEvent]] = defaultdict(list)
        for event in events:
            self._epochs[event.epoch].append(event)

    def plant(self, header: RunHeader) -> None:
        """Nothing to build."""

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        """The recorded epoch. Raises RecordingEnded where none was recorded."""
        panics = self._of(epoch, PanicRaised)
        completed = self._of(epoch, EpochCompleted)
        if not panics and not completed:
            raise RecordingEnded(epoch, "training")
        reports = tuple(event.report for event in self._of(epoch, LayerHealthReported))
        faults = tuple(self._of(epoch, SeedFaulted))
        if panics:
            return Trained.panicking(panics[0].reason, reports=reports, faults=faults)
        return Trained(
            reports=reports,
            metrics=completed[0].metrics,
            parameters=completed[0].parameters,
            weights_digest=completed[0].weights_digest,
            faults=faults,
        )

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Nothing to carry out."""

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        """The recorded checkpoint."""
        return self._one(epoch, CheckpointSaved)

    def restore(self, digest: str, state: RunState) -> str:
        """Refused: a recording has no network to restore, and is always followed from its planting."""
        raise CheckpointMissing(f"checkpoint {digest} cannot be restored from a recording; replay it from the planting")

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        """The recorded score of this occasion."""
        for scored in self._of(epoch, TestScored):
            if scored.occasion == occasion:
                return scored
        raise RecordingEnded(epoch, f"test score ({occasion})")

    def _of(self, epoch: int, kind: type[EventT]) -> list[EventT]:
        return [event for event in self._epochs.get(epoch, ()) if isinstance(event, kind)]

    def _one(self, epoch: int, kind: type[EventT]) -> EventT:
        found = self._of(epoch, kind)
        if not found:
            raise RecordingEnded(epoch, kind.TOPIC)
        return found[0]
