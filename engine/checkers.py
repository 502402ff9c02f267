"""What must hold of every recorded run, told from its events alone.

The checkers know the lifecycle's graph and nothing of the code that decides or folds, so that they can be held against
any run of any trainer: live, recorded, scripted, generated or imported.

To add a checker: a function from a run's events to the sentences that say what is broken, and a line in ``CHECKERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from domain.commands import Wait
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    CheckpointSaved,
    CommandRefused,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    FieldReportFiled,
    GraftingChanged,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RollbackSource,
    RunEnded,
    RunForked,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
    TestScored,
)
from domain.health import RAW
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from engine.lifecycle_checker import check_lifecycles

PANICS_TO_DIVERGE: Final = 3

_OF_SEEDS: Final = (SeedGerminated, StageChanged, AlphaChanged, GraftingChanged, AdaptationConcluded, FieldReportFiled)
_ANSWERS: Final = (DecisionVetoed, CommandRefused, StageChanged, GraftingChanged, RollbackOrdered)
_BY_TRAINER: Final = (LayerHealthReported, EpochCompleted, PanicRaised, SeedFaulted)

Checker = Callable[[Sequence[DomainEvent]], Iterator[str]]


def check(events: Sequence[DomainEvent]) -> list[str]:
    """Everything that is broken in a run, a sentence each; empty for a sound run. Its last epoch must be sealed."""
    return [broken for checker in CHECKERS for broken in checker(events)]


def _epochs(events: Iterable[DomainEvent]) -> Iterator[tuple[int, list[DomainEvent]]]:
    for epoch, told in groupby(events, key=lambda event: event.epoch):
        yield epoch, list(told)


def check_frame(events: Sequence[DomainEvent]) -> Iterator[str]:
    """One header first, epochs without a gap, each sealed once and at its end, nothing after the ending's epoch."""
    if not events or not isinstance(events[0], RunStarted):
        yield "a run opens with its header"
        return
    if sum(isinstance(event, RunStarted) for event in events) > 1:
        yield "a run has one header"
    epochs = list(_epochs(events))
    if [epoch for epoch, _ in epochs] != list(range(len(epochs))):
        yield f"epochs go 0, 1, 2 but these go {[epoch for epoch, _ in epochs]}"
    for epoch, told in epochs:
        seals = [event for event in told if isinstance(event, EpochSealed)]
        if len(seals) != 1 or told[-1] is not seals[0]:
            yield f"epoch {epoch}: an epoch is sealed once, at its end"
        elif seals[0].events != len(told) - 1:
            yield f"epoch {epoch}: {len(told) - 1} events are sealed as {seals[0].events}"
        if any(isinstance(event, RunForked) for event in told[1:]):
            yield f"epoch {epoch}: a run forks before an epoch is trained and once"
        trained = [event for event in told if isinstance(event, EpochCompleted | PanicRaised)]
        if len(trained) != (0 if epoch == 0 else 1):
            yield f"epoch {epoch}: it was completed or panicked {len(trained)} times"
    endings = [event for event in events if isinstance(event, RunEnded)]
    if len(endings) > 1 or any(event.epoch > endings[0].epoch for event in events if endings):
        yield "a run ends once, and nothing follows"


def check_ending(events: Sequence[DomainEvent]) -> Iterator[str]:
    """COMPLETED at the last epoch and no other, DIVERGED after three panics in a row and only then."""
    header = None
    panics = 0
    for epoch, told in _epochs(events):
        header = next((event.header for event in told if isinstance(event, RunStarted | RunForked)), header)
        panics = panics + 1 if any(isinstance(event, PanicRaised) for event in told) else 0
        ending = next((event.ending for event in told if isinstance(event, RunEnded)), None)
        if ending in {RunEnding.POLICY_FAILED, RunEnding.LEFT_RECORDING}:
            continue
        due = header is not None and epoch >= header.epochs
        wanted = (
            RunEnding.DIVERGED if panics >= PANICS_TO_DIVERGE else RunEnding.COMPLETED if due and epoch > 0 else None
        )
        if ending is not wanted:
            yield f"epoch {epoch}: the ending should be {wanted} but is {ending}"


def check_decisions(events: Sequence[DomainEvent]) -> Iterator[str]:
    """Decisions are counted from 0, answered by at most one veto or refusal, and a stopped one changes no seed."""
    for epoch, told in _epochs(events):
        made: list[DecisionMade] = []
        stopped: int | None = None
        for event in told:
            if isinstance(event, DecisionMade):
                if event.number != len(made):
                    yield f"epoch {epoch}: decision {len(made)} is numbered {event.number}"
                made.append(event)
                stopped = None
            elif isinstance(event, DecisionVetoed | CommandRefused):
                if not made or event.number != made[-1].number:
                    yield f"epoch {epoch}: the answer to decision {event.number} does not follow it"
                if stopped is not None:
                    yield f"epoch {epoch}: decision {event.number} was stopped twice"
                stopped = event.number
            elif stopped is not None and isinstance(event, _OF_SEEDS) and not isinstance(event, AlphaChanged):
                yield f"epoch {epoch}: decision {stopped} was stopped but {event.TOPIC} followed"
            elif isinstance(event, _BY_TRAINER) and made:
                yield f"epoch {epoch}: {event.TOPIC} came after a decision"
        if made and any(isinstance(event, PanicRaised) for event in told):
            yield f"epoch {epoch}: a policy decided in an epoch that panicked"


