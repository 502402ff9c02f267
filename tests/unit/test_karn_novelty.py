"""Distances that are known, the exact search against a library's, and what diversity is made of."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import disguises, graphs
from support.library_events import register

from domain.blueprint import BlueprintGraph
from domain.events import BlueprintRegistered
from domain.karn.novelty import ATTRIBUTES_COST, distance, diversity, novelty, spread, tensor_graph
from domain.urza.catalogue import INITIAL, glu, layer_norm, registrations, residual_mlp, se_gate
from domain.urza.commands import Retire, decide
from domain.urza.library import BlueprintLibrary, evolve


def drawn_as(graph: BlueprintGraph) -> nx.DiGraph:
    made = nx.DiGraph()
    for entry in graph.nodes:
        made.add_node(entry.name, op=entry.op, attributes=entry.attributes)
    made.add_edges_from((name, entry.name) for entry in graph.nodes for name in entry.inputs)
    return made


def substituted(one: dict[str, object], other: dict[str, object]) -> float:
    if one["op"] is not other["op"]:
        return 1.0
    return 0.0 if one["attributes"] == other["attributes"] else ATTRIBUTES_COST


SMALL = [pytest.param(graph, id=metadata.name) for graph, metadata in INITIAL if len(graph.nodes) <= 6]


@pytest.mark.parametrize("other", SMALL)
@pytest.mark.parametrize("one", SMALL)
def test_the_distance_of_small_graphs_is_exact(one: BlueprintGraph, other: BlueprintGraph) -> None:
    first, second = drawn_as(one), drawn_as(other)
    cost = nx.graph_edit_distance(first, second, node_subst_cost=substituted)
    extent = max(len(made.nodes) + len(made.edges) for made in (first, second))

    assert distance(one, other) == pytest.approx(min(1.0, cost / extent))


@settings(max_examples=40)
@given(data=st.data(), one=graphs(13, 5), other=graphs(13, 5))
def test_distance_is_symmetric_bounded_and_blind_to_names(
    data: st.DataObject, one: BlueprintGraph, other: BlueprintGraph
) -> None:
    found = distance(one, other)

    assert 0 <= found <= 1
    assert found == distance(other, one) == distance(data.draw(disguises(one)), other)
    assert distance(one, data.draw(disguises(one))) == 0


def test_a_width_is_a_quarter_of_a_node() -> None:
    # 4 nodes and 3 edges; one node differs in its attributes.
    assert distance(residual_mlp(32), residual_mlp(64)) == pytest.approx(0.25 / 7)


def test_novelty_is_the_distance_to_the_nearest() -> None:
    assert novelty(glu(32), [residual_mlp(8), glu(16)]) == distance(glu(32), glu(16))
    assert novelty(glu(32), []) == 1.0


def library() -> BlueprintLibrary:
    made = BlueprintLibrary()
    for event in registrations():
        made = evolve(made, event)
    return made


def test_diversity_counts_tensor_graphs_and_measures_distances_of_what_is_offered() -> None:
    made = library()
    records = tuple(made.records.values())

    found = diversity(records)

    alone = {tensor_graph(record.graph) for record in records}
    pairs = [distance(one.graph, other.graph) for one, other in combinations(records, 2)]
    assert found.unique == len(alone) / len(records) == 12 / 13, "the residual MLPs differ in width alone"
    assert found.distance == pytest.approx(np.mean(pairs))
    assert not found.is_low
    retired = evolve(made, decide(made, Retire(blueprint_id=records[0].blueprint_id, reason="too common"), 1))
    assert diversity(retired.records.values()).unique == 1.0


def test_a_library_of_widths_alone_lacks_diversity() -> None:
    made = BlueprintLibrary()
    for number in range(1, 7):
        event = decide(made, register(number), 0)
        assert isinstance(event, BlueprintRegistered)
        made = evolve(made, event)

    found = diversity(made.records.values())

    assert found.unique == 1 / 6
    assert found.distance == pytest.approx(0.25 / 5)
    assert found.is_low


def test_few_blueprints_are_as_diverse_as_can_be() -> None:
    assert diversity(()).unique == diversity(()).distance == 1.0


def test_a_spread_sample_starts_with_the_first_and_keeps_their_order() -> None:
    records = tuple(library().records.values())

    sample = spread(records, 5)

    assert [record.number for record in sample] == [1, 3, 6, 8, 11]
    assert spread(records, 50) == records


def test_a_norm_is_far_from_a_gate() -> None:
    assert distance(layer_norm(), se_gate(16)) > 0.8
