"""Health of a layer's seeds, measured in the validation pass that runs anyway, so training pays nothing for it.

Activations: what the layer gives on, grafts included, looked at while it is still in the processor's cache.
Gradients: Adam's own moments of the chunk's weight rows, no hook. With m and v the bias-corrected mean and mean square
of a weight's gradient: norm = sqrt(sum v), variance = mean(v - m^2), sign stability = mean(|m| / sqrt v).

A layer is measured once in ``PERIOD`` epochs, the layers in turn; in between it reports what was measured last. Every
epoch would cost 6 to 15 % of one, however small the samples: it is the number of operations that costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from domain.health import METRICS
from domain.values import Column
from engine.trainers.live.kasmina import KasminaLayer
from engine.trainers.live.optimizer import BETAS, DynamicOptimizer

QUIET: Final = 1e-6
"""An activation nearer to 0 than this counts as silent."""
ACTIVATIONS_MAX: Final = 16_384
"""Activations that are looked at in a layer: every validation sample of a narrow one, of a wide one the first samples,
which the split has put in random order; 64 of them for 256 units."""
MOMENTS_MAX: Final = 8_192
"""Weights whose moments are looked at in a layer: all of a small one, of a large one the first of each unit."""
PERIOD: Final = 16
"""Epochs between two measurements of a layer."""
VARIANCE_MIN: Final = 1e-12
"""Sum of squares about the mean under which a unit counts as constant."""

_Array = NDArray[np.float64]


@final
class LayerProbe:
    """Measures one layer. Knows how large each chunk's weights were when it was made."""

    def __init__(self, layer: KasminaLayer) -> None:
        layout = layer.layout
        self._layer: Final = layout.layer
        self._weight: Final = _producer(layer)
        self._widths: Final = [layout.chunk_width(index) for index in range(layout.seeds)]
        self._units: Final = np.array(self._widths, dtype=np.float64)
        self._starts: Final = np.array([layout.chunk(index)[0] for index in range(layout.seeds)])
        self._fan_in: Final = self._weight.numel() // layout.outputs
        self.initial_norms: _Array = np.sqrt(self._by_chunk(self._squares()))
        """L2 norm of each chunk's weights at the planting, shape (seeds,)."""
        self.health: _Array = np.full((len(METRICS), layout.seeds), np.nan)
        """What was measured last, a row for each of ``METRICS``."""
        self._is_new = True
        self._columns: dict[str, Column] = {}

    def is_due(self, epoch: int) -> bool:
        """Whether the layer is to be measured in this epoch."""
        return self._is_new or epoch % PERIOD == self._layer % PERIOD

    def resume(self) -> None:
        """Keep turns from here on: ``health`` was filled from a checkpoint."""
        self._is_new = bool(np.isnan(self.health[0]).all())
        self._columns = {}

    def columns(self) -> dict[str, Column]:
        """What was measured last, by metric."""
        if not self._columns:
            self._columns = {name: Column(row) for name, row in zip(METRICS, self.health, strict=True)}
        return self._columns

    def measure(self, activations: Tensor, optimizer: DynamicOptimizer) -> None:
        """Measure the layer's validation activations, (samples, outputs), and its weights; at most once an epoch."""
        seen = activations[: max(ACTIVATIONS_MAX // activations.shape[1], 2)]
        samples = len(seen)
        ones = seen.new_ones(samples)
        # Sums over samples as products with ones: torch's own var and count are some thirty times slower along dim 0.
        centred = seen - (ones @ seen).div_(samples)
        squares = ones @ centred.square()
        loud = ones @ torch.gt(seen.abs(), QUIET, out=torch.empty_like(seen))
        pairs = _pair_sums(centred, squares, self._widths).double().numpy()
        found = torch.stack((squares, loud)).double().numpy()
        per_unit = np.stack(
            (*found, found[1] == 0.0, found[0] > VARIANCE_MIN, self._squares(), *self._moments(optimizer))
        )
        square, active, dead, varying, weight, mean_square, squared_mean, sign = self._by_chunk(per_unit)
        units, weights = self._units, self._units * self._fan_in
        with np.errstate(divide="ignore", invalid="ignore"):
            self.health[:] = (
                square / (units * samples),
                dead / units,
                np.clip((pairs - varying) / np.maximum(units * (units - 1.0), 1.0), 0.0, 1.0),
                1.0 - active / (units * samples),
                np.sqrt(mean_square),
                np.maximum(mean_square - squared_mean, 0.0) / weights,
                np.minimum(sign / weights, 1.0),
                np.sqrt(weight) / self.initial_norms,
            )
        self._is_new = False
        self._columns = {}

    def _by_chunk(self, units: _Array) -> _Array:
        """Sums of a number a unit over the units of each chunk, along the last axis."""
        summed: _Array = np.add.reduceat(units, self._starts, axis=-1)
        return summed

    def _squares(self) -> _Array:
        """Sum of squares of each unit's weights, shape (units,)."""
        norms = torch.linalg.vector_norm(self._weight.detach().flatten(1), dim=1)
        squares: _Array = norms.double().square_().numpy()
        return squares

    def _moments(self, optimizer: DynamicOptimizer) -> _Array:
        """Sums over each unit's weights of v, m^2 and |m| / sqrt v, shape (3, units); NaN before the first step."""
        moments = optimizer.moments(self._weight)
        if moments is None:
            return np.full((3, len(self._weight)), np.nan)
        taken = min(self._fan_in, max(MOMENTS_MAX // len(self._weight), 1))
        m, v = (moment.flatten(1).numpy()[:, :taken] for moment in moments[:2])  # numpy: half the cost an operation
        signs = np.abs(m) / np.sqrt(v + np.finfo(np.float32).tiny)
        sums = np.stack([values.sum(axis=1, dtype=np.float64) for values in (v, m * m, signs)])
        first, second = 1.0 - BETAS[0] ** moments[2], 1.0 - BETAS[1] ** moments[2]
        scale = np.array([1.0 / second, 1.0 / first**2, second**0.5 / first]) * (self._fan_in / taken)
        scaled: _Array = sums * scale[:, None]
        return scaled


def _producer(layer: KasminaLayer) -> nn.Parameter:
    """The host layer's weight with a row a unit. Raises ValueError for a host layer without one."""
    for parameter in layer.host.parameters():
        if parameter.ndim > 1 and parameter.shape[0] == layer.layout.outputs:
            return parameter
    raise ValueError(
        f"host layer {layer.layout.layer} has no weight with a row for each of its {layer.layout.outputs} units"
    )


def _pair_sums(centred: Tensor, squares: Tensor, widths: Sequence[int]) -> Tensor:
    """Sum of |correlation| over all pairs of units of each chunk, ones for a unit with itself, shape (seeds,).

    ``centred`` (samples, units) is overwritten. A unit that never varies correlates with none, itself included.
    """
    unit = centred.mul_(torch.where(squares > VARIANCE_MIN, squares, torch.inf).rsqrt_())
    if widths[0] != widths[-1]:
        chunks = torch.split(unit, list(widths), dim=1)
        return torch.stack([torch.mm(chunk.T, chunk).abs_().sum() for chunk in chunks])
    cube = unit.view(len(unit), len(widths), widths[0]).transpose(0, 1)
    return torch.bmm(cube.transpose(1, 2), cube).abs_().sum(dim=(1, 2))
