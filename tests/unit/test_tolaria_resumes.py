"""The live trainer goes on: in another process, in the middle of a pass, and under another header."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from domain.events import CheckpointSaved, RollbackOrdered, RollbackSource
from domain.hardware import HardwareContext
from domain.header import RunHeader
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Stage
from engine.trainers.live.checkpoints import Snapshot, load, pack
from engine.trainers.stores import MemoryStore
from tests.support.live_runs import SEED, TASK, HandRun, amended, differ, grown_run, header, spiral_run, weights_of
from tests.support.staged_runs import EPOCHS, FORKED_AFTER, SETTINGS, planted, recorded, resumed, train, write

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
NO_RATE = 1e-30
"""A learning rate that changes no float32 of a weight."""


# In another process


def test_another_process_goes_on_from_every_boundary_to_the_same_bits(tmp_path: Path) -> None:
    chosen = [number for number, settings in enumerate(SETTINGS) if "dropout" in settings]
    folders = [tmp_path / str(number) for number in chosen]
    for number, folder in zip(chosen, folders, strict=True):
        write(folder, number)
    command = [sys.executable, "-m", "tests.support.staged_runs", *map(str, folders)]
    given = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    wanted = {str(number): {str(cut): recorded(number).rest(cut) for cut in range(1, EPOCHS)} for number in chosen}
    assert json.loads(given.stdout) == wanted


@pytest.mark.parametrize("settings", FORKED_AFTER)
def test_the_past_of_a_fork_is_its_parents_and_its_future_its_own(settings: int) -> None:
    parent, fork, after = recorded(2), recorded(settings), FORKED_AFTER[settings]
    assert fork.outcomes[:after] == parent.outcomes[:after]
    assert fork.checkpoint(after) == parent.checkpoint(after)
    assert all(fork.outcomes[epoch] != parent.outcomes[epoch] for epoch in range(after, EPOCHS))


@pytest.mark.parametrize(("group", "cut"), [
    ("host/", 4), ("graft/", 4), ("optimizer/host/", 4), ("decoder/", 4), ("isolated/", 4), ("mean/", 4),
    ("health/", 4), ("optimizer/graft/", 7), ("mean/", 7), ("mean/", 15), ("health/", 15),
])  # fmt: skip
def test_no_group_of_tensors_can_be_left_as_it_was_built(group: str, cut: int) -> None:
    """Negative control: what comes after differs, not the checkpoint alone.

    Columns follow from the state and initial norms from the header; they are saved, but nothing hangs on them.
    """
    whole = recorded(2)
    state, saved = whole.states[cut - 1], load(whole.store, whole.checkpoint(cut))
    built = planted(MemoryStore(), 2).trainer.network
    built.load_missing(state)
    built.follow(state)
    fresh = built.tensors()
    tensors: dict[str, Tensor] = {}
    for name, tensor in saved.tensors.items():
        if not name.startswith(group):
            tensors[name] = tensor
        elif name in fresh:
            tensors[name] = fresh[name]
    assert any(name.startswith(group) for name in saved.tensors)
    store = MemoryStore()
    run = resumed(store, state, store.put(pack(Snapshot(saved.structure, tensors))))

    assert [train(run, 2) for _ in range(cut, EPOCHS)] != list(whole.outcomes[cut:])


# Under another header


def test_amending_to_the_same_header_changes_nothing() -> None:
    one, same = (grown_run(Stage.FINE_TUNING, dropout=0.2, batches_per_epoch=2) for _ in range(2))
    same.fork(same.state.started)
    for _ in range(3):
        assert one.train().model_dump_json() == same.train().model_dump_json()
    assert pack(one.trainer.snapshot(7, "")) == pack(same.trainer.snapshot(7, ""))


def _forked(stage: Stage, parent: dict[str, Any] | None = None, **changes: Any) -> tuple[HandRun, dict[str, Tensor]]:
    """A run that grew, then one epoch under other settings, and its weights before that epoch."""
    run = grown_run(stage, **(parent or {}))
    before = weights_of(run)
    run.fork(amended(run.state.started, **changes))
    run.train()
    return run, before


@pytest.mark.parametrize(
    ("changes", "host", "blueprint"),
    [
        ({}, True, True),
        ({"learning_rate": NO_RATE}, False, False),
        ({"blueprint_learning_rate_factor": NO_RATE}, True, False),
    ],
)
@pytest.mark.parametrize("stage", [Stage.ACTIVE, Stage.TRAINING])
def test_the_rates_of_what_learns_already_are_amended(
    stage: Stage, changes: dict[str, Any], host: bool, blueprint: bool
) -> None:
    run, before = _forked(stage, **changes)
    assert differ(before, weights_of(run), "host") == host
    assert differ(before, weights_of(run), "graft") == blueprint


def test_weight_decay_is_amended() -> None:
    plain, decayed = (_forked(Stage.ACTIVE, weight_decay=decay)[0] for decay in (0.0, 0.5))
    assert differ(weights_of(plain), weights_of(decayed), "host")
    assert differ(weights_of(plain), weights_of(decayed), "graft")


def test_moments_outlive_an_amendment() -> None:
    run = grown_run(Stage.ACTIVE)
    before = {name: moment.clone() for name, moment in run.trainer.network.optimizer.tensors().items()}
    run.trainer.amend(amended(run.state.started, learning_rate=0.5, run_key=9))
    after = run.trainer.network.optimizer.tensors()

    assert before.keys() == after.keys()
    assert all(torch.equal(moment, after[name]) for name, moment in before.items())


@pytest.mark.parametrize("freezes", [False, True])
def test_what_is_held_still_is_amended(freezes: bool) -> None:
    run, before = _forked(
        Stage.GRAFTING, {"freeze_host_on_trial": not freezes}, freeze_host_on_trial=freezes, learning_rate=0.1
    )
    assert differ(before, weights_of(run), "host") != freezes
    run, before = _forked(Stage.FOSSILIZED, {"freeze_fossilized": not freezes}, freeze_fossilized=freezes)
    assert differ(before, weights_of(run), "graft") != freezes


def test_batches_are_amended() -> None:
    run = spiral_run(hidden=(6, 6))
    first = run.train().reports[0].total_executions
    run.fork(amended(run.state.started, batch_size=8))
    assert (first, run.train().reports[0].total_executions) == (4, 4 + 11)
    run.fork(amended(run.state.started, batches_per_epoch=2))
    assert run.train().reports[0].total_executions == 4 + 11 + 3


def test_hardware_is_amended_in_layers_where_nothing_grows_too() -> None:
    run = spiral_run(hidden=(6, 6))
    fast = run.train(2).reports
    run.fork(amended(run.state.started, hardware=HardwareContext(compute_capacity_tflops=0.025)))
    for before, after in zip(fast, run.train().reports, strict=True):
        assert after.execution_latency_ms == 2 * before.execution_latency_ms


def _keyed(key: int, *, seed: SeedId | None = None, dropout: float = 0.0, batch: int = 32) -> HandRun:
    run = spiral_run(dropout=dropout, batch_size=batch)
    run.train(2)
    run.fork(amended(run.state.started, run_key=key))
    if seed is not None:
        run.germinate(seed, "residual_mlp")
    run.train()
    return run


def test_another_key_draws_order_dropout_and_blueprints_anew_and_leaves_the_data() -> None:
    same, other = _keyed(1), _keyed(5)
    assert differ(weights_of(same), weights_of(other), "host")
    whole = ({"dropout": 0.5, "batch": 10_000}, {"batch": 10_000})
    dropped, plain = ([weights_of(_keyed(key, **options)) for key in (1, 5)] for options in whole)
    assert max_distance(dropped) > 100 * max_distance(plain), "a single batch is the same in any order"
    assert differ(weights_of(_keyed(1, seed=SEED)), weights_of(_keyed(5, seed=SEED)), "graft")

    run = spiral_run()
    before = run.train().metrics, run.trainer.score(Epoch(1), "ending")
    run.fork(amended(run.state.started, run_key=5, learning_rate=NO_RATE))
    after = run.train().metrics, run.trainer.score(Epoch(1), "ending")
    assert before[0].validation_loss == after[0].validation_loss
    assert before[1] == after[1]


def max_distance(pair: list[dict[str, Tensor]]) -> float:
    return max(float((pair[0][name] - pair[1][name]).detach().abs().max()) for name in pair[0])


@pytest.mark.parametrize(
    "wrong",
    [
        header(TASK, 2, hidden=(6,), threads=2),
        header(TASK, 2, hidden=(7,)),
        header(TASK, 2, hidden=(6,), seeds=3),
        header(TASK.model_copy(update={"noise": 0.5}), 2, hidden=(6,)),
    ],
    ids=["threads", "hidden", "seeds", "task"],
)
def test_what_was_planted_cannot_be_amended(wrong: RunHeader) -> None:
    with pytest.raises(AssertionError, match="cannot be amended"):
        spiral_run().trainer.amend(wrong)


def test_a_fork_rolls_back_to_before_it_was_one_and_so_does_its_resumed_self() -> None:
    run = spiral_run(store=(store := MemoryStore()), dropout=0.2, batches_per_epoch=2)
    run.train(2)
    run.record(before := run.trainer.checkpoint(Epoch(2), "{}"))
    run.fork(amended(run.state.started, run_key=5, learning_rate=0.02, batch_size=16))
    run.train(2)
    run.record(run.trainer.checkpoint(Epoch(4), '{"epoch":4}'))
    again = resumed(store, run.state)
    for each in (run, again):
        each.train()
        each.act(_ordered(each, before))
    assert run.train(2).model_dump_json() == again.train(2).model_dump_json()
    assert pack(run.trainer.snapshot(7, "")) == pack(again.trainer.snapshot(7, ""))


def _ordered(run: HandRun, saved: CheckpointSaved) -> RollbackOrdered:
    return RollbackOrdered(
        epoch=run.state.epoch,
        source=RollbackSource.TAMIYO,
        reason="by hand",
        culprit=SEED,
        checkpoint_epoch=saved.epoch,
        checkpoint=saved.checkpoint,
    )
