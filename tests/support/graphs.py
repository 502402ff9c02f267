"""Hypothesis strategies for blueprint graphs that fit a slot, and disguises that must not change an id."""

from __future__ import annotations

from math import prod

from hypothesis import strategies as st

from domain.blueprint import BlueprintGraph, Combine, Node, Op, node, prune
from domain.shapes import Shape

_UNARY = (Op.RELU, Op.SIGMOID, Op.TANH, Op.GELU, Op.SILU, Op.SOFTMAX)


def _grow(draw: st.DrawFn, name: str, shapes: dict[str, Shape]) -> tuple[Node, Shape] | None:
    """One more node on top of those there are, with its shape; None where the drawn primitive does not fit."""
    source = draw(st.sampled_from(sorted(shapes)))
    shape = shapes[source]
    op = draw(st.sampled_from([op for op in Op if op not in {Op.READ, Op.CHUNK}]))
    if op in _UNARY:
        return node(name, op, source), shape
    if op in {Op.ADD, Op.SUBTRACT, Op.MULTIPLY}:
        other = draw(st.sampled_from([entry for entry in sorted(shapes) if shapes[entry] == shape]))
        return node(name, op, source, other), shape
    if op is Op.SCALE:
        return node(name, op, source, factor=draw(st.sampled_from([0.5, 2, -1.0]))), shape
    if op is Op.LINEAR:
        out = draw(st.integers(1, 6))
        return node(name, op, source, out=out, bias=draw(st.booleans())), (*shape[:-1], out)
    if op in {Op.LAYER_NORM, Op.RMS_NORM}:
        return (node(name, op, source, affine=draw(st.booleans())), shape) if shape[-1] > 1 else None
    if op is Op.REDUCE_MEAN:
        return node(name, op, source), (*shape[:-1], 1)
    if op is Op.RESHAPE:
        rows = draw(st.sampled_from([part for part in range(1, prod(shape) + 1) if prod(shape) % part == 0]))
        return node(name, op, source, shape=(rows, -1)), (rows, prod(shape) // rows)
    if op is Op.PERMUTE:
        order = tuple(reversed(range(len(shape))))
        return node(name, op, source, order=order), tuple(reversed(shape))
    if op is Op.CONCAT:
        return node(name, op, source, source), (*shape[:-1], 2 * shape[-1])
    if op is Op.SPLIT:
        return (node(name, op, source, parts=2, index=1), (*shape[:-1], shape[-1] // 2)) if shape[-1] % 2 == 0 else None
    if len(shape) != 2:
        return None
    if op is Op.CONVOLUTION_1D:
        depthwise, kernel = draw(st.booleans()), draw(st.sampled_from([1, 3]))
        out = shape[0] * draw(st.integers(1, 2)) if depthwise else draw(st.integers(1, 4))
        return node(name, op, source, out=out, kernel=kernel, depthwise=depthwise), (out, shape[1])
    others = [entry for entry in sorted(shapes) if len(shapes[entry]) == 2 and shapes[entry][0] == shape[1]]
    if not others:
        return None
    other = draw(st.sampled_from(others))
    return node(name, op, source, other), (shape[0], shapes[other][1])


@st.composite
def graphs(draw: st.DrawFn, read: int, chunk: int) -> BlueprintGraph:
    """A graph of up to a dozen nodes that fits the slot and whose last layer starts at zero."""
    nodes = [node("read", Op.READ), node("chunk", Op.CHUNK)]
    shapes: dict[str, Shape] = {"read": (read,), "chunk": (chunk,)}
    for step in range(draw(st.integers(0, 9))):
        grown = _grow(draw, f"g{step}", shapes)
        if grown is not None and prod(grown[1]) <= 64:
            nodes.append(grown[0])
            shapes[grown[0].name] = grown[1]
    last = draw(st.sampled_from(list(shapes)))
    width: str | int = "chunk" if draw(st.booleans()) else chunk
    nodes += [node("flat", Op.RESHAPE, last, shape=(-1,)), node("out", Op.LINEAR, "flat", out=width, init="zero")]
    return BlueprintGraph(nodes=prune(nodes, "out"), output="out", combine=draw(st.sampled_from(list(Combine))))


@st.composite
def disguises(draw: st.DrawFn, graph: BlueprintGraph) -> BlueprintGraph:
    """The same graph under other names, declared in another order."""
    names = [entry.name for entry in graph.nodes]
    new = dict(zip(names, draw(st.permutations([f"x{index}" for index in range(len(names))])), strict=True))
    renamed = [
        Node(
            name=new[entry.name],
            op=entry.op,
            inputs=tuple(new[name] for name in entry.inputs),
            attributes=entry.attributes,
        )
        for entry in graph.nodes
    ]
    return BlueprintGraph(
        nodes=tuple(draw(st.permutations(renamed))),
        output=new[graph.output],
        combine=graph.combine,
        latent=new[graph.latent] if graph.latent else None,
    )
