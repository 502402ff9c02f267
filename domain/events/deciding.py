"""What was decided, and what came in between."""

from __future__ import annotations

from typing import ClassVar, final

from pydantic import Field

from domain.commands import Command, Decision
from domain.events.event import DomainEvent
from domain.safety import Violation


@final
class DecisionMade(DomainEvent):
    """A policy decided; ``number`` counts the decisions of the epoch from 0."""

    TOPIC: ClassVar[str] = "decision-made"
    VERSION: ClassVar[int] = 2
    number: int = Field(ge=0)
    decision: Decision
    policy: str = ""
    """Hash of the policy that decided, parameters included; empty in runs from before rule R5."""


@final
class DecisionDiverged(DomainEvent):
    """Over a recording, another policy decided for the first time what the recorded one did not.

    Whatever was recorded later is an answer to another question, and is not used.
    """

    TOPIC: ClassVar[str] = "decision-diverged"
    recorded: tuple[Command, ...]
    """What was ordered at this boundary when it was recorded, in order."""
    chosen: tuple[Command, ...]
    """What was ordered now."""
    propensity: float = Field(ge=0, le=1)
    """Probability with which the policy would have chosen as recorded."""


@final
class DecisionVetoed(DomainEvent):
    """Decision ``number`` of this epoch was stopped by the shield or the checks."""

    TOPIC: ClassVar[str] = "decision-vetoed"
    number: int = Field(ge=0)
    violations: tuple[Violation, ...] = Field(min_length=1)


@final
class CommandRefused(DomainEvent):
    """Decision ``number`` of this epoch ordered what the lifecycle does not allow; nothing changed."""

    TOPIC: ClassVar[str] = "command-refused"
    number: int = Field(ge=0)
    rule: str
    reason: str
