"""The live trainer: what learns in which stage, what a fault does, how it rolls back, and that it repeats itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from domain.catalogue import registrations
from domain.commands import Reads
from domain.events import CheckpointSaved, FaultKind, RollbackOrdered, RollbackSource
from domain.health import LayerHealthReport
from domain.identifiers import BlueprintId, Epoch, SeedId
from domain.lifecycle import Stage
from domain.settings import TaskSettings, TrainingSettings
from domain.shapes import parameter_count
from engine.trainers.data import Part, TaskData
from engine.trainers.live.checkpoints import MemoryStore
from engine.trainers.live.faults import FaultTally
from engine.trainers.live.fingerprint import fingerprint
from engine.trainers.live.optimizer import DynamicOptimizer
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.live.watchdog import HISTORY_MIN, Watchdog
from engine.trainers.trainer import CheckpointMissing
from scenarios.tasks import spirals
from tests.support.live_runs import HandRun, header

torch.set_num_threads(1)
SEED, OTHER = SeedId(layer=0, index=0), SeedId(layer=0, index=1)
TASK = TaskSettings(name="spirals", samples=160, noise=0.02)
MLP = next(entry for entry in registrations() if entry.metadata.name == "residual_mlp")


def _run(*, store: MemoryStore | None = None, hidden: tuple[int, ...] = (6,), **settings: Any) -> HandRun:
    trainer = LiveTrainer(spirals.load, MemoryStore() if store is None else store)
    return HandRun(trainer, header(TASK, 2, hidden=hidden, **{"batch_size": 32, **settings}))


def _grown(stage: Stage, *, alpha: float = 1.0, **settings: Any) -> HandRun:
    """A run with a residual MLP that has learnt a little and was put into ``stage``."""
    run = _run(**settings)
    run.train(2)
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.GRAFTING)
    run.blend(SEED, alpha)
    run.train()
    run.move(SEED, stage)
    return run


def _weights(run: HandRun) -> dict[str, Tensor]:
    return {
        name: value.clone() for name, value in run.trainer.network.tensors().items() if name[:4] in {"host", "graf"}
    }


def _moved(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    return any(not torch.equal(value, after[name]) for name, value in before.items() if name.startswith(prefix))


# Repeating itself


def test_two_runs_of_one_header_give_the_same_bits_and_another_key_gives_others() -> None:
    one, same = _run().train(3), _run().train(3)
    assert one.model_dump_json() == same.model_dump_json()
    assert one.weights_digest != _run(key=2).train(3).weights_digest


def test_scoring_the_test_set_leaves_no_trace() -> None:
    quiet, scored = _grown(Stage.FINE_TUNING), _grown(Stage.FINE_TUNING)
    found = scored.trainer.score(Epoch(4), "germination")

    assert 0.0 <= found.accuracy <= 1.0
    assert quiet.train().model_dump_json() == scored.train().model_dump_json()


def test_the_network_is_drawn_from_its_own_streams_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = _grown(Stage.TRAINING).train().weights_digest
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 - that global state does not matter is the claim
    assert _grown(Stage.TRAINING).train().weights_digest == one


def test_a_host_that_does_not_fit_its_data_is_refused() -> None:
    with pytest.raises(ValueError, match="expects 3 features but task spirals has 2"):
        LiveTrainer(spirals.load, MemoryStore()).plant(header(TASK, 3))


# Who learns when


@pytest.mark.parametrize(
    ("stage", "host", "blueprint"),
    [
        (Stage.TRAINING, True, True),
        (Stage.GRAFTING, False, True),
        (Stage.STABILIZATION, False, False),
        (Stage.EVALUATING, False, False),
        (Stage.FINE_TUNING, False, True),
        (Stage.ACTIVE, True, True),
        (Stage.FOSSILIZED, True, False),
    ],
)
def test_who_learns_in_which_stage(stage: Stage, host: bool, blueprint: bool) -> None:
    run = _grown(stage)
    before = _weights(run)
    run.train()
    after = _weights(run)

    assert _moved(before, after, "host") == host
    assert _moved(before, after, "graft") == blueprint


@pytest.mark.parametrize("stage", [Stage.GRAFTING, Stage.STABILIZATION, Stage.EVALUATING, Stage.FINE_TUNING])
def test_the_host_learns_through_a_trial_if_it_is_set_to(stage: Stage) -> None:
    run = _grown(stage, freeze_host_on_trial=False)
    before = _weights(run)
    run.train()
    assert _moved(before, _weights(run), "host")


def test_a_fossil_goes_on_learning_if_it_is_set_to() -> None:
    run = _grown(Stage.FOSSILIZED, freeze_fossilized=False)
    before = _weights(run)
    run.train()
    assert _moved(before, _weights(run), "graft")


def test_a_trial_holds_an_earlier_learning_fossil_still_with_the_host() -> None:
    run = _grown(Stage.FOSSILIZED, freeze_fossilized=False)
    run.germinate(OTHER, "residual_mlp")
    run.train()
    run.move(OTHER, Stage.GRAFTING)
    run.blend(OTHER, 0.5)
    before = _weights(run)
    run.train()
    after = _weights(run)

    assert not _moved(before, after, f"graft/{SEED}#1")
    assert not _moved(before, after, "host")
    assert _moved(before, after, f"graft/{OTHER}#1")


def test_isolated_training_leaves_the_host_bit_for_bit_alone() -> None:
    alone, beside = _run(), _run()
    for run in (alone, beside):
        run.train(2)
    beside.germinate(SEED, "residual_mlp")
    for run in (alone, beside):
        run.train()
    beside.move(SEED, Stage.TRAINING)
    for _ in range(4):
        plain, trained = alone.train(), beside.train()
        assert plain.metrics == trained.metrics
        weights = _weights(beside)
        assert not _moved(_weights(alone), weights, "host")
        gradients = [alone.trainer.network.host, beside.trainer.network.host]
        assert all(torch.equal(_grad(gradients[0][name]), _grad(gradients[1][name])) for name in gradients[0])


def _grad(parameter: torch.nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def test_isolated_training_learns_to_reconstruct_and_keeps_the_output_at_zero() -> None:
    run = _run()
    run.train(2)
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.TRAINING)
    losses = []
    for _ in range(6):
        progress = run.train().reports[0].progress_of(SEED.index)
        assert progress is not None
        assert progress.reconstruction_loss is not None
        losses.append(progress.reconstruction_loss)
    module = run.trainer.network.layers[0].grafts[0].module

    assert losses[-1] < losses[0] / 2
    assert losses[-1] < 0.5
    assert torch.count_nonzero(module(torch.randn(4, module.read), torch.randn(4, module.chunk))) == 0


def test_reconstruction_is_reported_in_training_alone() -> None:
    run = _grown(Stage.FINE_TUNING)
    progress = run.train().reports[0].progress_of(SEED.index)
    assert progress is not None
    assert progress.reconstruction_loss is None
    assert progress.gradient_norm > 0
    assert progress.weight_drift > 0
    assert progress.memory_mb > 0


def test_parameters_count_the_host_and_every_blueprint() -> None:
    run = _run()
    assert run.train().parameters == 2 * 6 + 6 + 6 * 2 + 2
    run.germinate(SEED, "residual_mlp")
    assert run.train().parameters == 32 + parameter_count(MLP.graph, read=8, chunk=3)


def test_a_simplified_seed_trains_at_once_with_the_host() -> None:
    run = _run()
    run.train()
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.ACTIVE)
    run.blend(SEED, 0.3)
    before = _weights(run)
    run.train()

    assert run.trainer.network.layers[0].grafts[0].alpha == 0.3
    assert _moved(before, _weights(run), "host")
    assert _moved(before, _weights(run), "graft")


# The optimizer


def test_the_optimizer_has_a_group_for_every_blueprint_that_trains_on_the_task() -> None:
    run = _run()
    optimizer = run.trainer.network.optimizer
    run.train()
    run.germinate(SEED, "residual_mlp")
    run.train()
    assert optimizer.manifest == ("host",)
    for stage, members in [
        (Stage.TRAINING, ("host",)),
        (Stage.GRAFTING, ("host", "0.0#1")),
        (Stage.STABILIZATION, ("host", "0.0#1")),
        (Stage.ACTIVE, ("host", "0.0#1")),
        (Stage.FOSSILIZED, ("host",)),
    ]:
        run.move(SEED, stage)
        assert optimizer.manifest == members, stage


def test_a_rebuild_keeps_the_moments_of_those_that_stay() -> None:
    host = {name: torch.nn.Parameter(torch.ones(2)) for name in ("a", "b")}
    guest = {"c": torch.nn.Parameter(torch.ones(2))}
    optimizer = DynamicOptimizer(TrainingSettings(epochs=1), host)
    for parameter in host.values():
        parameter.grad = torch.full((2,), 0.5)
    optimizer.step()
    kept = [moment.clone() for moment in (optimizer.moments(host["a"]) or ())[:2]]

    assert optimizer.rebuild([("guest", guest)])
    assert not optimizer.rebuild([("guest", guest)])
    moments = optimizer.moments(host["a"])
    assert moments is not None
    assert all(torch.equal(old, new) for old, new in zip(kept, moments[:2], strict=True))
    assert moments[2] == 1
    assert optimizer.moments(guest["c"]) is None


def test_a_cull_in_a_trial_gives_the_host_back_exactly() -> None:
    run = _grown(Stage.GRAFTING)
    before = _weights(run)
    run.train(2)
    run.move(SEED, Stage.DORMANT)

    assert list(run.trainer.network.grafts) == []
    assert not _moved({name: value for name, value in before.items() if name.startswith("host")}, _weights(run), "host")


# Faults


def test_a_blueprint_that_gives_nan_falls_back_to_the_identity_and_is_counted() -> None:
    run = _grown(Stage.FINE_TUNING)
    with torch.no_grad():
        run.trainer.network.layers[0].grafts[0].parameters[-1].fill_(math.nan)
    trained = run.train()

    assert math.isfinite(trained.metrics.validation_loss)
    assert [(fault.seed, fault.kind) for fault in trained.faults] == [(SEED, FaultKind.NON_FINITE)]
    assert trained.faults[0].count == 4
    assert trained.reports[0].error_counts == (4, 0)
    assert run.state.seed(SEED).faults == 4


def test_an_exploding_gradient_costs_the_blueprint_its_step_and_nobody_else() -> None:
    run = _grown(Stage.ACTIVE)
    with torch.no_grad():
        for parameter in run.trainer.network.layers[0].grafts[0].parameters:
            parameter.normal_(std=1e5, generator=torch.Generator().manual_seed(5))
    before = _weights(run)
    trained = run.train()
    after = _weights(run)

    assert [fault.kind for fault in trained.faults] == [FaultKind.EXPLODING_GRADIENT]
    assert not _moved(before, after, "graft")
    assert _moved(before, after, "host")


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
    run = _run(hidden=(2,))
    run.train()
    run.germinate(SEED, name, Reads.CHUNK)
    for count in (1, 2, 3):
        trained = run.train()
        assert [fault.kind for fault in trained.faults] == [FaultKind.SHAPE]
        assert trained.reports[0].error_counts == (1, 0)
        assert run.state.seed(SEED).faults == count


def test_a_blueprint_that_the_library_does_not_hold_fails_to_load() -> None:
    run = _run()
    run.train()
    run.germinate(SEED, "residual_mlp")
    seed = run.state.seed(SEED)
    assert seed.adaptation is not None
    lost = replace(seed, adaptation=replace(seed.adaptation, blueprint_id=BlueprintId("00" * 32)))
    run.state = replace(run.state, seeds={SEED: lost})
    trained = run.train()
    assert [fault.kind for fault in trained.faults] == [FaultKind.LOAD_FAILURE]


def test_a_large_hosts_weights_are_digested_every_eighth_epoch_and_its_quiet_reports_stay_whole() -> None:
    run = _run(hidden=(150, 150))
    digests = []
    for epoch in range(1, 18):
        trained = run.train()
        digests.append(bool(trained.weights_digest))
        for report in trained.reports:
            assert report == LayerHealthReport.model_validate(dict(report))
            assert report.total_executions % epoch == 0
    assert digests == [epoch % 8 == 0 for epoch in range(1, 18)]


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
    run = _run()
    run.train(2)
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.GRAFTING)
    saved = run.trainer.checkpoint(Epoch(run.state.epoch), "memory")
    run.record(saved)
    before = _weights(run)
    run.move(SEED, Stage.ACTIVE)
    run.train(3)
    assert _moved(before, _weights(run), "host")
    run.record(run.moved(SEED, Stage.DORMANT))
    run.act(_ordered(run, saved))

    assert list(run.trainer.network.grafts) == []
    assert not _moved({name: value for name, value in before.items() if name.startswith("host")}, _weights(run), "host")
    assert run.trainer.network.optimizer.manifest == ("host",)
    run.train()


def test_a_rollback_keeps_a_fossil_that_was_saved_and_refuses_one_that_was_not() -> None:
    run = _grown(Stage.FOSSILIZED)
    saved = run.trainer.checkpoint(Epoch(run.state.epoch), "memory")
    run.record(saved)
    before = _weights(run)
    run.train(2)
    run.act(_ordered(run, saved))
    assert [graft.name for graft in run.trainer.network.grafts] == ["0.0#1"]
    assert not _moved(before, _weights(run), "graft")

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
    run = _run(store=store)
    run.train()
    saved = run.trainer.checkpoint(Epoch(1), "")
    store.release(saved.checkpoint)
    with pytest.raises(CheckpointMissing, match=saved.checkpoint):
        run.trainer.obey(Epoch(1), (_ordered(run, saved),), run.state)


def test_growth_lifts_a_host_that_is_too_narrow() -> None:
    task = TaskSettings(name="spirals", samples=800, noise=0.015)
    grown, static = (
        HandRun(LiveTrainer(spirals.load, MemoryStore()), header(task, 2, hidden=(8,), batch_size=64)) for _ in range(2)
    )
    static.train(70)
    grown.train(15)
    grown.germinate(SEED, "residual_mlp")
    grown.train()
    grown.move(SEED, Stage.TRAINING)
    grown.train(4)
    grown.move(SEED, Stage.GRAFTING)
    for step in range(1, 6):
        grown.blend(SEED, step / 5)
        grown.train()
    grown.move(SEED, Stage.FINE_TUNING)
    grown.train(15)
    grown.move(SEED, Stage.ACTIVE)
    grown.train(30)

    gain = grown.trainer.score(Epoch(70), "ending").accuracy - static.trainer.score(Epoch(70), "ending").accuracy
    assert gain > 0.1


def test_the_fingerprint_names_what_the_bits_depend_on() -> None:
    found = fingerprint(1)
    assert (found.threads, found.device) == (1, "cpu")
    assert found.torch == torch.__version__
    assert found != fingerprint(2)
