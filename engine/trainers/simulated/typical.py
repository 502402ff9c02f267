"""What of a fit is not the mean: noise in blocks, losses by accuracy, test scores, progress and health, as samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from domain.lifecycle import Stage
from engine.trainers.simulated.dynamics import (
    BLOCK,
    UNKNOWN,
    Curve,
    KindProgress,
    LayerHealth,
    Residual,
    ScoreOffset,
    noise_scale,
)
from engine.trainers.simulated.histories import History, Measured, rows_of

Array = NDArray[np.float64]

KNOTS: Final = 16
BLOCKS_MAX: Final = 96
ROWS_MAX: Final = 32
SMOOTH: Final = 9
"""Epochs of the running median that is taken out of residuals: what is slower is the model's fault and not noise."""
LOSS_MIN: Final = 1e-6
SAMPLES_MAX: Final = 4000


@final
@dataclass(frozen=True, slots=True)
class Typical:
    """The fields of ``Dynamics`` that are samples."""

    residuals: tuple[tuple[Residual, ...], ...]
    loss: Curve
    train_loss: Curve
    train_gap: Curve
    test_offsets: tuple[ScoreOffset, ...]
    test_spread: tuple[float, ...]
    validation_samples: int
    test_samples: int
    progress: tuple[KindProgress, ...]
    health: tuple[LayerHealth, ...]

    def as_fields(self) -> dict[str, Any]:
        """By name, for ``Dynamics``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def typical(runs: Sequence[History], mean: Array) -> Typical:
    """Samples from all runs around ``mean``, the fitted accuracies, shape (runs, epochs + 1)."""
    metrics = [entry for run in runs for entry in run.metrics.values()]
    accuracy = np.array([entry.validation_accuracy for entry in metrics])
    loss = _curve(accuracy, [_log(entry.validation_loss) for entry in metrics], falling=True)
    train_loss = _curve(accuracy, [_log(entry.train_loss) for entry in metrics], falling=True)
    train_gap = _curve(accuracy, [entry.train_accuracy - entry.validation_accuracy for entry in metrics])
    offsets, spread = _test(runs)
    return Typical(
        residuals=_blocks(runs, mean, loss, train_loss, train_gap),
        loss=loss,
        train_loss=train_loss,
        train_gap=train_gap,
        test_offsets=offsets,
        test_spread=spread,
        validation_samples=_samples([[entry.validation_accuracy for entry in run.metrics.values()] for run in runs]),
        test_samples=_samples([[accuracy for _, accuracy in run.scores] for run in runs]),
        progress=_progress([entry for run in runs for entry in run.measured]),
        health=_health(runs),
    )


def _log(loss: float) -> float:
    return math.log(max(loss, LOSS_MIN))


def _curve(accuracy: Array, values: Sequence[float], *, falling: bool = False) -> Curve:
    """Medians of ``values`` over bins of equal counts of accuracy."""
    order = np.argsort(accuracy, kind="stable")
    parts = [part for part in np.array_split(order, KNOTS) if len(part)]
    given = np.array(values)
    x = [float(np.median(accuracy[part])) for part in parts]
    y = [float(np.median(given[part])) for part in parts]
    knots: dict[float, list[float]] = {}
    for place, value in zip(x, y, strict=True):
        knots.setdefault(round(place, 6), []).append(value)
    heights = np.array([np.mean(found) for found in knots.values()])
    if falling:
        heights = np.minimum.accumulate(heights)
    return Curve(accuracies=tuple(knots), values=tuple(round(float(height), 6) for height in heights))


def _blocks(
    runs: Sequence[History], mean: Array, loss: Curve, train_loss: Curve, train_gap: Curve
) -> tuple[tuple[Residual, ...], ...]:
    """Blocks of residuals of epochs in a row in which the host trained, evenly taken from all runs."""
    found: list[tuple[Residual, ...]] = []
    for place, run in enumerate(runs):
        epochs = sorted(run.host_free & set(run.metrics))
        if not epochs:
            continue
        rows = np.array(
            [_residual(run, epoch, float(mean[place, epoch]), loss, train_loss, train_gap) for epoch in epochs]
        )
        local = rows - _running_median(rows)
        starts = range(0, max(len(epochs) - BLOCK + 1, 1), BLOCK)
        found += [tuple(_as_residual(row) for row in local[start : start + BLOCK]) for start in starts]
    return tuple(_evenly(found, BLOCKS_MAX))


def _residual(
    run: History, epoch: int, mean: float, loss: Curve, train_loss: Curve, train_gap: Curve
) -> tuple[float, float, float, float]:
    metrics = run.metrics[epoch]
    scale, accuracy = noise_scale(mean), metrics.validation_accuracy
    return (
        (accuracy - mean) / scale,
        _log(metrics.validation_loss) - loss.at(accuracy),
        (metrics.train_accuracy - accuracy - train_gap.at(accuracy)) / scale,
        _log(metrics.train_loss) - train_loss.at(accuracy),
    )


def _running_median(rows: Array) -> Array:
    half = SMOOTH // 2
    return np.array([np.median(rows[max(i - half, 0) : i + half + 1], axis=0) for i in range(len(rows))])


def _as_residual(row: Array) -> Residual:
    accuracy, loss, train_accuracy, train_loss = (round(float(value), 5) for value in row)
    return Residual(accuracy=accuracy, loss=loss, train_accuracy=train_accuracy, train_loss=train_loss)


def _evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of them, spread over all."""
    if len(items) <= most:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most)]


