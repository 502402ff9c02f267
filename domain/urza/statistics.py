"""What field reports say about one blueprint, as it adds up."""

from __future__ import annotations

import math
from typing import Final, final

from domain.field_reports import FieldReport
from domain.lifecycle import Outcome
from domain.values import Value

INTEREST_KEPT: Final = 0.9
"""Share of tamiyo_interest that survives a field report; the rest is 1 for FOSSILIZED and 0 otherwise."""


@final
class BlueprintStatistics(Value):
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
