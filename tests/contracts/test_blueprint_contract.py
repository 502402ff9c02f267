"""What every blueprint of the catalogue must do in every slot it fits: build, start as the identity, train."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from domain.blueprint import BlueprintGraph, Combine
from domain.shapes import ShapeMismatch, fits, infer_shapes, is_trainable
from domain.urza.source_catalogue import LIBRARIES
from engine.trainers.live.compiler import CompiledBlueprint, compile_blueprint

torch.set_num_threads(1)

CATALOGUE = LIBRARIES["catalogue"]
ENTRIES = [pytest.param(graph, id=metadata.name) for graph, metadata in CATALOGUE]
TRAINABLE = [pytest.param(graph, id=metadata.name) for graph, metadata in CATALOGUE if is_trainable(graph)]

FIXED = [pytest.param(graph, id=metadata.name) for graph, metadata in CATALOGUE if not is_trainable(graph)]

CHUNKS = (1, 2, 3, 4, 8, 16)
INPUTS = 5
BATCH = 64


def _reads(chunk: int) -> tuple[int, ...]:
    """Widths read by CHUNK, LAYER, INPUT and BOTH in a layer of two chunks with five inputs."""
    return chunk, 2 * chunk, INPUTS, INPUTS + 2 * chunk


SLOTS = [(read, chunk) for chunk in CHUNKS for read in _reads(chunk)]


def _built(graph: BlueprintGraph, read: int, chunk: int) -> CompiledBlueprint:
    return compile_blueprint(graph, read=read, chunk=chunk, generator=torch.Generator().manual_seed(11))


def _batch(read: int, chunk: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is read, the chunk (a ReLU's output, as in a host) and a target that needs a bend."""
    generator = torch.Generator().manual_seed(13)
    seen = torch.randn(BATCH, read, generator=generator)
    own = torch.relu(torch.randn(BATCH, chunk, generator=generator))
    target = 0.5 * own + torch.tanh(seen[:, :1])
    return seen, own, target


@pytest.mark.parametrize("graph", ENTRIES)
def test_it_builds_in_every_slot_or_is_refused_with_a_reason(graph: BlueprintGraph) -> None:
    for read, chunk in SLOTS:
        if fits(graph, read=read, chunk=chunk):
            seen, own, _ = _batch(read, chunk)
            out = _built(graph, read, chunk)(seen, own)
            assert out.shape == (BATCH, chunk)
            assert torch.isfinite(out).all()
        else:
            with pytest.raises(ShapeMismatch, match=r"node '.+' needs .+ but got .+; choose another"):
                infer_shapes(graph, read=read, chunk=chunk)


@pytest.mark.parametrize("graph", ENTRIES)
def test_it_fits_every_slot_of_two_units_or_more(graph: BlueprintGraph) -> None:
    assert all(fits(graph, read=read, chunk=chunk) for read, chunk in SLOTS if chunk > 1)


@pytest.mark.parametrize("graph", TRAINABLE)
def test_it_starts_as_the_identity_bit_for_bit(graph: BlueprintGraph) -> None:
    assert graph.combine is Combine.ADD
    for (read, chunk), alpha in product(SLOTS, (0.2, 1.0)):
        if fits(graph, read=read, chunk=chunk):
            seen, own, _ = _batch(read, chunk)
            assert torch.equal(own + alpha * _built(graph, read, chunk)(seen, own), own)


@pytest.mark.parametrize("graph", TRAINABLE)
def test_gradient_reaches_every_parameter_within_three_steps(graph: BlueprintGraph) -> None:
    for read, chunk in SLOTS:
        if not fits(graph, read=read, chunk=chunk):
            continue
        seen, own, target = _batch(read, chunk)
        built = _built(graph, read, chunk)
        optimizer = torch.optim.SGD(built.parameters(), lr=0.1)
        reached = dict.fromkeys(dict(built.named_parameters()), False)
        for _ in range(3):
            optimizer.zero_grad()
            (own + built(seen, own) - target).square().mean().backward()
            for name, parameter in built.named_parameters():
                assert parameter.grad is not None, f"{name} is not part of the output"
                reached[name] |= bool(parameter.grad.abs().max() > 0)
            optimizer.step()
        assert all(reached.values()), (read, chunk, reached)


@pytest.mark.parametrize("graph", TRAINABLE)
def test_it_reduces_a_small_regression_loss(graph: BlueprintGraph) -> None:
    read, chunk = 9, 2
    seen, own, target = _batch(read, chunk)
    built = _built(graph, read, chunk)
    optimizer = torch.optim.Adam(built.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (own + built(seen, own) - target).square().mean()
        loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("graph", TRAINABLE)
def test_its_latent_can_be_decoded_in_isolated_training(graph: BlueprintGraph) -> None:
    seen, own, _ = _batch(9, 2)
    built = _built(graph, 9, 2)
    latent = built.latent(seen, own)
    assert latent.shape == (BATCH, built.latent_width)
    assert torch.isfinite(latent).all()


@pytest.mark.parametrize("graph", FIXED)
def test_a_fixed_function_has_no_parameters_and_keeps_bounded_chunks_bounded(graph: BlueprintGraph) -> None:
    seen, own, _ = _batch(9, 2)
    built = _built(graph, 9, 2)
    assert list(built.parameters()) == []
    assert float(built(seen, 1e6 * own).abs().max()) < 10 or graph.combine is Combine.ADD
