"""How a graph is changed: an operator lists the edits that it could make, one is drawn, made, and checked.

An edit never touches what is zero at the start, so a graft that begins as the identity still does; the check after it
says so again, and that the graph fits every slot that its parent fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

from domain.blueprint import BlueprintGraph, Node, Op, prune
from domain.commands import Reads
from domain.header import LayerLayout
from domain.primitives import ACTIVATIONS, NORMS, SOURCES
from domain.shapes import Shape, fits, infer_shapes, is_trainable, parameter_count
from domain.urabrask.patterns import fatal_flaw
from domain.urabrask.start import starts_at_zero, still
from domain.urabrask.trials import SLOT, too_big

Slot = tuple[int, int]
"""Units that a blueprint reads, and units of the chunk that it writes."""

NODES_MAX: Final = 32
"""Of what Karn makes; a graph may have 256."""
PARAMETERS_MAX: Final = 20_000
"""Of what Karn makes, in any slot that it is made for; a parent that has more is not outgrown."""

_ODD: Final[tuple[Slot, ...]] = ((13, 5), (7, 3))
"""Slots of no round width: a graph that fits these has not taken one host's widths for granted."""


@final
class MutationRefused(Exception):
    """A graph cannot be changed like that. ``rule`` is a stable word, ``reason`` a sentence for a person."""

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
        super().__init__(reason)


def host_slots(layout: tuple[LayerLayout, ...], reads: Reads) -> tuple[Slot, ...]:
    """The widths of a host's slots for a blueprint of such reads, in ascending order."""
    return tuple(
        sorted(
            {
                (layer.read_width(reads, index), layer.chunk_width(index))
                for layer in layout
                for index in (0, layer.seeds - 1)  # widths differ by at most one, wider first
            }
        )
    )


def slots_of(layout: tuple[LayerLayout, ...], reads: Reads) -> tuple[Slot, ...]:
    """The slots that a blueprint of such reads is made for: the host's, the crucible's, and odd ones."""
    odd = tuple((chunk, chunk) for _, chunk in _ODD) if reads is Reads.CHUNK else _ODD
    return tuple(dict.fromkeys((*host_slots((*layout, SLOT), reads), *odd)))


