"""What happens to an evolution: a library that grows over many runs, a generation at a time; its epochs are generations."""

from __future__ import annotations

from typing import ClassVar, final

from pydantic import Field

from domain.events.event import DomainEvent
from domain.evolution.header import EvolutionHeader, GenerationSummary


@final
class EvolutionStarted(DomainEvent):
    """The first event of every evolution."""

    TOPIC: ClassVar[str] = "evolution-started"
    header: EvolutionHeader


@final
class RunJoined(DomainEvent):
    """A run of this generation ended; its field reports follow."""

    TOPIC: ClassVar[str] = "run-joined"
    run: str
    """Its id in the same journal."""
    digest: str
    """Of its whole log."""
    run_key: int = Field(ge=0)
    scenario: str
    test_accuracy: float


@final
class GenerationClosed(DomainEvent):
    """A generation ended: what its candidates were worth, and how the library stands."""

    TOPIC: ClassVar[str] = "generation-closed"
    summary: GenerationSummary
