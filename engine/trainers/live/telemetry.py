"""What is told of a layer's activations beyond its metrics, where telemetry asks for it and privacy lets it.

Privacy is kept here, where the columns are made: what holds activations as they were is never made under it.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
from torch import Tensor

from domain.header import LayerLayout, RunHeader
from domain.health import EXTRAS, RAW
from domain.settings import TelemetryMode
from domain.values import Column


@final
class Telemetry:
    """Of one epoch."""

    def __init__(self, header: RunHeader, epoch: int) -> None:
        self._settings: Final = header.training.telemetry
        self._names: Final = tuple(name for name in EXTRAS if not (header.safety.privacy_mode and name in RAW))
        self._epoch: Final = epoch
        self._told: Final[dict[int, dict[str, Column]]] = {}

    @property
    def measures_all(self) -> bool:
        """Whether every layer is measured in this epoch, whoever's turn it is."""
        return self._settings.mode is TelemetryMode.DEBUG

    def wants(self, layout: LayerLayout) -> bool:
        """Whether any seed of a layer is told of in this epoch."""
        return any(self._settings.samples(layout.layer, index, self._epoch) for index in range(layout.seeds))

    def look(self, layout: LayerLayout, activations: Tensor) -> None:
        """Look at a layer's validation activations, (samples, outputs)."""
        starts = [layout.chunk(index)[0] for index in range(layout.seeds)]
        widths = np.array([layout.chunk_width(index) for index in range(layout.seeds)])
        sampled = [self._settings.samples(layout.layer, index, self._epoch) for index in range(layout.seeds)]
        values = activations.double().numpy()
        found = {
            "activation_mean": np.add.reduceat(values.mean(axis=0), starts) / widths,
            "activation_min": np.minimum.reduceat(values.min(axis=0), starts),
            "activation_max": np.maximum.reduceat(values.max(axis=0), starts),
        }
        self._told[layout.layer] = {name: Column(np.where(sampled, found[name], np.nan)) for name in self._names}

    def columns(self, layer: int) -> dict[str, Column]:
        """What is told of layer number ``layer``, by column; empty where nothing is."""
        return self._told.get(layer, {})
