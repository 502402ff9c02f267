"""Runs that go on: resumed after a cut at any epoch, and forked from any epoch on another course."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domain.events import CheckpointSaved, EpochCompleted, EpochSealed, RollbackOrdered, RunForked, RunStarted
from engine.checkers import check
from scenarios.experiments.golden import HASTY
from scenarios.lab import Lab
from scenarios.runs.results import RunResult
from scenarios.specification import BadInput
from tests.support.cut_runs import EPOCHS, Cut, cut_run, cutting, of_kind, recorded
from tests.support.forking_policies import written
from tests.support.grown_runs import address, resealed


@pytest.mark.parametrize("after", [0, 1, 3, 4, 7, 15, 25])
def test_a_run_cut_anywhere_and_resumed_is_the_run_that_was_never_cut(
    tmp_path: Path, parent: RunResult, after: int
) -> None:
    with Lab(address(tmp_path)) as lab:
        run = cut_run(lab, after)
        assert lab.result(run).ending == "OPEN"
        resumed = lab.resume(run)
        assert (resumed.digest, resumed.ending) == (parent.digest, "COMPLETED")
        lab.check_checkpoints(run)


def test_a_run_cut_twice_is_resumed_twice(tmp_path: Path, parent: RunResult) -> None:
    with Lab(address(tmp_path)) as lab:
        run = cut_run(lab, 6)
        with pytest.raises(Cut):
            lab.resume(run, watch=cutting(17))
        assert lab.head(run).epoch == 17
        assert lab.resume(run).digest == parent.digest


@pytest.mark.parametrize("at", [0, 1, 5, 9, 16, EPOCHS - 1])
def test_a_fork_with_nothing_changed_is_its_parent_to_the_last_byte(lab: Lab, parent: RunResult, at: int) -> None:
    twin = lab.fork(parent.run, at)

    assert twin.run != parent.run
    assert (twin.digest, twin.parent, twin.at_epoch) == (parent.digest, parent.run, at)
    assert lab.journal.raw(twin.run) == lab.journal.raw(parent.run)
    lab.check_checkpoints(twin.run)


@pytest.mark.parametrize("at", [0, 6, 20])
def test_a_fork_shares_its_past_and_verifies_alone(lab: Lab, parent: RunResult, tmp_path: Path, at: int) -> None:
    child = lab.fork(parent.run, at, tamiyo="never_grow")
    position = lab.head_at(parent.run, at).position
    lab.export(child.run, tmp_path / "child.jsonl")

    assert lab.journal.raw(child.run, 0, position) == lab.journal.raw(parent.run, 0, position)
    (forked,) = of_kind(lab.journal.events(child.run), RunForked)
    assert (forked.epoch, forked.parent, forked.parent_digest) == (
        at + 1,
        parent.run,
        lab.head_at(parent.run, at).digest,
    )
    assert check(lab.journal.events(child.run)) == []
    with Lab(address(tmp_path)) as elsewhere:
        alone = elsewhere.import_(tmp_path / "child.jsonl")
        assert elsewhere.verify(alone).rung == 3
        assert elsewhere.result(alone).parent == parent.run
        assert [(run.tamiyo, run.parent, run.at_epoch) for run in elsewhere.results()] == [
            ("never_grow", parent.run, at)
        ]


def test_a_fork_trained_again_in_a_new_process_reaches_rung_four(lab: Lab, parent: RunResult) -> None:
    child = lab.fork(parent.run, 6, key=9, overrides={"training.learning_rate": 0.02})

    assert lab.verify(child.run, retrain=True).rung == 4
    late = lab.verify(child.run, retrain=True, first_epoch=20)
    assert (late.rung, late.retrained_from) == (4, 20)


def test_forks_of_forks_remember_each_course(lab: Lab, parent: RunResult, tmp_path: Path) -> None:
    child = lab.fork(parent.run, 4, tamiyo="random_growth", key=3)
    grandchild = lab.fork(child.run, 11, tamiyo="as_designed", overrides={"training.epochs": EPOCHS + 6})
    twin = lab.fork(grandchild.run, 13)

    events = lab.journal.events(grandchild.run)
    assert [(fork.epoch, fork.parent) for fork in of_kind(events, RunForked)] == [(5, parent.run), (12, child.run)]
    assert (grandchild.epochs, grandchild.ending) == (EPOCHS + 6, "COMPLETED")
    assert check(events) == []
    assert lab.verify(grandchild.run).rung == 3
    assert twin.digest == grandchild.digest
    with Lab(address(tmp_path)) as elsewhere:
        lab.export(grandchild.run, tmp_path / "grandchild.jsonl")
        alone = elsewhere.import_(tmp_path / "grandchild.jsonl")
        assert elsewhere.fork(alone, 14).digest == grandchild.digest, (
            "an import has no checkpoint: all is trained again"
        )


CHANGES: dict[str, dict[str, Any]] = {
    "another key": {"key": 77},
    "another policy": {"tamiyo": "always_grow"},
    "another rate": {"overrides": {"training.learning_rate": 0.03, "training.batch_size": 20, "host.dropout": 0.3}},
    "other checkpoints": {"overrides": {"training.checkpoint_every": 3, "training.checkpoints_kept": 4}},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("after", [12, 14, 22])
def test_a_fork_that_was_cut_is_resumed_on_its_own_course(
    tmp_path: Path, lab: Lab, parent: RunResult, change: str, after: int
) -> None:
    whole = lab.fork(parent.run, 11, **CHANGES[change])
    with pytest.raises(Cut):
        lab.fork(parent.run, 11, **CHANGES[change], watch=cutting(after))
    cut = lab.journal.runs()[-1]

    assert lab.head(cut).epoch == after
    assert lab.resume(cut).digest == whole.digest
    assert lab.result(cut).parent == parent.run


def test_a_fork_that_is_cut_before_its_first_epoch_leaves_nothing(tmp_path: Path) -> None:
    with Lab(address(tmp_path)) as lab:
        parent = recorded(lab)
        with pytest.raises(Cut):
            lab.fork(parent.run, 10, tamiyo="never_grow", watch=cutting(9))
        assert lab.journal.runs() == [parent.run]
        folders = [path for path in (tmp_path / "journal.blobs").iterdir() if path.name != parent.run]
        assert folders == []


def test_an_imported_run_is_forked_and_an_open_one_resumed_without_any_checkpoint(
    lab: Lab, parent: RunResult, tmp_path: Path
) -> None:
    with Lab(address(tmp_path)) as there:
        lab.export(parent.run, tmp_path / "whole.jsonl")
        whole = there.import_(tmp_path / "whole.jsonl")
        assert there.fork(whole, 9).digest == parent.digest
    with Lab(address(tmp_path / "a")) as first, Lab(address(tmp_path / "b")) as second:
        run = cut_run(first, 10)
        first.export(run, tmp_path / "open.jsonl")
        again = second.import_(tmp_path / "open.jsonl")
        assert second.resume(again).digest == parent.digest
        assert second.fork(again, 12, tamiyo="never_grow").ending == "COMPLETED"


@pytest.fixture(scope="module")
def diarists(lab: Lab, folder: Path) -> tuple[str, str]:
    """Names of the two policies with diaries: one that never rolls back and one that does."""
    file = written(folder)
    return f"{file}:Patient", f"{file}:Regretful"


@pytest.mark.parametrize("at", [11, 13, 15])
def test_after_a_fork_a_rollback_gives_the_new_policy_back_what_it_would_have_remembered(
    lab: Lab, parent: RunResult, diarists: tuple[str, str], at: int
) -> None:
    """Back to a checkpoint from before the fork, whose bytes hold the memory of the policy that was in force then."""
    ever = recorded(lab, tamiyo=diarists[1])
    child = lab.fork(parent.run, at, tamiyo=diarists[1])

    (ordered,) = of_kind(lab.journal.events(child.run), RollbackOrdered)
    assert (ordered.epoch, ordered.checkpoint_epoch <= at) == (16, True)
    memories = {
        run: [(seal.epoch, seal.memory_digest) for seal in of_kind(lab.journal.events(run), EpochSealed)]
        for run in (ever.run, child.run)
    }
    assert memories[child.run][at + 1 :] == memories[ever.run][at + 1 :]
    assert check(lab.journal.events(child.run)) == []
    assert lab.verify(child.run).rung == 3
    assert lab.fork(child.run, 21).digest == child.digest, "and again from beyond the rollback"


@pytest.mark.parametrize("after", [14, 15, 16, 17])
def test_such_a_fork_is_resumed_around_its_rollback(
    lab: Lab, parent: RunResult, diarists: tuple[str, str], after: int
) -> None:
    whole = lab.fork(parent.run, 13, tamiyo=diarists[1])
    with pytest.raises(Cut):
        lab.fork(parent.run, 13, tamiyo=diarists[1], watch=cutting(after))

    assert lab.resume(lab.journal.runs()[-1]).digest == whole.digest


@pytest.mark.parametrize("at", [14, 16, 18])
def test_a_run_is_forked_before_and_after_its_own_rollback(lab: Lab, diarists: tuple[str, str], at: int) -> None:
    ever = recorded(lab, tamiyo=diarists[1])

    assert lab.fork(ever.run, at).digest == ever.digest
    child = lab.fork(ever.run, at, tamiyo=diarists[0])
    rolled_back = of_kind(lab.journal.events(child.run), RollbackOrdered)
    assert [ordered.epoch for ordered in rolled_back] == ([16] if at >= 16 else [])
    assert lab.verify(child.run).rung == 3


def test_checkpoints_that_were_released_are_trained_again(lab: Lab, parent: RunResult, folder: Path) -> None:
    kept = {saved.checkpoint for saved in lab.show(parent.run).state.checkpoints}
    early = [saved for saved in of_kind(lab.journal.events(parent.run), CheckpointSaved) if saved.epoch == 4]

    assert early[0].checkpoint not in kept
    assert lab.fork(parent.run, 7).digest == parent.digest


def test_the_lifecycle_can_change_where_every_seed_has_its_stage(lab: Lab, parent: RunResult) -> None:
    with pytest.raises(BadInput, match=r"--at 10: seed .* is in GERMINATING, .* fork at epoch 9 or earlier"):
        lab.fork(parent.run, 10, tamiyo="as_implemented")
    fossilized = lab.run("xor4", key=1, overrides={**HASTY, "training.epochs": 36})
    assert fossilized.metrics.outcomes == {"FOSSILIZED": 1}
    for run, at in ((parent.run, 3), (parent.run, 11), (fossilized.run, 34)):
        child = lab.fork(run, at, tamiyo="as_implemented")
        header = lab.show(child.run).state.started
        assert header.profile == "simplified"
        assert check(lab.journal.events(child.run)) == []
        assert lab.verify(child.run).rung == 3
    back = lab.fork(child.run, 35, tamiyo="as_designed")
    assert lab.show(back.run).state.started.profile == "full"
    assert lab.show(back.run).state.started.safety == lab.show(parent.run).state.started.safety


def test_a_policy_that_cannot_bear_the_past_does_not_take_over(lab: Lab, parent: RunResult, folder: Path) -> None:
    before = lab.journal.runs()
    with pytest.raises(BadInput, match="cannot take over at epoch 9: Easily raised ValueError at epoch 6"):
        lab.fork(parent.run, 9, tamiyo=f"{written(folder)}:Easily")
    with pytest.raises(BadInput, match="Easily raised ValueError at epoch 6"):
        lab.ledger(parent.run, f"{folder}/diarists.py:Easily")

    assert lab.journal.runs() == before


def test_a_run_is_not_resumed_by_a_policy_whose_source_changed(tmp_path: Path) -> None:
    file = written(tmp_path)
    with Lab(address(tmp_path)) as lab:
        run = cut_run(lab, 9, tamiyo=f"{file}:Patient")
        file.write_text(file.read_text(encoding="utf-8").replace("seen: tuple", "met: tuple"), encoding="utf-8")
        with pytest.raises(BadInput, match=r"source of policy .*diarists.py:Patient has changed since"):
            lab.resume(run)
        with pytest.raises(BadInput, match=r"cannot read what checkpoint .* says they remembered"):
            lab.fork(run, 9, tamiyo="never_grow")
        file.unlink()
        with pytest.raises(BadInput, match="there is no file"):
            lab.resume(run)
        with pytest.raises(BadInput, match="there is no file"):
            lab.fork(run, 9, tamiyo="never_grow")
        assert lab.head(run).epoch == 9


def test_a_run_from_another_machine_is_not_trained_on(lab: Lab, parent: RunResult, folder: Path) -> None:
    started, *rest = lab.journal.events(parent.run)
    assert isinstance(started, RunStarted)
    other = started.header.fingerprint.model_copy(update={"torch": "1.0"})
    header = started.header.model_copy(update={"fingerprint": other})
    resealed(folder, "elsewhere", [started.model_copy(update={"header": header}), *rest])
    with pytest.raises(BadInput, match=r"cannot be trained on here: .* another fingerprint: torch 1\.0"):
        lab.fork("elsewhere", 5)


@pytest.mark.parametrize(
    ("at", "changes", "said"),
    [
        (EPOCHS, {}, f"--at {EPOCHS}: run .* ended there, COMPLETED; fork it at an earlier epoch"),
        (EPOCHS + 1, {}, f"--at {EPOCHS + 1}: run .* has epochs 0 to {EPOCHS}"),
        (9, {"tamiyo": "as_desined"}, "did you mean 'as_designed'"),
        (9, {"karn": "inventor"}, "Karn policy 'inventor' is unknown"),
        (9, {"trainer": "guessed"}, "trainer 'guessed' is unknown"),
        (9, {"overrides": {"training.epochs": 9}}, "training.epochs is 9, which leaves nothing to train"),
        (9, {"overrides": {"training.speed": 9}}, "training.speed"),
        *((9, {"overrides": {name: 1}}, f"--set {name}: the network is planted already") for name in ("host", "task")),
        (9, {"overrides": {"host.hidden": [8]}}, "--set host.hidden: the network is planted already"),
        (9, {"overrides": {"task.samples": 300}}, "--set task.samples: the network is planted already"),
        (9, {"trainer": "recorded", "key": 4}, "--trainer recorded: .* another run_key would have given"),
        (9, {"trainer": "recorded", "overrides": {"training.learning_rate": 0.1}}, "another training would have given"),
        (9, {"trainer": "recorded", "overrides": {"host.dropout": 0.5}}, "another host would have given"),
    ],
)
def test_what_cannot_be_forked_is_refused_before_anything_is_recorded(
    lab: Lab, parent: RunResult, at: int, changes: dict[str, Any], said: str
) -> None:
    before = lab.journal.runs()
    with pytest.raises(BadInput, match=said):
        lab.fork(parent.run, at, **changes)
    assert lab.journal.runs() == before


def test_a_preset_given_to_a_fork_replaces_what_was_recorded(lab: Lab, parent: RunResult) -> None:
    child = lab.fork(parent.run, 22, overrides={"gates.preset": "patient"})
    was, now = lab.show(parent.run).state.started, lab.show(child.run).state.started

    assert now.gates.training.min_epochs > was.gates.training.min_epochs
    assert now.training == was.training


def test_an_ended_run_that_is_resumed_says_how_to_go_on(lab: Lab, parent: RunResult) -> None:
    with pytest.raises(BadInput, match=f"run {parent.run} ended COMPLETED; fork it at an earlier epoch"):
        lab.resume(parent.run)


def test_a_run_that_had_ended_is_extended_from_an_earlier_epoch(lab: Lab, parent: RunResult) -> None:
    longer = recorded(lab, epochs=EPOCHS + 9)
    extended = lab.fork(parent.run, EPOCHS - 1, overrides={"training.epochs": EPOCHS + 9})

    assert (extended.epochs, extended.ending) == (EPOCHS + 9, "COMPLETED")
    digests = [
        [event.weights_digest for event in of_kind(lab.journal.events(run), EpochCompleted)]
        for run in (longer.run, extended.run)
    ]
    assert digests[0] == digests[1], "it is the longer run, by another way"
