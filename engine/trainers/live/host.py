"""The host network: a multilayer perceptron whose hidden layers are KasminaLayers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from domain.header import LayerLayout
from engine.trainers.live.grafts import generator, linear
from engine.trainers.live.kasmina import KasminaLayer


def build_host(layout: Sequence[LayerLayout], classes: int, run_key: int) -> nn.Sequential:
    """Linear and ReLU in a KasminaLayer for each entry of ``layout``, then a linear head.

    All weights come from the stream ``tolaria/init``, layer by layer, weight before bias.
    """
    random = generator(run_key, "tolaria/init")
    layers: list[nn.Module] = [
        KasminaLayer(nn.Sequential(linear(entry.inputs, entry.outputs, random), nn.ReLU()), entry) for entry in layout
    ]
    return nn.Sequential(*layers, linear(layout[-1].outputs, classes, random))
