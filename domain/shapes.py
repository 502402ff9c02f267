"""Whether a blueprint fits a slot, and what it costs there: shape inference, parameters, operations, memory.

Shapes leave the batch dimension out: ``(8,)`` is a tensor (B, 8), ``(4, 8)`` one of 4 tokens with 8 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final, final

from domain.blueprint import BlueprintGraph, Node, Op
from domain.primitives import NORMS, WEIGHTED
from domain.values import Same

Shape = tuple[int, ...]

ELEMENTS_MAX: Final = 1 << 22
"""Elements a sample that one node may give; more is taken for a mistake."""

BYTES_PER_PARAMETER: Final = 16
"""float32 parameter, its gradient and Adam's two moments."""


@final
class ShapeMismatch(ValueError):
    """A node cannot take what it is given in this slot."""

    def __init__(self, node: str, got: object, expected: str) -> None:
        self.node = node
        self.got = got
        self.expected = expected
        super().__init__(
            f"node {node!r} needs {expected} but got {got}; choose another blueprint, reads or chunk width"
        )


@final
@dataclass(frozen=True, slots=True)
class _Slot:
    read: int
    chunk: int


_Rule = Callable[[Node, tuple[Shape, ...], _Slot], Shape]


def size(node: Node, key: str, read: int, chunk: int) -> int:
    """A width among the node's attributes, with the words "chunk" and "read" resolved. Raises ShapeMismatch."""
    value = node.attribute(key)
    if value == "chunk":
        return chunk
    if value == "read":
        return read
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ShapeMismatch(node.name, value, f'{key} to be a positive integer, "chunk" or "read"')
    return value


def axis_of(node: Node, rank: int) -> int:
    """The node's ``axis`` counted from 0 without the batch. Raises ShapeMismatch when there is no such axis."""
    axis = node.attribute("axis")
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ShapeMismatch(node.name, axis, f"an axis of a tensor of rank {rank}")
    return axis % rank


