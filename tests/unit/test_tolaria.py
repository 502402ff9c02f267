"""The live trainer: what learns in which stage, what a fault does, how it rolls back, and that it repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from domain.health import LayerHealthReport
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Stage
from domain.settings import TaskSettings, TrainingSettings
from domain.shapes import parameter_count
from domain.urza.catalogue import registrations
from engine.trainers.live.fingerprint import fingerprint
from engine.trainers.live.optimizer import DynamicOptimizer
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import MemoryStore
from scenarios.tasks import spirals
from tests.support.live_runs import SEED, TASK, HandRun, differ, grown_run, header, spiral_run, weights_of

torch.set_num_threads(1)
OTHER = SeedId(layer=0, index=1)
MLP = next(entry for entry in registrations() if entry.metadata.name == "residual_mlp")


# Repeating itself


def test_two_runs_of_one_header_give_the_same_bits_and_another_key_gives_others() -> None:
    one, same = spiral_run().train(3), spiral_run().train(3)
    assert one.model_dump_json() == same.model_dump_json()
    assert one.weights_digest != spiral_run(key=2).train(3).weights_digest


def test_scoring_the_test_set_leaves_no_trace() -> None:
    quiet, scored = grown_run(Stage.FINE_TUNING), grown_run(Stage.FINE_TUNING)
    found = scored.trainer.score(Epoch(4), "germination")

    assert 0.0 <= found.accuracy <= 1.0
    assert quiet.train().model_dump_json() == scored.train().model_dump_json()


def test_the_network_is_drawn_from_its_own_streams_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = grown_run(Stage.TRAINING).train().weights_digest
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 - that global state does not matter is the claim
    assert grown_run(Stage.TRAINING).train().weights_digest == one


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
    run = grown_run(stage)
    before = weights_of(run)
    run.train()
    after = weights_of(run)

    assert differ(before, after, "host") == host
    assert differ(before, after, "graft") == blueprint


@pytest.mark.parametrize("stage", [Stage.GRAFTING, Stage.STABILIZATION, Stage.EVALUATING, Stage.FINE_TUNING])
def test_the_host_learns_through_a_trial_if_it_is_set_to(stage: Stage) -> None:
    run = grown_run(stage, freeze_host_on_trial=False)
    before = weights_of(run)
    run.train()
    assert differ(before, weights_of(run), "host")


def test_a_fossil_goes_on_learning_if_it_is_set_to() -> None:
    run = grown_run(Stage.FOSSILIZED, freeze_fossilized=False)
    before = weights_of(run)
    run.train()
    assert differ(before, weights_of(run), "graft")


def test_a_trial_holds_an_earlier_learning_fossil_still_with_the_host() -> None:
    run = grown_run(Stage.FOSSILIZED, freeze_fossilized=False)
    run.germinate(OTHER, "residual_mlp")
    run.train()
    run.move(OTHER, Stage.GRAFTING)
    run.blend(OTHER, 0.5)
    before = weights_of(run)
    run.train()
    after = weights_of(run)

    assert not differ(before, after, f"graft/{SEED}#1")
    assert not differ(before, after, "host")
    assert differ(before, after, f"graft/{OTHER}#1")


def test_isolated_training_leaves_the_host_bit_for_bit_alone() -> None:
    alone, beside = spiral_run(), spiral_run()
    for run in (alone, beside):
        run.train(2)
    beside.germinate(SEED, "residual_mlp")
    for run in (alone, beside):
        run.train()
    beside.move(SEED, Stage.TRAINING)
    for _ in range(4):
        plain, trained = alone.train(), beside.train()
        assert plain.metrics == trained.metrics
        weights = weights_of(beside)
        assert not differ(weights_of(alone), weights, "host")
        gradients = [alone.trainer.network.host, beside.trainer.network.host]
        assert all(torch.equal(_grad(gradients[0][name]), _grad(gradients[1][name])) for name in gradients[0])


def _grad(parameter: torch.nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def test_isolated_training_learns_to_reconstruct_and_keeps_the_output_at_zero() -> None:
    run = spiral_run()
    run.train(2)
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.TRAINING)
    losses = []
    for _ in range(6):
        (progress,) = run.train().reports[0].progress
        assert progress.reconstruction_loss is not None
        losses.append(progress.reconstruction_loss)
    module = run.trainer.network.layers[0].grafts[0].module

    assert losses[-1] < losses[0] / 2
    assert losses[-1] < 0.5
    assert torch.count_nonzero(module(torch.randn(4, module.read), torch.randn(4, module.chunk))) == 0


def test_reconstruction_is_reported_in_training_alone() -> None:
    run = grown_run(Stage.FINE_TUNING)
    (progress,) = run.train().reports[0].progress
    assert progress.index == SEED.index
    assert progress.reconstruction_loss is None
    assert progress.gradient_norm > 0
    assert progress.weight_drift > 0
    assert progress.memory_mb > 0


def test_parameters_count_the_host_and_every_blueprint() -> None:
    run = spiral_run()
    assert run.train().parameters == 2 * 6 + 6 + 6 * 2 + 2
    run.germinate(SEED, "residual_mlp")
    assert run.train().parameters == 32 + parameter_count(MLP.graph, read=8, chunk=3)


def test_a_simplified_seed_trains_at_once_with_the_host() -> None:
    run = spiral_run()
    run.train()
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.ACTIVE)
    run.blend(SEED, 0.3)
    before = weights_of(run)
    run.train()

    assert run.trainer.network.layers[0].grafts[0].alpha == 0.3
    assert differ(before, weights_of(run), "host")
    assert differ(before, weights_of(run), "graft")


# The optimizer


def test_the_optimizer_has_a_group_for_every_blueprint_that_trains_on_the_task() -> None:
    run = spiral_run()
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
    run = grown_run(Stage.GRAFTING)
    before = weights_of(run)
    run.train(2)
    run.move(SEED, Stage.DORMANT)

    assert list(run.trainer.network.grafts) == []
    assert not differ(
        {name: value for name, value in before.items() if name.startswith("host")}, weights_of(run), "host"
    )


def test_a_large_hosts_weights_are_digested_every_eighth_epoch_and_its_quiet_reports_stay_whole() -> None:
    run = spiral_run(hidden=(150, 150))
    digests = []
    for epoch in range(1, 18):
        trained = run.train()
        digests.append(bool(trained.weights_digest))
        for report in trained.reports:
            assert report == LayerHealthReport.model_validate(dict(report))
            assert report.total_executions % epoch == 0
    assert digests == [epoch % 8 == 0 for epoch in range(1, 18)]


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
