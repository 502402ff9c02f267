"""Crossover: a branch of one parent in the place of a branch of the other. Source: Karn v1.0, in its generator's place."""

from __future__ import annotations

from typing import Final

from domain.blueprint import BlueprintGraph, Node, Op, prune
from domain.karn.surgery import Anatomy, Edit
from domain.primitives import SOURCES

CROSSOVER: Final = "crossover"
"""What it is recorded as, beside the names of the operators."""


def crossings(it: Anatomy, other: Anatomy) -> list[Edit]:
    """Every branch of ``it`` that could be one of ``other``: of equal shape, or read by linear maps alone."""
    return [
        _grafted(it, place, other.graph, branch)
        for place in it.movable
        if place.name != it.graph.output
        for branch in other.movable
        if branch.name != other.graph.output and _compatible(it, place, other, branch)
    ]


def _compatible(it: Anatomy, place: Node, other: Anatomy, branch: Node) -> bool:
    here, there = it.shapes[place.name], other.shapes[branch.name]
    flexible = all(node.op is Op.LINEAR for node in it.graph.nodes if place.name in node.inputs)
    return here == there or (flexible and len(here) == len(there))


def _grafted(it: Anatomy, place: Node, other: BlueprintGraph, branch: Node) -> Edit:
    """The branch with everything it depends on, under names that are free, its sources being those of ``it``."""
    nodes = prune(other.nodes, branch.name)
    names = {node.name: it.fresh(f"{node.name}_x") for node in nodes}
    sources = tuple(it.source(node.op) for node in nodes if node.op in SOURCES)
    names |= {node.name: it.source(node.op).name for node in nodes if node.op in SOURCES}
    copies = tuple(
        node.model_copy(update={"name": names[node.name], "inputs": tuple(names[given] for given in node.inputs)})
        for node in nodes
        if node.op not in SOURCES
    )
    note = f"{branch.op.value} {branch.name} for {place.op.value} {place.name}"
    return Edit((*sources, *copies, *it.consumers(place.name, names[branch.name])), note)
