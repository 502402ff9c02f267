"""Karn's mutation operators. Each lists the edits that it could make of a graph. Source: Karn v1.0 §2, HLD App. D.

To add one: a function from an ``Anatomy`` to edits here or in a file of its own, a line in ``OPERATORS``, and a word
for its children in ``describing``. Its name is recorded and learned about: never rename or reuse one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from domain.blueprint import Attribute, Node, Op, node
from domain.karn.attention import add_attention_head
from domain.karn.surgery import Anatomy, Edit, Operator, rewired
from domain.primitives import ACTIVATIONS, NORMS, SOURCES, WEIGHTED

WIDTH_MAX: Final = 128
"""Units that a layer is widened to at most."""


def substitute_activation_function(it: Anatomy) -> list[Edit]:
    """Bend otherwise: ReLU, sigmoid, tanh, GELU or SiLU in the place of another."""
    return [
        Edit((entry.model_copy(update={"op": op}),), f"{entry.op.value} becomes {op.value}")
        for entry in it.movable
        if entry.op in ACTIVATIONS
        for op in ACTIVATIONS
        if op is not entry.op
    ]


def insert_normalization_layer(it: Anatomy) -> list[Edit]:
    """A layer norm or rms norm, with gain and bias of its own, before a linear map, a convolution or a bend."""
    takes = {*WEIGHTED, *ACTIVATIONS}
    return [
        Edit(
            (node(it.fresh("normed"), op, entry.inputs[position]), rewired(entry, position, it.fresh("normed"))),
            f"{op.value} before {entry.op.value}",
        )
        for entry, position in it.edges
        if entry.op in takes and it.op_of(entry.inputs[position]) not in NORMS
        for op in NORMS
    ]


def quantize_block(it: Anatomy) -> list[Edit]:
    """Halve at least the numbers of a linear map, by writing it as two narrow ones.

    The representation has no rounding primitive, so a block cannot be stored in fewer bits. What quantization is for,
    less to store and to move, is had by a low-rank factor instead; ``quantized`` stays off, as no special hardware is
    needed.
    """
    edits = []
    for entry, position in _into_linear(it):
        given, gives = it.shapes[entry.inputs[position]][-1], it.shapes[entry.name][-1]
        for rank in (1, 2, 4, 8):
            if 2 * rank * (given + gives) <= given * gives:
                name = it.fresh("low")
                factor = node(name, Op.LINEAR, entry.inputs[position], out=rank, bias=False)
                edits.append(Edit((factor, rewired(entry, position, name)), f"rank {rank} before {entry.op.value}"))
    return edits


def increase_layer_width(it: Anatomy) -> list[Edit]:
    """Half as wide again, or twice: one layer, all layers of its width, or all that have a width of their own."""
    return [edit for factor in (1.5, 2.0) for edit in _scaled(it, factor)]


def decrease_layer_width(it: Anatomy) -> list[Edit]:
    """Half as wide: one layer, all layers of its width, or all that have a width of their own."""
    return _scaled(it, 0.5)


def _scaled(it: Anatomy, factor: float) -> list[Edit]:
    """Widths are the ``out`` of linear maps and convolutions and the last axis of a reshape to tokens."""
    widths = {entry.name: width for entry in it.movable if (width := _own_width(entry)) is not None}
    groups = [[name] for name in widths]
    groups += [[name for name in widths if widths[name] == width] for width in sorted(set(widths.values()))]
    groups.append(list(widths))
    edits: dict[tuple[str, ...], Edit] = {}
    for group in groups:
        resized = {name: max(1, min(WIDTH_MAX, round(widths[name] * factor))) for name in group}
        if group and all(resized[name] != widths[name] for name in group):
            changed = tuple(_resized(it.graph.by_name[name], width) for name, width in resized.items())
            said = ", ".join(f"{name} {widths[name]} to {width}" for name, width in resized.items())
            edits.setdefault(tuple(sorted(group)), Edit(changed, f"width of {said}"))
    return list(edits.values())


def _own_width(entry: Node) -> int | None:
    if entry.op in WEIGHTED:
        out = entry.attribute("out")
        return out if isinstance(out, int) else None
    if entry.op is Op.RESHAPE and len(entry.attribute("shape")) == 2 and entry.attribute("shape")[-1] > 0:
        return int(entry.attribute("shape")[-1])
    return None


def _resized(entry: Node, width: int) -> Node:
    if entry.op is Op.RESHAPE:
        return _with(entry, shape=(*entry.attribute("shape")[:-1], width))
    return _with(entry, out=width)


def _with(entry: Node, **changes: Attribute) -> Node:
    return node(entry.name, entry.op, *entry.inputs, **{**dict(entry.attributes), **changes})


def deepen(it: Anatomy) -> list[Edit]:
    """One linear map and one bend more before a linear map."""
    edits = []
    for entry, position in _into_linear(it):
        given = entry.inputs[position]
        own = it.width(given)
        for out in (own,) if isinstance(own, int) and own > 1 else (16, 32):
            for op in (Op.GELU, Op.RELU):
                layer = node(it.fresh("deeper"), Op.LINEAR, given, out=out)
                bend = node(it.fresh("bend"), op, layer.name)
                edits.append(
                    Edit((layer, bend, rewired(entry, position, bend.name)), f"a layer of {out} and {op.value}")
                )
    return edits


def add_gate(it: Anatomy) -> list[Edit]:
    """Multiply what goes into a linear map by a learned gate of itself, sigmoid or tanh."""
    edits = []
    for entry, position in _into_linear(it):
        given = entry.inputs[position]
        out = it.width(given)
        if out is None or it.op_of(given) is Op.MULTIPLY:
            continue
        for op in (Op.SIGMOID, Op.TANH):
            logit = node(it.fresh("logit"), Op.LINEAR, given, out=out)
            gate = node(it.fresh("gate"), op, logit.name)
            gated = node(it.fresh("gated"), Op.MULTIPLY, given, gate.name)
            edits.append(Edit((logit, gate, gated, rewired(entry, position, gated.name)), f"{op.value} gate"))
    return edits


def add_skip(it: Anatomy) -> list[Edit]:
    """A way around: what a node gives plus what an earlier one of its shape gave, or a source beside it."""
    return [*_sums(it), *_sources_beside(it)]


def _sums(it: Anatomy) -> Iterator[Edit]:
    earlier: list[str] = [entry.name for entry in it.graph.ordered if entry.op in SOURCES]
    for entry in it.movable:
        for name in earlier:
            if it.shapes[name] == it.shapes[entry.name] and name not in entry.inputs and entry.name != it.graph.output:
                total = node(it.fresh("sum"), Op.ADD, entry.name, name)
                yield Edit((total, *it.consumers(entry.name, total.name)), f"{name} added to {entry.name}")
        earlier.append(entry.name)


def _sources_beside(it: Anatomy) -> Iterator[Edit]:
    for entry, position in _into_linear(it):
        given = entry.inputs[position]
        if len(it.shapes[given]) != 1 or it.op_of(given) in {*SOURCES, Op.CONCAT}:
            continue
        for op in (Op.READ, Op.CHUNK):
            source = it.source(op)
            both = node(it.fresh("both"), Op.CONCAT, given, source.name)
            yield Edit((source, both, rewired(entry, position, both.name)), f"{op.value} beside {given}")


def remove_node(it: Anatomy) -> list[Edit]:
    """Leave one out: what read it reads one of its inputs."""
    return [
        Edit(it.consumers(entry.name, name), f"without {entry.op.value} {entry.name}")
        for entry in it.movable
        if entry.name != it.graph.output
        for name in dict.fromkeys(entry.inputs)
    ]


def _into_linear(it: Anatomy) -> Iterator[tuple[Node, int]]:
    return ((entry, position) for entry, position in it.edges if entry.op is Op.LINEAR)


OPERATORS: Final[Mapping[str, Operator]] = {
    "add_attention_head": add_attention_head,
    "substitute_activation_function": substitute_activation_function,
    "insert_normalization_layer": insert_normalization_layer,
    "quantize_block": quantize_block,
    "increase_layer_width": increase_layer_width,
    "decrease_layer_width": decrease_layer_width,
    "deepen": deepen,
    "add_gate": add_gate,
    "add_skip": add_skip,
    "remove_node": remove_node,
}
"""By the names that are recorded, the source's five first."""
