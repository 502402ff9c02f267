"""One entry of the blueprint library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from domain.blueprint import BlueprintGraph, BlueprintMetadata, ConfidenceLevel, LifecycleState
from domain.identifiers import BlueprintId
from domain.urabrask.certificate import Certificate
from domain.urza.statistics import BlueprintStatistics


@final
@dataclass(frozen=True, slots=True)
class BlueprintRecord:
    """One entry of the library."""

    blueprint_id: BlueprintId
    number: int
    """Its integer in the layers' state, from 1; never reused."""
    graph: BlueprintGraph
    metadata: BlueprintMetadata
    parent_id: BlueprintId | None
    mutation: str | None
    statistics: BlueprintStatistics
    certificate: Certificate | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.metadata.name

    @property
    def level(self) -> ConfidenceLevel:
        """The confidence level that counts now."""
        return self.metadata.urabrask.conf_level

    @property
    def is_active(self) -> bool:
        """Whether it has not been archived."""
        return self.metadata.urza.lifecycle is LifecycleState.ACTIVE

    @property
    def rollback_flag(self) -> bool:
        """Whether it ever took part in a rollback, here or before it came here."""
        return self.statistics.rollback_flag or self.metadata.tamiyo.rollback_flag

    @property
    def is_offered(self) -> bool:
        """Active, never rolled back, and not failed by the crucible."""
        return self.is_active and not self.rollback_flag and (self.certificate is None or self.certificate.passed)

    def canonical(self) -> list[Any]:
        """Everything of it that can change, for digests; the rest is committed to by the provenance head."""
        s = self.statistics
        counts = [s.uses, s.fossilized, s.culled, s.rolled_back, s.measured]
        floats = [repr(value) for value in (s.mean_gain, s.mean_gradient_variance, s.tamiyo_interest)]
        return [self.number, self.blueprint_id, self.is_active, self.level.value, self.rollback_flag, *counts, *floats]
