"""One row a seed and report: the health of every chunk in every epoch, dormant seeds included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, Final, final

import numpy as np
import polars
from numpy.typing import NDArray

from domain.events import LayerHealthReported, RunEnded, RunForked, RunStarted
from domain.health import METRICS, HealthWeights, LayerHealthReport, SeedProgress
from projections.view import EPOCH, LAYER, RUN, SEED, Cases, Key, Row, Schema, integer, ordered, real

FLUSH_SEEDS: Final = 131_072
"""Rows that pile up before they become a chunk."""

_PROGRESS: Final[Mapping[str, Callable[[SeedProgress], float | None]]] = {
    "reconstruction_loss": lambda entry: entry.reconstruction_loss,
    "blueprint_gradient_norm": lambda entry: entry.gradient_norm,
    "blueprint_gradient_variance": lambda entry: entry.gradient_variance,
    "blueprint_weight_drift": lambda entry: entry.weight_drift,
    "blueprint_latency_ms": lambda entry: entry.latency_ms,
    "blueprint_memory_mb": lambda entry: entry.memory_mb,
}
"""Columns about a seed's blueprint, and where they come from."""

_Reported = tuple[str, int, int, LayerHealthReport, HealthWeights]
"""A report with its place: run, position, epoch, report, the run's weights."""


@final
class LayerHealth:
    """One row a seed and report."""

    NAME: ClassVar[str] = "layer_health"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the layer's report; its seeds share it."),
        "epoch": EPOCH,
        "layer": LAYER,
        "seed": SEED,
        "health_score": real("1 - need by the run's own weights, [0, 1]; what could not be measured counts as need."),
        "chunk_variance": real("Variance of the chunk's activations over samples, mean over its units, [0, inf)."),
        "dead_node_ratio": real("Share of units that never fired, [0, 1]."),
        "avg_inter_node_correlation": real("Mean absolute correlation between the chunk's units, [0, 1]."),
        "activation_sparsity": real("Share of activations that are 0, [0, 1]."),
        "gradient_norm": real("L2 norm of the host gradient of the chunk's weights, [0, inf)."),
        "gradient_variance": real("Variance of that gradient over recent steps, [0, inf)."),
        "gradient_sign_stability": real("How much gradients agree in sign, [0, 1]."),
        "param_norm_ratio": real("Norm of the chunk's weights over their norm at initialisation, [0, inf)."),
        "errors": integer("Faults of the seed in this epoch, from 0."),
        "layer_latency_ms": real("Estimated for the layer with all that is grafted in it, ms a sample."),
        "layer_cache_hit_rate": real("Share of blueprint loads served without compiling anew, [0, 1]."),
        "layer_executions": integer("Forward passes through the layer since the planting."),
        "reconstruction_loss": real(
            "Share of variance its blueprint fails to reconstruct, [0, inf); null unless TRAINING."
        ),
        "blueprint_gradient_norm": real("L2 norm of its blueprint's gradient, [0, inf); null where it carries none."),
        "blueprint_gradient_variance": real("Variance of that norm over the steps, [0, inf); null as the norm."),
        "blueprint_weight_drift": real("Distance from the running mean of the weights, [0, inf); null as the norm."),
        "blueprint_latency_ms": real("Estimated, ms a sample; null as the norm."),
        "blueprint_memory_mb": real("Parameters, gradients and optimizer state, MB; null as the norm."),
    }

    def __init__(self) -> None:
        self.store = _Reports(self.SCHEMA)
        self.cases: Cases = {
            RunStarted: self._started,
            RunForked: self._started,
            LayerHealthReported: self._reported,
            RunEnded: self._ended,
        }
        self._weights: dict[str, HealthWeights] = {}
        self._pile: Final = self.store.pile

    def memory(self) -> dict[str, str]:
        """Each run's weights."""
        return {run: weights.model_dump_json() for run, weights in self._weights.items()}

    def remember(self, memory: Any) -> None:
        """Each run's weights."""
        self._weights = {run: HealthWeights.model_validate_json(weights) for run, weights in memory.items()}

    def _started(self, run: str, position: int, event: RunStarted | RunForked) -> None:
        self._weights[run] = event.header.tamiyo_config.health_weights

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._weights.pop(run, None)

    def _reported(self, run: str, position: int, event: LayerHealthReported) -> None:
        weights = self._weights.get(run, _DEFAULT)
        self._pile.append((run, position, event.epoch, event.report, weights))


_DEFAULT: Final = HealthWeights()


