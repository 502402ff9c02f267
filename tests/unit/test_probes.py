"""Health reports: the columns are what their definitions say, computed the slow way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from domain.header import LayerLayout
from domain.settings import TrainingSettings
from engine.trainers.live.grafts import generator, linear
from engine.trainers.live.kasmina import KasminaLayer
from engine.trainers.live.optimizer import DynamicOptimizer
from engine.trainers.live.probes import ACTIVATIONS_MAX, PERIOD, LayerProbe

torch.set_num_threads(1)
SAMPLES = 90


def _measured(
    outputs: int, seeds: int, *, steps: int = 3
) -> tuple[LayerProbe, np.ndarray, LayerLayout, DynamicOptimizer, nn.Parameter]:
    layout = LayerLayout(layer=0, inputs=5, outputs=outputs, seeds=seeds)
    layer = KasminaLayer(nn.Sequential(linear(5, outputs, generator(1, "test")), nn.ReLU()), layout)
    probe = LayerProbe(layer)
    optimizer = DynamicOptimizer(TrainingSettings(epochs=1), dict(layer.named_parameters()))
    inputs = torch.randn(SAMPLES, 5, generator=torch.Generator().manual_seed(4))
    for _ in range(steps):
        optimizer.clear()
        layer(inputs).square().mean().backward()
        optimizer.step()
    activations = layer(inputs).detach()
    activations[:, 0] = 0.0
    probe.measure(activations, optimizer)
    weight = next(parameter for name, parameter in layer.named_parameters() if name.endswith("weight"))
    return probe, activations.double().numpy(), layout, optimizer, weight


@pytest.mark.parametrize(("outputs", "seeds"), [(8, 2), (7, 3), (3, 3), (6, 1)])
def test_activity_is_what_its_definitions_say(outputs: int, seeds: int) -> None:
    probe, activations, layout, _, _ = _measured(outputs, seeds)
    columns = probe.columns()
    for index in range(seeds):
        start, stop = layout.chunk(index)
        chunk = activations[:, start:stop]
        assert columns["chunk_variance"][index] == pytest.approx(chunk.var(axis=0).mean(), rel=1e-4)
        assert columns["dead_node_ratio"][index] == pytest.approx((np.abs(chunk) < 1e-6).all(axis=0).mean())
        assert columns["activation_sparsity"][index] == pytest.approx((np.abs(chunk) < 1e-6).mean(), abs=1e-6)
        with np.errstate(invalid="ignore"):
            matrix = np.nan_to_num(np.abs(np.corrcoef(chunk.T).reshape(stop - start, stop - start)))
        pairs = matrix[~np.eye(stop - start, dtype=bool)]
        expected = pairs.mean() if len(pairs) else 0.0
        assert columns["avg_inter_node_correlation"][index] == pytest.approx(expected, abs=1e-4)


def test_gradients_are_read_from_the_optimizers_moments() -> None:
    probe, _, layout, optimizer, weight = _measured(8, 2)
    columns = probe.columns()
    moments = optimizer.moments(weight)
    assert moments is not None
    m = moments[0].double().numpy() / (1 - 0.9**3)
    v = moments[1].double().numpy() / (1 - 0.999**3)
    for index in range(2):
        rows = slice(*layout.chunk(index))
        assert columns["gradient_norm"][index] == pytest.approx(np.sqrt(v[rows].sum()), rel=1e-4)
        assert columns["gradient_variance"][index] == pytest.approx((v[rows] - m[rows] ** 2).mean(), rel=1e-2)
        with np.errstate(invalid="ignore"):
            signs = np.nan_to_num(np.abs(m[rows]) / np.sqrt(v[rows]))
        assert columns["gradient_sign_stability"][index] == pytest.approx(signs.mean(), rel=1e-3)


def test_a_steady_gradient_has_full_sign_stability_and_no_variance() -> None:
    layout = LayerLayout(layer=0, inputs=2, outputs=2, seeds=1)
    layer = KasminaLayer(nn.Sequential(linear(2, 2, generator(1, "test"))), layout)
    optimizer = DynamicOptimizer(TrainingSettings(epochs=1), dict(layer.named_parameters()))
    for _ in range(50):
        optimizer.clear()
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    probe = LayerProbe(layer)
    probe.measure(torch.ones(4, 2), optimizer)

    assert_allclose(probe.columns()["gradient_sign_stability"].values, 1.0, rtol=1e-4)
    assert_allclose(probe.columns()["gradient_variance"].values, 0.0, atol=1e-4)
    assert_allclose(probe.columns()["gradient_norm"].values, 2.0, rtol=1e-4)


def test_gradients_are_undefined_before_the_first_step_and_unmoved_weights_have_ratio_one() -> None:
    columns = _measured(8, 2, steps=0)[0].columns()
    assert np.isnan(columns["gradient_norm"].values).all()
    assert columns["param_norm_ratio"].values.tolist() == [1.0, 1.0]


def test_a_wide_layer_is_sampled_and_a_narrow_one_is_not() -> None:
    assert ACTIVATIONS_MAX // 256 == 64
    assert ACTIVATIONS_MAX // 8 >= SAMPLES


def test_a_layer_is_measured_at_once_and_then_in_its_turn() -> None:
    layout = LayerLayout(layer=2, inputs=2, outputs=2, seeds=1)
    layer = KasminaLayer(nn.Sequential(linear(2, 2, generator(1, "test"))), layout)
    probe = LayerProbe(layer)
    assert probe.is_due(1)
    probe.measure(torch.ones(4, 2), DynamicOptimizer(TrainingSettings(epochs=1), dict(layer.named_parameters())))

    assert [epoch for epoch in range(1, 3 * PERIOD) if probe.is_due(epoch)] == [2, 2 + PERIOD, 2 + 2 * PERIOD]


def test_a_host_layer_without_rows_is_refused() -> None:
    layout = LayerLayout(layer=0, inputs=2, outputs=2, seeds=1)
    with pytest.raises(ValueError, match="no weight with a row"):
        LayerProbe(KasminaLayer(nn.ReLU(), layout))