def _test(runs: Sequence[History]) -> tuple[tuple[ScoreOffset, ...], tuple[float, ...]]:
    """Test minus validation accuracy by run key, and what is left of single scores."""
    by_key: dict[int, list[float]] = {}
    for run in runs:
        for epoch, scored in run.scores:
            if epoch in run.metrics:
                accuracy = run.metrics[epoch].validation_accuracy
                by_key.setdefault(run.header.run_key, []).append((scored - accuracy) / noise_scale(accuracy))
    offsets = {key: float(np.mean(found)) for key, found in sorted(by_key.items())}
    left = sorted(round(value - offsets[key], 5) for key, found in by_key.items() for value in found)
    return (
        tuple(ScoreOffset(run_key=key, offset=round(value, 5)) for key, value in offsets.items()),
        tuple(_evenly(left, BLOCKS_MAX)),
    )


def _samples(accuracies: Sequence[Sequence[float]]) -> int:
    """How many samples the accuracies are shares of, the median over runs; 0 where they are of none."""
    found = [count for given in accuracies if given and (count := _denominator(np.array(given)))]
    return int(np.median(found)) if len(found) * 2 > len(accuracies) else 0


def _denominator(given: Array) -> int:
    for count in range(10, SAMPLES_MAX):
        scaled = given * count
        if np.abs(scaled - np.round(scaled)).max() < 1e-7:
            return count
    return 0


def _progress(measured: Sequence[Measured]) -> tuple[KindProgress, ...]:
    groups: dict[tuple[str, str], list[Measured]] = {}
    for entry in measured:
        groups.setdefault((entry.kind, entry.stage.value), []).append(entry)
        groups.setdefault((UNKNOWN, entry.stage.value), []).append(entry)
    return tuple(_of_kind(*key, groups[key]) for key in sorted(groups))


def _of_kind(kind: str, stage: str, found: Sequence[Measured]) -> KindProgress:
    by_age: dict[int, list[float]] = {}
    for entry in found:
        if entry.reconstruction is not None and math.isfinite(entry.reconstruction):
            by_age.setdefault(entry.age, []).append(entry.reconstruction)
    ages = sorted(by_age) if stage == Stage.TRAINING.value else []
    # Whatever trains the task gives gradients; epochs without any say that nothing learnt, and stay among the rows.
    rows = _evenly(sorted(found, key=lambda entry: (entry.gradient_norm, entry.weight_drift)), ROWS_MAX)

    def column(name: str) -> tuple[float, ...]:
        return tuple(float(f"{getattr(row, name):.5g}") for row in rows)

    return KindProgress(
        kind=kind,
        stage=stage,
        reconstruction=tuple(round(float(np.median(by_age[age])), 5) for age in ages),
        gradient_norms=column("gradient_norm"),
        gradient_variances=column("gradient_variance"),
        weight_drifts=column("weight_drift"),
    )


def _health(runs: Sequence[History]) -> tuple[LayerHealth, ...]:
    by_layer: dict[int, list[tuple[float, ...]]] = {}
    for run in runs:
        for report in run.health:
            by_layer.setdefault(report.layer, []).extend(rows_of([report]))
    return tuple(
        LayerHealth(
            layer=layer,
            rows=tuple(tuple(float(f"{value:.5g}") for value in row) for row in _evenly(rows, 2 * ROWS_MAX)),
        )
        for layer, rows in sorted(by_layer.items())
    )