@final
class _Reports:
    """Reports pile up as they are and become columns together: nothing is done for each seed in Python."""

    def __init__(self, schema: Schema) -> None:
        self.open: dict[Key, Row] = {}
        self.pile: Final[list[_Reported]] = []
        self._schema: Final = {name: column.dtype for name, column in schema.items()}
        self._chunks: list[polars.DataFrame] = []
        self._counted = 0
        self._seeds = 0

    def settle(self) -> None:
        """Make the pile into a chunk, if it is enough for one."""
        self._seeds += sum(len(_FIRST(report)) for _, _, _, report, _ in self.pile[self._counted :])
        self._counted = len(self.pile)
        if self._seeds >= FLUSH_SEEDS:
            self._flush()

    def frame(self) -> polars.DataFrame:
        """Every row, by run, position and seed."""
        self._flush()
        return ordered(polars.concat([polars.DataFrame(schema=self._schema), *self._chunks], rechunk=False))

    def restore(self, frame: polars.DataFrame, opened: Mapping[Key, Row]) -> None:
        """Go on from a saved ``frame``; nothing is ever open."""
        assert not opened, "reports never change"
        self._chunks = [frame]

    def _flush(self) -> None:
        if self.pile:
            self._chunks.append(
                _columns(self.pile).select(**{n: polars.col(n).cast(d) for n, d in self._schema.items()})
            )
        self.pile.clear()
        self._counted = self._seeds = 0


def _columns(pile: Sequence[_Reported]) -> polars.DataFrame:
    """A row a seed of all reports together."""
    runs, positions, epochs, reports, given = zip(*pile, strict=True)
    sizes = np.array([len(_FIRST(report)) for report in reports], dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    each = np.repeat(np.arange(len(pile)), sizes)
    metrics = {name: np.concatenate(list(map(values, reports))) for name, values in _METRICS.items()}
    health = 1.0 - _needs(metrics, given, sizes, starts)
    by_report = polars.DataFrame(
        {
            "run": runs,
            "position": positions,
            "epoch": epochs,
            "layer": [report.layer for report in reports],
            "layer_latency_ms": [report.execution_latency_ms for report in reports],
            "layer_cache_hit_rate": [report.cache_hit_rate for report in reports],
            "layer_executions": [report.total_executions for report in reports],
        }
    )[each]
    return by_report.with_columns(
        polars.Series("seed", np.arange(len(each)) - starts[each]),
        polars.Series("health_score", health),
        polars.Series("errors", _errors(reports, starts, len(each))),
        *(polars.Series(name, values) for name, values in metrics.items()),
        *_progress(reports, starts, sizes, len(each)),
    )


_METRICS: Final[Mapping[str, Callable[[LayerHealthReport], NDArray[np.float64]]]] = {
    name: attrgetter(f"{name}.values") for name in METRICS
}
"""Each metric's values, shape (seeds,)."""

_FIRST: Final = _METRICS[METRICS[0]]


def _needs(
    metrics: Mapping[str, NDArray[np.float64]],
    given: Sequence[HealthWeights],
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """As ``domain.health.need``, of many reports at once and to the last bit: a test compares them."""
    variance = np.nan_to_num(metrics["chunk_variance"], nan=0.0)
    some = sizes > 0
    largest = np.zeros(len(sizes))
    if len(variance):
        largest[some] = np.maximum(np.maximum.reduceat(variance, starts[some]), 0.0)
    largest = np.repeat(largest, sizes)
    relative = np.divide(variance, largest, out=np.ones_like(variance), where=largest > 0)
    dead = np.nan_to_num(metrics["dead_node_ratio"], nan=1.0)
    correlation = np.abs(np.nan_to_num(metrics["avg_inter_node_correlation"], nan=0.0))
    distinct = {id(each): (each.variance_weight, each.dead_node_weight, each.correlation_weight) for each in given}
    weights = np.repeat([distinct[id(each)] for each in given], sizes, axis=0)
    total = weights[:, 0] + weights[:, 1] + weights[:, 2]
    score = weights[:, 0] * (1.0 - relative) + weights[:, 1] * dead + weights[:, 2] * correlation
    np.divide(score, total, out=score, where=total > 0)
    clipped: NDArray[np.float64] = np.clip(score, 0.0, 1.0)
    return clipped


def _errors(reports: Sequence[LayerHealthReport], starts: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    errors = np.zeros(rows, dtype=np.int64)
    for report, start in zip(reports, starts, strict=True):
        if report.error_counts:
            errors[start : start + len(report.error_counts)] = report.error_counts
    return errors


def _progress(
    reports: Sequence[LayerHealthReport], starts: NDArray[np.int64], sizes: NDArray[np.int64], rows: int
) -> list[polars.Series]:
    """The columns about blueprints: null for the many seeds that carry none."""
    carried = [
        (start + entry.index, entry)
        for report, start, seeds in zip(reports, starts.tolist(), sizes.tolist(), strict=True)
        for entry in report.progress
        if entry.index < seeds
    ]
    where = polars.Series("where", [row for row, _ in carried], dtype=polars.UInt32)
    columns = []
    for name, value in _PROGRESS.items():
        values = polars.Series(name, [value(entry) for _, entry in carried], dtype=polars.Float64)
        columns.append(polars.repeat(None, rows, dtype=polars.Float64, eager=True).alias(name).scatter(where, values))
    return columns
