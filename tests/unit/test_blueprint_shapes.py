"""Shape inference refuses what cannot be built, and says which node and why."""

from __future__ import annotations

import re

import pytest

from domain.blueprint import BlueprintGraph, Node, Op, node
from domain.shapes import (
    ShapeMismatch,
    fits,
    flops,
    infer_shapes,
    is_trainable,
    memory_mb,
    parameter_count,
    parameter_shapes,
)
from domain.urza.catalogue import no_op, residual_mlp

READ, CHUNK = node("read", Op.READ), node("chunk", Op.CHUNK)


def test_shapes_parameters_and_costs_of_an_mlp_are_those_done_by_hand() -> None:
    graph = residual_mlp(32)
    assert infer_shapes(graph, read=10, chunk=3) == {"read": (10,), "up": (32,), "bent": (32,), "out": (3,)}
    assert parameter_shapes(graph, read=10, chunk=3) == {"up": ((32, 10), (32,)), "out": ((3, 32), (3,))}
    assert parameter_count(graph, read=10, chunk=3) == 32 * 10 + 32 + 3 * 32 + 3
    assert flops(graph, read=10, chunk=3) == 32 * 21 + 32 * 10 + 3 * 65
    assert memory_mb(graph, read=10, chunk=3) == 451 * 16 / 1e6


def test_shapes_belong_to_who_asked_for_them() -> None:
    graph = residual_mlp(32)
    infer_shapes(graph, read=10, chunk=3).clear()
    assert list(infer_shapes(graph, read=10, chunk=3)) == ["read", "up", "bent", "out"]
    assert infer_shapes(graph, read=10, chunk=4)["out"] == (4,)


def test_a_no_op_learns_nothing() -> None:
    assert not is_trainable(no_op())
    assert parameter_count(no_op(), read=4, chunk=4) == 0
    assert is_trainable(residual_mlp(2))


def _graph(*nodes: Node) -> BlueprintGraph:
    return BlueprintGraph(nodes=nodes, output=nodes[-1].name)


@pytest.mark.parametrize(
    ("graph", "broken", "claim"),
    [
        (_graph(READ), "read", "needs the output to have the chunk's shape (3,) but got (6,)"),
        (_graph(READ, CHUNK, node("o", Op.ADD, "read", "chunk")), "o", "a tensor that broadcasts with (6,)"),
        (_graph(CHUNK, node("o", Op.LINEAR, "chunk", out="layer")), "o", "out to be a positive integer"),
        (_graph(CHUNK, node("o", Op.LINEAR, "chunk", out=0)), "o", "out to be a positive integer"),
        (_graph(CHUNK, node("o", Op.LINEAR, "chunk", out=3, init="orthogonal")), "o", 'init to be "default" or "zero"'),
        (_graph(CHUNK, node("o", Op.SPLIT, "chunk", parts=2, index=0)), "o", "divide into 2 equal parts"),
        (_graph(CHUNK, node("o", Op.SPLIT, "chunk", parts=3, index=3)), "o", "an index of one of 3 parts"),
        (_graph(CHUNK, node("o", Op.RESHAPE, "chunk", shape=(2, -1))), "o", "fits the shape (2, -1)"),
        (_graph(CHUNK, node("o", Op.RESHAPE, "chunk", shape=(-1, -1))), "o", "fits the shape (-1, -1)"),
        (_graph(CHUNK, node("o", Op.RESHAPE, "chunk", shape=(0,))), "o", "a shape of positive widths"),
        (_graph(CHUNK, node("o", Op.PERMUTE, "chunk", order=(1, 0))), "o", "the rank that the order (1, 0) permutes"),
        (_graph(CHUNK, node("o", Op.REDUCE_MEAN, "chunk", keep=False)), "o", "rank 2 or more"),
        (_graph(CHUNK, node("o", Op.REDUCE_MEAN, "chunk", axis=1)), "o", "an axis of a tensor of rank 1"),
        (_graph(READ, CHUNK, node("o", Op.MATMUL, "read", "chunk")), "o", "two matrices"),
        (_graph(CHUNK, node("o", Op.CONVOLUTION_1D, "chunk", out=3, kernel=3)), "o", "(channels, length)"),
        (_graph(CHUNK, node("o", Op.LINEAR, "chunk", out=1 << 23)), "o", "at most"),
        (_graph(CHUNK, node("o", Op.SCALE, "chunk", factor="twice")), "o", "a number as its factor"),
        (
            _graph(
                CHUNK,
                node("l", Op.RESHAPE, "chunk", shape=(1, -1)),
                node("o", Op.CONVOLUTION_1D, "l", out=1, kernel=2),
            ),
            "o",
            "an odd, positive kernel",
        ),
    ],
)
def test_a_graph_that_does_not_fit_names_the_node_and_what_it_needs(
    graph: BlueprintGraph, broken: str, claim: str
) -> None:
    with pytest.raises(ShapeMismatch, match=re.escape(claim)) as refusal:
        infer_shapes(graph, read=6, chunk=3)
    assert refusal.value.node == broken
    assert not fits(graph, read=6, chunk=3)


def test_a_slot_without_units_fits_nothing() -> None:
    assert not fits(no_op(), read=0, chunk=4)


def test_elementwise_primitives_broadcast_single_units() -> None:
    graph = _graph(CHUNK, node("m", Op.REDUCE_MEAN, "chunk"), node("o", Op.MULTIPLY, "m", "chunk"))
    assert infer_shapes(graph, read=6, chunk=3)["o"] == (3,)
