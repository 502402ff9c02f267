"""Anti-patterns that a graph shows without being run: what is provably useless, and what is only doubtful.

Both follow from one look at each node: is it exactly zero before anything is learnt, does some parameter's gradient
reach it at the first step, and does it depend on what the blueprint reads? To add a pattern: a rule in ``fatal_flaw``
where a trial would be a waste, else one in ``redundant``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from domain.blueprint import BlueprintGraph, Combine, Node, Op
from domain.primitives import ACTIVATIONS, NORMS, PRODUCTS, SOURCES, WEIGHTED
from domain.shapes import Shape, is_trainable
from domain.urabrask.start import cancels, still


@final
@dataclass(frozen=True, slots=True)
class _Onset:
    """A node before the first step."""

    zero: bool
    """Whether it gives exactly zero, whatever is read."""
    moves: bool
    """Whether the first step can change it: some parameter has a gradient through it."""
    varies: bool
    """Whether it depends on what is read, now or once it has learnt."""


_NOTHING: Final = _Onset(zero=True, moves=False, varies=False)


def _weighted(node: Node, source: _Onset, *, zero: bool) -> _Onset:
    """Of a linear map or a convolution: with a bias it moves even on zeros, and from zero weights nothing moves behind."""
    behind = source.moves and not node.starts_at_zero
    return _Onset(zero, moves=bool(node.attribute("bias")) or not source.zero or behind, varies=source.varies)


def _norm(node: Node, source: _Onset, *, zero: bool) -> _Onset:
    learns = bool(node.attribute("affine")) and (node.op is Op.LAYER_NORM or not source.zero)
    behind = source.moves and not node.starts_at_zero
    return _Onset(zero, moves=learns or behind, varies=source.varies)


def _product(one: _Onset, other: _Onset, *, zero: bool) -> _Onset:
    moves = (one.moves and not other.zero) or (other.moves and not one.zero)
    return _Onset(zero, moves=moves, varies=one.varies or other.varies)


def _onset(node: Node, given: tuple[_Onset, ...], shape: Shape, *, zero: bool) -> _Onset:
    if node.op in SOURCES:
        return _Onset(zero, moves=False, varies=True)
    if node.op in WEIGHTED:
        return _weighted(node, given[0], zero=zero)
    if node.op in NORMS:
        return _norm(node, given[0], zero=zero)
    if node.op in PRODUCTS:
        return _product(*given, zero=zero)
    # The softmax of one unit is always 1.
    if cancels(node) or (node.op is Op.SOFTMAX and shape[-1] == 1):
        return _Onset(zero, moves=False, varies=False)
    moves, varies = any(entry.moves for entry in given), any(entry.varies for entry in given)
    return _Onset(zero, moves=moves and not (node.op is Op.RELU and zero), varies=varies)


def _output_onset(graph: BlueprintGraph, shapes: Mapping[str, Shape]) -> _Onset:
    zeros = still(graph)
    found: dict[str, _Onset] = {}
    for node in graph.ordered:
        given = tuple(found[name] for name in node.inputs)
        onset = _onset(node, given, shapes[node.name], zero=node.name in zeros)
        found[node.name] = _NOTHING if onset.zero and not onset.moves else onset
    return found[graph.output]


def fatal_flaw(graph: BlueprintGraph, shapes: Mapping[str, Shape]) -> str | None:
    """Why no trial is needed to refuse the graph, as a sentence; None where one is. ``shapes`` are those of some slot."""
    for node in graph.ordered:
        above = [name for name in node.inputs if graph.by_name[name].op in ACTIVATIONS]
        if node.op in ACTIVATIONS and above:
            return f"node {node.name!r} is an activation straight after the activation {above[0]!r}; drop one of them"
    onset = _output_onset(graph, shapes)
    if onset == _NOTHING:
        return "its output is zero and no gradient ever moves it; let one zero start be the last of its path"
    if not onset.varies:
        return "its output is the same whatever it reads; let what it reads reach the output"
    if not is_trainable(graph):
        return None
    if not onset.moves:
        return "no gradient reaches any of its parameters; open the path from them to the output"
    if graph.combine is Combine.ADD and not onset.zero:
        return 'it adds something before it has learnt anything; start its last weights with init="zero"'
    return None


def redundant(graph: BlueprintGraph, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    """Names of nodes without which the graph could compute the same, in canonical order.

    Those are: a node without parameters that repeats another one, one that changes nothing, a linear map straight
    after a linear map (their product is one matrix) and a norm straight after a norm.
    """
    values: dict[tuple[object, ...], str] = {}
    names: dict[str, str] = {}
    found: list[str] = []
    for node in graph.ordered:
        inputs = tuple(names[name] for name in node.inputs)
        names[node.name] = node.name
        if _is_idle(node, graph, shapes):
            names[node.name] = inputs[0]
            found.append(node.name)
        elif _repeats_its_input(node, graph):
            found.append(node.name)
        elif node.op not in {*WEIGHTED, *NORMS}:
            first = values.setdefault((node.op, inputs, node.attributes), node.name)
            names[node.name] = first
            if first != node.name:
                found.append(node.name)
    return tuple(found)


def _is_idle(node: Node, graph: BlueprintGraph, shapes: Mapping[str, Shape]) -> bool:
    match node.op:
        case Op.SCALE:
            return bool(node.attribute("factor") == 1)
        case Op.SPLIT:
            return bool(node.attribute("parts") == 1)
        case Op.RESHAPE:
            return shapes[node.name] == shapes[node.inputs[0]]
        case Op.PERMUTE:
            order = node.attribute("order")
            return bool(order == tuple(range(len(order))))
        case Op.REDUCE_MEAN:
            return shapes[node.name] == shapes[node.inputs[0]]
        case _:
            return False


def _repeats_its_input(node: Node, graph: BlueprintGraph) -> bool:
    above = {graph.by_name[name].op for name in node.inputs}
    return (node.op is Op.LINEAR and Op.LINEAR in above) or (node.op in NORMS and not above.isdisjoint(NORMS))
