"""Which health signals are worth keeping, and which first. Source: the assessed health collector, domain reference D7.

A seed whose signal is remarkable is kept, always; of the others every eighth is, in turn. Whole layers at a time: ten
thousand seeds take a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from domain.health import HealthWeights, LayerHealthReport, need
from domain.identifiers import SeedId
from domain.values import Column

HISTORY: Final = 20
"""Signals of a seed that are remembered."""
HISTORY_MIN: Final = 10
"""Signals before a seed's health can be out of the ordinary."""
Z_MAX: Final = 2.0
SPREAD_MIN: Final = 0.01
LOW_HEALTH: Final = 0.3
GRADIENT_NORM_MAX: Final = 5.0
GRADIENT_VARIANCE_MAX: Final = 1.0
SIGN_STABILITY_MIN: Final = 0.5
RATIO_MIN: Final = 0.5
RATIO_MAX: Final = 2.0
ERROR_RATE_MAX: Final = 0.1
"""Faults an epoch, over the signals remembered. The source divides by executions, which no fault can outweigh."""
SLOW_FACTOR: Final = 2.0
LATENCY_MEMORY: Final = 0.1
ONE_IN: Final = 8

REMARKS: Final = (
    "low-health",
    "unusual-health",
    "steep-gradient",
    "unsteady-gradient",
    "moved-weights",
    "errors",
    "slow",
    "sampled",
)
"""Why a signal may be kept, in this order."""


@final
@dataclass(frozen=True, slots=True)
class KeptSignal:
    """A seed whose signal is kept."""

    seed_id: SeedId
    priority: float
    """The larger, the sooner it should be looked at; from 0.3."""
    remarks: tuple[str, ...]
    """Of ``REMARKS``, at least one."""


@final
@dataclass(frozen=True, slots=True)
class _LayerMemory:
    """What the filter remembers of one layer."""

    health: tuple[Column, ...] = ()
    """Health of its seeds in the last epochs, oldest first."""
    errors: tuple[Column, ...] = ()
    usual_latency_ms: float | None = None
    unremarkable: int = 0
    """Signals so far in which there was nothing to remark."""


@final
@dataclass(frozen=True, slots=True)
class SignalMemory:
    """What the filter remembers. Begin with ``SignalMemory()``."""

    layers: Mapping[int, _LayerMemory] = field(default_factory=dict)


def sift(
    memory: SignalMemory, report: LayerHealthReport, weights: HealthWeights
) -> tuple[tuple[KeptSignal, ...], SignalMemory]:
    """The signals of a layer that are kept, the most pressing first, and the memory to go on with.

    ``weights`` are those of the health score. Equal priorities stand in order of seeds. A metric that is not a number
    is no remark of its own: what could not be measured counts in the health.
    """
    before = memory.layers.get(report.layer, _LayerMemory())
    if before.health and len(before.health[-1]) != report.seeds:  # another layout: another past
        before = _LayerMemory()
    health = 1.0 - need(report, weights).values
    errors = np.array(report.error_counts or np.zeros(report.seeds), dtype=np.float64)
    remarked = _remarks(before, report, health, errors)
    dull = ~np.any(remarked, axis=0)
    turn = before.unremarkable + np.cumsum(dull)
    chosen = np.vstack([remarked, dull & (turn % ONE_IN == 0)])
    ranks = priority(report, health, errors)
    order = sorted(np.flatnonzero(chosen.any(axis=0)).tolist(), key=lambda seed: (-ranks[seed], seed))
    kept = tuple(
        KeptSignal(
            SeedId(layer=report.layer, index=seed),
            float(ranks[seed]),
            tuple(REMARKS[row] for row in np.flatnonzero(chosen[:, seed])),
        )
        for seed in order
    )
    after = _LayerMemory(
        health=(*before.health, Column(health))[-HISTORY:],
        errors=(*before.errors, Column(errors))[-HISTORY:],
        usual_latency_ms=_usual(before.usual_latency_ms, report.execution_latency_ms),
        unremarkable=before.unremarkable + int(dull.sum()),
    )
    return kept, SignalMemory({**memory.layers, report.layer: after})


def priority(
    report: LayerHealthReport, health: NDArray[np.float64], errors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How pressing each seed's signal is, shape (seeds,), from 0.3.

    3.5 (1 - health), + 5 for a gradient norm over 10 or 2 over 5, + 3 for a gradient variance over 2, + 4 for a sign
    stability under 0.3, + 2 for a parameter norm ratio outside [0.5, 2], + 2 for each of at most ten faults, + 1 for a
    cache hit rate under 0.5 after 100 executions, + latency / 10 over 10 ms, + 0.3.
    """
    norm, ratio = report.gradient_norm.values, report.param_norm_ratio.values
    found = 3.5 * (1.0 - health) + 0.3
    found += np.where(norm > 10.0, 5.0, np.where(norm > 5.0, 2.0, 0.0))
    found += 3.0 * (report.gradient_variance.values > 2.0)
    found += 4.0 * (report.gradient_sign_stability.values < 0.3)
    found += 2.0 * ((ratio < RATIO_MIN) | (ratio > RATIO_MAX))
    found += 2.0 * np.minimum(errors, 10.0)
    if report.cache_hit_rate < 0.5 and report.total_executions > 100:
        found += 1.0
    if report.execution_latency_ms > 10.0:
        found += report.execution_latency_ms / 10.0
    return np.asarray(found, dtype=np.float64)


def _remarks(
    before: _LayerMemory, report: LayerHealthReport, health: NDArray[np.float64], errors: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """What there is to remark, shape (rules, seeds), in the order of ``REMARKS``."""
    ratio = report.param_norm_ratio.values
    usual = before.usual_latency_ms
    slow = usual is not None and usual > 0.0 and report.execution_latency_ms > SLOW_FACTOR * usual
    steep = report.gradient_norm.values > GRADIENT_NORM_MAX
    rows: list[Any] = [
        health < LOW_HEALTH,
        _unusual(before.health, health),
        steep | (report.gradient_variance.values > GRADIENT_VARIANCE_MAX),
        report.gradient_sign_stability.values < SIGN_STABILITY_MIN,
        (ratio < RATIO_MIN) | (ratio > RATIO_MAX),
        np.mean([*(column.values for column in before.errors[1 - HISTORY :]), errors], axis=0) > ERROR_RATE_MAX,
        np.full(report.seeds, slow),
    ]
    return np.array(rows, dtype=np.bool_)


def _unusual(past: tuple[Column, ...], health: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Further from the mean of what is remembered than twice the standard deviation."""
    if len(past) < HISTORY_MIN:
        return np.zeros(len(health), dtype=np.bool_)
    known = np.array([column.values for column in past])
    spread = np.maximum(known.std(axis=0), SPREAD_MIN)
    return np.asarray(np.abs(health - known.mean(axis=0)) / spread > Z_MAX, dtype=np.bool_)


def _usual(usual: float | None, latency: float) -> float | None:
    """The moving average, 0.9 and 0.1; a latency that is not finite leaves it as it is."""
    if not np.isfinite(latency):
        return usual
    return latency if usual is None else (1.0 - LATENCY_MEMORY) * usual + LATENCY_MEMORY * latency
