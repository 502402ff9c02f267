"""Checkpoints: the same bytes for the same state, nothing left out, and a clear word where they are not whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from domain.identifiers import Epoch
from domain.lifecycle import Stage
from engine.journal.blobs import BlobStore
from engine.trainers.live.checkpoints import Snapshot, load, pack, unpack
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import CheckpointStore, MemoryStore
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing
from scenarios.tasks import spirals
from tests.support.live_runs import TASK, HandRun, header
from tests.support.staged_runs import EPOCHS, SETTINGS, controller, planted, recorded, resumed, train

torch.set_num_threads(1)


@pytest.mark.parametrize("settings", range(len(SETTINGS)))
@pytest.mark.parametrize("cut", range(1, EPOCHS))
def test_a_run_goes_on_from_any_boundary_as_if_nothing_had_happened(cut: int, settings: int) -> None:
    whole = recorded(settings)
    run = resumed(whole.store, whole.states[cut - 1])
    again = run.trainer.snapshot(cut, controller(cut))

    assert pack(again) == whole.store.get(whole.checkpoint(cut))
    for epoch in range(cut + 1, EPOCHS + 1):
        assert train(run, settings) == whole.outcomes[epoch - 1], epoch
        assert run.state.checkpoints[-1].checkpoint == whole.checkpoint(epoch)


def test_the_plan_visits_every_stage_that_holds_a_blueprint() -> None:
    stages = {seed.stage for state in recorded(0).states for seed in state.seeds.values()}
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
    recording = recorded(0)
    state = recording.states[cut - 1]
    whole = load(recording.store, recording.checkpoint(cut))
    repaired = []
    for name, snapshot in _mutilated(whole):
        run = planted(mutilated := MemoryStore(), 0)
        try:
            controller = run.trainer.restore(mutilated.put(pack(snapshot)), state)
        except (CheckpointDamaged, KeyError):
            continue
        if pack(run.trainer.snapshot(cut, controller)) == pack(whole):
            repaired.append(name)

    assert repaired == []


def test_equal_snapshots_have_equal_bytes_and_come_back_whole() -> None:
    snapshot = load(recorded(0).store, recorded(0).checkpoint(11))
    turned = dict(reversed(list(snapshot.tensors.items())))

    assert pack(Snapshot(snapshot.structure, turned)) == pack(snapshot)
    again = unpack(pack(snapshot))
    assert again.structure == snapshot.structure
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in snapshot.tensors.items())


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(CheckpointMissing, match="ab" * 32):
        load(MemoryStore(), "ab" * 32)


def test_the_journals_blob_store_keeps_checkpoints(tmp_path: Path) -> None:
    content = recorded(0).store.get(recorded(0).checkpoint(5))
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
    digest = recorded(0).checkpoint(7)
    content = recorded(0).store.get(digest)
    cut = content[: int(len(content) * share)]
    with pytest.raises(CheckpointDamaged, match="SHA-256"):
        load(_Lying(cut), digest)
    with pytest.raises(CheckpointDamaged, match="restore it from a copy"):
        unpack(cut)


def test_a_flipped_bit_is_damage() -> None:
    digest = recorded(0).checkpoint(7)
    content = bytearray(recorded(0).store.get(digest))
    content[-5] ^= 1
    with pytest.raises(CheckpointDamaged, match="is damaged"):
        load(_Lying(bytes(content)), digest)


def test_a_checkpoint_of_another_host_does_not_fit() -> None:
    whole = recorded(0)
    run = HandRun(LiveTrainer(spirals.load, whole.store), header(TASK, 2, hidden=(6, 4), seeds=2))
    with pytest.raises(CheckpointDamaged, match="has shape"):
        run.trainer.restore(whole.checkpoint(1), whole.states[0])


def test_what_the_state_keeps_no_longer_is_released_when_the_next_epoch_begins() -> None:
    store = MemoryStore()
    run = planted(store, 0)
    for _ in range(4):
        run.train()
        run.record(run.trainer.checkpoint(Epoch(run.state.epoch), ""))
    run.state = replace(run.state, checkpoints=run.state.checkpoints[-2:])
    assert len(store) == 4
    run.train()

    assert len(store) == 2
    assert all(saved.checkpoint in store for saved in run.state.checkpoints)
