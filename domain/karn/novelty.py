"""How different two blueprints are, how new one is to a library, and how diverse a library is.

The distance is the graph edit distance: to insert or delete a node or an edge costs 1; to turn a node into another costs
1 for another primitive and 0.25 for the same one with other attributes. An upper bound is what the best assignment of
nodes costs (source: Riesen and Bunke 2009); a search of so many steps betters it, which up to 8 nodes is exact with few
exceptions. Normalised by the larger count of nodes and edges, at most 1. Source of the normalisation and the
thresholds: domain reference H1, K 40.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from domain.blueprint import BlueprintGraph, Op
from domain.karn.edit_search import searched
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

ATTRIBUTES_COST: Final = 0.25
"""Of a node with the same primitive and other attributes; 1 for another primitive."""
SMALL_NODES_MAX: Final = 8
"""Nodes of the larger graph up to which the search is long enough to be exact, with few exceptions."""
STEPS_SMALL: Final = 1_000
STEPS_LARGE: Final = 30
"""Steps of the search."""
SAMPLE: Final = 64
"""Blueprints of a library that are compared with each other; of a larger one, evenly spread by number."""
COMPARED: Final = 32
"""Blueprints of a library that a candidate is compared with, chosen likewise."""
DIVERSITY_TARGET: Final = 0.4
"""Of both measures of diversity; under it Karn turns to the exotic. Source: domain reference H1, H2."""

_OPS: Final = {op: number for number, op in enumerate(Op)}


@final
@dataclass(frozen=True, slots=True)
class _Plan:
    """A graph as numbers, one row a node in canonical order."""

    ops: NDArray[np.int64]
    labels: NDArray[np.int64]
    """Stand for primitive and attributes together."""
    edges: NDArray[np.bool_]
    """Who feeds whom: [from, to]."""
    parents: tuple[int, ...]
    """Of each node, what it reads, as bits."""

    @property
    def extent(self) -> int:
        """Nodes and edges."""
        return len(self.ops) + int(self.edges.sum())


@lru_cache(maxsize=4096)
def _plan(canonical: str) -> _Plan:
    nodes = json.loads(canonical)["nodes"]
    edges = np.zeros((len(nodes), len(nodes)), dtype=np.bool_)
    for to, node in enumerate(nodes):
        edges[node["inputs"], to] = True
    parents = [sum(1 << given for given in set(node["inputs"])) for node in nodes]
    texts = [json.dumps([node["op"], node["attributes"]], sort_keys=True) for node in nodes]
    labels = [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") for text in texts]
    return _Plan(np.array([_OPS[Op(node["op"])] for node in nodes]), np.array(labels), edges, tuple(parents))


def distance(one: BlueprintGraph, other: BlueprintGraph) -> float:
    """Normalised graph edit distance, [0, 1]; 0 for the same nodes under other names. Symmetric."""
    first, second = sorted((one.canonical, other.canonical))
    return _distance(first, second)


@lru_cache(maxsize=1 << 17)
def _distance(first: str, second: str) -> float:
    if first == second:
        return 0.0
    one, other = _plan(first), _plan(second)
    cost = _edit_cost(one, other)
    return min(1.0, cost / max(one.extent, other.extent))


def _edit_cost(one: _Plan, other: _Plan) -> float:
    unlike = np.where(one.ops[:, None] != other.ops[None, :], 1.0, ATTRIBUTES_COST)
    unlike[one.labels[:, None] == other.labels[None, :]] = 0.0
    bound = _assigned(one, other, unlike)
    steps = STEPS_SMALL if max(unlike.shape) <= SMALL_NODES_MAX else STEPS_LARGE
    return searched(unlike.tolist(), one.parents, other.parents, bound, steps)


def _assigned(one: _Plan, other: _Plan, unlike: NDArray[np.float64]) -> float:
    """Cost of the edit path that the best assignment of nodes implies, nodes being weighed with their edges."""
    from scipy.optimize import linear_sum_assignment

    n, m = unlike.shape
    matrix = np.zeros((n + m, n + m))
    degrees = [(plan.edges.sum(axis=0), plan.edges.sum(axis=1)) for plan in (one, other)]
    (into, out), (other_into, other_out) = degrees
    # An edge is seen from both its ends, so each end answers for half of it.
    around = np.abs(into[:, None] - other_into) + np.abs(out[:, None] - other_out)
    matrix[:n, :m] = unlike + around / 2
    matrix[:n, m:] = (1 + (into + out) / 2)[:, None]
    matrix[n:, :m] = (1 + (other_into + other_out) / 2)[None, :]
    rows, columns = linear_sum_assignment(matrix)
    kept = (rows < n) & (columns < m)
    mine, theirs = rows[kept], columns[kept]
    common = int((one.edges[np.ix_(mine, mine)] & other.edges[np.ix_(theirs, theirs)]).sum())
    nodes = float(unlike[mine, theirs].sum()) + n + m - 2 * len(mine)
    return float(nodes + int(one.edges.sum()) + int(other.edges.sum()) - 2 * common)


def novelty(graph: BlueprintGraph, others: Iterable[BlueprintGraph]) -> float:
    """Distance to the nearest of ``others``, [0, 1]; 1 where there are none."""
    return min((distance(graph, other) for other in others), default=1.0)


def compared(library: BlueprintLibrary) -> list[BlueprintGraph]:
    """What a candidate's novelty is measured against: ``COMPARED`` of the blueprints on offer."""
    return [record.graph for record in spread(library.offered(), COMPARED)]


def spread(records: Sequence[BlueprintRecord], most: int) -> tuple[BlueprintRecord, ...]:
    """At most ``most`` of them, evenly spread in their order, the first among them."""
    if len(records) <= most:
        return tuple(records)
    return tuple(records[index * len(records) // most] for index in range(most))


@final
@dataclass(frozen=True, slots=True)
class Diversity:
    """How diverse a library is, by two measures that have their threshold of 0.4 in common and nothing else."""

    unique: float
    """Urza's KPI, genetic diversity: share of the blueprints on offer that are tensor graphs of their own, [0, 1]."""
    distance: float
    """Karn's target: mean pairwise distance of the blueprints on offer, [0, 1]."""

    @property
    def is_low(self) -> bool:
        """Whether Karn should turn to the exotic."""
        return min(self.unique, self.distance) < DIVERSITY_TARGET


def diversity(records: Iterable[BlueprintRecord]) -> Diversity:
    """Of those among ``records`` that are offered; 1 where there are too few to differ."""
    offered = [record for record in records if record.is_offered]
    pairs = [distance(one.graph, other.graph) for one, other in combinations(spread(offered, SAMPLE), 2)]
    return Diversity(
        unique=len({tensor_graph(record.graph) for record in offered}) / len(offered) if offered else 1.0,
        distance=sum(pairs) / len(pairs) if pairs else 1.0,
    )


def tensor_graph(graph: BlueprintGraph) -> str:
    """The primitives and how they are wired, as JSON: widths and other attributes make no new tensor graph."""
    place = {node.name: index for index, node in enumerate(graph.ordered)}
    nodes = [[node.op.value, *(place[name] for name in node.inputs)] for node in graph.ordered]
    return json.dumps([graph.combine.value, nodes])
