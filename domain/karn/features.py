"""A graph in seventeen numbers: what Karn's learned reward model sees of a candidate."""

from __future__ import annotations

from math import log2, log10
from typing import Final

from domain.blueprint import BlueprintGraph, Op
from domain.commands import Reads
from domain.primitives import NORMS, WEIGHTED
from domain.shapes import fits, parameter_count
from domain.urabrask.profile import cyclomatic_complexity, graph_depth
from domain.urabrask.trials import SLOT

FEATURES: Final = (
    "constant",
    "parameters",
    "depth",
    "nodes",
    "complexity",
    "weighted_path",
    "relu",
    "gelu",
    "silu",
    "tanh_or_sigmoid",
    "norms",
    "heads",
    "products",
    "joins",
    "reads_more",
    "narrowest",
    "in_the_field",
)
"""Their names, in order; each is about 0 to 1."""


def features(graph: BlueprintGraph, reads: Reads, *, in_the_field: bool = False) -> tuple[float, ...]:
    """The numbers named in ``FEATURES``. Parameters are those in the crucible's slot, 0 where the graph does not fit it.

    ``in_the_field`` sets apart gains in runs from gains in the crucible, whose tasks leave more to be gained.
    """
    read, chunk = SLOT.read_width(reads, 0), SLOT.outputs
    parameters = parameter_count(graph, read=read, chunk=chunk) if fits(graph, read=read, chunk=chunk) else 0
    return (
        1.0,
        log10(1 + parameters) / 5,
        graph_depth(graph) / 16,
        len(graph.nodes) / 32,
        cyclomatic_complexity(graph) / 16,
        _weighted_path(graph) / 8,
        _count(graph, Op.RELU) / 4,
        _count(graph, Op.GELU) / 4,
        _count(graph, Op.SILU) / 4,
        _count(graph, Op.TANH, Op.SIGMOID) / 4,
        _count(graph, *NORMS) / 4,
        _count(graph, Op.SOFTMAX) / 4,
        _count(graph, Op.MULTIPLY) / 4,
        _count(graph, Op.ADD, Op.CONCAT) / 4,
        float(reads is not Reads.CHUNK and _count(graph, Op.READ)),
        log2(_narrowest(graph)) / 8,
        float(in_the_field),
    )


def _count(graph: BlueprintGraph, *ops: Op) -> int:
    return sum(node.op in ops for node in graph.nodes)


def _weighted_path(graph: BlueprintGraph) -> int:
    """Linear maps and convolutions on the path that has most of them."""
    most: dict[str, int] = {}
    for node in graph.ordered:
        most[node.name] = max((most[name] for name in node.inputs), default=0) + (node.op in WEIGHTED)
    return most[graph.output]


def _narrowest(graph: BlueprintGraph) -> int:
    """The least width of its own that any layer has, up to 256."""
    widths = [node.attribute("out") for node in graph.nodes if node.op in WEIGHTED]
    return min((width for width in widths if isinstance(width, int)), default=256)
