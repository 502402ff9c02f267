"""Everything that can have happened. Past tense, immutable, each with a topic and version of its own.

To add an event: a final class here with a new ``TOPIC``, a line in ``EVENTS``, and an ``evolve`` case in
``domain/run.py`` if it changes state. To change one: raise ``VERSION`` and add the step to
``engine/journal/upcasts.py``; stored events are never edited.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Final, final

from pydantic import Field

from domain.blueprint import BlueprintGraph, BlueprintMetadata, Certificate, ConfidenceLevel
from domain.commands import Command, Decision, Draw, GraftingStrategy, Reads
from domain.endings import RunEnding
from domain.faults import FaultKind
from domain.field_reports import FieldReport
from domain.header import RunHeader
from domain.health import LayerHealthReport
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import Gate, Outcome, Stage
from domain.safety import Violation
from domain.values import Value


class DomainEvent(Value):
    """Something that happened at the end of ``epoch``."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1

    epoch: int = Field(ge=0)


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
class BlueprintRegistered(DomainEvent):
    """A blueprint entered the library and got its number, for good."""

    TOPIC: ClassVar[str] = "blueprint-registered"
    blueprint_id: BlueprintId
    number: int = Field(ge=1)
    """Its small integer in the layers' state; 0 means none; never reused."""
    graph: BlueprintGraph
    metadata: BlueprintMetadata
    parent_id: BlueprintId | None = None
    mutation: str | None = None
    previous_hash: str
    """Provenance chain: the hash of the library's entry before this one, 64 zeros for the first."""
    hash: str


@final
class BlueprintCertified(DomainEvent):
    """The crucible judged a blueprint."""

    TOPIC: ClassVar[str] = "blueprint-certified"
    blueprint_id: BlueprintId
    certificate: Certificate
    previous_hash: str
    hash: str


@final
class BlueprintRegraded(DomainEvent):
    """A blueprint's confidence level changed."""

    TOPIC: ClassVar[str] = "blueprint-regraded"
    blueprint_id: BlueprintId
    level: ConfidenceLevel
    reason: str
    previous_hash: str
    hash: str


@final
class BlueprintRetired(DomainEvent):
    """A blueprint was archived: kept for ever, offered no more."""

    TOPIC: ClassVar[str] = "blueprint-retired"
    blueprint_id: BlueprintId
    reason: str
    previous_hash: str
    hash: str


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
class SeedFaulted(DomainEvent):
    """A seed's blueprint failed ``count`` times in a row this epoch; its output fell back to the identity."""

    TOPIC: ClassVar[str] = "seed-faulted"
    seed: SeedId
    kind: FaultKind
    count: int = Field(default=1, ge=1)
    detail: str = ""


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


@final
class BlueprintProposed(DomainEvent):
    """Karn proposed a blueprint; ``number`` counts the proposals of the epoch from 0."""

    TOPIC: ClassVar[str] = "blueprint-proposed"
    number: int = Field(ge=0)
    blueprint_id: BlueprintId
    reason: str
    propensity: float = Field(gt=0, le=1)
    draws: tuple[Draw, ...] = ()


@final
class ProposalRefused(DomainEvent):
    """Proposal ``number`` of this epoch was not taken into the library."""

    TOPIC: ClassVar[str] = "proposal-refused"
    number: int = Field(ge=0)
    rule: str
    reason: str


@final
class SeedGerminated(DomainEvent):
    """An adaptation opened."""

    TOPIC: ClassVar[str] = "seed-germinated"
    adaptation: AdaptationId
    blueprint_id: BlueprintId
    reads: Reads
    grafting: GraftingStrategy
    validation_accuracy: float
    """At germination: the field report's pre_metric."""
    validation_loss: float


@final
class StageChanged(DomainEvent):
    """A seed moved along an edge of its lifecycle."""

    TOPIC: ClassVar[str] = "stage-changed"
    seed: SeedId
    source: Stage
    target: Stage
    gate: Gate
    reason: str
    validation_accuracy: float
    """At this boundary; on entry to GRAFTING it is the baseline that the gain is measured against."""


@final
class AlphaChanged(DomainEvent):
    """A grafting seed's blend moved, or was held."""

    TOPIC: ClassVar[str] = "alpha-changed"
    seed: SeedId
    alpha: float = Field(ge=0, le=1)
    steps: float = Field(ge=0)
    """Steps of the ramp taken; a held epoch takes none."""
    reason: str


@final
class GraftingChanged(DomainEvent):
    """Tamiyo changed the grafting strategy of a seed."""

    TOPIC: ClassVar[str] = "grafting-changed"
    seed: SeedId
    source: GraftingStrategy
    target: GraftingStrategy


@final
class AdaptationConcluded(DomainEvent):
    """An adaptation ended, once."""

    TOPIC: ClassVar[str] = "adaptation-concluded"
    adaptation: AdaptationId
    outcome: Outcome
    reason: str
    embargoed_until: int | None = None
    """First epoch at which the seed may germinate again; None when there is no embargo."""
    locked: bool = False
    """Whether the seed may not germinate again in this run."""


@final
class FieldReportFiled(DomainEvent):
    """A field report was published on innovation.field_reports."""

    TOPIC: ClassVar[str] = "field-report-filed"
    report: FieldReport


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


EVENTS: Final[tuple[type[DomainEvent], ...]] = (
    RunStarted,
    RunForked,
    BlueprintRegistered,
    BlueprintCertified,
    BlueprintRegraded,
    BlueprintRetired,
    LayerHealthReported,
    EpochCompleted,
    PanicRaised,
    SeedFaulted,
    DecisionMade,
    DecisionDiverged,
    DecisionVetoed,
    CommandRefused,
    BlueprintProposed,
    ProposalRefused,
    SeedGerminated,
    StageChanged,
    AlphaChanged,
    GraftingChanged,
    AdaptationConcluded,
    FieldReportFiled,
    RollbackOrdered,
    CheckpointSaved,
    TestScored,
    RunEnded,
    EpochSealed,
)
