"""KasminaLayer: identity until something lives in it, chunk-wise writing, and columns in step with the run's state."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from domain.commands import Reads
from domain.header import LayerLayout
from domain.identifiers import AdaptationId, SeedId
from domain.lifecycle import Stage
from domain.settings import TaskSettings
from domain.urza.catalogue import registrations, soft_clamp
from engine.trainers.live.grafts import Graft, generator, linear
from engine.trainers.live.kasmina import STAGES, KasminaLayer
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import MemoryStore
from scenarios.tasks import spirals
from tests.support.live_runs import HandRun, header

torch.set_num_threads(1)
LAYOUT = LayerLayout(layer=0, inputs=3, outputs=7, seeds=3)
MLP = next(entry for entry in registrations() if entry.metadata.name == "residual_mlp")


def _layer() -> KasminaLayer:
    return KasminaLayer(nn.Sequential(linear(3, 7, generator(1, "test")), nn.ReLU()), LAYOUT)


def _graft(index: int, reads: Reads = Reads.BOTH, *, alpha: float = 1.0, weight: float | None = 0.1) -> Graft:
    adaptation = AdaptationId(seed=SeedId(layer=0, index=index), attempt=1)
    graft = Graft(adaptation, MLP.blueprint_id, MLP.graph, reads, LAYOUT, 1)
    graft.stage, graft.alpha = Stage.GRAFTING, alpha
    if weight is not None:
        with torch.no_grad():
            for parameter in graft.parameters:
                parameter.fill_(weight)
    return graft


def _batch() -> torch.Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(3))


def test_a_dormant_layer_gives_the_hosts_own_tensor() -> None:
    layer = _layer()
    given: list[torch.Tensor] = []
    layer.host.register_forward_hook(lambda module, inputs, output: given.append(output))

    assert layer(_batch()) is given[0]


@pytest.mark.parametrize("reads", list(Reads))
def test_a_fresh_blueprint_is_the_identity_to_the_last_bit(reads: Reads) -> None:
    layer = _layer()
    before = layer(_batch())
    layer.grafts[1] = _graft(1, reads, weight=None)
    layer.arrange()

    assert torch.equal(layer(_batch()), before)


@pytest.mark.parametrize("reads", list(Reads))
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_blueprint_writes_its_own_chunk_and_nothing_else(index: int, reads: Reads) -> None:
    layer, inputs = _layer(), _batch()
    host = layer(inputs)
    layer.grafts[index] = graft = _graft(index, reads, alpha=0.25)
    layer.arrange()
    given = layer(inputs)
    start, stop = LAYOUT.chunk(index)
    read = {
        Reads.CHUNK: host[:, start:stop],
        Reads.LAYER: host,
        Reads.INPUT: inputs,
        Reads.BOTH: torch.cat((inputs, host), dim=1),
    }[reads]
    expected = host.clone()
    expected[:, start:stop] = host[:, start:stop] + 0.25 * graft.module(read, host[:, start:stop])

    assert torch.equal(given, expected)
    assert not torch.equal(given, host)


def test_two_blueprints_in_a_layer_both_read_what_the_host_gave() -> None:
    layer, inputs = _layer(), _batch()
    parts = []
    for index in (0, 2):
        layer.grafts = {index: _graft(index, Reads.LAYER)}
        layer.arrange()
        parts.append(layer(inputs)[:, slice(*LAYOUT.chunk(index))])
    layer.grafts = {2: _graft(2, Reads.LAYER), 0: _graft(0, Reads.LAYER)}
    layer.arrange()
    both = layer(inputs)

    assert torch.equal(both[:, slice(*LAYOUT.chunk(0))], parts[0])
    assert torch.equal(both[:, slice(*LAYOUT.chunk(2))], parts[1])


def test_a_blending_blueprint_replaces_its_chunk_at_full_alpha() -> None:
    layer, inputs = _layer(), _batch()
    host = layer(inputs)
    graft = Graft(
        AdaptationId(seed=SeedId(layer=0, index=0), attempt=1),
        MLP.blueprint_id,
        soft_clamp(0.5),
        Reads.CHUNK,
        LAYOUT,
        1,
    )
    layer.grafts[0] = graft
    graft.stage = Stage.ACTIVE
    chunk = host[:, slice(*LAYOUT.chunk(0))]
    clamped = 0.5 * torch.tanh(chunk / 0.5)
    for alpha in (1.0, 0.3):
        graft.alpha = alpha
        layer.arrange()
        written = layer(inputs)[:, slice(*LAYOUT.chunk(0))]
        torch.testing.assert_close(written, (1 - alpha) * chunk + alpha * clamped)


@pytest.mark.parametrize("stage", [Stage.LOADING, Stage.TRAINING])
def test_a_blueprint_that_is_not_grafted_yet_stays_out_of_the_forward_pass(stage: Stage) -> None:
    layer = _layer()
    layer.grafts[0] = graft = _graft(0)
    graft.stage = stage
    layer.arrange()

    assert layer.is_idle
    assert torch.equal(layer(_batch()), _layer()(_batch()))


def test_an_alpha_of_zero_keeps_even_infinities_out() -> None:
    layer = _layer()
    layer.grafts[0] = _graft(0, alpha=0.0, weight=float("inf"))
    layer.arrange()

    assert torch.equal(layer(_batch()), _layer()(_batch()))


def test_an_unbroken_layer_never_sees_a_broken_blueprint() -> None:
    layer, inputs = _layer(), _batch()
    before = layer(inputs)
    layer.grafts[0] = graft = _graft(0, weight=float("nan"))
    layer.grafts[1] = _graft(1)
    layer.arrange()
    given = layer(inputs)

    assert torch.equal(given[:, slice(*LAYOUT.chunk(0))], before[:, slice(*LAYOUT.chunk(0))])
    assert not torch.equal(given[:, slice(*LAYOUT.chunk(1))], before[:, slice(*LAYOUT.chunk(1))])
    assert graft.faults.total == 1


def test_the_columns_follow_the_state() -> None:
    task = TaskSettings(name="spirals", samples=120)
    run = HandRun(LiveTrainer(spirals.load, MemoryStore()), header(task, 2))
    seed = SeedId(layer=0, index=1)
    run.train(2)
    run.germinate(seed, "residual_mlp")
    run.train(3)
    run.move(seed, Stage.GRAFTING)
    run.blend(seed, 0.4)
    columns = run.trainer.network.layers[0].columns

    assert [STAGES[code] for code in columns.lifecycle_state] == [Stage.DORMANT, Stage.GRAFTING]
    assert columns.blueprint_id.tolist() == [0, run.state.library.by_name("residual_mlp").number]
    assert columns.epochs_in_state.tolist() == [5, 0]
    assert columns.grafting_strategy.tolist() == [-1, 0]
    assert columns.alpha.tolist() == [0.0, 0.4]
    run.move(seed, Stage.DORMANT)
    assert columns.blueprint_id.tolist() == [0, 0]


def test_a_layers_host_can_be_any_module_with_a_row_a_unit() -> None:
    layer = copy.deepcopy(_layer())
    assert layer(_batch()).shape == (5, 7)
