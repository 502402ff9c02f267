"""One change of a graph, drawn: which edit of an operator or of a crossover, made and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from domain.blueprint import BlueprintGraph
from domain.karn.crossover import CROSSOVER, crossings
from domain.karn.operators import OPERATORS
from domain.karn.surgery import Anatomy, Edit, MutationRefused, Slot, check_child, edited, fitted


@final
@dataclass(frozen=True, slots=True)
class Mutation:
    """A child, and how it came about."""

    graph: BlueprintGraph
    note: str
    odds: float
    """Probability of this edit among all that could have been drawn, (0, 1]."""


def mutated(graph: BlueprintGraph, operator: str, generator: np.random.Generator, slots: tuple[Slot, ...]) -> Mutation:
    """A child by one of ``OPERATORS``, for ``slots``; draws one number where there is a choice to draw from.

    Raises MutationRefused where the graph fits none of the slots, the operator finds nothing to change, or what was
    drawn is no sound child: draw again.
    """
    return _drawn(graph, OPERATORS[operator](_anatomy(graph, slots)), operator, generator, slots)


def crossed(
    graph: BlueprintGraph, other: BlueprintGraph, generator: np.random.Generator, slots: tuple[Slot, ...]
) -> Mutation:
    """A child of two: ``graph`` with a branch of ``other``. Draws and raises as ``mutated`` does."""
    edits = crossings(_anatomy(graph, slots), _anatomy(other, slots))
    return _drawn(graph, edits, CROSSOVER, generator, slots)


def _anatomy(graph: BlueprintGraph, slots: tuple[Slot, ...]) -> Anatomy:
    found = fitted(graph, slots)
    if not found:
        raise MutationRefused("misfit", "the parent fits none of the slots")
    return Anatomy(graph, found[0])


def _drawn(
    graph: BlueprintGraph, edits: list[Edit], operator: str, generator: np.random.Generator, slots: tuple[Slot, ...]
) -> Mutation:
    if not edits:
        raise MutationRefused("nothing-to-change", f"{operator} finds nothing to change")
    edit = edits[int(generator.integers(len(edits)))]
    child = edited(graph, edit)
    check_child(child, graph, slots)
    return Mutation(child, edit.note, 1 / len(edits))
