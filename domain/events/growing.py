"""What happens to seeds: germination, stages, blending, conclusions, field reports."""

from __future__ import annotations

from typing import ClassVar, final

from pydantic import Field

from domain.commands import GraftingStrategy, Reads
from domain.events.event import DomainEvent
from domain.faults import FaultKind
from domain.field_reports import FieldReport
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import Gate, Outcome, Stage
from domain.reward.worth import MultiMetricReward


@final
class SeedFaulted(DomainEvent):
    """A seed's blueprint failed ``count`` times in a row this epoch; its output fell back to the identity."""

    TOPIC: ClassVar[str] = "seed-faulted"
    seed: SeedId
    kind: FaultKind
    count: int = Field(default=1, ge=1)
    detail: str = ""
    rate: float | None = Field(default=None, ge=0, exclude_if=lambda rate: rate is None)
    """Share of the epoch's batches that failed in this way, in a row or not; only under rule R8."""


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
class AdaptationRewarded(DomainEvent):
    """What an adaptation was worth in seven respects, once it had concluded. Only under rule R6."""

    TOPIC: ClassVar[str] = "adaptation-rewarded"
    adaptation: AdaptationId
    blueprint_id: BlueprintId
    reward: MultiMetricReward
