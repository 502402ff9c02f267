"""Blueprint graphs: their structure, their identity, the records about them."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.blueprint import (
    BlueprintEstimates,
    BlueprintGraph,
    BlueprintMetadata,
    Combine,
    ConfidenceLevel,
    KarnMetadata,
    Node,
    Op,
    TamiyoMetadata,
    UrabraskMetadata,
    UrzaMetadata,
    blueprint_id,
    node,
    prune,
)
from domain.values import Value
from tests.support.graphs import disguises, graphs

READ = node("read", Op.READ)
UP = node("up", Op.LINEAR, "read", out=32)
BENT = node("bent", Op.RELU, "up")
OUT = node("out", Op.LINEAR, "bent", out="chunk", init="zero")
MLP = BlueprintGraph(nodes=(READ, UP, BENT, OUT), output="out")

SOME = graphs(read=6, chunk=3)


@given(st.data())
def test_an_id_depends_neither_on_names_nor_on_the_order_of_declaration(data: st.DataObject) -> None:
    graph = data.draw(SOME)
    assert blueprint_id(data.draw(disguises(graph))) == blueprint_id(graph)


@given(SOME, st.booleans())
def test_a_graph_survives_json_with_its_id(graph: BlueprintGraph, strict: bool) -> None:
    again = BlueprintGraph.model_validate_json(graph.model_dump_json(), strict=strict)
    assert again == graph
    assert blueprint_id(again) == blueprint_id(graph)


def test_the_id_of_a_known_graph_never_changes() -> None:
    assert blueprint_id(MLP) == "337ff005bcff58e9ce37aa26f8bc8e9bd1f1dfd5e0adef315b067478c47886d5"


@pytest.mark.parametrize(
    "other",
    [
        MLP.model_copy(update={"combine": Combine.BLEND}),
        MLP.model_copy(update={"latent": "up"}),
        MLP.model_copy(update={"nodes": (READ, node("up", Op.LINEAR, "read", out=33), BENT, OUT)}),
        MLP.model_copy(update={"nodes": (READ, UP, node("bent", Op.GELU, "up"), OUT)}),
        MLP.model_copy(update={"nodes": (READ, UP, BENT, node("out", Op.LINEAR, "bent", out="chunk"))}),
    ],
)
def test_anything_that_computes_differently_has_another_id(other: BlueprintGraph) -> None:
    assert blueprint_id(other) != blueprint_id(MLP)


def test_naming_the_default_latent_node_changes_nothing() -> None:
    assert MLP.latent_node == "bent"
    assert blueprint_id(MLP.model_copy(update={"latent": "bent"})) == blueprint_id(MLP)


def test_the_order_of_inputs_is_part_of_the_identity() -> None:
    def difference(*inputs: str) -> BlueprintGraph:
        nodes = (READ, node("bent", Op.RELU, "read"), node("out", Op.SUBTRACT, *inputs))
        return BlueprintGraph(nodes=nodes, output="out", latent="bent")

    assert blueprint_id(difference("read", "bent")) != blueprint_id(difference("bent", "read"))


@pytest.mark.parametrize(
    ("nodes", "output", "claim"),
    [
        ((node("a", Op.RELU, "b"), node("b", Op.RELU, "a")), "a", "cycle"),
        ((node("a", Op.RELU, "a"),), "a", "cycle"),
        ((node("a", Op.RELU, "b"),), "a", "reads 'b', which is not a node"),
        ((READ,), "out", "the output 'out' is not a node"),
        ((READ, UP, BENT, OUT, node("idle", Op.RELU, "up")), "out", "node 'idle' does not reach the output"),
        ((READ, READ), "read", "two nodes are called 'read'"),
        ((READ, node("second", Op.READ), node("a", Op.ADD, "read", "second")), "a", "at most one 'read' node"),
        ((), "out", "at least 1 item"),
    ],
)
def test_a_malformed_graph_is_refused(nodes: tuple[Node, ...], output: str, claim: str) -> None:
    with pytest.raises(ValueError, match=claim):
        BlueprintGraph(nodes=nodes, output=output)


@pytest.mark.parametrize(
    ("arguments", "claim"),
    [
        ({"op": Op.ADD, "inputs": ("read",)}, "takes 2 to 2 inputs but got 1"),
        ({"op": Op.LINEAR, "inputs": ("read",)}, "see 'out'"),
        ({"op": Op.RELU, "inputs": ("read",), "attributes": (("slope", 0.1),)}, "see 'slope'"),
        ({"op": Op.SCALE, "inputs": ("read",), "attributes": (("factor", float("nan")),)}, "finite"),
        ({"op": Op.SCALE, "inputs": ("read",), "attributes": (("factor", 10**400),)}, "fit into 64 bits"),
        ({"op": Op.RESHAPE, "inputs": ("read",), "attributes": (("shape", (2, 1 << 63)),)}, "fit into 64 bits"),
        ({"op": Op.LINEAR, "inputs": ("r",), "attributes": (("out", 2), ("bias", False))}, "sorted and unique"),
        ({"op": Op.LINEAR, "inputs": ("r",), "attributes": (("bias", True), ("out", 2))}, "is the default"),
    ],
)
def test_a_malformed_node_is_refused(arguments: dict[str, object], claim: str) -> None:
    with pytest.raises(ValueError, match=re.escape(claim)):
        Node(name="n", **arguments)  # type: ignore[arg-type]


def test_a_long_chain_does_not_exhaust_the_stack() -> None:
    chain = [READ, *(node(f"n{step}", Op.RELU, f"n{step - 1}" if step else "read") for step in range(255))]
    assert len(BlueprintGraph(nodes=tuple(reversed(chain)), output="n254").ordered) == 256


def test_pruning_leaves_what_reaches_the_output() -> None:
    idle = node("idle", Op.RELU, "up")
    assert prune((idle, OUT, BENT, UP, READ), "out") == MLP.ordered


def test_a_copy_forgets_what_the_original_had_cached() -> None:
    assert MLP.canonical
    changed = MLP.model_copy(update={"combine": Combine.BLEND})
    assert json.loads(changed.canonical)["combine"] == "BLEND"


def test_a_copy_is_checked_like_any_graph() -> None:
    with pytest.raises(ValueError, match="not a node"):
        MLP.model_copy(update={"output": "nowhere"})


@pytest.mark.parametrize(
    ("risk", "level"),
    [
        (0.0, ConfidenceLevel.HIGH),
        (0.0999, ConfidenceLevel.HIGH),
        (0.1, ConfidenceLevel.MODERATE),
        (0.3999, ConfidenceLevel.MODERATE),
        (0.4, ConfidenceLevel.SPECULATIVE),
        (float("nan"), ConfidenceLevel.SPECULATIVE),
    ],
)
def test_confidence_follows_risk(risk: float, level: ConfidenceLevel) -> None:
    assert ConfidenceLevel.of_risk(risk) is level


def test_metadata_survives_json() -> None:
    metadata = BlueprintMetadata(name="residual_mlp")
    assert BlueprintMetadata.model_validate_json(metadata.model_dump_json()) == metadata


@pytest.mark.parametrize("kind", [KarnMetadata, TamiyoMetadata, UrabraskMetadata, UrzaMetadata, BlueprintEstimates])
@pytest.mark.parametrize("claim", [math.inf, -math.inf, math.nan])
def test_no_number_that_is_claimed_of_a_blueprint_is_infinite_or_none_at_all(kind: type[Value], claim: float) -> None:
    numbers = [name for name, field in kind.model_fields.items() if field.annotation is float]

    assert numbers
    for name in numbers:
        with pytest.raises(ValueError, match=rf"{name}\n  Input should be"):
            kind(**{name: claim})


def test_reading_blueprints_needs_no_heavy_library() -> None:
    code = "import sys, domain.urza.catalogue; sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'networkx')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
