"""What a journal tells of what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from domain.events import DomainEvent
from engine.journal.seals import Head


@final
@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place: what ``follow`` yields."""

    notification: int
    """Place among all events of the journal; ever growing, never used again."""
    run_id: str
    position: int
    """Place in the run, counted from 1."""
    event: DomainEvent


@final
@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run at a glance."""

    run_id: str
    head: Head
    """Of the last sealed epoch: its epoch, position and the run's digest."""
    first: DomainEvent
    """The run's first event, which holds the header."""
    latest: dict[type[DomainEvent], DomainEvent]
    """The latest event of each type that was asked for, as far as the run's last two epochs hold one."""
