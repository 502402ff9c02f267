"""Which of the four strategies to graft by. Source: Tamiyo v0.1a §3.4.

Karn and Urabrask recommend, Tamiyo decides: the network's condition overrides a recommendation, a recommendation the
configured strategy. The thresholds are ours; the source names the strategies and when they suit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from domain.blueprint import ConfidenceLevel
from domain.commands import GraftingStrategy
from domain.events import EpochMetrics
from domain.header import Rule
from domain.health import LayerHealthReport
from domain.identifiers import SeedId
from domain.run import RunState
from domain.shapes import parameter_count
from domain.tamiyo.blueprint_terms import reads_of
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.growth import Site
from domain.tamiyo.policy import Observation
from domain.urabrask.profile import DEEP, graph_depth
from domain.urza.record import BlueprintRecord

EPOCHS_JUDGED: Final = 5
EPOCHS_NEEDED: Final = 3
JUMPY_CHANGE: Final = 0.10
"""Mean relative change of validation loss from epoch to epoch that calls for caution.

Up or down before rule R10; since then what it fell altogether is taken off, so that a loss that only falls is no alarm.
"""
CALM_CHANGE: Final = 0.01
"""The same, under which the network counts as stable."""
FALLING: Final = -0.02
"""Mean relative change of validation loss from which it counts as falling."""
EXPLODING_GRADIENT: Final = 10.0
"""Gradient norm from which the assessed implementation calls a layer problematic."""
CAUTIOUS: Final = (GraftingStrategy.DRIFT_CONTROLLED, GraftingStrategy.GRAD_NORM_GATED)
"""Strategies that may hold a ramp."""
LARGE: Final = 10_000
"""Parameters in its slot from which a blueprint counts as large."""


def as_the_network_asks(record: BlueprintRecord, site: Site, observation: Observation) -> tuple[GraftingStrategy, str]:
    """The design's way to choose: by the condition of the network and of the site's layer."""
    state = observation.state
    layer = layer_report(observation, site.seed.layer)
    strategy, why = choose_grafting(
        record,
        state.recent,
        layer,
        state.started.tamiyo_config,
        delicacy(record, site.seed, state),
        is_fall_alarming=Rule.GRAFTING_REVIEWED not in state.started.rules,
    )
    return strategy, f"; {strategy.value}, {why}"


def by_fixed_ramp(record: BlueprintRecord, site: Site, observation: Observation) -> tuple[GraftingStrategy, str]:
    """The implementation's way: a fixed ramp, always, and no word about it."""
    return GraftingStrategy.FIXED_RAMP, ""


def choose_grafting(
    record: BlueprintRecord,
    metrics: Sequence[EpochMetrics],
    report: LayerHealthReport | None,
    config: TamiyoConfig,
    delicate: str | None = None,
    *,
    is_fall_alarming: bool = False,
) -> tuple[GraftingStrategy, str]:
    """A strategy and the reason for it. ``metrics``: the last epochs', oldest first; ``report``: the slot's layer's.

    ``delicate`` is why the blueprint itself asks for caution, None where it does not; see ``delicacy``.
    ``is_fall_alarming``: a loss that falls fast counts as one that jumps, as before rule R10.
    """
    if record.metadata.risky:
        return GraftingStrategy.DRIFT_CONTROLLED, "the blueprint is risky"
    changes = _changes([entry.validation_loss for entry in metrics[-EPOCHS_JUDGED:]])
    if len(changes) < EPOCHS_NEEDED - 1:
        return config.default_grafting_strategy, "too few finite losses to judge the network by"
    alarm = _alarm(_swing(changes) if is_fall_alarming else _unrest(changes), report)
    if alarm is not None:
        return alarm
    if record.certificate is not None:
        return record.certificate.recommended_grafting_strategy, "recommended by its certificate"
    if delicate is not None:
        return GraftingStrategy.DRIFT_CONTROLLED, delicate
    swing = _swing(changes)
    trend = math.fsum(changes) / len(changes)
    if trend <= FALLING:
        return GraftingStrategy.PERFORMANCE_LINKED, f"validation loss falls by {-trend:.1%} an epoch"
    if swing <= CALM_CHANGE:
        return GraftingStrategy.FIXED_RAMP, f"validation loss moves by only {swing:.1%} an epoch"
    return config.grafting_strategy_selection, "as configured, nothing speaks against it"


