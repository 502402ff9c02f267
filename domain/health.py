"""What the layers report: one columnar ``LayerHealthReport`` a layer and epoch, and the per-seed signal derived from it."""

from __future__ import annotations

from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from domain.identifiers import SeedId
from domain.values import Column, Value

METRICS: Final = (
    "chunk_variance",
    "dead_node_ratio",
    "avg_inter_node_correlation",
    "activation_sparsity",
    "gradient_norm",
    "gradient_variance",
    "gradient_sign_stability",
    "param_norm_ratio",
)
"""The columns of a report, in this order everywhere."""

RAW: Final = ("activation_min", "activation_max")
"""Columns that hold activations of single samples as they were: what privacy mode never lets into an event."""
EXTRAS: Final = ("activation_mean", *RAW)
"""The columns that a report has only if telemetry asks for them. Source: ADR-001 §3.1.1."""


def _is_none(value: object) -> bool:
    return value is None


@final
class HealthWeights(Value):
    """How much each metric adds to a seed's need. Source: Tamiyo v0.1a §3.2; each in [0, 1], sum 1."""

    variance_weight: float = Field(default=0.6, ge=0, le=1)
    dead_node_weight: float = Field(default=0.3, ge=0, le=1)
    correlation_weight: float = Field(default=0.1, ge=0, le=1)


@final
class SeedProgress(Value):
    """What the trainer measured of one blueprint in the host during this epoch."""

    index: int = Field(ge=0)
    """Seed within the layer."""
    reconstruction_loss: float | None = None
    """Share of its input's variance that the isolated blueprint failed to reconstruct, [0, inf); None unless TRAINING."""
    gradient_norm: float = 0.0
    """L2 norm of the blueprint's gradient, mean over the epoch's steps, [0, inf)."""
    gradient_variance: float = 0.0
    """Variance of that norm over the steps, [0, inf)."""
    weight_drift: float = 0.0
    """Distance of the blueprint's weights from their running mean (0.9/0.1), relative to its norm, [0, inf)."""
    latency_ms: float = 0.0
    """Estimated from its operations and the declared hardware, ms a sample."""
    memory_mb: float = 0.0
    """Parameters, gradients and optimizer state, MB."""


@final
class LayerHealthReport(Value):
    """Health of every seed of one layer in one epoch, struct of arrays. NaN is kept where a metric is undefined.

    A trainer may measure the columns less often than it reports (the live one measures each layer every sixteenth epoch,
    in turn); they then hold what was measured last. ``progress`` and ``error_counts`` are of this epoch always.
    """

    layer: int = Field(ge=0)
    chunk_variance: Column
    """Variance of the chunk's activations over samples, mean over its units, [0, inf)."""
    dead_node_ratio: Column
    """Share of units that never fired (|x| < 1e-6 on every sample), [0, 1]."""
    avg_inter_node_correlation: Column
    """Mean absolute correlation between the chunk's units, [0, 1]; 0 for chunks of one unit."""
    activation_sparsity: Column
    """Share of activations with |x| < 1e-6, [0, 1]."""
    gradient_norm: Column
    """L2 norm of the host gradient of the chunk's weights, from the optimizer's moments, [0, inf)."""
    gradient_variance: Column
    """Variance of that gradient over recent steps, mean over weights, [0, inf)."""
    gradient_sign_stability: Column
    """How much gradients agree in sign: mean |first moment| / sqrt(second moment), [0, 1]."""
    param_norm_ratio: Column
    """Norm of the chunk's weights over their norm at initialisation, [0, inf); 1 is unmoved."""
    execution_latency_ms: float = 0.0
    """Estimated, ms a sample, for the layer with everything grafted in it."""
    cache_hit_rate: float = 1.0
    """Share of blueprint loads served without compiling anew, [0, 1]."""
    total_executions: int = 0
    """Forward passes through the layer since the planting."""
    activation_mean: Column | None = Field(default=None, exclude_if=_is_none)
    """Mean of the chunk's activations over samples and units; NaN for seeds that were not sampled in this epoch."""
    activation_min: Column | None = Field(default=None, exclude_if=_is_none)
    """Least activation of any unit of the chunk on any sample; NaN as above."""
    activation_max: Column | None = Field(default=None, exclude_if=_is_none)
    """Largest, likewise."""
    error_counts: tuple[int, ...] = ()
    """Faults of each seed in this epoch, shape (seeds,), or empty when there were none."""
    progress: tuple[SeedProgress, ...] = ()
    """One entry for each seed that carries a blueprint, by index."""

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        names = (*METRICS, *self.extras)
        if len({len(getattr(self, name)) for name in names}) != 1:
            lengths = {name: len(getattr(self, name)) for name in names}
            raise ValueError(f"the columns of a report must have one length but got {lengths}")
        if self.error_counts and len(self.error_counts) != self.seeds:
            raise ValueError(f"{len(self.error_counts)} error counts for {self.seeds} seeds")
        return self

    @property
    def extras(self) -> tuple[str, ...]:
        """Those of ``EXTRAS`` that the report has."""
        return tuple(name for name in EXTRAS if getattr(self, name) is not None)

    @property
    def seeds(self) -> int:
        """How many seeds the layer has."""
        return len(self.chunk_variance)

    @property
    def health_metrics_by_seed(self) -> dict[int, dict[str, float]]:
        """The same report in the design's shape: seed index to metric name to value."""
        columns = {name: getattr(self, name) for name in METRICS}
        return {seed: {name: columns[name][seed] for name in METRICS} for seed in range(self.seeds)}

    @classmethod
    def silent(cls, layer: int, seeds: int) -> LayerHealthReport:
        """A report of a layer that measured nothing: every metric NaN."""
        nothing: dict[str, Any] = {name: Column(np.full(seeds, np.nan)) for name in METRICS}
        return cls(layer=layer, **nothing)


