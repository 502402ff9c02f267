"""Checkpoints: the same bytes for the same state, nothing left out, and a clear word where they are not whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from domain.commands import Reads
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.settings import TaskSettings
from engine.journal.blobs import BlobStore
from engine.trainers.live.checkpoints import (
    CheckpointStore,
    MemoryStore,
    Snapshot,
    load,
    pack,
    unpack,
)
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing
from scenarios.tasks import spirals
from tests.support.live_runs import HandRun, header

torch.set_num_threads(1)
FIRST, SECOND, THIRD = SeedId(layer=0, index=0), SeedId(layer=1, index=1), SeedId(layer=0, index=1)
EPOCHS = 22
PLAN: dict[int, tuple[tuple[SeedId, Stage], ...]] = {
    3: ((FIRST, Stage.TRAINING),),
    5: ((FIRST, Stage.GRAFTING),),
    8: ((FIRST, Stage.STABILIZATION),),
    9: ((FIRST, Stage.EVALUATING),),
    10: ((FIRST, Stage.FINE_TUNING),),
    12: ((FIRST, Stage.ACTIVE),),
    13: ((SECOND, Stage.TRAINING),),
    14: ((FIRST, Stage.FOSSILIZED),),
    15: ((SECOND, Stage.GRAFTING),),
    17: ((SECOND, Stage.ERROR_RECOVERY),),
    18: ((SECOND, Stage.DORMANT),),
}
"""Epoch to moves at its end; two seeds are germinated at epochs 2 and 12, a third at 19."""
SETTINGS = [{}, {"freeze_fossilized": False, "freeze_host_on_trial": False}]


def _planted(store: CheckpointStore, settings: int) -> HandRun:
    task = TaskSettings(name="spirals", samples=160, noise=0.02)
    return HandRun(
        LiveTrainer(spirals.load, store),
        header(task, 2, hidden=(6, 5), seeds=2, batch_size=32, checkpoints_kept=100, **SETTINGS[settings]),
    )


def _boundary(run: HandRun) -> None:
    """What is decided at the end of the epoch that was just trained."""
    epoch = run.state.epoch
    if epoch == 2:
        run.germinate(FIRST, "residual_mlp")
    if epoch == 12:
        run.germinate(SECOND, "se_gate", Reads.LAYER)
    if epoch == 19:
        run.germinate(THIRD, "glu", Reads.INPUT)
    for seed, stage in PLAN.get(epoch, ()):
        run.move(seed, stage)
    for seed in (FIRST, SECOND):
        adaptation = run.state.seed(seed).adaptation
        if adaptation is not None and run.state.seed(seed).stage is Stage.GRAFTING:
            run.blend(seed, min(adaptation.alpha + 0.4, 1.0))
    run.act()


@cache
def _recorded(settings: int) -> tuple[MemoryStore, tuple[tuple[str, RunState], ...], tuple[str, ...]]:
    """A whole run: its store, the checkpoint and the state of every boundary, and every epoch's outcome."""
    store = MemoryStore()
    run = _planted(store, settings)
    boundaries, outcomes = [], []
    for _ in range(EPOCHS):
        outcomes.append(run.train().model_dump_json())
        _boundary(run)
        saved = run.trainer.checkpoint(Epoch(run.state.epoch), f'{{"epoch":{run.state.epoch}}}')
        run.record(saved)
        boundaries.append((saved.checkpoint, run.state))
    return store, tuple(boundaries), tuple(outcomes)


def _resumed(settings: int, cut: int) -> HandRun:
    store, boundaries, _ = _recorded(settings)
    digest, state = boundaries[cut - 1]
    run = _planted(store, settings)
    run.state = state
    assert run.trainer.restore(digest, state) == f'{{"epoch":{cut}}}'
    return run


@pytest.mark.parametrize("settings", range(len(SETTINGS)))
@pytest.mark.parametrize("cut", range(1, EPOCHS))
def test_a_run_goes_on_from_any_boundary_as_if_nothing_had_happened(cut: int, settings: int) -> None:
    store, boundaries, outcomes = _recorded(settings)
    run = _resumed(settings, cut)
    again = run.trainer.snapshot(cut, f'{{"epoch":{cut}}}')

    assert pack(again) == store.get(boundaries[cut - 1][0])
    for epoch in range(cut + 1, EPOCHS + 1):
        assert run.train().model_dump_json() == outcomes[epoch - 1], epoch
        _boundary(run)
        saved = run.trainer.checkpoint(Epoch(epoch), f'{{"epoch":{epoch}}}')
        run.record(saved)
        assert saved.checkpoint == boundaries[epoch - 1][0]


