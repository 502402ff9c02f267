"""One entry of the blueprint library and the statistics that field reports add to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

from domain.blueprint import BlueprintGraph, BlueprintMetadata, Certificate, ConfidenceLevel, LifecycleState
from domain.field_reports import FieldReport
from domain.identifiers import BlueprintId
from domain.lifecycle import Outcome

INTEREST_KEPT: Final = 0.9
"""Share of tamiyo_interest that survives a field report; the rest is 1 for FOSSILIZED and 0 otherwise."""


@final
@dataclass(frozen=True, slots=True)
class BlueprintStatistics:
    """What field reports say about one blueprint."""

    uses: int = 0
    fossilized: int = 0
    culled: int = 0
    rolled_back: int = 0
    measured: int = 0
    """Reports whose gain is a number."""
    mean_gain: float = 0.0
    """Mean of post_metric - pre_metric over the measured reports, [-1, 1]."""
    mean_gradient_variance: float = 0.0
    """Mean over the measured reports, [0, inf]."""
    tamiyo_interest: float = 0.0
    """Moving average of 1 for FOSSILIZED and 0 otherwise, [0, 1]."""
    rollback_flag: bool = False
    """Whether it was ever part of a rollback."""

    @property
    def success_rate(self) -> float:
        """Share of uses that fossilized, [0, 1]; NaN before the first use."""
        return self.fossilized / self.uses if self.uses else math.nan

    def after(self, report: FieldReport) -> BlueprintStatistics:
        """These statistics with one more report in them. A gain that is not a number counts as a use only."""
        gain = report.post_metric - report.pre_metric
        measured = self.measured + math.isfinite(gain)
        share = 1 / measured if math.isfinite(gain) else 0.0
        variance = report.eval_metrics.gradient_norm_variance
        succeeded = report.outcome is Outcome.FOSSILIZED
        return BlueprintStatistics(
            uses=self.uses + 1,
            fossilized=self.fossilized + succeeded,
            culled=self.culled + (report.outcome is Outcome.CULLED),
            rolled_back=self.rolled_back + (report.outcome is Outcome.ROLLED_BACK),
            measured=measured,
            mean_gain=self.mean_gain + share * (gain - self.mean_gain) if share else self.mean_gain,
            mean_gradient_variance=(
                self.mean_gradient_variance + share * (variance - self.mean_gradient_variance)
                if share and math.isfinite(variance)
                else self.mean_gradient_variance
            ),
            tamiyo_interest=INTEREST_KEPT * self.tamiyo_interest + (1 - INTEREST_KEPT) * succeeded,
            rollback_flag=self.rollback_flag or report.outcome is Outcome.ROLLED_BACK,
        )


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