@final
class HealthSignal(Value):
    """The assessed implementation's twelve-field signal, with the seed and epoch it lacked."""

    layer_id: str
    health_score: float
    """1 - need, [0, 1]."""
    gradient_norm: float
    gradient_variance: float
    gradient_sign_stability: float
    param_norm_ratio: float
    activation_sparsity: float
    dead_neuron_ratio: float
    error_count: int
    execution_latency: float
    """ms."""
    cache_hit_rate: float
    total_executions: int
    seed_id: SeedId
    epoch: int


def need(report: LayerHealthReport, weights: HealthWeights) -> Column:
    """How much each seed of a layer needs help, [0, 1], shape (seeds,).

    need = w_v (1 - v) + w_d d + w_c |c|, where v is the chunk's variance over the layer's largest (1 where
    that is 0), d its dead-node ratio and c its correlation; weights renormalised. NaN counts as 0 variance,
    1 dead, 0 correlation: a chunk that could not be measured is in need. The weights are Tamiyo v0.1a §3.2's;
    the design gives no formula, this is the one of our domain reference (D2).
    """
    return Column(needs(report, weights))


def needs(report: LayerHealthReport, weights: HealthWeights) -> NDArray[np.float64]:
    """``need`` as an array, for who goes on reckoning with it."""
    relative, dead, correlation = strain(report)
    total = weights.variance_weight + weights.dead_node_weight + weights.correlation_weight
    score = (
        weights.variance_weight * (1.0 - relative)
        + weights.dead_node_weight * dead
        + weights.correlation_weight * correlation
    )
    found: NDArray[np.float64] = np.minimum(np.maximum(score / total if total > 0 else score, 0.0), 1.0)
    return found


def strain(report: LayerHealthReport) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What need is made of, a column each: variance over the layer's largest, dead-node ratio, |correlation|."""
    variance = _finite(report.chunk_variance, 0.0)
    largest = np.maximum.reduce(variance, initial=0.0)
    relative = variance / largest if largest > 0 else np.ones_like(variance)
    dead = _finite(report.dead_node_ratio, 1.0)
    correlation = np.abs(_finite(report.avg_inter_node_correlation, 0.0))
    return relative, dead, correlation


def _finite(column: Column, nan: float) -> NDArray[np.float64]:
    """Its values with ``nan`` for NaN and the nearest float for an infinity; as they are, and read-only, where all are finite."""
    values = column.values  # finite as a rule, and looking is cheaper than a copy
    return values if np.logical_and.reduce(np.isfinite(values)) else np.nan_to_num(values, nan=nan)


def health_signals(report: LayerHealthReport, epoch: int, weights: HealthWeights) -> tuple[HealthSignal, ...]:
    """One ``HealthSignal`` a seed, derived from the report. ``health_score`` is 1 - need (no source defines it)."""
    health = 1.0 - need(report, weights).values
    return tuple(
        HealthSignal(
            layer_id=f"layer_{report.layer}",
            health_score=float(health[index]),
            gradient_norm=report.gradient_norm[index],
            gradient_variance=report.gradient_variance[index],
            gradient_sign_stability=report.gradient_sign_stability[index],
            param_norm_ratio=report.param_norm_ratio[index],
            activation_sparsity=report.activation_sparsity[index],
            dead_neuron_ratio=report.dead_node_ratio[index],
            error_count=report.error_counts[index] if report.error_counts else 0,
            execution_latency=report.execution_latency_ms,
            cache_hit_rate=report.cache_hit_rate,
            total_executions=report.total_executions,
            seed_id=SeedId(layer=report.layer, index=index),
            epoch=epoch,
        )
        for index in range(report.seeds)
    )
