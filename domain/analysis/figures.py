"""What a layer's report says of the layer as a whole: the mean over its seeds of everything that was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from domain.health import HealthWeights, LayerHealthReport, needs
from domain.values import changed


@final
@dataclass(frozen=True)  # no slots: see ``changed``
class LayerFigures:
    """One layer in one epoch. None is what was not measured, in no seed of it; infinities are kept."""

    layer: int
    health: float | None = None
    """Mean of 1 - need, [0, 1]."""
    activation_variance: float | None = None
    """[0, inf)."""
    dead_node_ratio: float | None = None
    """[0, 1]."""
    correlation: float | None = None
    """Between the units of a chunk, [0, 1]."""
    gradient_norm: float | None = None
    """L2, [0, inf)."""
    gradient_variance: float | None = None
    """[0, inf)."""
    sign_stability: float | None = None
    """How much gradients agree in sign, [0, 1]."""
    param_norm_ratio: float | None = None
    """Over the norm at initialisation, [0, inf); 1 is unmoved."""
    latency_ms: float | None = None
    """With everything grafted in it, ms a sample."""
    cache_hit_rate: float | None = None
    """[0, 1]."""
    executions: int = 0
    """Forward passes since the planting."""
    errors: int = 0
    """Faults of its seeds in this epoch, from 0."""

    def held(self, report: LayerHealthReport) -> LayerFigures:
        """The layer by a later ``report`` whose columns are those that these figures are of: see ``columns_of``."""
        return changed(
            self,
            latency_ms=_known(report.execution_latency_ms),
            cache_hit_rate=_known(report.cache_hit_rate),
            executions=report.total_executions,
            errors=sum(report.error_counts),
        )


def figures(report: LayerHealthReport, weights: HealthWeights) -> LayerFigures:
    """The layer of ``report`` in figures; ``weights`` are those of the run's health score."""
    # A sum of large numbers may overflow: an infinity, and no news.
    with np.errstate(all="ignore"):
        means = _means(np.array([*_COLUMNS(report), needs(report, weights)]))
    variance, dead, correlation, norm, gradient_variance, signs, ratio, needed = means
    unmeasured = variance is None and dead is None and correlation is None
    return LayerFigures(
        layer=report.layer,
        health=None if unmeasured or needed is None else 1.0 - needed,
        activation_variance=variance,
        dead_node_ratio=dead,
        correlation=correlation,
        gradient_norm=norm,
        gradient_variance=gradient_variance,
        sign_stability=signs,
        param_norm_ratio=ratio,
        latency_ms=_known(report.execution_latency_ms),
        cache_hit_rate=_known(report.cache_hit_rate),
        executions=report.total_executions,
        errors=sum(report.error_counts),
    )


_COLUMNS: Final = attrgetter(
    "chunk_variance.values",
    "dead_node_ratio.values",
    "avg_inter_node_correlation.values",
    "gradient_norm.values",
    "gradient_variance.values",
    "gradient_sign_stability.values",
    "param_norm_ratio.values",
)
"""The columns that figures are made of; the first three are what health is worked out of."""


def columns_of(report: LayerHealthReport) -> bytes:
    """The columns that figures are made of, bit for bit: equal in two reports if nothing was measured in between."""
    return b"".join(_COLUMNS(report))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _means(table: NDArray[np.float64]) -> list[float | None]:
    """The mean of each row, without what is not a number in it; None for a row of nothing else."""
    seeds = table.shape[1]
    if not seeds:
        return [None] * len(table)
    # All rows at once, because this is done for every report of a rebuild; NaN is rare.
    means: list[float] = (np.add.reduce(table, axis=1) / seeds).tolist()
    return [_known_mean(row) if math.isnan(mean) else mean for mean, row in zip(means, table, strict=True)]


def _known_mean(row: NDArray[np.float64]) -> float | None:
    known = row[~np.isnan(row)]
    mean = float(known.mean()) if known.size else math.nan
    return None if math.isnan(mean) else mean


def mean_of(values: list[float | None]) -> float | None:
    """The mean of what was measured; None where nothing was."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