def turned(
    now: GraftingStrategy, metrics: Sequence[EpochMetrics], report: LayerHealthReport | None
) -> tuple[GraftingStrategy, str] | None:
    """What a ramp that is under way should go on by instead of ``now``, and why; None where nothing has turned.

    An alarm turns it to the caution that it calls for, also from another caution. Calm turns caution into a fixed ramp;
    whether the blueprint itself asked for caution is for the caller to know. The thresholds of alarm and calm lie an order
    apart, so that it does not turn to and fro between them.
    """
    changes = _changes([entry.validation_loss for entry in metrics[-EPOCHS_JUDGED:]])
    if len(changes) < EPOCHS_NEEDED - 1:
        return None
    alarm = _alarm(_unrest(changes), report)
    if alarm is not None:
        return alarm if alarm[0] is not now else None
    if now not in CAUTIOUS or _swing(changes) > CALM_CHANGE:
        return None
    return GraftingStrategy.FIXED_RAMP, f"validation loss moves by only {_swing(changes):.1%} an epoch"


def delicacy(record: BlueprintRecord, seed: SeedId, state: RunState) -> str | None:
    """Why the blueprint itself asks for caution: a large, a deep or an untried graph; None else, and before rule R10."""
    if Rule.GRAFTING_REVIEWED not in state.started.rules:
        return None
    if record.level is ConfidenceLevel.SPECULATIVE:
        return "the blueprint is experimental"
    depth = graph_depth(record.graph)
    if depth >= DEEP:
        return f"the blueprint is {depth} operations deep"
    layer, reads = state.layer(seed.layer), reads_of(record, state.started.tamiyo_config)
    chunk = layer.chunk_width(seed.index)
    size = parameter_count(record.graph, read=layer.read_width(reads, seed.index), chunk=chunk)
    return f"the blueprint has {size} parameters" if size >= LARGE else None


def layer_report(observation: Observation, layer: int) -> LayerHealthReport | None:
    """What layer ``layer`` reported at this boundary, or None."""
    return next((report for report in observation.reports if report.layer == layer), None)


def _alarm(swing: float, report: LayerHealthReport | None) -> tuple[GraftingStrategy, str] | None:
    """What of the network calls for caution, whatever the blueprint: exploding gradients, or a loss that jumps."""
    norm = _largest_norm(report)
    if not norm <= EXPLODING_GRADIENT:
        return GraftingStrategy.GRAD_NORM_GATED, f"a gradient norm of {norm:.3g} in the layer"
    if swing > JUMPY_CHANGE:
        return GraftingStrategy.DRIFT_CONTROLLED, f"validation loss jumps by {swing:.1%} an epoch"
    return None


def _swing(changes: Sequence[float]) -> float:
    """Mean size of the changes."""
    return math.fsum(abs(change) for change in changes) / len(changes)


def _unrest(changes: Sequence[float]) -> float:
    """The swing without what the loss fell altogether: nothing where it only falls, all where it rises or comes back."""
    return _swing(changes) + min(0.0, math.fsum(changes) / len(changes))


def _changes(losses: Sequence[float]) -> list[float]:
    """Relative changes from each loss to the next; empty when a loss is not finite."""
    if not all(math.isfinite(loss) for loss in losses):
        return []
    return [(after - before) / max(abs(before), 1e-8) for before, after in pairwise(losses)]


def _largest_norm(report: LayerHealthReport | None) -> float:
    """Largest finite-or-infinite gradient norm in the layer; a layer that measured none counts as 0."""
    if report is None:
        return 0.0
    # fmax passes NaN over where there is anything else.
    largest = float(np.fmax.reduce(report.gradient_norm.values, initial=math.nan))
    return 0.0 if math.isnan(largest) else largest
