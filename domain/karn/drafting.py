"""A draft: a child of the library that nobody knows yet, before it is decided whether to propose it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from domain.blueprint import BlueprintGraph, blueprint_id
from domain.identifiers import BlueprintId
from domain.karn.crossover import CROSSOVER
from domain.karn.mutation import crossed, mutated
from domain.karn.operators import OPERATORS
from domain.karn.parents import Parent, drawn
from domain.karn.surgery import MutationRefused
from domain.urza.record import BlueprintRecord

GENERATORS: Final = (*OPERATORS, CROSSOVER)
"""Every way to make a candidate, by the name it is recorded under."""


@final
@dataclass(frozen=True, slots=True)
class Draft:
    """A child, whose it is, and how it was drawn."""

    graph: BlueprintGraph
    blueprint_id: BlueprintId
    parent: BlueprintRecord
    operator: str
    note: str
    odds: float
    """Probability of this parent (and mate) and these edits, given the operator, (0, 1]."""
    draws: int
    """Numbers that it took from the stream."""


def draft(
    candidates: Sequence[Parent],
    operator: str,
    generator: np.random.Generator,
    known: Collection[BlueprintId],
    edits: int = 1,
) -> Draft:
    """A child of one of ``candidates``, drawn by their odds, 1 to ``edits`` edits away: how many is drawn too.

    The first is by ``operator``, which it is recorded under, the others by operators drawn alike. Raises
    MutationRefused for what is unsound or ``known``.
    """
    parent = drawn(candidates, generator)
    if operator == CROSSOVER:
        mate = drawn(candidates, generator)
        made = crossed(parent.graph, mate.graph, generator, parent.slots)
        note, odds, draws = f"{made.note}, of {mate.record.name}", parent.odds * mate.odds * made.odds, 3
    else:
        made = mutated(parent.graph, operator, generator, parent.slots)
        note, odds, draws = made.note, parent.odds * made.odds, 2
    if edits > 1:
        more = int(generator.integers(edits))
        odds, draws = odds / edits, draws + 1
        for _ in range(more):
            then = tuple(OPERATORS)[int(generator.integers(len(OPERATORS)))]
            made = mutated(made.graph, then, generator, parent.slots)
            note, odds, draws = f"{note}, then {then}: {made.note}", odds * made.odds / len(OPERATORS), draws + 2
    name = blueprint_id(made.graph)
    if name in known:
        raise MutationRefused("known", "this blueprint is known already")
    return Draft(made.graph, name, parent.record, operator, note, odds, draws)
