"""Which of the four strategies to graft by. Source: Tamiyo v0.1a §3.4.

Karn and Urabrask recommend, Tamiyo decides: the network's condition overrides a recommendation, a recommendation the
configured strategy. The thresholds are ours; the source names the strategies and when they suit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from domain.commands import GraftingStrategy
from domain.events import EpochMetrics
from domain.health import LayerHealthReport
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.growth import Site
from domain.tamiyo.policy import Observation
from domain.urza.record import BlueprintRecord

EPOCHS_JUDGED: Final = 5
EPOCHS_NEEDED: Final = 3
JUMPY_CHANGE: Final = 0.10
"""Mean relative change of validation loss from epoch to epoch, up or down, that calls for caution."""
CALM_CHANGE: Final = 0.01
"""The same, under which the network counts as stable."""
FALLING: Final = -0.02
"""Mean relative change of validation loss from which it counts as falling."""
EXPLODING_GRADIENT: Final = 10.0
"""Gradient norm from which the assessed implementation calls a layer problematic."""


def as_the_network_asks(record: BlueprintRecord, site: Site, observation: Observation) -> tuple[GraftingStrategy, str]:
    """The design's way to choose: by the condition of the network and of the site's layer."""
    layer = next((report for report in observation.reports if report.layer == site.seed.layer), None)
    state = observation.state
    strategy, why = choose_grafting(record, state.recent, layer, state.started.tamiyo_config)
    return strategy, f"; {strategy.value}, {why}"


def by_fixed_ramp(record: BlueprintRecord, site: Site, observation: Observation) -> tuple[GraftingStrategy, str]:
    """The implementation's way: a fixed ramp, always, and no word about it."""
    return GraftingStrategy.FIXED_RAMP, ""


def choose_grafting(
    record: BlueprintRecord,
    metrics: Sequence[EpochMetrics],
    report: LayerHealthReport | None,
    config: TamiyoConfig,
) -> tuple[GraftingStrategy, str]:
    """A strategy and the reason for it. ``metrics``: the last epochs', oldest first; ``report``: the slot's layer's."""
    if record.metadata.risky:
        return GraftingStrategy.DRIFT_CONTROLLED, "the blueprint is risky"
    changes = _changes([entry.validation_loss for entry in metrics[-EPOCHS_JUDGED:]])
    if len(changes) < EPOCHS_NEEDED - 1:
        return config.default_grafting_strategy, "too few finite losses to judge the network by"
    norm = _largest_norm(report)
    if not norm <= EXPLODING_GRADIENT:
        return GraftingStrategy.GRAD_NORM_GATED, f"a gradient norm of {norm:.3g} in the layer"
    swing = math.fsum(abs(change) for change in changes) / len(changes)
    if swing > JUMPY_CHANGE:
        return GraftingStrategy.DRIFT_CONTROLLED, f"validation loss jumps by {swing:.1%} an epoch"
    if record.certificate is not None:
        return record.certificate.recommended_grafting_strategy, "recommended by its certificate"
    trend = math.fsum(changes) / len(changes)
    if trend <= FALLING:
        return GraftingStrategy.PERFORMANCE_LINKED, f"validation loss falls by {-trend:.1%} an epoch"
    if swing <= CALM_CHANGE:
        return GraftingStrategy.FIXED_RAMP, f"validation loss moves by only {swing:.1%} an epoch"
    return config.grafting_strategy_selection, "as configured, nothing speaks against it"


def _changes(losses: Sequence[float]) -> list[float]:
    """Relative changes from each loss to the next; empty when a loss is not finite."""
    if not all(math.isfinite(loss) for loss in losses):
        return []
    return [(after - before) / max(abs(before), 1e-8) for before, after in pairwise(losses)]


def _largest_norm(report: LayerHealthReport | None) -> float:
    """Largest finite-or-infinite gradient norm in the layer; a layer that measured none counts as 0."""
    norms = [] if report is None else [norm for norm in report.gradient_norm if not math.isnan(norm)]
    return max(norms, default=0.0)
