"""What the crucible says of a candidate without running it: what is refused at once, and the static profile."""

from __future__ import annotations

import pytest

from domain.blueprint import BlueprintGraph, BlueprintMetadata, Combine, Op, node
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.shapes import infer_shapes
from domain.urabrask.crucible import static_problem
from domain.urabrask.patterns import fatal_flaw, redundant
from domain.urabrask.profile import cyclomatic_complexity, graph_depth, static_profile
from domain.urabrask.trials import too_big
from domain.urza.catalogue import INITIAL, glu, low_rank_residual, residual_mlp, se_gate
from domain.urza.commands import Register, decide
from domain.urza.library import BlueprintLibrary, evolve
from tests.support.candidates import READ, ZERO, graph, linear_map, not_a_number, twice_bent, wider_mlp
from tests.support.live_runs import TASK, header

HEADER = header(TASK, 2)
EMPTY = BlueprintLibrary()
UP = node("up", Op.LINEAR, "read", out=8)
CHUNK = node("chunk", Op.CHUNK)


def flaw(candidate: BlueprintGraph) -> str | None:
    return fatal_flaw(candidate, infer_shapes(candidate, read=8, chunk=4))


@pytest.mark.parametrize(("candidate", "metadata"), INITIAL, ids=[metadata.name for _, metadata in INITIAL])
def test_of_the_catalogue_only_the_placebo_is_refused(candidate: BlueprintGraph, metadata: object) -> None:
    name = getattr(metadata, "name", "")
    assert (static_problem(candidate, EMPTY, HEADER, getattr(metadata, "default_reads", Reads.BOTH)) is None) == (
        name != "no_op"
    )


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (twice_bent(), "activation straight after the activation 'bent'"),
        (graph(UP, node("out", Op.LINEAR, "up", out="chunk")), "before it has learnt anything"),
        (graph(node("first", Op.LINEAR, "read", out=8, init="zero", bias=False), UP, node("both", Op.MULTIPLY, "first", "up"), node("out", Op.LINEAR, "both", out="chunk", init="zero", bias=False)), "no gradient ever moves it"),
        (graph(node("zero", Op.LINEAR, "read", **ZERO), node("out", Op.RELU, "zero")), "no gradient ever moves it"),
        (graph(node("off", Op.SCALE, "read", factor=0.0), node("out", Op.LINEAR, "off", **ZERO)), "same whatever it reads"),
        (graph(UP, node("none", Op.SUBTRACT, "up", "up"), node("out", Op.LINEAR, "none", **ZERO)), "same whatever it reads"),
        (graph(node("one", Op.LINEAR, "read", out=1), node("sure", Op.SOFTMAX, "one"), node("out", Op.LINEAR, "sure", **ZERO)), "same whatever it reads"),
    ],
)  # fmt: skip
def test_what_is_provably_useless_is_refused_with_its_reason(candidate: BlueprintGraph, words: str) -> None:
    found = flaw(candidate)
    assert found is not None
    assert words in found


def test_parameters_that_never_reach_the_output_are_refused() -> None:
    nodes = (CHUNK, READ, UP, node("sure", Op.REDUCE_MEAN, "up"), node("one", Op.SOFTMAX, "sure"))
    cut = BlueprintGraph(nodes=(*nodes, node("out", Op.MULTIPLY, "chunk", "one")), output="out", combine=Combine.BLEND)
    assert flaw(cut) == "no gradient reaches any of its parameters; open the path from them to the output"


def test_a_gate_that_starts_at_zero_can_still_learn() -> None:
    assert flaw(se_gate(16)) is None


def test_what_blends_need_not_start_at_zero() -> None:
    nodes = (READ, UP, node("bent", Op.GELU, "up"), node("out", Op.LINEAR, "bent", out="chunk"))
    assert flaw(BlueprintGraph(nodes=nodes, output="out", combine=Combine.BLEND)) is None


