"""Nodes and edges of a model graph as numbers, in the order of the assessed ``ModelGraphBuilder``. Source: D7, K 23.

Its vector is cut at 20 and loses the degrees; here it has all 23. The last three places of an edge are always 0: they fill
it up to the eight that the source hands on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from domain.analysis.figures import LayerFigures

KINDS: Final = ("linear", "conv2d", "attention", "normalization", "activation")
"""The kinds of layer that have a place in the vector; any other, a blueprint too, has five zeros."""

NODE_FEATURES: Final = (
    "health",
    "latency",
    "errors",
    "activation_variance",
    "dead_ratio",
    "correlation",
    "gradient_norm",
    "gradient_variance",
    "sign_stability",
    "param_norm_ratio",
    "cache_rate",
    "executions",
    *(f"is_{kind}" for kind in KINDS),
    "parameters",
    "rank",
    "size",
    "in_degree",
    "out_degree",
    "degree",
)
"""The names of a node's features, in order."""

EDGE_FEATURES: Final = (
    "shape_compatibility",
    "source_share",
    "linear_linear",
    "conv_conv",
    "attention_linear",
    "reserved_1",
    "reserved_2",
    "reserved_3",
)
"""The names of an edge's features, in order."""

PATTERNS: Final = (("linear", "linear"), ("conv2d", "conv2d"), ("attention", "linear"))

UNMEASURED: Final[Mapping[str, float]] = {
    "health": 0.5,
    "latency_ms": 0.0,
    "activation_variance": 0.0,
    "dead_node_ratio": 0.0,
    "correlation": 0.5,
    "gradient_norm": 1.0,
    "gradient_variance": 0.1,
    "sign_stability": 0.8,
    "param_norm_ratio": 1.0,
    "cache_hit_rate": 0.5,
}
"""What a layer counts as that did not measure a metric. Source: D7; 0 for the three that it does not name."""


@final
@dataclass(frozen=True, slots=True)
class Extent:
    """How large a node is."""

    inputs: int | None
    """Units it takes; None where that is not known."""
    outputs: int
    """Units it gives."""
    parameters: int
    """Trainable numbers in it."""

    @property
    def size(self) -> int:
        """Elements of its weight matrix, or its parameters where its shape is not known."""
        return self.parameters if self.inputs is None else self.inputs * self.outputs


def node_features(told: LayerFigures, kind: str, extent: Extent, degrees: tuple[int, int]) -> tuple[float, ...]:
    """The features of a node, shape (23,). ``degrees`` are in and out.

    Sizes are in powers of ten, so that no number of parameters drowns the others.
    """
    known = {name: _or_default(told, name) for name in UNMEASURED}
    entering, leaving = degrees
    return (
        known["health"],
        min(known["latency_ms"] / 10.0, 1.0),
        min(float(told.errors), 1.0),
        known["activation_variance"],
        known["dead_node_ratio"],
        known["correlation"],
        math.tanh(known["gradient_norm"] / 5.0),
        min(known["gradient_variance"] / 2.0, 1.0),
        known["sign_stability"],
        math.tanh(math.log(max(known["param_norm_ratio"], 0.0) + 1e-6)),
        known["cache_hit_rate"],
        math.log10(told.executions + 1) / 6.0,
        *(float(kind == each) for each in KINDS),
        math.log10(extent.parameters + 1),
        2.0,  # every weight here is a matrix
        math.log10(extent.size + 1),
        float(entering),
        float(leaving),
        float(entering + leaving),
    )


def edge_features(source: Mapping[str, Any], target: Mapping[str, Any], parameters: int) -> tuple[float, ...]:
    """The features of an edge, shape (8,). Each end has a ``kind`` and an ``extent``; ``parameters`` are the network's."""
    given, taken = source["extent"].outputs, target["extent"].inputs
    if taken is None:
        compatible = 0.5
    elif source["kind"] == "blueprint":
        compatible = float(given <= taken)  # a chunk of what the next layer takes
    else:
        compatible = float(given == taken)
    pattern = (source["kind"], target["kind"])
    share = source["extent"].parameters / parameters if parameters else 0.0
    return (compatible, share, *(float(pattern == each) for each in PATTERNS), 0.0, 0.0, 0.0)


def _or_default(told: LayerFigures, name: str) -> float:
    value: float | None = getattr(told, name)
    return UNMEASURED[name] if value is None else value
