"""The exact graph edit distance of two small acyclic graphs, by branch and bound within a fixed number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import final

Costs = Sequence[Sequence[float]]
Parents = Sequence[int]
"""Of each node, in topological order, the nodes that it reads, as bits."""


def searched(unlike: Costs, parents: Parents, other: Parents, bound: float, steps: int) -> float:
    """The cheapest edit path from one graph to the other, or ``bound`` if none cheaper is found.

    ``unlike[i][j]`` is what it costs to turn node i into node j of the other; all else costs 1. ``bound`` is the cost
    of a path that is known. At most ``steps`` partial mappings are looked at, the most likely first; exact unless they
    run out. Steps and not seconds, so that every machine gets as far.
    """
    search = _Search(unlike, parents, other, bound, steps)
    search.descend([], 0, 0, 0.0)
    return search.best


@final
class _Search:
    """Maps the nodes of the first graph one after the other, each to a node of the second or to none."""

    def __init__(self, unlike: Costs, parents: Parents, other: Parents, bound: float, steps: int) -> None:
        self._unlike = unlike
        self._height, self._width = len(parents), len(other)
        self._parents = [[i for i in range(self._height) if bits >> i & 1] for bits in parents]
        self._into = other
        self._out = [sum(1 << j for j, bits in enumerate(other) if bits >> i & 1) for i in range(self._width)]
        self._edges_left = _suffixes([len(found) for found in self._parents])
        self._nodes_left = _suffixes([min(1.0, *row) for row in unlike])
        self._other_edges = sum(bits.bit_count() for bits in other)
        self._steps_left = steps
        self.best = bound

    def descend(self, images: list[int], taken: int, among: int, cost: float) -> None:
        """Try all that could still beat the best from a partial mapping on.

        ``images`` are the nodes mapped to, as single bits, 0 for none; ``taken`` is all of them together, with
        ``among`` edges between them.
        """
        node = len(images)
        if node == self._height:
            self.best = min(self.best, cost + self._width - taken.bit_count() + self._other_edges - among)
            return
        if not self._steps_left:
            return
        self._steps_left -= 1
        parents = self._parents[node]
        seen = sum(images[i] for i in parents)
        choices: list[tuple[float, int, int]] = [(1.0 + len(parents), 0, 0)]
        for j in range(self._width):
            if not taken >> j & 1:
                into, out = self._into[j] & taken, self._out[j] & taken
                edges = into.bit_count() + out.bit_count()
                unmatched = len(parents) + edges - 2 * (seen & into).bit_count()
                choices.append((self._unlike[node][j] + unmatched, 1 << j, edges))
        for step, image, edges in sorted(choices):
            left = self._at_least(node + 1, taken | image, among + edges)
            if cost + step + left < self.best - 1e-9:
                self.descend([*images, image], taken | image, among + edges, cost + step)

    def _at_least(self, node: int, taken: int, among: int) -> float:
        """What is left costs at least this: every node its cheapest, and what one graph has more than the other."""
        more = self._width - taken.bit_count() - (self._height - node)
        nodes = self._nodes_left[node] + more if more > 0 else max(self._nodes_left[node], -more)
        return nodes + abs(self._edges_left[node] - (self._other_edges - among))


def _suffixes(values: Sequence[float]) -> list[float]:
    """Sums of the values from each place on."""
    return [*reversed(list(accumulate(reversed(values)))), 0]
