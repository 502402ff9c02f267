"""Compiling blueprints: what shape inference promised is what torch builds, from the given generator alone."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from domain.blueprint import BlueprintGraph, Op, node
from domain.shapes import ShapeMismatch, infer_shapes, parameter_count
from domain.urza.catalogue import INITIAL, residual_mlp
from engine.trainers.live.compiler import CompiledBlueprint, compile_blueprint
from tests.support.graphs import disguises, graphs

torch.set_num_threads(1)

READ, CHUNK, BATCH = 6, 3, 5
SOME = graphs(read=READ, chunk=CHUNK)


def _compiled(graph: BlueprintGraph, key: int = 7, read: int = READ, chunk: int = CHUNK) -> CompiledBlueprint:
    return compile_blueprint(graph, read=read, chunk=chunk, generator=torch.Generator().manual_seed(key))


def _batch(key: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(key)
    return torch.randn(BATCH, READ, generator=generator), torch.randn(BATCH, CHUNK, generator=generator)


@settings(deadline=None)
@given(SOME)
def test_a_compiled_graph_keeps_the_promises_of_shape_inference(graph: BlueprintGraph) -> None:
    built = _compiled(graph)
    read, chunk = _batch()
    out = built(read, chunk)
    assert out.shape == (BATCH, CHUNK)
    assert torch.count_nonzero(out) == 0
    assert sum(parameter.numel() for parameter in built.parameters()) == parameter_count(graph, read=READ, chunk=CHUNK)
    assert built.latent(read, chunk).shape == (BATCH, built.latent_width)


@settings(deadline=None)
@given(SOME)
def test_every_node_has_the_inferred_shape(graph: BlueprintGraph) -> None:
    shapes = infer_shapes(graph, read=READ, chunk=CHUNK)
    read, chunk = _batch()
    for name, shape in shapes.items():
        seen = _compiled(graph.model_copy(update={"latent": name})).latent(read, chunk)
        assert seen.shape == (BATCH, int(torch.Size(shape).numel()))


@settings(deadline=None)
@given(st.data())
def test_graphs_of_one_id_compile_to_equal_bits(data: st.DataObject) -> None:
    graph = data.draw(SOME)
    one, other = _compiled(graph), _compiled(data.draw(disguises(graph)))
    assert list(one.state_dict()) == list(other.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    read, chunk = _batch()
    assert torch.equal(one.latent(read, chunk), other.latent(read, chunk))


@pytest.mark.parametrize(("graph", "name"), [(graph, metadata.name) for graph, metadata in INITIAL])
def test_compiling_leaves_the_global_random_state_alone(graph: BlueprintGraph, name: str) -> None:
    before = torch.get_rng_state()
    built = _compiled(graph)
    built(*_batch())
    assert torch.equal(torch.get_rng_state(), before), name


def test_another_generator_gives_other_weights() -> None:
    one, other = (_compiled(residual_mlp(4), key=key).state_dict()["n1_weight"] for key in (1, 2))
    assert not torch.equal(one, other)


def test_an_mlp_computes_what_is_written_by_hand() -> None:
    built = _compiled(residual_mlp(4))
    weights = dict(built.named_parameters())
    assert list(weights) == ["n1_weight", "n1_bias", "n3_weight", "n3_bias"]
    with torch.no_grad():
        weights["n3_weight"].fill_(0.5)
    read, chunk = _batch()
    hidden = functional.gelu(functional.linear(read, weights["n1_weight"], weights["n1_bias"]))
    assert torch.equal(built.latent(read, chunk), hidden)
    assert torch.equal(built(read, chunk), functional.linear(hidden, weights["n3_weight"], weights["n3_bias"]))


def test_a_deep_copy_is_independent_of_its_original() -> None:
    built = _compiled(residual_mlp(4))
    other = copy.deepcopy(built)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(1.0)
    assert torch.count_nonzero(built(*_batch())) == 0
    assert torch.count_nonzero(other(*_batch())) > 0


def test_a_loaded_state_is_what_runs() -> None:
    one, other = _compiled(residual_mlp(4), key=1), _compiled(residual_mlp(4), key=2)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.latent(*_batch()), other.latent(*_batch()))


def test_initial_weights_stay_within_the_bound_of_torchs_own_layers() -> None:
    weight = _compiled(residual_mlp(64), read=READ).state_dict()["n1_weight"]
    assert 0.9 * READ**-0.5 < float(weight.abs().max()) <= READ**-0.5


@pytest.mark.parametrize(("graph", "name"), [(graph, metadata.name) for graph, metadata in INITIAL])
def test_an_empty_batch_passes_through(graph: BlueprintGraph, name: str) -> None:
    out = _compiled(graph)(torch.zeros(0, READ), torch.zeros(0, CHUNK))
    assert out.shape == (0, CHUNK), name


def test_a_graph_that_does_not_fit_is_refused_before_anything_is_drawn() -> None:
    graph = next(graph for graph, metadata in INITIAL if metadata.name == "layer_norm")
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    with pytest.raises(ShapeMismatch, match="at least 2 units"):
        compile_blueprint(graph, read=4, chunk=1, generator=generator)
    assert torch.equal(generator.get_state(), before)


def test_a_depthwise_convolution_has_one_kernel_a_channel() -> None:
    nodes = (
        node("read", Op.READ),
        node("rows", Op.RESHAPE, "read", shape=(2, -1)),
        node("local", Op.CONVOLUTION_1D, "rows", out=4, kernel=3, depthwise=True),
        node("flat", Op.RESHAPE, "local", shape=(-1,)),
        node("out", Op.LINEAR, "flat", out="chunk", init="zero"),
    )
    graph = BlueprintGraph(nodes=nodes, output="out")
    built = _compiled(graph)
    assert built.state_dict()["n2_weight"].shape == (4, 1, 3)
    assert sum(parameter.numel() for parameter in built.parameters()) == parameter_count(graph, read=READ, chunk=CHUNK)
    read, chunk = _batch()
    weight, bias = built.state_dict()["n2_weight"], built.state_dict()["n2_bias"]
    by_hand = functional.conv1d(read.reshape(BATCH, 2, 3), weight, bias, padding=1, groups=2)
    assert torch.equal(built.latent(read, chunk), by_hand.flatten(1))