def test_the_plan_visits_every_stage_that_holds_a_blueprint() -> None:
    stages = {seed.stage for _, state in _recorded(0)[1] for seed in state.seeds.values()}
    assert stages == set(Stage) - {Stage.GERMINATING}


def _mutilated(snapshot: Snapshot) -> Iterator[tuple[str, Snapshot]]:
    """The snapshot with one piece left out, for every piece."""
    for name in snapshot.tensors:
        yield name, Snapshot(snapshot.structure, {key: value for key, value in snapshot.tensors.items() if key != name})
    structure = snapshot.structure
    for name, empty in {"passes": 0, "loads": (0, 0), "losses": (), "controller": "", "grafts": ()}.items():
        yield name, Snapshot(structure.model_copy(update={name: empty}), snapshot.tensors)
    if len(structure.manifest) > 1:
        yield "manifest", Snapshot(structure.model_copy(update={"manifest": ("host",)}), snapshot.tensors)


@pytest.mark.parametrize("cut", [3, 6, 11, 14])
def test_no_piece_can_be_left_out_unnoticed(cut: int) -> None:
    store, boundaries, _ = _recorded(0)
    digest, state = boundaries[cut - 1]
    whole = load(store, digest)
    repaired = []
    for name, snapshot in _mutilated(whole):
        run = _planted(mutilated := MemoryStore(), 0)
        try:
            controller = run.trainer.restore(mutilated.put(pack(snapshot)), state)
        except (CheckpointDamaged, KeyError):
            continue
        if pack(run.trainer.snapshot(cut, controller)) == pack(whole):
            repaired.append(name)

    assert repaired == []


def test_equal_snapshots_have_equal_bytes_and_come_back_whole() -> None:
    store, boundaries, _ = _recorded(0)
    snapshot = load(store, boundaries[10][0])
    turned = dict(reversed(list(snapshot.tensors.items())))

    assert pack(Snapshot(snapshot.structure, turned)) == pack(snapshot)
    again = unpack(pack(snapshot))
    assert again.structure == snapshot.structure
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in snapshot.tensors.items())


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(CheckpointMissing, match="ab" * 32):
        load(MemoryStore(), "ab" * 32)


def test_the_journals_blob_store_keeps_checkpoints(tmp_path: Path) -> None:
    store, boundaries, _ = _recorded(0)
    content = store.get(boundaries[4][0])
    blobs: CheckpointStore = BlobStore(tmp_path).for_run("run-1")
    digest = blobs.put(content)

    assert pack(load(blobs, digest)) == content
    blobs.release(digest)
    with pytest.raises(CheckpointMissing):
        load(blobs, digest)


class _Lying:
    """A store that gives something else back than was put."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def put(self, content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    def get(self, digest: str) -> bytes:
        return self._content

    def release(self, digest: str) -> None:
        pass


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_damaged(share: float) -> None:
    store, boundaries, _ = _recorded(0)
    digest = boundaries[6][0]
    content = store.get(digest)
    cut = content[: int(len(content) * share)]
    with pytest.raises(CheckpointDamaged, match="SHA-256"):
        load(_Lying(cut), digest)
    with pytest.raises(CheckpointDamaged, match="restore it from a copy"):
        unpack(cut)


def test_a_flipped_bit_is_damage() -> None:
    store, boundaries, _ = _recorded(0)
    content = bytearray(store.get(boundaries[6][0]))
    content[-5] ^= 1
    with pytest.raises(CheckpointDamaged, match="is damaged"):
        load(_Lying(bytes(content)), boundaries[6][0])


def test_a_checkpoint_of_another_host_does_not_fit() -> None:
    store, boundaries, _ = _recorded(0)
    digest, state = boundaries[0]
    task = TaskSettings(name="spirals", samples=160, noise=0.02)
    run = HandRun(LiveTrainer(spirals.load, store), header(task, 2, hidden=(6, 4), seeds=2))
    with pytest.raises(CheckpointDamaged, match="has shape"):
        run.trainer.restore(digest, state)


def test_what_the_state_keeps_no_longer_is_released_when_the_next_epoch_begins() -> None:
    store = MemoryStore()
    run = _planted(store, 0)
    for _ in range(4):
        run.train()
        run.record(run.trainer.checkpoint(Epoch(run.state.epoch), ""))
    run.state = replace(run.state, checkpoints=run.state.checkpoints[-2:])
    assert len(store) == 4
    run.train()

    assert len(store) == 2
    assert all(saved.checkpoint in store for saved in run.state.checkpoints)
