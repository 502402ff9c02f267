"""Whatever is done to a blueprint, it stays one: it fits where its parent fitted, and a graft of it starts as nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.blueprint import BlueprintGraph, Combine, Op, blueprint_id, node
from domain.commands import Reads
from domain.header import LayerLayout
from domain.karn.crossover import crossings
from domain.karn.drafting import GENERATORS
from domain.karn.mutation import crossed, mutated
from domain.karn.operators import OPERATORS
from domain.karn.surgery import (
    NODES_MAX,
    PARAMETERS_MAX,
    Anatomy,
    Edit,
    MutationRefused,
    check_child,
    edited,
    fitted,
    slots_of,
)
from domain.shapes import infer_shapes, parameter_count
from domain.urabrask.patterns import fatal_flaw
from domain.urabrask.start import starts_at_zero, still
from domain.urza.catalogue import INITIAL, glu, mini_self_attention, no_op, residual_mlp, se_gate, soft_clamp
from engine.trainers.live.compiler import compile_blueprint

torch.set_num_threads(1)

LAYOUT = (LayerLayout(layer=0, inputs=2, outputs=9, seeds=2), LayerLayout(layer=1, inputs=9, outputs=7, seeds=3))
SLOTS = slots_of(LAYOUT, Reads.BOTH)
SLOT = (16, 8)
CATALOGUE = [graph for graph, _ in INITIAL]
CHANGES = st.lists(st.sampled_from(GENERATORS), min_size=1, max_size=8)


def changed(graph: BlueprintGraph, changes: list[str], key: int) -> BlueprintGraph:
    """The graph after as many of the changes as are accepted."""
    generator = np.random.Generator(np.random.PCG64(key))
    for name in changes:
        mate = CATALOGUE[int(generator.integers(len(CATALOGUE)))]
        try:
            if name in OPERATORS:
                graph = mutated(graph, name, generator, SLOTS).graph
            else:
                graph = crossed(graph, mate, generator, SLOTS).graph
        except MutationRefused as refusal:
            assert refusal.rule and refusal.reason
    return graph


def children(graph: BlueprintGraph, operator: str) -> list[BlueprintGraph]:
    """All sound children of a graph by one operator."""
    found = []
    for edit in OPERATORS[operator](Anatomy(graph, SLOT)):
        child = edited(graph, edit)
        try:
            check_child(child, graph, SLOTS)
        except MutationRefused:
            continue
        found.append(child)
    return found


@settings(max_examples=60)
@given(start=st.sampled_from(CATALOGUE), changes=CHANGES, key=st.integers(0, 2**32))
def test_any_sequence_of_changes_keeps_a_blueprint_sound(start: BlueprintGraph, changes: list[str], key: int) -> None:
    child = changed(start, changes, key)

    slots = fitted(start, SLOTS)
    assert slots and fitted(child, slots) == slots
    assert starts_at_zero(child) or not starts_at_zero(start)
    assert len(child.nodes) <= NODES_MAX
    for read, chunk in slots:
        assert infer_shapes(child, read=read, chunk=chunk)[child.output] == (chunk,)
        assert parameter_count(child, read=read, chunk=chunk) <= PARAMETERS_MAX
        if child is not start:
            assert fatal_flaw(child, infer_shapes(child, read=read, chunk=chunk)) is None
    assert BlueprintGraph.model_validate_json(child.model_dump_json()) == child


@settings(max_examples=15)
@given(
    start=st.sampled_from([residual_mlp(8), se_gate(8), glu(8), mini_self_attention(2, 4)]),
    changes=CHANGES,
    key=st.integers(0, 2**32),
)
def test_a_changed_blueprint_builds_gives_nothing_at_first_and_learns(
    start: BlueprintGraph, changes: list[str], key: int
) -> None:
    child = changed(start, changes, key)
    module = compile_blueprint(child, read=13, chunk=5, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    read, chunk = torch.randn(6, 13, generator=generator), torch.rand(6, 5, generator=generator)

    given_out = module(read, chunk)

    assert torch.equal(given_out, torch.zeros(6, 5))
    (given_out - 1).square().sum().backward()
    assert any(part.grad is not None and bool(part.grad.abs().sum() > 0) for part in module.parameters())


@settings(max_examples=20)
@given(start=st.sampled_from(CATALOGUE), changes=CHANGES, key=st.integers(0, 2**32))
def test_equal_streams_give_equal_children(start: BlueprintGraph, changes: list[str], key: int) -> None:
    assert blueprint_id(changed(start, changes, key)) == blueprint_id(changed(start, changes, key))


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_finds_something_to_do(operator: str) -> None:
    found = [
        child for graph in (residual_mlp(32), glu(32), mini_self_attention(4, 8)) for child in children(graph, operator)
    ]

    assert found
    assert len({blueprint_id(child) for child in found}) >= len(found) / 2, "its edits are to differ"


def test_what_is_zero_at_the_start_is_seen_through_gates_and_bends() -> None:
    assert still(se_gate(8)) == {"excited", "gate", "out"}
    assert starts_at_zero(residual_mlp(8)) and starts_at_zero(no_op())
    assert not starts_at_zero(soft_clamp(4.0))
    itself = node("out", Op.SUBTRACT, "chunk", "chunk")
    assert starts_at_zero(BlueprintGraph(nodes=(node("chunk", Op.CHUNK), itself), output="out"))


def test_quantizing_a_block_leaves_at_most_half_of_a_map_and_asks_for_no_hardware() -> None:
    whole = parameter_count(residual_mlp(64), read=16, chunk=8)

    lean = [parameter_count(child, read=16, chunk=8) for child in children(residual_mlp(64), "quantize_block")]

    assert min(lean) < 0.6 * whole
    assert max(lean) < whole


def test_a_wider_layer_takes_along_what_must_be_as_wide() -> None:
    wider = children(glu(32), "increase_layer_width")

    widths = [{entry.attribute("out") for entry in child.nodes if entry.name in {"value", "logit"}} for child in wider]
    assert widths == [{48}, {64}]


def test_a_head_more_reads_the_tokens_that_are_there() -> None:
    more = [child for child in children(mini_self_attention(4, 8), "add_attention_head") if "heads" in child.by_name]

    assert len(more) == 1
    assert sum(entry.op is Op.SOFTMAX for entry in more[0].nodes) == 2
    assert sum(entry.op is Op.RESHAPE and entry.attribute("shape") == (4, 8) for entry in more[0].nodes) == 1


def test_a_crossing_brings_a_branch_of_the_other_parent() -> None:
    one, other = residual_mlp(32), glu(32)

    edits = crossings(Anatomy(one, SLOT), Anatomy(other, SLOT))

    brought = [edited(one, edit) for edit in edits]
    assert any(any(entry.op is Op.SIGMOID for entry in child.nodes) for child in brought)
    assert all(sum(entry.op is Op.READ for entry in child.nodes) <= 1 for child in brought)


def test_what_an_edit_would_spoil_is_refused_with_its_rule() -> None:
    graph = residual_mlp(8)
    head = graph.by_name["out"]
    opened = node("out", Op.LINEAR, *head.inputs, out="chunk")
    cut = node("out", Op.LINEAR, *head.inputs, out=3, init="zero")
    rules = []
    for changed_node in (head, opened, cut):
        with pytest.raises(MutationRefused) as refusal:
            check_child(edited(graph, Edit((changed_node,), "by hand")), graph, SLOTS)
        rules.append(refusal.value.rule)

    assert rules == ["unchanged", "not-the-identity", "misfit"]


def test_a_graph_that_blends_and_never_learns_gets_no_children_without_parameters() -> None:
    graph = soft_clamp(4.0)
    assert graph.combine is Combine.BLEND
    for operator in ("remove_node", "substitute_activation_function", "add_skip"):
        assert children(graph, operator) == []


def test_slots_are_the_hosts_the_crucibles_and_odd_ones() -> None:
    assert slots_of(LAYOUT, Reads.CHUNK) == ((2, 2), (3, 3), (4, 4), (5, 5))
    assert {(11, 5), (11, 4), (16, 3), (16, 2), (13, 5), (7, 3)} <= set(SLOTS)
