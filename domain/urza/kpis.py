"""Urza's key figures: what a library and each blueprint in it are curated by. Sources: Urza v1.0 §6, Urabrask v0.1a.

The sources count days and generations of hardware; here both are generations of an evolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Final, final

from pydantic import Field

from domain.field_reports import FieldReport
from domain.identifiers import BlueprintId
from domain.lifecycle import Outcome
from domain.urza.record import BlueprintRecord
from domain.values import Value

ENERGY: Final = "dynamic.joules_per_inference"
"""Key of a weighted evaluation profile."""
WINDOW: Final = 10
"""Generations that a success rate is taken over. Source: Urza v1.0 §6."""


@final
class CurationConfig(Value):
    """When the library is to act on its figures. Thresholds are the sources'; how much evidence they take is ours."""

    success_min: float = Field(default=0.8, ge=0, le=1)
    """Success rate over the window under which a blueprint is archived."""
    urabrask_success_min: float = Field(default=0.9, ge=0, le=1)
    """Success rate of one generation; below it in ``urabrask_generations`` in a row a blueprint is archived."""
    urabrask_generations: int = Field(default=3, ge=1)
    outscored_max: float = Field(default=0.8, ge=0, le=1)
    """Share of its battles against newer designs that a blueprint may lose before it is archived."""
    breaches_max: float = Field(default=0.01, ge=0, le=1)
    """Share of uses that took longer than the hardware's budget; more costs the level HIGH."""
    energy_spike_max: float = Field(default=0.05, ge=0)
    """Relative rise, over the window's mean, of the energy a sample takes; more is reviewed."""
    interest_exempt: float = Field(default=0.7, ge=0, le=1)
    """Tamiyo's interest from which a blueprint is never archived. Source: domain reference K 47."""
    impact_min: float = Field(default=0.05, ge=0)
    """Mean gain in accuracy, in two generations of use in a row, from which a blueprint becomes HIGH."""
    uses_min: int = Field(default=5, ge=1)
    """Uses in the window before a success rate says anything."""
    chance_max: float = Field(default=0.05, gt=0, le=1)
    """A rate is under its threshold where chance alone, at the threshold, would give so few successes more rarely."""
    battles_min: int = Field(default=5, ge=1)
    """Battles against newer designs before losing them says anything."""
    offered_min: int = Field(default=8, ge=1)
    """Blueprints that are always left to choose from."""
    starts_speculative: bool = True
    """Whether a new entry is deployed as SPECULATIVE until its figures clear. Source: domain reference K 43."""


@final
class Tally(Value):
    """What the field reports of one generation said of one blueprint."""

    generation: int = Field(ge=0)
    uses: int = 0
    fossilized: int = 0
    breaches: int = 0
    """Uses that took longer than the hardware's budget."""
    measured: int = 0
    """Uses whose gain is a number."""
    gains: float = 0.0
    """Sum of those gains in accuracy."""

    def after(self, report: FieldReport, latency_budget_ms: float) -> Tally:
        """This tally with one more report in it."""
        gain = report.post_metric - report.pre_metric
        return Tally(
            generation=self.generation,
            uses=self.uses + 1,
            fossilized=self.fossilized + (report.outcome is Outcome.FOSSILIZED),
            breaches=self.breaches + (report.eval_metrics.max_latency_ms > latency_budget_ms),
            measured=self.measured + math.isfinite(gain),
            gains=self.gains + (gain if math.isfinite(gain) else 0.0),
        )

    @property
    def success_rate(self) -> float:
        """Share of the uses that fossilized, [0, 1]; NaN without any."""
        return self.fossilized / self.uses if self.uses else math.nan

    def falls_short(self, rate: float, chance_max: float) -> bool:
        """Whether chance would give so few successes, or fewer, in less than ``chance_max`` of cases of that rate."""
        ways = (comb(self.uses, n) * rate**n * (1 - rate) ** (self.uses - n) for n in range(self.fossilized + 1))
        return math.fsum(ways) < chance_max

    @property
    def gain(self) -> float:
        """Mean gain in accuracy, [-1, 1]; NaN without any that was measured."""
        return self.gains / self.measured if self.measured else math.nan


@final
@dataclass(frozen=True, slots=True)
class Bouts:
    """Battles of one blueprint against newer ones."""

    fought: int = 0
    lost: int = 0


def over(tallies: Iterable[Tally]) -> Tally:
    """Several generations of one blueprint in one tally, under the first one's number."""
    listed = list(tallies) or [Tally(generation=0)]
    return Tally(
        generation=listed[0].generation,
        uses=sum(tally.uses for tally in listed),
        fossilized=sum(tally.fossilized for tally in listed),
        breaches=sum(tally.breaches for tally in listed),
        measured=sum(tally.measured for tally in listed),
        gains=sum(tally.gains for tally in listed),
    )


def energy_of(record: BlueprintRecord) -> float:
    """Energy of one sample, J: what the crucible found, else what was estimated."""
    return dict(record.metadata.urabrask.wep).get(ENERGY, record.metadata.estimates.energy_estimate_joules)


def energy_by_generation(
    records: Iterable[BlueprintRecord], tallies: Mapping[BlueprintId, Sequence[Tally]]
) -> dict[int, float]:
    """Mean energy that a use was estimated to take a sample, J, in each generation that used anything."""
    joules: dict[int, float] = {}
    uses: dict[int, int] = {}
    for record in records:
        for tally in tallies.get(record.blueprint_id, ()):
            cost = tally.uses * energy_of(record)
            joules[tally.generation] = joules.get(tally.generation, 0.0) + cost
            uses[tally.generation] = uses.get(tally.generation, 0) + tally.uses
    return {generation: joules[generation] / uses[generation] for generation in sorted(joules)}
