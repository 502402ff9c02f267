"""Where a graph is exactly zero before anything is learned.

A graft whose last layer starts at zero is bitwise the identity, which halves the shock to its host (feasibility study
§2.2). Urabrask asks for it, and what Karn changes must keep it, so Karn changes only what comes before the zero.
"""

from __future__ import annotations

from typing import Final

from domain.blueprint import BlueprintGraph, Node, Op
from domain.primitives import NORMS, PRODUCTS, WEIGHTED

_KEEPS_ZERO: Final = frozenset(
    {
        *(*NORMS, Op.RELU, Op.TANH, Op.GELU, Op.SILU, Op.SCALE, Op.REDUCE_MEAN),
        *(Op.RESHAPE, Op.PERMUTE, Op.SPLIT, Op.ADD, Op.SUBTRACT, Op.CONCAT),
    }
)
"""Primitives that give zero where all their inputs are zero, whatever their attributes."""


def still(graph: BlueprintGraph) -> frozenset[str]:
    """Names of the nodes that give exactly zero at the start, whatever is read."""
    zero: set[str] = set()
    for node in graph.ordered:
        if _is_zero(node, [name in zero for name in node.inputs]):
            zero.add(node.name)
    return frozenset(zero)


def cancels(node: Node) -> bool:
    """Whether it gives zero whatever it reads, for good: a factor of 0, or a tensor less itself."""
    if node.op is Op.SCALE:
        return bool(node.attribute("factor") == 0)
    return node.op is Op.SUBTRACT and node.inputs[0] == node.inputs[1]


def _is_zero(node: Node, given: list[bool]) -> bool:
    if node.starts_at_zero or cancels(node):
        return True
    if node.op in PRODUCTS:
        return any(given)
    if node.op in WEIGHTED:
        return not node.attribute("bias") and all(given)
    return node.op in _KEEPS_ZERO and all(given)


def starts_at_zero(graph: BlueprintGraph) -> bool:
    """Whether the output is exactly zero at the start: under ``Combine.ADD`` the graft is then the identity."""
    return graph.output in still(graph)
