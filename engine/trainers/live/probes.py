"""Health of a layer's seeds, measured in the validation pass that runs anyway, so training pays nothing for it.

Activations: full validation activations of what the layer gives on, with its grafts. Gradients: Adam's own moments
of the chunk's weight rows, no hook. With m and v the bias-corrected mean and mean square of a weight's gradient:
norm = sqrt(sum v), variance = mean(v - m^2), sign stability = mean(|m| / sqrt v).
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain.header import LayerLayout
from domain.values import Column
from engine.trainers.live.kasmina import KasminaLayer
from engine.trainers.live.optimizer import BETAS, DynamicOptimizer

QUIET: Final = 1e-6
"""An activation nearer to 0 than this counts as silent."""
CORRELATION_SAMPLES: Final = 128
"""First validation samples that correlations are taken from: the Gram matrix is the one thing that costs here."""
VARIANCE_MIN: Final = 1e-12
"""Sum of squares about the mean under which a unit counts as constant."""

_Array = NDArray[np.float64]


@final
class LayerProbe:
    """Measures one layer. Knows how large the weights of each chunk were at initialisation."""

    def __init__(self, layer: KasminaLayer) -> None:
        layout = layer.layout
        self._layer: Final = layer
        self._starts: Final = np.array([layout.chunk(index)[0] for index in range(layout.seeds)])
        self._widths: Final = [layout.chunk_width(index) for index in range(layout.seeds)]
        self._units: Final = np.array(self._widths, dtype=np.float64)
        self.initial_norms: _Array = self._norms()
        """L2 norm of each chunk's weights when the probe was made, shape (seeds,)."""

    def measure(self, activations: Tensor, optimizer: DynamicOptimizer) -> dict[str, Column]:
        """The columns of a report from the layer's validation activations, (samples, outputs)."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            columns = self._activity(activations) | self._learning(optimizer)
            columns["param_norm_ratio"] = self._norms() / self.initial_norms
        return {name: Column(values) for name, values in columns.items()}

    def _by_chunk(self, units: _Array) -> _Array:
        """Sums of a number a unit over the units of each chunk, along the last axis."""
        return np.add.reduceat(units, self._starts, axis=-1)

    def _activity(self, activations: Tensor) -> dict[str, _Array]:
        samples = len(activations)
        ones = activations.new_ones(samples)
        # Sums over samples as products with ones: torch's own var and count are some thirty times slower along dim 0.
        centred = activations - (ones @ activations) / samples
        loud = torch.gt(activations.abs(), QUIET, out=torch.empty_like(activations))
        found = torch.stack((ones @ centred.square(), ones @ loud)).double().numpy()
        per_unit = np.stack((found[0] / samples, samples - found[1], found[1] == 0.0))
        variance, quiet, dead = self._by_chunk(per_unit) / self._units
        return {
            "chunk_variance": variance,
            "dead_node_ratio": dead,
            "activation_sparsity": quiet / samples,
            "avg_inter_node_correlation": self._correlation(activations[:CORRELATION_SAMPLES]),
        }

    def _correlation(self, activations: Tensor) -> _Array:
        """Mean |correlation| of distinct units, shape (seeds,). A constant unit correlates with none."""
        ones = activations.new_ones(len(activations))
        centred = activations - (ones @ activations) / len(activations)
        squares = ones @ centred.square()
        unit = centred.mul_(torch.where(squares > VARIANCE_MIN, squares, torch.inf).rsqrt_())
        totals = torch.stack([(chunk.T @ chunk).abs_().sum() for chunk in unit.split(self._widths, dim=1)])
        varying = self._by_chunk((squares > VARIANCE_MIN).double().numpy())  # the diagonal's sum
        pairs = self._units * (self._units - 1.0)
        return np.clip((totals.double().numpy() - varying) / np.maximum(pairs, 1.0), 0.0, 1.0)

    def _learning(self, optimizer: DynamicOptimizer) -> dict[str, _Array]:
        squares = means_squared = signs = np.zeros(self._layer.layout.outputs)
        weights = 0
        for _, rows in self._layer.rows():
            moments = optimizer.moments(rows)
            if moments is None:
                nothing = np.full(self._layer.layout.seeds, np.nan)
                return dict.fromkeys(("gradient_norm", "gradient_variance", "gradient_sign_stability"), nothing)
            found = _row_sums(*moments)
            squares, means_squared, signs = squares + found[0], means_squared + found[1], signs + found[2]
            weights += rows.numel() // len(rows)
        square, mean_squared, sign = self._by_chunk(np.stack((squares, means_squared, signs)))
        counted = self._units * max(weights, 1)
        return {
            "gradient_norm": np.sqrt(square),
            "gradient_variance": np.maximum(square - mean_squared, 0.0) / counted,
            "gradient_sign_stability": np.minimum(sign / counted, 1.0),
        }

    def _norms(self) -> _Array:
        squares = np.zeros(self._layer.layout.outputs)
        for _, rows in self._layer.rows():
            squares += _per_row(rows.detach()).square().sum(dim=1).double().numpy()
        return np.sqrt(self._by_chunk(squares))


def _per_row(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1)


def _row_sums(mean: Tensor, square: Tensor, steps: int) -> _Array:
    """Sums over each row's weights of v, m^2 and |m| / sqrt v, bias-corrected, shape (3, rows)."""
    first, second = 1.0 - BETAS[0] ** steps, 1.0 - BETAS[1] ** steps
    m, v = _per_row(mean), _per_row(square)
    signs = m.abs().mul_(v.clamp_min(torch.finfo(v.dtype).tiny).rsqrt_())
    found = torch.stack((v.sum(dim=1), m.square().sum(dim=1), signs.sum(dim=1))).double().numpy()
    return found * np.array([[1.0 / second], [1.0 / first**2], [second**0.5 / first]])


def host_flops(layout: LayerLayout) -> int:
    """Operations of the layer's own linear map and ReLU on one sample."""
    return layout.outputs * (2 * layout.inputs + 2)