def _source(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    return (slot.read,) if node.op is Op.READ else (slot.chunk,)


def _same(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    return given[0]


def _scale(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    factor = node.attribute("factor")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)):
        raise ShapeMismatch(node.name, factor, "a number as its factor")
    return given[0]


def _check_init(node: Node) -> None:
    if node.attribute("init") not in {"default", "zero"}:
        raise ShapeMismatch(node.name, node.attribute("init"), 'init to be "default" or "zero"')


def _linear(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    _check_init(node)
    return (*given[0][:-1], size(node, "out", slot.read, slot.chunk))


def _elementwise(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    one, other = given
    if len(one) != len(other) or any(a != b and 1 not in {a, b} for a, b in zip(one, other, strict=True)):
        raise ShapeMismatch(node.name, other, f"a tensor that broadcasts with {one}")
    return tuple(map(max, one, other))


def _reduce(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    shape = given[0]
    axis = axis_of(node, len(shape))
    if node.attribute("keep"):
        return (*shape[:axis], 1, *shape[axis + 1 :])
    if len(shape) == 1:
        raise ShapeMismatch(node.name, shape, "rank 2 or more, or keep=True")
    return (*shape[:axis], *shape[axis + 1 :])


def _norm(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    _check_init(node)
    if given[0][-1] < 2:
        raise ShapeMismatch(node.name, given[0], "at least 2 units to normalise over")
    return given[0]


def _reshape(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    wanted, elements = node.attribute("shape"), prod(given[0])
    if not isinstance(wanted, tuple) or not wanted or any(part < 1 and part != -1 for part in wanted):
        raise ShapeMismatch(node.name, wanted, "a shape of positive widths, one of which may be -1")
    known = prod(part for part in wanted if part != -1)
    open_parts = wanted.count(-1)
    if open_parts > 1 or elements % known or (open_parts == 0 and known != elements):
        raise ShapeMismatch(node.name, given[0], f"a number of elements that fits the shape {wanted}")
    return tuple(elements // known if part == -1 else part for part in wanted)


def _permute(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    order = node.attribute("order")
    if not isinstance(order, tuple) or sorted(order) != list(range(len(given[0]))):
        raise ShapeMismatch(node.name, given[0], f"the rank that the order {order} permutes")
    return tuple(given[0][axis] for axis in order)


def _concat(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    first = given[0]
    axis = axis_of(node, len(first))
    for shape in given[1:]:
        if len(shape) != len(first) or shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :]:
            raise ShapeMismatch(node.name, shape, f"{first} in every axis but {axis}")
    return (*first[:axis], sum(shape[axis] for shape in given), *first[axis + 1 :])


def _split(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    shape = given[0]
    axis = axis_of(node, len(shape))
    parts, index = node.attribute("parts"), node.attribute("index")
    if not isinstance(parts, int) or parts < 1 or shape[axis] % parts:
        raise ShapeMismatch(node.name, shape, f"axis {axis} to divide into {parts} equal parts")
    if not isinstance(index, int) or not 0 <= index < parts:
        raise ShapeMismatch(node.name, index, f"an index of one of {parts} parts")
    return (*shape[:axis], shape[axis] // parts, *shape[axis + 1 :])


def _convolution(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    _check_init(node)
    if len(given[0]) != 2:
        raise ShapeMismatch(node.name, given[0], "(channels, length)")
    channels, length = given[0]
    out, kernel = size(node, "out", slot.read, slot.chunk), node.attribute("kernel")
    if isinstance(kernel, bool) or not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
        raise ShapeMismatch(node.name, kernel, "an odd, positive kernel, so that the length is kept")
    if node.attribute("depthwise") and out % channels:
        raise ShapeMismatch(node.name, out, f"a multiple of its {channels} input channels to be depthwise")
    return out, length


def _matmul(node: Node, given: tuple[Shape, ...], slot: _Slot) -> Shape:
    left, right = given
    if len(left) != 2 or len(right) != 2 or left[1] != right[0]:
        raise ShapeMismatch(node.name, (left, right), "two matrices (a, b) and (b, c)")
    return left[0], right[1]


_RULES: Final[dict[Op, _Rule]] = {
    Op.READ: _source,
    Op.CHUNK: _source,
    Op.LINEAR: _linear,
    Op.ADD: _elementwise,
    Op.SUBTRACT: _elementwise,
    Op.MULTIPLY: _elementwise,
    Op.SCALE: _scale,
    Op.RELU: _same,
    Op.SIGMOID: _same,
    Op.TANH: _same,
    Op.GELU: _same,
    Op.SILU: _same,
    Op.SOFTMAX: _same,
    Op.REDUCE_MEAN: _reduce,
    Op.LAYER_NORM: _norm,
    Op.RMS_NORM: _norm,
    Op.RESHAPE: _reshape,
    Op.PERMUTE: _permute,
    Op.CONCAT: _concat,
    Op.SPLIT: _split,
    Op.CONVOLUTION_1D: _convolution,
    Op.MATMUL: _matmul,
}
assert set(_RULES) == set(Op)


def infer_shapes(graph: BlueprintGraph, *, read: int, chunk: int) -> dict[str, Shape]:
    """Shape of every node in a slot that reads ``read`` units and writes ``chunk``, in canonical order.

    Raises ShapeMismatch with the node, what it got and what it needs; the output must have the chunk's width.
    """
    return dict(_inferred(Same(graph), read, chunk))


@lru_cache(maxsize=1024)  # asked half a dozen times for every blueprint that is weighed for a slot
def _inferred(of: Same[BlueprintGraph], read: int, chunk: int) -> Mapping[str, Shape]:
    graph = of.held
    if read < 1 or chunk < 1:
        raise ShapeMismatch(graph.output, (read, chunk), "a slot that reads and writes at least one unit")
    slot = _Slot(read, chunk)
    shapes: dict[str, Shape] = {}
    for node in graph.ordered:
        shape = _RULES[node.op](node, tuple(shapes[name] for name in node.inputs), slot)
        if prod(shape) > ELEMENTS_MAX:
            raise ShapeMismatch(node.name, shape, f"to give at most {ELEMENTS_MAX} elements")
        shapes[node.name] = shape
    if shapes[graph.output] != (chunk,):
        raise ShapeMismatch(graph.output, shapes[graph.output], f"the output to have the chunk's shape {(chunk,)}")
    return shapes


def fits(graph: BlueprintGraph, *, read: int, chunk: int) -> bool:
    """Whether the blueprint can be built in such a slot."""
    try:
        _inferred(Same(graph), read, chunk)
    except ShapeMismatch:
        return False
    return True


def _weights(node: Node, given: tuple[Shape, ...], shape: Shape) -> tuple[Shape, ...]:
    """Shapes of the node's parameters, weight first."""
    if node.op is Op.LINEAR:
        weight: Shape = (shape[-1], given[0][-1])
        return (weight, (shape[-1],)) if node.attribute("bias") else (weight,)
    if node.op is Op.CONVOLUTION_1D:
        channels = 1 if node.attribute("depthwise") else given[0][0]
        weight = (shape[0], channels, node.attribute("kernel"))
        return (weight, (shape[0],)) if node.attribute("bias") else (weight,)
    if node.op in NORMS and node.attribute("affine"):
        return ((shape[-1],), (shape[-1],)) if node.op is Op.LAYER_NORM else ((shape[-1],),)
    return ()


def parameter_shapes(graph: BlueprintGraph, *, read: int, chunk: int) -> dict[str, tuple[Shape, ...]]:
    """Shapes of each node's parameters in canonical order, weight first; nodes without any are left out."""
    shapes = _inferred(Same(graph), read, chunk)
    found = {
        node.name: _weights(node, tuple(shapes[name] for name in node.inputs), shapes[node.name])
        for node in graph.ordered
    }
    return {name: weights for name, weights in found.items() if weights}


def parameter_count(graph: BlueprintGraph, *, read: int, chunk: int) -> int:
    """How many numbers the blueprint learns in such a slot. Raises ShapeMismatch."""
    found = parameter_shapes(graph, read=read, chunk=chunk)
    return sum(prod(shape) for weights in found.values() for shape in weights)


def is_trainable(graph: BlueprintGraph) -> bool:
    """Whether it has parameters in some slot; without any it is a fixed function."""
    return any(node.op in WEIGHTED or (node.op in NORMS and bool(node.attribute("affine"))) for node in graph.nodes)


_FLOPS_PER_ELEMENT: Final = {
    Op.ADD: 1,
    Op.SUBTRACT: 1,
    Op.MULTIPLY: 1,
    Op.SCALE: 1,
    Op.RELU: 1,
    Op.SIGMOID: 4,
    Op.TANH: 6,
    Op.GELU: 10,
    Op.SILU: 5,
    Op.SOFTMAX: 5,
    Op.LAYER_NORM: 8,
    Op.RMS_NORM: 5,
}
"""Customary counts, exponentials included; an estimate like every such table."""


def _flops(node: Node, given: tuple[Shape, ...], shape: Shape) -> int:
    if node.op is Op.LINEAR:
        return prod(shape) * (2 * given[0][-1] + bool(node.attribute("bias")))
    if node.op is Op.CONVOLUTION_1D:
        channels = 1 if node.attribute("depthwise") else given[0][0]
        kernel: int = node.attribute("kernel")
        return prod(shape) * (2 * channels * kernel + bool(node.attribute("bias")))
    if node.op is Op.MATMUL:
        return 2 * prod(shape) * given[0][1]
    if node.op is Op.REDUCE_MEAN:
        return prod(given[0])
    return _FLOPS_PER_ELEMENT.get(node.op, 0) * prod(shape)


def flops(graph: BlueprintGraph, *, read: int, chunk: int) -> int:
    """Floating-point operations of one forward pass of one sample, estimated. Raises ShapeMismatch."""
    shapes = _inferred(Same(graph), read, chunk)
    return sum(_flops(node, tuple(shapes[name] for name in node.inputs), shapes[node.name]) for node in graph.ordered)


def memory_mb(graph: BlueprintGraph, *, read: int, chunk: int) -> float:
    """Parameters, their gradients and optimizer state, MB (10^6 bytes). Raises ShapeMismatch."""
    return parameter_count(graph, read=read, chunk=chunk) * BYTES_PER_PARAMETER / 1e6
