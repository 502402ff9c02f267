"""What happens to a run: training, health, checkpoints, rollbacks, its ending."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, final

from pydantic import Field

from domain.endings import RunEnding
from domain.events.event import DomainEvent
from domain.header import RunHeader
from domain.health import LayerHealthReport
from domain.identifiers import SeedId
from domain.values import Value


@final
class RunStarted(DomainEvent):
    """The first event of every run."""

    TOPIC: ClassVar[str] = "run-started"
    VERSION: ClassVar[int] = 2
    header: RunHeader


@final
class RunForked(DomainEvent):
    """From here on, before this epoch is trained, the run takes another course than the one it shares its past with."""

    TOPIC: ClassVar[str] = "run-forked"
    parent: str
    """Id of the run that this one shares its past with."""
    parent_digest: str
    """The parent's digest at the end of the last epoch in common: this run's own up to there."""
    header: RunHeader
    """In force from here on. Task, host and layout are the parent's."""


@final
class LayerHealthReported(DomainEvent):
    """A KasminaLayer reported the health of its seeds."""

    TOPIC: ClassVar[str] = "layer-health-reported"
    report: LayerHealthReport


@final
class EpochMetrics(Value):
    """What training and validation measured. Accuracies in [0, 1], losses in nats, NaN kept."""

    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@final
class EpochCompleted(DomainEvent):
    """Tolaria trained and validated an epoch."""

    TOPIC: ClassVar[str] = "epoch-completed"
    metrics: EpochMetrics
    parameters: int = Field(ge=0)
    """Parameters of the host and of every blueprint in it."""
    weights_digest: str
    """SHA-256 of all of them, so that equal losses cannot hide unequal weights; empty where there are no weights.

    The live trainer gives it for a host of at most 20,000 parameters in every epoch, for a larger one in every eighth
    and empty in between; a checkpoint's digest covers all weights anyway.
    """


@final
class PanicRaised(DomainEvent):
    """Tolaria's own watchdog saw training fail: a loss that is not finite, or that diverged."""

    TOPIC: ClassVar[str] = "panic-raised"
    reason: str


@final
class RollbackSource(Enum):
    """Who ordered a rollback."""

    TAMIYO = "TAMIYO"
    TOLARIA = "TOLARIA"


@final
class RollbackOrdered(DomainEvent):
    """Trainer and controller go back to a checkpoint; time goes on."""

    TOPIC: ClassVar[str] = "rollback-ordered"
    source: RollbackSource
    reason: str
    culprit: SeedId | None = None
    checkpoint_epoch: int = Field(ge=0)
    checkpoint: str
    """Content hash of the restored checkpoint."""


@final
class CheckpointSaved(DomainEvent):
    """The trainer's whole state was saved under its content hash."""

    TOPIC: ClassVar[str] = "checkpoint-saved"
    checkpoint: str
    size: int = Field(ge=0)
    """Bytes."""


@final
class TestScored(DomainEvent):
    """The test set was scored. No policy ever sees this event."""

    TOPIC: ClassVar[str] = "test-scored"
    accuracy: float
    loss: float
    occasion: str
    """"planting", "germination" or "ending"."""


@final
class RunEnded(DomainEvent):
    """The last event of a run that ended by itself."""

    TOPIC: ClassVar[str] = "run-ended"
    ending: RunEnding
    reason: str


@final
class EpochSealed(DomainEvent):
    """Closes an epoch: the digests of everything recorded up to here and of the state it folds into."""

    TOPIC: ClassVar[str] = "epoch-sealed"
    events: int = Field(ge=0)
    """Events of this epoch before the seal."""
    log_digest: str
    """SHA-256 over the previous seal's digest and the topic, version and bytes of each event of this epoch."""
    state_digest: str
    """SHA-256 of the RunState that the log folds into, the seal excluded."""
    memory_digest: str
    """SHA-256 of what the policies remember."""
