"""What came from outside a run: people, and a world in which services fail. Recorded, so that a replay knows it.

These are the only events that nothing inside the run decides. A session is told them (``engine/outside.py``); a replay
is told what was recorded.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, final

from pydantic import Field

from domain.events.event import DomainEvent


@final
class GrowthPaused(DomainEvent):
    """From this boundary on nothing germinates: the design's PAUSING. What has begun goes on."""

    TOPIC: ClassVar[str] = "growth-paused"
    by: str
    reason: str = ""


@final
class GrowthResumed(DomainEvent):
    """Growth may go on from this boundary."""

    TOPIC: ClassVar[str] = "growth-resumed"
    by: str
    reason: str = ""


@final
class ControllerSilent(DomainEvent):
    """Tamiyo gave no answer at this boundary in time. Nothing was decided; what was remembered stays."""

    TOPIC: ClassVar[str] = "controller-silent"
    reason: str
    waited_ms: float = Field(ge=0)
    """Wall-clock time, as data."""


@final
class BreakerState(Enum):
    """Of a circuit breaker. Source: domain reference I5."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


@final
class BreakerMoved(DomainEvent):
    """A circuit breaker at the edge of the run opened, closed or let one call through to see."""

    TOPIC: ClassVar[str] = "breaker-moved"
    breaker: str
    source: BreakerState
    target: BreakerState
    reason: str


@final
class ErrorType(Enum):
    """What kind of error a component met. Source: domain reference I4; a kernel is a compiled blueprint."""

    KERNEL_EXECUTION = "KERNEL_EXECUTION"
    KERNEL_LOADING = "KERNEL_LOADING"
    KERNEL_VALIDATION = "KERNEL_VALIDATION"
    NETWORK_ERROR = "NETWORK_ERROR"
    TIMEOUT = "TIMEOUT"
    CIRCUIT_BREAKER = "CIRCUIT_BREAKER"
    MEMORY_OVERFLOW = "MEMORY_OVERFLOW"
    DEVICE_ERROR = "DEVICE_ERROR"
    UNKNOWN = "UNKNOWN"


@final
class RecoveryStrategy(Enum):
    """What is done about an error. Source: domain reference I4."""

    FALLBACK = "FALLBACK"
    RETRY = "RETRY"
    GRACEFUL_DEGRADATION = "GRACEFUL_DEGRADATION"
    CIRCUIT_BREAKER = "CIRCUIT_BREAKER"
    ESCALATE = "ESCALATE"
    IGNORE = "IGNORE"


@final
class RecoveryTried(DomainEvent):
    """A component met an error and tried to recover from it."""

    TOPIC: ClassVar[str] = "recovery-tried"
    component: str
    error: ErrorType
    strategy: RecoveryStrategy
    attempts: int = Field(ge=0)
    recovered: bool
    detail: str


OutsideFact = GrowthPaused | GrowthResumed | ControllerSilent | BreakerMoved | RecoveryTried
