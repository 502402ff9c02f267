"""Which events make up the history of a run's seeds, and which streams of events are runs at all."""

from __future__ import annotations

from typing import Final

from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    CommandRefused,
    DecisionDiverged,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EvolutionStarted,
    FieldReportFiled,
    GraftingChanged,
    RollbackOrdered,
    RunForked,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.identifiers import SeedId
from engine.journal.journal import Journal
from scenarios.specification import BadInput

HISTORY: Final = (
    RunForked,
    DecisionMade,
    DecisionDiverged,
    DecisionVetoed,
    CommandRefused,
    SeedGerminated,
    StageChanged,
    AlphaChanged,
    GraftingChanged,
    SeedFaulted,
    AdaptationConcluded,
    FieldReportFiled,
    RollbackOrdered,
)
"""What is told of a run's seeds."""


def concerns(event: DomainEvent, seed: SeedId) -> bool:
    """Whether an event is about ``seed``."""
    match event:
        case DecisionMade():
            return getattr(event.decision.command, "seed", None) == seed
        case SeedGerminated() | AdaptationConcluded():
            return event.adaptation.seed == seed
        case FieldReportFiled():
            return event.report.adaptation.seed == seed
        case RollbackOrdered():
            return event.culprit == seed
        case StageChanged() | AlphaChanged() | GraftingChanged() | SeedFaulted():
            return event.seed == seed
        case _:
            return False


def is_evolution(journal: Journal, name: str) -> bool:
    """Whether the stream of that name is an evolution's, by its first event alone."""
    first = journal.raw(name, 0, 1)
    return bool(first) and first[0].topic in journal.codec.topics(EvolutionStarted)


def expect_run(journal: Journal, name: str) -> None:
    """Raises BadInput for an evolution."""
    if is_evolution(journal, name):
        raise BadInput(f"{name} is an evolution, not a run; see `regrow evolutions`, `lineage` and `events` for it")