def fitted(graph: BlueprintGraph, slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """Those of ``slots`` that the graph fits."""
    return tuple((read, chunk) for read, chunk in slots if fits(graph, read=read, chunk=chunk))


@final
@dataclass(frozen=True, slots=True)
class Edit:
    """A change that could be made: new nodes, and nodes that take the place of those of their name."""

    nodes: tuple[Node, ...]
    note: str
    """What it does, for a person."""


@final
@dataclass(frozen=True)  # no slots: what is worked out of it is kept
class Anatomy:
    """A graph under the knife, with its shapes in one slot that it fits."""

    graph: BlueprintGraph
    slot: Slot

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Of every node in the slot. Use them to propose; whether an edit holds everywhere is checked after it."""
        return infer_shapes(self.graph, read=self.slot[0], chunk=self.slot[1])

    @cached_property
    def still(self) -> frozenset[str]:
        """Nodes that are zero at the start: not to be touched."""
        return still(self.graph)

    @cached_property
    def movable(self) -> tuple[Node, ...]:
        """Nodes that may be changed, in canonical order: neither a source nor zero at the start."""
        return tuple(node for node in self.graph.ordered if node.op not in SOURCES and node.name not in self.still)

    @cached_property
    def edges(self) -> tuple[tuple[Node, int], ...]:
        """Inputs that may be rewired, as a node and a position: those that something other than zero comes in by."""
        return tuple(
            (node, position)
            for node in self.graph.ordered
            for position, name in enumerate(node.inputs)
            if name not in self.still
        )

    def op_of(self, name: str) -> Op:
        """The primitive of a node."""
        return self.graph.by_name[name].op

    def fresh(self, stem: str) -> str:
        """A name that no node has: ``stem``, or with the first number from 2 that is free."""
        known, name, number = self.graph.by_name, stem, 2
        while name in known:
            name, number = f"{stem}_{number}", number + 1
        return name

    def source(self, op: Op) -> Node:
        """The graph's own source of that kind, or one to be added."""
        found = next((node for node in self.graph.nodes if node.op is op), None)
        return found or Node(name=self.fresh(op.value), op=op)

    def consumers(self, name: str, instead: str) -> tuple[Node, ...]:
        """Every node that reads ``name``, reading ``instead``."""
        return tuple(_reading(node, name, instead) for node in self.graph.nodes if name in node.inputs)

    def width(self, name: str) -> int | str | None:
        """How the last axis of a node is written in any slot: a number, "read" or "chunk"; None where it depends."""
        node = self.graph.by_name[name]
        if node.op in SOURCES:
            return node.op.value
        if node.op is Op.LINEAR:
            written: int | str = node.attribute("out")
            return written
        if len(node.inputs) == 1 and node.op in {*ACTIVATIONS, *NORMS, Op.SCALE, Op.SOFTMAX}:
            return self.width(node.inputs[0])
        same = [given for given in node.inputs if self.shapes[given] == self.shapes[name]]
        return self.width(same[0]) if same and node.op in {Op.ADD, Op.SUBTRACT, Op.MULTIPLY} else None


Operator = Callable[[Anatomy], list[Edit]]
"""Every edit that an operator could make, in a fixed order."""


def rewired(node: Node, position: int, name: str) -> Node:
    """The node with another input at ``position``."""
    inputs = (*node.inputs[:position], name, *node.inputs[position + 1 :])
    return node.model_copy(update={"inputs": inputs})


def _reading(node: Node, name: str, instead: str) -> Node:
    return node.model_copy(update={"inputs": tuple(instead if given == name else given for given in node.inputs)})


def edited(graph: BlueprintGraph, edit: Edit) -> BlueprintGraph:
    """The graph after an edit, pruned. Raises MutationRefused where it is no graph any more."""
    nodes = {**graph.by_name, **{node.name: node for node in edit.nodes}}
    try:
        kept = prune(nodes.values(), graph.output)
        latent = graph.latent if any(node.name == graph.latent for node in kept) else None
        return BlueprintGraph(nodes=kept, output=graph.output, combine=graph.combine, latent=latent)
    except ValueError as error:
        raise MutationRefused("malformed", f"{edit.note}: {error}") from error


def check_child(child: BlueprintGraph, parent: BlueprintGraph, slots: tuple[Slot, ...]) -> None:
    """Whether a graph may follow another. Raises MutationRefused.

    It fits every one of ``slots`` that its parent fits, starts at zero if that did, has something to learn and nothing
    that Urabrask would refuse unseen, and is neither the same graph nor too large.
    """
    if child.canonical == parent.canonical:
        raise MutationRefused("unchanged", "the change gives the same graph")
    if not is_trainable(child):
        raise MutationRefused("nothing-to-learn", "it would have no parameters")
    if starts_at_zero(parent) and not starts_at_zero(child):
        raise MutationRefused("not-the-identity", "it would not start as the identity as its parent does")
    for read, chunk in fitted(parent, slots):
        if not fits(child, read=read, chunk=chunk):
            raise MutationRefused("misfit", f"it would not fit a slot of {read} to {chunk} units as its parent does")
        flaw = fatal_flaw(child, infer_shapes(child, read=read, chunk=chunk))
        if flaw is not None:
            raise MutationRefused("flawed", flaw)
    _check_size(child, parent, slots)


def _check_size(child: BlueprintGraph, parent: BlueprintGraph, slots: tuple[Slot, ...]) -> None:
    if len(child.nodes) > max(NODES_MAX, len(parent.nodes)):
        raise MutationRefused("too-large", f"it would have {len(child.nodes)} nodes but {NODES_MAX} is the most")
    for read, chunk in fitted(parent, slots):
        count = parameter_count(child, read=read, chunk=chunk)
        if count > max(PARAMETERS_MAX, parameter_count(parent, read=read, chunk=chunk)):
            raise MutationRefused("too-large", f"it would learn {count} numbers but {PARAMETERS_MAX} is the most")
    big = too_big(child)
    if big is not None:
        raise MutationRefused("too-large", big)
