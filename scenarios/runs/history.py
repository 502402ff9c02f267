"""Which events make up the history of a run's seeds."""

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
    FieldReportFiled,
    GraftingChanged,
    RollbackOrdered,
    RunForked,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.identifiers import SeedId

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