def check_answers(events: Sequence[DomainEvent]) -> Iterator[str]:
    """What was decided and not stopped was done: something changed, unless the decision was to wait."""
    for epoch, told in _epochs(events):
        waiting: DecisionMade | None = None
        for event in (*told, None):
            if event is None or isinstance(event, DecisionMade):
                if waiting is not None:
                    yield f"epoch {epoch}: decision {waiting.number} was neither carried out nor stopped"
                waiting = None if event is None or isinstance(event.decision.command, Wait) else event
            elif isinstance(event, _ANSWERS):
                waiting = None


def check_obedience(events: Sequence[DomainEvent]) -> Iterator[str]:
    """No seed changes but by a decision about it, by faults, by its ramp or in a rollback."""
    for epoch, told in _epochs(events):
        ordered: DecisionMade | None = None
        rolled_back = False
        for event in told:
            if isinstance(event, DecisionMade):
                ordered = event
                if rolled_back:
                    ordered = None
            elif isinstance(event, RollbackOrdered):
                rolled_back = True
            elif isinstance(event, StageChanged | GraftingChanged) and not rolled_back:
                by_itself = isinstance(event, StageChanged) and event.gate.value == "FAULTS" and ordered is None
                named = getattr(ordered.decision.command, "seed", None) if ordered else None
                if not by_itself and named != event.seed:
                    yield f"epoch {epoch}: seed {event.seed} changed ({event.TOPIC}) and nobody ordered it"
            elif isinstance(event, StageChanged) and ordered is None and event.gate.value not in {"ROLLBACK", "FAULTS"}:
                yield f"epoch {epoch}: seed {event.seed} passed {event.gate.value} during a rollback"


def check_rollbacks(events: Sequence[DomainEvent]) -> Iterator[str]:
    """At most one a boundary, to a checkpoint of this past; a panic orders one, and so does nothing else of Tolaria's."""
    saved: list[CheckpointSaved] = []
    fossils: dict[SeedId, int] = {}
    for epoch, told in _epochs(events):
        ordered = [event for event in told if isinstance(event, RollbackOrdered)]
        panicked = any(isinstance(event, PanicRaised) for event in told)
        if len(ordered) > 1:
            yield f"epoch {epoch}: rolled back {len(ordered)} times"
        if panicked != any(event.source is RollbackSource.TOLARIA for event in ordered):
            yield f"epoch {epoch}: Tolaria rolls back where training panicked and nowhere else"
        for event in told:
            if isinstance(event, CheckpointSaved):
                saved.append(event)
            elif isinstance(event, AdaptationConcluded) and event.outcome.value == "FOSSILIZED":
                fossils[event.adaptation.seed] = epoch
            elif isinstance(event, StageChanged) and event.source is Stage.FOSSILIZED:
                fossils.pop(event.seed, None)  # reset: the simplified lifecycle can take one back
            elif isinstance(event, RollbackOrdered):
                if (event.checkpoint_epoch, event.checkpoint) not in {(kept.epoch, kept.checkpoint) for kept in saved}:
                    yield f"epoch {epoch}: the checkpoint of epoch {event.checkpoint_epoch} was never saved, or is gone"
                if any(event.checkpoint_epoch < fossil for fossil in fossils.values()):
                    yield f"epoch {epoch}: rolling back to epoch {event.checkpoint_epoch} undoes a fossil"
                if event.source is RollbackSource.TAMIYO and event.culprit is None:
                    yield f"epoch {epoch}: Tamiyo rolled back without a culprit"
                saved = [kept for kept in saved if kept.epoch <= event.checkpoint_epoch]


def check_scores(events: Sequence[DomainEvent]) -> Iterator[str]:
    """The test set is scored at the planting, where a seed germinated and at the ending, and never else.

    A run over a recording that ends where that did not has no network to score.
    """
    trainer = ""
    for epoch, told in _epochs(events):
        trainer = next((event.header.trainer for event in told if isinstance(event, RunStarted | RunForked)), trainer)
        wanted = ["planting"] if epoch == 0 else []
        endings = {event.ending for event in told if isinstance(event, RunEnded)}
        if trainer == "recorded" and endings & {RunEnding.LEFT_RECORDING, RunEnding.POLICY_FAILED}:
            continue
        wanted += ["germination"] if any(isinstance(event, SeedGerminated) for event in told) else []
        wanted += ["ending"] if any(isinstance(event, RunEnded) for event in told) else []
        scored = [event.occasion for event in told if isinstance(event, TestScored)]
        if scored != wanted:
            yield f"epoch {epoch}: the test set was scored at {scored} instead of {wanted}"


def check_order_of_epoch(events: Sequence[DomainEvent]) -> Iterator[str]:
    """Reports, then metrics or the panic, then faults, then what was decided."""
    order = {RunForked: -1, LayerHealthReported: 0, EpochCompleted: 1, PanicRaised: 1, SeedFaulted: 2}
    for epoch, told in _epochs(events):
        places = [order.get(type(event), 3) for event in told]
        for before, after in pairwise(places):
            if after < before:
                yield f"epoch {epoch}: the trainer's events are out of order"
                break


def check_privacy(events: Sequence[DomainEvent]) -> Iterator[str]:
    """Under privacy mode no report holds activations as they were."""
    private = False
    for event in events:
        if isinstance(event, RunStarted | RunForked):
            private = event.header.safety.privacy_mode
        elif isinstance(event, LayerHealthReported) and private:
            for name in RAW:
                if getattr(event.report, name) is not None:
                    yield f"epoch {event.epoch}: layer {event.report.layer} reports {name} although privacy mode is on"


CHECKERS: Final[tuple[Checker, ...]] = (
    check_frame,
    check_ending,
    check_decisions,
    check_answers,
    check_obedience,
    check_rollbacks,
    check_scores,
    check_order_of_epoch,
    check_privacy,
    check_lifecycles,
)