def test_a_candidate_must_fit_some_slot_with_what_it_reads() -> None:
    thirds = graph(node("third", Op.SPLIT, "read", parts=5, index=0), node("out", Op.LINEAR, "third", **ZERO))
    assert static_problem(thirds, EMPTY, HEADER, Reads.BOTH) is None  # 2 features and 8 units
    problem = static_problem(thirds, EMPTY, HEADER, Reads.LAYER)
    assert problem is not None
    assert problem.startswith("it fits no slot of this host: node 'third'")


def test_what_is_registered_is_not_tried_again() -> None:
    known = Register(graph=wider_mlp(), metadata=BlueprintMetadata(name="known"))
    library = evolve(EMPTY, decide(EMPTY, known, epoch=1))
    problem = static_problem(wider_mlp(), library, HEADER)
    assert problem is not None
    assert "is registered as known, number 1" in problem


def test_the_hardware_is_an_envelope() -> None:
    small = HEADER.model_copy(update={"hardware": HardwareContext(memory_available_gb=1e-6)})
    slow = HEADER.model_copy(update={"hardware": HardwareContext(compute_capacity_tflops=1e-12)})
    assert "MB and the hardware has" in str(static_problem(wider_mlp(), EMPTY, small))
    assert "ms, budget 10" in str(static_problem(wider_mlp(), EMPTY, slow))


def test_what_is_too_big_to_be_tried_is_refused() -> None:
    assert "operations a sample" in str(static_problem(residual_mlp(5000), EMPTY, HEADER))
    chain = [node(f"n{at}", Op.SCALE, "read" if at == 0 else f"n{at - 1}", factor=2.0) for at in range(60)]
    assert "62 nodes" in str(too_big(graph(*chain, node("out", Op.LINEAR, "n59", **ZERO))))
    wide = [node(f"n{at}", Op.CONCAT, *["read" if at == 0 else f"n{at - 1}"] * 16) for at in range(3)]
    assert "numbers a sample" in str(
        too_big(graph(*wide, node("m", Op.REDUCE_MEAN, "n2"), node("out", Op.LINEAR, "m", **ZERO)))
    )


def test_depth_and_complexity_of_a_chain_and_of_a_join() -> None:
    assert (graph_depth(residual_mlp(8)), cyclomatic_complexity(residual_mlp(8))) == (3, 1)
    assert (graph_depth(glu(8)), cyclomatic_complexity(glu(8))) == (4, 2)
    assert cyclomatic_complexity(se_gate(8)) == 2  # two sources meet


def test_redundant_nodes_are_those_that_could_be_left_out() -> None:
    twice = graph(
        UP,
        node("one", Op.GELU, "up"),
        node("other", Op.GELU, "up"),
        node("same", Op.SCALE, "other", factor=1.0),
        node("sum", Op.ADD, "one", "same"),
        node("out", Op.LINEAR, "sum", **ZERO),
    )
    assert redundant(twice, infer_shapes(twice, read=8, chunk=4)) == ("other", "same")
    low_rank = low_rank_residual(4)
    assert redundant(low_rank, infer_shapes(low_rank, read=8, chunk=4)) == ("out",)
    assert redundant(glu(8), infer_shapes(glu(8), read=8, chunk=4)) == ()


def test_the_static_profile_has_the_seven_measures_sorted() -> None:
    profile = static_profile(low_rank_residual(4), read=12, chunk=4)
    assert [key for key, _ in profile] == sorted(key for key, _ in profile)
    assert dict(profile) == {
        "static.parameter_count": 4 * 12 + 4 * 4 + 4,
        "static.graph_depth": 2,
        "static.cyclomatic_complexity": 1,
        "static.redundancy_score": 1 / 3,
        "static.has_known_anti_patterns": 1,
        "static.predicted_flops": 4 * 24 + 4 * 9,
        "static.predicted_memory_footprint_mb": 68 * 16 / 1e6,
    }


def test_what_only_a_trial_can_tell_is_not_refused() -> None:
    assert static_problem(linear_map(), EMPTY, HEADER) is None
    assert static_problem(not_a_number(), EMPTY, HEADER) is None
