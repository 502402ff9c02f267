"""RunState: what a run's events fold into, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from domain.commands import GraftingStrategy, Reads
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    BlueprintRetired,
    CheckpointSaved,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RollbackSource,
    RunEnded,
    RunStarted,
    SeedGerminated,
    StageChanged,
)
from domain.gates import largest_fall
from domain.health import LayerHealthReport, SeedProgress
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import Gate, Outcome, Stage
from domain.rollback import restore_point
from domain.run import RECENT_EPOCHS, RunState, UnknownSlot, evolve, rebuild
from domain.urza.catalogue import registrations
from domain.urza.commands import Retire
from domain.urza.commands import decide as decide_library
from tests.support.headers import small_header

NAME = SeedId(layer=1, index=1)
OTHER = SeedId(layer=0, index=0)
LIBRARY = registrations()
BLUEPRINT = LIBRARY[0].blueprint_id


def started(**changes: Any) -> list[DomainEvent]:
    return [RunStarted(epoch=0, header=small_header(**changes)), *LIBRARY]


def completed(epoch: int, accuracy: float = 0.5) -> EpochCompleted:
    metrics = EpochMetrics(train_loss=0.5, train_accuracy=0.5, validation_loss=0.5, validation_accuracy=accuracy)
    return EpochCompleted(epoch=epoch, metrics=metrics, parameters=10, weights_digest="w")


def germinated(epoch: int, seed: SeedId = NAME, accuracy: float = 0.5) -> tuple[DomainEvent, ...]:
    return (
        SeedGerminated(
            epoch=epoch,
            adaptation=AdaptationId(seed=seed, attempt=1),
            blueprint_id=BLUEPRINT,
            reads=Reads.BOTH,
            grafting=GraftingStrategy.FIXED_RAMP,
            validation_accuracy=accuracy,
            validation_loss=0.5,
        ),
        moved(epoch, Stage.DORMANT, Stage.GERMINATING, Gate.GERMINATION, seed),
    )


def moved(
    epoch: int, source: Stage, target: Stage, gate: Gate, seed: SeedId = NAME, accuracy: float = 0.5
) -> StageChanged:
    return StageChanged(
        epoch=epoch,
        seed=seed,
        source=source,
        target=target,
        gate=gate,
        reason="told",
        validation_accuracy=accuracy,
    )


def saved(epoch: int) -> CheckpointSaved:
    return CheckpointSaved(epoch=epoch, checkpoint=f"c{epoch}", size=1)


def test_a_slot_that_never_germinated_is_dormant_and_one_outside_the_host_is_unknown() -> None:
    state = rebuild(started())
    assert state.seed(NAME).stage is Stage.DORMANT and state.germinable(NAME)
    assert state.germinable_seeds() == tuple(SeedId(layer=a, index=b) for a in (0, 1) for b in (0, 1))
    with pytest.raises(UnknownSlot, match=r"layer 1 has 2 seeds but 1\.2 was named"):
        state.seed(SeedId(layer=1, index=2))
    with pytest.raises(UnknownSlot, match="the host has 2 layers but layer 2 was named"):
        state.seed(SeedId(layer=2, index=0))


def test_a_network_that_rises_is_stable_however_fast() -> None:
    assert largest_fall([0.25, 0.5, 1.0]) == 0.0
    assert largest_fall([0.5, 1.0, 0.25, 0.75]) == 0.75
    assert math.isnan(largest_fall([0.5, math.nan]))


def test_effect_is_the_mean_of_three_epochs_over_the_baseline_and_stability_one_less_the_worst_fall_of_ten() -> None:
    told = [*started(), completed(1), *germinated(1, accuracy=0.5)]
    told.append(moved(1, Stage.TRAINING, Stage.GRAFTING, Gate.RECONSTRUCTION, accuracy=0.25))
    accuracies = [0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.625, 0.5, 0.5, 0.5, 0.75, 0.5, 1.0]
    told += [completed(2 + place, accuracy) for place, accuracy in enumerate(accuracies)]
    evidence = rebuild(told).evidence(NAME)
    assert evidence.epochs_in_stage == 14
    assert evidence.effect == 0.75 - 0.25
    assert evidence.stability == 1.0 - (0.75 - 0.5), "the fall from 1.0 to 0.5 of the first epochs is past ten"


def test_before_grafting_the_effect_is_measured_against_the_germination() -> None:
    told = [*started(), completed(1), *germinated(1, accuracy=0.5), completed(2, 0.75)]
    evidence = rebuild(told).evidence(NAME)
    assert (evidence.effect, evidence.stability, evidence.epochs_in_stage) == (0.25, 1.0, 1)


def test_at_the_boundary_of_its_move_a_seed_has_no_effect_yet() -> None:
    evidence = rebuild([*started(), completed(1, 0.75), *germinated(1, accuracy=0.5)]).evidence(NAME)
    assert (evidence.effect, evidence.stability, evidence.epochs_in_stage) == (0.0, 1.0, 0)


def test_what_the_trainer_measured_is_evidence_until_the_next_report() -> None:
    report = LayerHealthReport.silent(1, 2).model_copy(
        update={"progress": (SeedProgress(index=1, reconstruction_loss=0.25),)}
    )
    told = [*started(), *germinated(0), LayerHealthReported(epoch=1, report=report), completed(1)]
    state = rebuild(told)
    assert state.evidence(NAME).reconstruction_loss == 0.25
    state = evolve(state, LayerHealthReported(epoch=2, report=LayerHealthReport.silent(1, 2)))
    assert state.evidence(NAME).reconstruction_loss is None


def test_the_queue_is_first_in_first_out() -> None:
    state = rebuild([*started(), completed(1), *germinated(1, NAME), *germinated(1, OTHER)])
    assert state.queue == (NAME, OTHER) and state.active == ()
    state = evolve(state, moved(2, Stage.GERMINATING, Stage.LOADING, Gate.PROMOTION, NAME))
    assert state.queue == (OTHER,) and state.active == (NAME,)
    assert state.evidence(OTHER).active_seeds == 1


@pytest.mark.parametrize("change", ["unknown", "retired", "no such slot"])
def test_a_blueprint_that_cannot_be_loaded_is_named_with_the_reason(change: str) -> None:
    state = rebuild(started())
    assert state.problem(NAME, BLUEPRINT, Reads.BOTH) is None
    if change == "unknown":
        assert state.problem(NAME, BlueprintId("f" * 64), Reads.BOTH) == "blueprint ffffffffffff is not in the library"
    elif change == "retired":
        event = decide_library(state.library, Retire(blueprint_id=BLUEPRINT, reason="worn out"), 1)
        assert isinstance(event, BlueprintRetired)
        problem = evolve(state, event).problem(NAME, BLUEPRINT, Reads.BOTH)
        assert problem is not None and problem.endswith("is archived, rolled back or not certified")
    else:
        with pytest.raises(UnknownSlot):
            state.problem(SeedId(layer=7, index=0), BLUEPRINT, Reads.BOTH)


def test_only_so_many_epochs_are_kept() -> None:
    state = rebuild([*started(), *(completed(epoch, epoch / 100) for epoch in range(1, 50))])
    assert len(state.recent) == RECENT_EPOCHS
    assert (state.recent[0].validation_accuracy, state.recent[-1].validation_accuracy) == (0.18, 0.49)
    assert state.best_accuracy == 0.49


def test_an_accuracy_that_is_not_a_number_is_nobodys_best() -> None:
    assert rebuild([*started(), completed(1, 0.5), completed(2, float("nan"))]).best_accuracy == 0.5


def test_panics_are_counted_until_an_epoch_completes() -> None:
    told = [*started(), PanicRaised(epoch=1, reason="nan"), PanicRaised(epoch=2, reason="nan")]
    state = rebuild(told)
    assert (state.consecutive_panics, state.epoch) == (2, 2)
    assert evolve(state, completed(3)).consecutive_panics == 0


def test_the_newest_checkpoints_are_kept_and_those_an_open_seed_may_have_to_go_back_to() -> None:
    told = [*started(checkpoints_kept=2), saved(0), saved(1), saved(2), *germinated(2)]
    state = rebuild([*told, *(saved(epoch) for epoch in (3, 4, 5, 6))])
    assert [kept.epoch for kept in state.checkpoints] == [2, 5, 6]


def test_without_an_open_seed_only_the_newest_checkpoints_are_kept() -> None:
    state = rebuild([*started(checkpoints_kept=2), *(saved(epoch) for epoch in range(7))])
    assert [kept.epoch for kept in state.checkpoints] == [5, 6]


def test_a_culprit_is_undone_by_the_newest_checkpoint_from_before_it() -> None:
    state = rebuild([*started(checkpoints_kept=9), saved(0), saved(3), *germinated(4), saved(5), saved(6)])
    assert restore_point(state, NAME).epoch == 3
    fossil = replace(state.seed(OTHER), stage=Stage.FOSSILIZED, since=5)
    with_fossil = replace(state, seeds={**state.seeds, OTHER: fossil})
    assert restore_point(with_fossil, NAME).epoch == 5


def test_a_rollback_with_nothing_in_the_host_goes_back_to_the_newest_checkpoint() -> None:
    state = rebuild([*started(checkpoints_kept=9), saved(0), saved(3), saved(6)])
    assert restore_point(state, None).epoch == 6


def test_a_rollback_goes_back_before_the_earliest_of_all_it_undoes() -> None:
    state = rebuild([*started(checkpoints_kept=9), saved(0), saved(3), *germinated(4), saved(5), saved(6)])
    adaptation = replace(state.seed(NAME).adaptation, attempt=1, germinated_at=6)
    younger = replace(state.seed(OTHER), stage=Stage.TRAINING, since=6, adaptation=adaptation)
    older = replace(state.seed(NAME), stage=Stage.ACTIVE)
    both = replace(state, seeds={NAME: older, OTHER: younger})
    assert restore_point(both, OTHER).epoch == 3
    assert restore_point(both, None).epoch == 3


def test_a_rollback_forgets_the_checkpoints_of_the_future_that_it_leaves() -> None:
    order = RollbackOrdered(
        epoch=7, source=RollbackSource.TAMIYO, reason="worse", culprit=NAME, checkpoint_epoch=3, checkpoint="c3"
    )
    state = rebuild([*started(checkpoints_kept=9), saved(0), saved(3), saved(5), order])
    assert [kept.epoch for kept in state.checkpoints] == [0, 3]
    assert (state.rollbacks, state.progress) == (1, {})


def test_every_field_that_a_decision_may_depend_on_is_in_the_digest() -> None:
    state = rebuild([*started(), saved(0), completed(1), *germinated(1)])
    digests = {state.digest()}
    later: list[DomainEvent] = [
        completed(2),
        PanicRaised(epoch=2, reason="nan"),
        saved(2),
        moved(2, Stage.GERMINATING, Stage.LOADING, Gate.PROMOTION),
        AlphaChanged(epoch=2, seed=NAME, alpha=0.5, steps=1.0, reason="ramp"),
        AlphaChanged(epoch=2, seed=NAME, alpha=0.5, steps=2.0, reason="ramp"),
        *germinated(2, OTHER)[:1],
        decide_library(state.library, Retire(blueprint_id=LIBRARY[3].blueprint_id, reason="worn out"), 2),
        RunEnded(epoch=2, ending=RunEnding.COMPLETED, reason="done"),
    ]
    digests |= {evolve(state, event).digest() for event in later}
    assert len(digests) == 1 + len(later)


def test_equal_logs_fold_into_equal_digests_and_the_order_of_seeds_does_not_matter() -> None:
    one = [*started(), *germinated(1, NAME), *germinated(1, OTHER)]
    assert rebuild(one).digest() == rebuild(one).digest()
    state = rebuild(one)
    turned = replace(state, seeds=dict(reversed(list(state.seeds.items()))))
    assert turned.digest() == state.digest()


def test_a_state_without_a_run_asserts() -> None:
    with pytest.raises(AssertionError, match="has not started"):
        _ = RunState().started


@pytest.mark.parametrize(
    ("outcomes", "failures"),
    [
        ((Outcome.CULLED,), 1),
        ((Outcome.CULLED, Outcome.ROLLED_BACK), 2),
        ((Outcome.CULLED, Outcome.CANCELLED), 1),
        ((Outcome.CANCELLED,), 0),
        ((Outcome.CULLED, Outcome.FOSSILIZED), 0),
    ],
    ids=lambda value: "-".join(outcome.value for outcome in value) if isinstance(value, tuple) else str(value),
)
def test_failures_in_a_row_are_culls_and_rollbacks_since_the_last_fossil(
    outcomes: tuple[Outcome, ...], failures: int
) -> None:
    state = rebuild([*started(), completed(1)])
    for attempt, outcome in enumerate(outcomes, start=1):
        state = rebuild_on(state, *germinated(1))
        name = AdaptationId(seed=NAME, attempt=attempt)
        state = evolve(state, AdaptationConcluded(epoch=1, adaptation=name, outcome=outcome, reason="told"))
    assert (state.consecutive_failures, state.conclusions) == (failures, len(outcomes))


def rebuild_on(state: RunState, *events: DomainEvent) -> RunState:
    for event in events:
        state = evolve(state, event)
    return state
