"""The trainer that trains nothing: it yields what a journal holds, so that a session can decide again over it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, TypeVar, final

from domain.blueprint import BlueprintGraph, blueprint_id
from domain.commands import Command, Decision, Reads, Wait
from domain.endings import RunEnding
from domain.events import (
    AlphaChanged,
    BlueprintCertified,
    BlueprintProposed,
    CheckpointSaved,
    CommandRefused,
    DecisionDiverged,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    GraftingChanged,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RunEnded,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
    TestScored,
)
from domain.header import RunHeader
from domain.identifiers import Epoch
from domain.run import RunState
from domain.urabrask.certificate import CrucibleStage, Examination, examination_of
from engine.trainers.trainer import CannotObey, CheckpointMissing, Trained

EventT = TypeVar("EventT", bound=DomainEvent)

TRAINED_TO_THE_END: Final = frozenset({RunEnding.COMPLETED, RunEnding.DIVERGED})
"""How a recording ends that answers for its last boundary too: the run ends there again."""


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

    def amend(self, header: RunHeader) -> None:
        """Nothing to change: what was recorded under the other header comes out of the same journal."""

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
        """Nothing to carry out. Raises CannotObey where the recording itself ended for that."""
        for diverged in self._of(epoch, DecisionDiverged):
            raise CannotObey(diverged, _left(diverged))
        if self._of(epoch, RunEnded) and not any(score.occasion == "ending" for score in self._of(epoch, TestScored)):
            raise CannotObey(None, _exhausted(epoch))

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

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """The recorded examination. Raises RecordingEnded where that candidate was not tried then."""
        wanted = blueprint_id(candidate)
        for event in self._of(epoch, BlueprintCertified):
            if event.blueprint_id == wanted:
                return examination_of(event.certificate)
        raise RecordingEnded(epoch, f"trial of blueprint {wanted[:12]}")

    def recorded(self, epoch: Epoch) -> tuple[DomainEvent, ...]:
        """Everything that was recorded of an epoch."""
        return tuple(self._epochs.get(epoch, ()))

    def _of(self, epoch: int, kind: type[EventT]) -> list[EventT]:
        return [event for event in self._epochs.get(epoch, ()) if isinstance(event, kind)]

    def _one(self, epoch: int, kind: type[EventT]) -> EventT:
        found = self._of(epoch, kind)
        if not found:
            raise RecordingEnded(epoch, kind.TOPIC)
        return found[0]


@final
class WhatIfTrainer:
    """A recording that another policy decides over, as long as it orders what was ordered when it was recorded.

    At the first boundary where it does not, the recording has no answer to what it ordered, and the run ends there:
    nothing that was recorded later reaches the policy. The same where the recording itself ends.
    """

    def __init__(self, events: Iterable[DomainEvent]) -> None:
        events = tuple(events)
        self._recording = RecordedTrainer(events)
        self._last = events[-1].epoch
        self._is_whole = any(isinstance(event, RunEnded) and event.ending in TRAINED_TO_THE_END for event in events)

    def plant(self, header: RunHeader) -> None:
        """Nothing to build."""

    def amend(self, header: RunHeader) -> None:
        """Nothing to change."""

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        """The recorded epoch. Raises RecordingEnded where none was recorded."""
        return self._recording.train(epoch, state)

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Raises CannotObey where the trainer is to do what it did not when it was recorded, or where nothing follows.

        That is where other orders took effect, or the same ones another effect, or other blueprints were proposed.
        """
        if any(isinstance(event, RunEnded) for event in events):  # its policy failed, and there is no network to score
            raise CannotObey(None, _exhausted(epoch))
        recorded = self._recording.recorded(epoch)
        same = (told(recorded) == told(events) for told in (orders, effects, proposals))
        if all(same):
            if epoch >= self._last and not self._is_whole:
                raise CannotObey(None, _exhausted(epoch))
            return
        diverged = DecisionDiverged(
            epoch=epoch,
            recorded=orders(recorded),
            chosen=orders(events),
            propensity=_chance_of(_choice(recorded), _choice(events)),
        )
        raise CannotObey(diverged, _left(diverged))

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        """The recorded checkpoint."""
        return self._recording.checkpoint(epoch, controller)

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """The recorded examination; of another candidate nothing is known, and the run ends at this boundary."""
        try:
            return self._recording.examine(epoch, candidate, reads)
        except RecordingEnded as ended:
            return Examination(measures=(), failed_stage=CrucibleStage.DYNAMIC, reason=str(ended))

    def restore(self, digest: str, state: RunState) -> str:
        """Refused, as of any recording."""
        return self._recording.restore(digest, state)

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        """The recorded score: the network is the recorded one as long as there is one."""
        return self._recording.score(epoch, occasion)


def orders(events: Iterable[DomainEvent]) -> tuple[Command, ...]:
    """What was ordered at one boundary and took effect, in order; waiting is no order."""
    events = tuple(events)
    void = {event.number for event in events if isinstance(event, DecisionVetoed | CommandRefused)}
    return tuple(
        event.decision.command
        for event in events
        if isinstance(event, DecisionMade) and event.number not in void and not isinstance(event.decision.command, Wait)
    )


def effects(events: Iterable[DomainEvent]) -> tuple[tuple[object, ...], ...]:
    """What a trainer is made to do by one boundary, in order, whatever the reasons were."""
    done: list[tuple[object, ...]] = []
    for event in events:
        match event:
            case SeedGerminated():
                done.append((event.adaptation, event.blueprint_id, event.reads, event.grafting))
            case StageChanged() | GraftingChanged():
                done.append((event.seed, event.source, event.target))
            case AlphaChanged():
                done.append((event.seed, event.alpha))
            case RollbackOrdered():
                done.append((event.checkpoint_epoch,))
            case _:
                pass
    return tuple(done)


def proposals(events: Iterable[DomainEvent]) -> tuple[str, ...]:
    """The blueprints that were proposed at one boundary."""
    return tuple(event.blueprint_id for event in events if isinstance(event, BlueprintProposed))


def _choice(events: Iterable[DomainEvent]) -> Decision | None:
    """The decision of a boundary that was a choice, if any was."""
    found = (event.decision for event in events if isinstance(event, DecisionMade))
    return next((decision for decision in found if decision.legal is not None), None)


def _chance_of(recorded: Decision | None, chosen: Decision | None) -> float:
    """Probability with which ``chosen`` would have been ``recorded``; saying nothing is to wait."""
    wanted = Wait() if recorded is None else recorded.command
    if chosen is None or chosen.legal is None:
        return float(isinstance(wanted, Wait))
    number = chosen.legal.index(wanted)
    return 0.0 if number is None else dict(chosen.odds).get(number, 0.0)


def _left(diverged: DecisionDiverged) -> str:
    def said(commands: tuple[Command, ...]) -> str:
        return ", ".join(command.kind for command in commands) or "nothing"

    if diverged.recorded == diverged.chosen:
        return f"at epoch {diverged.epoch} {said(diverged.chosen)} had another effect than in the recording"
    if said(diverged.recorded) == said(diverged.chosen):
        return f"at epoch {diverged.epoch} the recording holds the answer to another {said(diverged.chosen)}"
    return (
        f"at epoch {diverged.epoch} the recording holds the answer to {said(diverged.recorded)} "
        f"but {said(diverged.chosen)} was ordered"
    )


def _exhausted(epoch: int) -> str:
    return f"the recording ends at epoch {epoch}, and nothing else was decided up to there"
