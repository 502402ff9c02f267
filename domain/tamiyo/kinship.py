"""Means of kin that are known by few uses each: what is known of one says something of its parent and its children.

A hierarchical normal model (Gelman et al., Bayesian Data Analysis, third edition, chapter 5) on the tree of descent: one use
differs from the next by one standard deviation, a child from its parent by ``kin_uses`` ** -0.5 of it. Its posterior means
are exact, by messages to the parents and back (Pearl, Probabilistic Reasoning in Intelligent Systems, chapter 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one by itself."""

    uses: float
    """At least 0; above 0 where it has no parent."""
    total: float
    """Sum of what the uses gave."""
    parent: int | None = None
    """Its parent's place, which comes before its own; None for one that is kin to none before it."""
    step: float = 0.0
    """By how much it is expected to give more than its parent, before any use."""


def kin_means(members: Sequence[Known], kin_uses: float) -> list[float]:
    """What one more use of each is expected to give. ``kin_uses``, above 0, as in the module's description."""
    weights, totals = [each.uses for each in members], [each.total for each in members]
    told = [(0.0, 0.0)] * len(members)
    for at in range(len(members) - 1, -1, -1):
        child = members[at]
        if child.parent is not None:
            share = kin_uses / (weights[at] + kin_uses)
            told[at] = weights[at] * share, (totals[at] - weights[at] * child.step) * share
            weights[child.parent] += told[at][0]
            totals[child.parent] += told[at][1]
    for at, child in enumerate(members):
        if child.parent is not None:
            # What the parent knows, less what it was told by this very child.
            weight, total = weights[child.parent] - told[at][0], totals[child.parent] - told[at][1]
            share = kin_uses / (weight + kin_uses)
            weights[at] += weight * share
            totals[at] += (total + weight * child.step) * share
    return [total / weight for total, weight in zip(totals, weights, strict=True)]
