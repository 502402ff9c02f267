"""What the live trainer draws: the order of the data, what dropout silences, and nothing from torch's own generator."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Stage
from domain.settings import TrainingSettings
from engine.randomness import stream
from engine.trainers.live.dropout import Dropout
from engine.trainers.live.order import Samples, stretches
from tests.support.live_runs import SEED, HandRun, grown_run, spiral_run, weights_of

torch.set_num_threads(1)
NO_RATE = 1e-30
"""A learning rate that changes no float32 of a weight."""


# Order


def _batches(epoch: int, samples: int, size: int, batches: int | None, key: int = 1) -> list[list[int]]:
    """Which samples each batch of an epoch holds."""
    numbers = torch.arange(samples)
    training = TrainingSettings(epochs=1, batch_size=size, batches_per_epoch=batches)
    return [labels.tolist() for _, labels in Samples(numbers[:, None].float(), numbers).batches(epoch, key, training)]


def _passes(count: int, samples: int, size: int, key: int = 1) -> list[list[int]]:
    """The batches of the first passes, in a row."""
    orders = (stream(key, "tolaria/order", number).permutation(samples).tolist() for number in range(1, count + 1))
    return [order[start : start + size] for order in orders for start in range(0, samples, size)]


def test_an_epoch_is_a_pass_if_nothing_is_set() -> None:
    for epoch in (1, 2, 9):
        assert _batches(epoch, 10, 4, None) == _passes(epoch, 10, 4)[-3:]
        assert _batches(epoch, 10, 4, 3) == _batches(epoch, 10, 4, None)


@given(samples=st.integers(1, 20), size=st.integers(1, 25), batches=st.integers(1, 9), epochs=st.integers(1, 6))
def test_epochs_cut_an_endless_row_of_passes(samples: int, size: int, batches: int, epochs: int) -> None:
    cut = list(chain.from_iterable(_batches(epoch, samples, size, batches) for epoch in range(1, epochs + 1)))
    assert cut == _passes(batches * epochs, samples, size)[: batches * epochs]


def test_an_epoch_can_span_passes_and_their_short_last_batches_stay_short() -> None:
    training = TrainingSettings(epochs=1, batch_size=4, batches_per_epoch=5)
    found = [(part.number, part.start, part.stop) for part in stretches(2, 10, training)]
    assert found == [(2, 8, 10), (3, 0, 10), (4, 0, 4)]
    assert [len(batch) for batch in _batches(2, 10, 4, 5)] == [2, 4, 4, 2, 4]


def test_another_key_goes_on_at_the_same_place_of_its_own_order() -> None:
    assert _batches(4, 10, 4, 2, key=5) == _passes(3, 10, 4, key=5)[6:8]
    assert _batches(4, 10, 4, 2, key=5) != _batches(4, 10, 4, 2, key=1)


def test_training_loss_is_over_the_samples_seen() -> None:
    whole, cut = (spiral_run(learning_rate=NO_RATE, batches_per_epoch=batches) for batches in (None, 1))
    parts = [cut.train().metrics for _ in range(3)]
    total = whole.train().metrics
    sizes = (32, 32, 16)

    for name in ("train_loss", "train_accuracy"):
        seen = sum(getattr(part, name) * size for part, size in zip(parts, sizes, strict=True)) / sum(sizes)
        assert seen == pytest.approx(getattr(total, name), abs=1e-6)


# Dropout


def test_dropout_silences_its_share_and_keeps_the_mean() -> None:
    units = torch.ones(2000, 50)
    left = Dropout(0.3, 1, 1)(units)

    assert sorted(set(left.flatten().tolist())) == [0.0, pytest.approx(1 / 0.7)]
    assert float((left == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(left.mean()) == pytest.approx(1.0, abs=0.01)


def test_every_batch_epoch_and_key_silences_other_units_and_a_stream_repeats_itself() -> None:
    units = torch.ones(8, 8)
    drawn = Dropout(0.5, 1, 3)
    found = [drawn(units), drawn(units), Dropout(0.5, 1, 4)(units), Dropout(0.5, 2, 3)(units)]

    assert torch.equal(found[0], Dropout(0.5, 1, 3)(units))
    assert not any(torch.equal(found[0], other) for other in found[1:])


def _loss(run: HandRun) -> tuple[float, float]:
    metrics = run.train().metrics
    return metrics.train_loss, metrics.validation_loss


def test_dropout_acts_in_training_and_never_in_validation_telemetry_or_scoring() -> None:
    plain, dropped = (spiral_run(learning_rate=NO_RATE, hidden=(6, 5), dropout=share) for share in (0.0, 0.5))
    for epoch in (1, 2):
        one, other = plain.train(), dropped.train()
        assert one.metrics.train_loss != other.metrics.train_loss
        assert one.metrics.validation_loss == other.metrics.validation_loss
        for reports in zip(one.reports, other.reports, strict=True):
            assert reports[0].chunk_variance == reports[1].chunk_variance
        assert plain.trainer.score(Epoch(epoch), "ending") == dropped.trainer.score(Epoch(epoch), "ending")


def test_dropout_stays_on_while_a_trial_holds_everything_still() -> None:
    run = grown_run(Stage.EVALUATING, dropout=0.5)
    before = weights_of(run)
    assert not run.trainer.network.learns
    (first, validation), (second, again) = _loss(run), _loss(run)

    assert first != second, "the order changes a sum's last bits alone"
    assert abs(first - second) > 1e-4
    assert validation == again
    assert all(torch.equal(value, before[name]) for name, value in weights_of(run).items())


def test_a_silenced_unit_is_silent_whatever_a_blueprint_writes_and_who_learns_alone_does_not_see_it() -> None:
    run = grown_run(Stage.ACTIVE)
    (layer,) = run.trainer.network.layers
    shown: list[Tensor] = []
    inputs = torch.rand(4, 2, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        grafted = layer(inputs)
        layer.arrange(lambda *seen: shown.extend(seen), torch.zeros_like)
        assert torch.count_nonzero(layer(inputs)) == 0

    assert torch.equal(shown[1], layer.host(inputs))
    assert torch.equal(shown[2], grafted)
    assert not torch.equal(shown[1], shown[2])


def test_what_is_silenced_does_not_hang_on_what_grows() -> None:
    bare, grown = spiral_run(dropout=0.4, learning_rate=NO_RATE), grown_run(
        Stage.GRAFTING, alpha=0.0, dropout=0.4, learning_rate=NO_RATE
    )  # fmt: skip
    bare.train(4)
    assert bare.train().metrics == grown.train().metrics


def test_without_dropout_no_layer_is_even_asked() -> None:
    run = spiral_run()
    run.train()
    asked: list[Tensor] = []
    (layer,) = run.trainer.network.layers
    layer.register_forward_pre_hook(lambda module, given: asked.append(given[0]))
    run.train()
    assert len(asked) <= 1, "the probe's validation pass at most"


# Torch's own generator


def _whole_life(**settings: Any) -> str:
    """Planting, isolated training, a trial, a second seed, a checkpoint and a score; the weights in the end."""
    run = grown_run(Stage.FINE_TUNING, **settings)
    run.germinate(other := SeedId(layer=0, index=1), "glu")
    run.train()
    run.move(SEED, Stage.ACTIVE)
    run.move(other, Stage.TRAINING)
    run.train(2)
    run.trainer.restore(run.trainer.checkpoint(Epoch(run.state.epoch), "").checkpoint, run.state)
    run.train()
    run.trainer.score(Epoch(run.state.epoch), "ending")
    return run.trainer.network.digest()


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.3, "batches_per_epoch": 2}])
def test_nothing_touches_torchs_generator_or_hangs_on_it(settings: dict[str, Any]) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = _whole_life(**settings)
    assert torch.equal(torch.get_rng_state(), before)

    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 - that global state does not matter is the claim
    assert _whole_life(**settings) == one
