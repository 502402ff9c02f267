"""What goes wrong in the live trainer: faults of blueprints, losses that diverge, rollbacks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from domain.commands import Reads
from domain.events import CheckpointSaved, RollbackOrdered, RollbackSource
from domain.faults import FaultKind
from domain.identifiers import BlueprintId, Epoch, SeedId
from domain.lifecycle import Stage
from domain.urza.catalogue import registrations
from engine.trainers.data import Part, TaskData
from engine.trainers.live.faults import FaultTally
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.live.watchdog import HISTORY_MIN, Watchdog
from engine.trainers.stores import MemoryStore
from engine.trainers.trainer import CheckpointMissing
from tests.support.live_runs import SEED, TASK, HandRun, differ, grown_run, header, spiral_run, weights_of

torch.set_num_threads(1)
OTHER = SeedId(layer=0, index=1)
MLP = next(entry for entry in registrations() if entry.metadata.name == "residual_mlp")


# Faults


def test_a_blueprint_that_gives_nan_falls_back_to_the_identity_and_is_counted() -> None:
    run = grown_run(Stage.FINE_TUNING)
    with torch.no_grad():
        run.trainer.network.layers[0].grafts[0].parameters[-1].fill_(math.nan)
    trained = run.train()

    assert math.isfinite(trained.metrics.validation_loss)
    assert [(fault.seed, fault.kind) for fault in trained.faults] == [(SEED, FaultKind.NON_FINITE)]
    assert trained.faults[0].count == 4
    assert trained.reports[0].error_counts == (4, 0)
    assert run.state.seed(SEED).faults == 4


def test_an_exploding_gradient_costs_the_blueprint_its_step_and_nobody_else() -> None:
    run = grown_run(Stage.ACTIVE)
    with torch.no_grad():
        for parameter in run.trainer.network.layers[0].grafts[0].parameters:
            parameter.normal_(std=1e5, generator=torch.Generator().manual_seed(5))
    before = weights_of(run)
    trained = run.train()
    after = weights_of(run)

    assert [fault.kind for fault in trained.faults] == [FaultKind.EXPLODING_GRADIENT]
    assert not differ(before, after, "graft")
    assert differ(before, after, "host")


def test_faults_in_a_row_are_counted_apart_from_those_that_held_between() -> None:
    tally = FaultTally()
    for failed in (True, True, False, True):
        if failed:
            tally.failed(FaultKind.NON_FINITE, "first" if tally.total == 0 else "later")
        else:
            tally.held(FaultKind.NON_FINITE)
    (event,) = tally.events(3, SEED)

    assert (event.count, event.detail, tally.total) == (2, "first", 3)


@pytest.mark.parametrize("name", ["layer_norm", "unit_rms"])
def test_a_blueprint_that_does_not_fit_is_a_fault_of_the_next_epoch(name: str) -> None:
    run = spiral_run(hidden=(2,))
    run.train()
    run.germinate(SEED, name, Reads.CHUNK)
    for count in (1, 2, 3):
        trained = run.train()
        assert [fault.kind for fault in trained.faults] == [FaultKind.SHAPE]
        assert trained.reports[0].error_counts == (1, 0)
        assert run.state.seed(SEED).faults == count


def test_a_blueprint_that_the_library_does_not_hold_fails_to_load() -> None:
    run = spiral_run()
    run.train()
    run.germinate(SEED, "residual_mlp")
    seed = run.state.seed(SEED)
    assert seed.adaptation is not None
    lost = replace(seed, adaptation=replace(seed.adaptation, blueprint_id=BlueprintId("00" * 32)))
    run.state = replace(run.state, seeds={SEED: lost})
    trained = run.train()
    assert [fault.kind for fault in trained.faults] == [FaultKind.LOAD_FAILURE]


# The watchdog


def _data(value: float) -> TaskData:
    part = Part(inputs=np.full((8, 2), value, np.float32), labels=np.arange(8, dtype=np.int64) % 2)
    return TaskData(train=part, validation=part, test=part, classes=2)


def test_a_loss_that_is_not_finite_panics_at_once() -> None:
    run = HandRun(LiveTrainer(_data(1.0), MemoryStore()), header(TASK, 2, hidden=(6,)))
    with torch.no_grad():
        run.trainer.network.host["host/1.bias"][0] = math.inf
    trained = run.trainer.train(Epoch(1), run.state)
    assert trained.panic is not None
    assert "training loss of epoch 1 is" in trained.panic


def test_divergence_needs_three_losses_in_a_row_far_above_the_mean() -> None:
    dog = Watchdog()
    for epoch in range(HISTORY_MIN):
        dog, panic = dog.after(epoch, 0.5 + 0.01 * (epoch % 2))
        assert panic is None
    for loss, expected in [(20.0, False), (20.0, False), (0.5, False), (20.0, False), (30.0, False), (40.0, True)]:
        dog, panic = dog.after(99, loss)
        assert (panic is not None) == expected
    assert len(dog.history) == HISTORY_MIN + 1


def test_a_run_that_diverges_from_its_start_panics_at_the_third_loss_above_twelve() -> None:
    dog, panic = Watchdog().after(1, 11347.0)
    assert (dog.history, dog.anomalies, panic) == ((), 1, None)
    dog, panic = dog.after(2, 12.1)
    assert (dog.history, dog.anomalies, panic) == ((), 2, None)
    dog, panic = dog.after(3, 900.0)
    assert panic == (
        "the validation loss of epoch 3 is 900, the 3rd in a row far above the 12 nats allowed while fewer than 10 "
        "epochs were good: training diverged"
    )
    assert dog == Watchdog()


def test_a_young_run_may_start_high_if_it_comes_down_at_once() -> None:
    dog = Watchdog()
    for epoch, loss in enumerate((13.0, 13.0, 12.0, 13.0, 2.0), 1):
        dog, panic = dog.after(epoch, loss)
        assert panic is None
    assert dog == Watchdog((12.0, 2.0))


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_watchdog_never_forgives_a_loss_that_is_not_finite(loss: float) -> None:
    assert Watchdog().after(1, loss)[1] is not None


@pytest.mark.parametrize("loss", [11.9, 0.1])
def test_a_loss_under_twelve_is_no_divergence(loss: float) -> None:
    dog = Watchdog(tuple(0.1 for _ in range(HISTORY_MIN)))
    assert dog.after(1, loss)[0].anomalies == 0


# Rolling back


def _ordered(run: HandRun, saved: CheckpointSaved) -> RollbackOrdered:
    return RollbackOrdered(
        epoch=run.state.epoch,
        source=RollbackSource.TAMIYO,
        reason="by hand",
        culprit=SEED,
        checkpoint_epoch=saved.epoch,
        checkpoint=saved.checkpoint,
    )


def test_a_rollback_restores_the_host_and_drops_what_the_state_says_is_dormant() -> None:
    run = spiral_run()
    run.train(2)
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.GRAFTING)
    saved = run.trainer.checkpoint(Epoch(run.state.epoch), "memory")
    run.record(saved)
    before = weights_of(run)
    run.move(SEED, Stage.ACTIVE)
    run.train(3)
    assert differ(before, weights_of(run), "host")
    run.record(run.moved(SEED, Stage.DORMANT))
    run.act(_ordered(run, saved))

    assert list(run.trainer.network.grafts) == []
    assert not differ(
        {name: value for name, value in before.items() if name.startswith("host")}, weights_of(run), "host"
    )
    assert run.trainer.network.optimizer.manifest == ("host",)
    run.train()


def test_a_rollback_keeps_a_fossil_that_was_saved_and_refuses_one_that_was_not() -> None:
    run = grown_run(Stage.FOSSILIZED)
    saved = run.trainer.checkpoint(Epoch(run.state.epoch), "memory")
    run.record(saved)
    before = weights_of(run)
    run.train(2)
    run.act(_ordered(run, saved))
    assert [graft.name for graft in run.trainer.network.grafts] == ["0.0#1"]
    assert not differ(before, weights_of(run), "graft")

    run.germinate(OTHER, "glu")
    run.train()
    run.move(OTHER, Stage.GRAFTING)
    run.blend(OTHER, 1.0)
    run.train()
    run.move(OTHER, Stage.FOSSILIZED)
    with pytest.raises(AssertionError, match=r"fossil 0\.1#1 is younger"):
        run.act(_ordered(run, saved))


def test_a_rollback_to_a_checkpoint_that_is_gone_says_so() -> None:
    store = MemoryStore()
    run = spiral_run(store=store)
    run.train()
    saved = run.trainer.checkpoint(Epoch(1), "")
    store.release(saved.checkpoint)
    with pytest.raises(CheckpointMissing, match=saved.checkpoint):
        run.trainer.obey(Epoch(1), (_ordered(run, saved),), run.state)
