"""The static part of a weighted evaluation profile: what a graph says of itself without being run.

Source: the high-level design, appendix E.3. Everything is said of one slot, the crucible's own wherever the graph fits
it, so that two candidates can be compared whatever hosts they were made for.
"""

from __future__ import annotations

from math import prod
from typing import Final

from domain.blueprint import WEP, BlueprintGraph
from domain.shapes import flops, infer_shapes, memory_mb, parameter_count
from domain.urabrask.patterns import redundant

LARGE: Final = 4_000
"""Parameters in the crucible's slot from which a graph is very large: seven times the workhorse's."""
DEEP: Final = 10
"""Operations one after another from which a graph is deep."""


def graph_depth(graph: BlueprintGraph) -> int:
    """Nodes on the longest path from what is read to the output, sources not counted."""
    depth: dict[str, int] = {}
    for node in graph.ordered:
        depth[node.name] = max((depth[name] + 1 for name in node.inputs), default=0)
    return depth[graph.output]


def cyclomatic_complexity(graph: BlueprintGraph) -> int:
    """Independent paths from an imagined entry, which feeds every source, to the output: E - N + 2. Source: McCabe 1976.

    A DAG of primitives has no branches, but its joins are those of a control flow read backwards: a chain has 1, and
    each input beyond a node's first adds one, as does each source beyond the first.
    """
    sources = sum(not node.inputs for node in graph.nodes)
    edges = sources + sum(len(node.inputs) for node in graph.nodes)
    return edges - (len(graph.nodes) + 1) + 2


def activation_elements(graph: BlueprintGraph, *, read: int, chunk: int) -> int:
    """Numbers that all nodes give for one sample. Raises ShapeMismatch."""
    return sum(prod(shape) for shape in infer_shapes(graph, read=read, chunk=chunk).values())


def static_profile(graph: BlueprintGraph, *, read: int, chunk: int) -> WEP:
    """The seven static measures in a slot, sorted by key. Raises ShapeMismatch.

    ``redundancy_score`` is the share of nodes that could be left out, and a graph that has any has a known
    anti-pattern: one that is doubtful, since what is useless for certain is refused before.
    """
    idle = redundant(graph, infer_shapes(graph, read=read, chunk=chunk))
    measures: dict[str, float] = {
        "static.parameter_count": parameter_count(graph, read=read, chunk=chunk),
        "static.graph_depth": graph_depth(graph),
        "static.cyclomatic_complexity": cyclomatic_complexity(graph),
        "static.redundancy_score": len(idle) / len(graph.nodes),
        "static.has_known_anti_patterns": bool(idle),
        "static.predicted_flops": flops(graph, read=read, chunk=chunk),
        "static.predicted_memory_footprint_mb": memory_mb(graph, read=read, chunk=chunk),
    }
    return tuple((key, float(measures[key])) for key in sorted(measures))
