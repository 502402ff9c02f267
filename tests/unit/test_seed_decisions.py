"""Given a seed at a boundary, when it is commanded, then these events or this refusal."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import pytest

from domain.commands import (
    Advance,
    Cancel,
    ChangeGrafting,
    Command,
    Cull,
    Germinate,
    GraftingStrategy,
    Reads,
    Recover,
    Reset,
    RollBack,
    Wait,
)
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    DomainEvent,
    EpochMetrics,
    FieldReportFiled,
    GraftingChanged,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.faults import FaultKind
from domain.gates import Evidence, GateSettings
from domain.health import SeedProgress
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import FULL, SIMPLIFIED, Gate, LifecycleProfile, Outcome, Stage
from domain.seed import Adaptation, Boundary, Refusal, Seed, decide, evolve, forward_gate, roll_back, succumb

NAME = SeedId(layer=1, index=0)
BLUEPRINT = BlueprintId("b" * 64)
PLANT = Germinate(seed=NAME, blueprint_id=BLUEPRINT, reads=Reads.BOTH, grafting=GraftingStrategy.FIXED_RAMP)
ADAPTATION = Adaptation(
    attempt=1,
    blueprint_id=BLUEPRINT,
    reads=Reads.BOTH,
    grafting=GraftingStrategy.FIXED_RAMP,
    germinated_at=2,
    pre_accuracy=0.5,
    pre_loss=1.0,
)


def given(stage: Stage, **changes: Any) -> Seed:
    """A seed in a stage, with an open adaptation where it must have one."""
    adaptation = None if stage is Stage.DORMANT else replace(ADAPTATION, **changes)
    return Seed(seed_id=NAME, stage=stage, since=5, attempts=1, adaptation=adaptation)


def at(
    epoch: int = 9,
    *,
    profile: LifecycleProfile = FULL,
    accuracy: float = 0.75,
    gates: GateSettings | None = None,
    **facts: Any,
) -> Boundary:
    """A boundary at which every gate is open unless a fact says otherwise."""
    evidence: dict[str, Any] = {"epochs_in_stage": 99, "reconstruction_loss": 0.1, "alpha": 1.0, "effect": 0.5}
    return Boundary(
        epoch=epoch,
        profile=profile,
        gates=gates or GateSettings(),
        metrics=EpochMetrics(train_loss=0.25, train_accuracy=0.5, validation_loss=0.5, validation_accuracy=accuracy),
        evidence=Evidence(**evidence | facts),
        task="spirals",
    )


def topics(events: tuple[DomainEvent, ...]) -> list[str]:
    return [event.TOPIC for event in events]


def after(seed: Seed, events: tuple[DomainEvent, ...]) -> Seed:
    return reduce(evolve, events, seed)


def refused(seed: Seed, command: Command, boundary: Boundary) -> Refusal:
    with pytest.raises(Refusal) as found:
        decide(seed, command, boundary)
    return found.value


def test_a_dormant_seed_germinates_and_remembers_how_things_stood() -> None:
    events = decide(Seed(seed_id=NAME), PLANT, at(accuracy=0.625))
    assert topics(events) == ["seed-germinated", "stage-changed"]
    seed = after(Seed(seed_id=NAME), events)
    assert (seed.stage, seed.since, seed.attempts) == (Stage.GERMINATING, 9, 1)
    assert seed.adaptation is not None
    assert (seed.adaptation.pre_accuracy, seed.adaptation.pre_loss) == (0.625, 0.5)


def test_a_growing_seed_refuses_to_germinate_again() -> None:
    refusal = refused(given(Stage.TRAINING), PLANT, at())
    assert (refusal.rule, refusal.reason) == (
        "not-dormant",
        "seed 1.0 is TRAINING at epoch 9; only a dormant seed germinates",
    )


def test_a_blueprint_that_does_not_fit_is_not_planted() -> None:
    refusal = refused(Seed(seed_id=NAME), PLANT, at().planting("it reads 7 units of 5"))
    assert (refusal.rule, refusal.reason) == ("blueprint", "it reads 7 units of 5")


def test_the_baseline_is_taken_on_entry_to_grafting() -> None:
    seed = given(Stage.TRAINING)
    grafting = after(seed, decide(seed, Advance(seed=NAME, gate=Gate.RECONSTRUCTION), at(accuracy=0.8125)))
    assert grafting.stage is Stage.GRAFTING
    assert grafting.adaptation is not None and grafting.adaptation.baseline_accuracy == 0.8125


def test_a_fossil_is_concluded_reported_and_keeps_its_adaptation() -> None:
    seed = replace(given(Stage.ACTIVE, alpha=1.0), attempts=1)
    events = decide(seed, Advance(seed=NAME, gate=Gate.HELD), at(accuracy=0.875))
    assert topics(events) == ["stage-changed", "adaptation-concluded", "field-report-filed"]
    filed = events[-1]
    assert isinstance(filed, FieldReportFiled)
    report = filed.report
    assert (report.seed_id, report.pre_metric, report.post_metric) == ("(1, 0)", 0.5, 0.875)
    assert (report.outcome, report.task) == (Outcome.FOSSILIZED, "spirals")
    fossil = after(seed, events)
    assert fossil.stage is Stage.FOSSILIZED
    assert fossil.adaptation is not None and fossil.adaptation.outcome is Outcome.FOSSILIZED


def test_a_field_report_sums_up_what_was_measured() -> None:
    first = SeedProgress(index=0, latency_ms=2.0, memory_mb=1.0, gradient_variance=0.5)
    second = SeedProgress(index=0, latency_ms=1.0, memory_mb=2.0, gradient_variance=1.5)
    seed = replace(given(Stage.EVALUATING), adaptation=ADAPTATION.measured(first).measured(second))
    filed = decide(seed, Cull(seed=NAME), at(effect=-0.1))[-1]
    assert isinstance(filed, FieldReportFiled)
    metrics = filed.report.eval_metrics
    assert (metrics.max_latency_ms, metrics.avg_memory_mb, metrics.gradient_norm_variance) == (2.0, 1.5, 1.0)


def test_an_adaptation_that_was_never_measured_reports_zeros() -> None:
    filed = decide(given(Stage.TRAINING), Cull(seed=NAME), at(reconstruction_loss=9.0))[-1]
    assert isinstance(filed, FieldReportFiled)
    assert filed.report.eval_metrics.avg_memory_mb == 0.0


@pytest.mark.parametrize("stage", [Stage.TRAINING, Stage.EVALUATING, Stage.FINE_TUNING, Stage.ACTIVE])
def test_a_seed_whose_gate_failed_is_culled_under_an_embargo(stage: Stage) -> None:
    seed = given(stage)
    events = decide(seed, Cull(seed=NAME), at(reconstruction_loss=9.0, effect=-1.0, stability=0.0))
    concluded = events[1]
    assert isinstance(concluded, AdaptationConcluded)
    assert (concluded.outcome, concluded.embargoed_until, concluded.locked) == (Outcome.CULLED, 14, False)
    assert concluded.reason.startswith("not: ")
    culled = after(seed, events)
    assert culled.adaptation is None
    assert [culled.may_germinate(epoch) for epoch in (13, 14)] == [False, True]


def test_a_seed_whose_gate_is_open_is_not_culled() -> None:
    refusal = refused(given(Stage.FINE_TUNING), Cull(seed=NAME), at())
    assert refusal.rule == "gate-open"
    assert "passes TOTAL_IMPROVEMENT" in refusal.reason and refusal.reason.endswith("advance it instead")


@pytest.mark.parametrize("stage", [Stage.GERMINATING, Stage.LOADING, Stage.TRAINING])
def test_a_cancelled_germination_is_not_reported_and_leaves_no_embargo(stage: Stage) -> None:
    seed = given(stage)
    events = decide(seed, Cancel(seed=NAME), at())
    assert topics(events) == ["stage-changed", "adaptation-concluded"]
    assert after(seed, events).may_germinate(9)


@pytest.mark.parametrize("stage", [Stage.GRAFTING, Stage.STABILIZATION, Stage.ACTIVE, Stage.FOSSILIZED, Stage.DORMANT])
def test_what_touched_the_host_is_not_cancelled(stage: Stage) -> None:
    assert refused(given(stage), Cancel(seed=NAME), at()).rule == "no-such-edge"


def test_a_rolled_back_seed_is_locked_for_the_run_unless_configured() -> None:
    seed = given(Stage.FINE_TUNING)
    locked = after(seed, roll_back(seed, "loss rose", at()))
    assert locked.locked and not locked.may_germinate(10**9)
    unlocking = at(gates=GateSettings(unlock_after_rollback=True))
    embargoed = after(seed, roll_back(seed, "loss rose", unlocking))
    assert not embargoed.locked and [embargoed.may_germinate(epoch) for epoch in (13, 14)] == [False, True]


@pytest.mark.parametrize("stage", [Stage.LOADING, Stage.ACTIVE])
def test_a_simplified_seed_is_rolled_back_through_error_recovery(stage: Stage) -> None:
    seed = given(stage)
    events = roll_back(seed, "loss rose", at(profile=SIMPLIFIED))
    moves = [(event.source, event.target) for event in events if isinstance(event, StageChanged)]
    assert moves == [(stage, Stage.ERROR_RECOVERY), (Stage.ERROR_RECOVERY, Stage.DORMANT)]
    assert sum(isinstance(event, FieldReportFiled) for event in events) == 1


@pytest.mark.parametrize("profile", [FULL, SIMPLIFIED], ids=["full", "simplified"])
@pytest.mark.parametrize("stage", [Stage.DORMANT, Stage.FOSSILIZED])
def test_nothing_is_rolled_back_where_nothing_is_open(stage: Stage, profile: LifecycleProfile) -> None:
    with pytest.raises(Refusal, match="no-such-edge"):
        roll_back(given(stage), "loss rose", at(profile=profile))


def fault(epoch: int, count: int = 1) -> SeedFaulted:
    return SeedFaulted(epoch=epoch, seed=NAME, kind=FaultKind.NON_FINITE, count=count)


@pytest.mark.parametrize(
    ("faults", "moves"),
    [
        ((fault(7), fault(8)), 0),
        ((fault(7), fault(8), fault(9)), 1),
        ((fault(5), fault(6), fault(8), fault(9)), 0),
        ((fault(9, 3),), 1),
        ((fault(9), fault(9), fault(9)), 1),
    ],
    ids=["two", "three", "a pause between", "three in one epoch", "three told one by one"],
)
def test_three_faults_in_a_row_send_a_seed_to_error_recovery(faults: tuple[SeedFaulted, ...], moves: int) -> None:
    seed = after(given(Stage.GRAFTING), faults)
    events = succumb(seed, at())
    assert len(events) == moves
    assert after(seed, events).stage is (Stage.ERROR_RECOVERY if moves else Stage.GRAFTING)


def test_a_recovered_seed_is_culled_and_starts_afresh() -> None:
    seed = replace(given(Stage.ERROR_RECOVERY), faults=3, faulted_at=9)
    recovered = after(seed, decide(seed, Recover(seed=NAME), at()))
    assert recovered.stage is Stage.DORMANT and recovered.embargoed_until == 14
    again = after(recovered, decide(recovered, PLANT, at(epoch=14)))
    assert (again.faults, again.attempts) == (0, 2)


def test_a_loaded_blueprint_of_the_simplified_profile_is_blended_at_once() -> None:
    seed = given(Stage.LOADING)
    events = decide(seed, Advance(seed=NAME, gate=Gate.LOADED_BLEND), at(profile=SIMPLIFIED))
    blended = events[-1]
    assert isinstance(blended, AlphaChanged) and blended.alpha == 0.3
    assert after(seed, events).stage is Stage.ACTIVE


def test_a_reset_fossil_concludes_nothing_twice() -> None:
    seed = given(Stage.FOSSILIZED, outcome=Outcome.FOSSILIZED)
    events = decide(seed, Reset(seed=NAME), at(profile=SIMPLIFIED))
    assert topics(events) == ["stage-changed"]
    assert after(seed, events).adaptation is None
    assert refused(seed, Reset(seed=NAME), at()).rule == "no-such-edge", "terminal in the full profile"


@pytest.mark.parametrize("gate", [Gate.GERMINATION, Gate.FAULTS, Gate.RECOVERY, Gate.CULL, Gate.CANCEL, Gate.ROLLBACK])
def test_advance_does_not_pass_a_gate_that_has_a_command_of_its_own(gate: Gate) -> None:
    assert refused(given(Stage.TRAINING), Advance(seed=NAME, gate=gate), at()).rule == "not-a-way-forward"


def test_a_closed_gate_says_what_is_missing() -> None:
    refusal = refused(given(Stage.TRAINING), Advance(seed=NAME, gate=Gate.RECONSTRUCTION), at(epochs_in_stage=2))
    assert refusal.rule == "gate-closed"
    assert "not: 2 of at least 3 epochs in TRAINING" in refusal.reason


@pytest.mark.parametrize("command", [Wait(), RollBack(seed=NAME)])
def test_what_is_no_order_to_one_seed_is_refused(command: Command) -> None:
    assert refused(given(Stage.TRAINING), command, at()).rule == "not-a-seed-command"


def test_a_ramp_is_changed_while_it_is_ahead_or_under_way() -> None:
    seed = given(Stage.GRAFTING)
    (changed,) = decide(seed, ChangeGrafting(seed=NAME, grafting=GraftingStrategy.DRIFT_CONTROLLED), at())
    assert isinstance(changed, GraftingChanged)
    ramped = evolve(seed, changed)
    assert ramped.adaptation is not None and ramped.adaptation.grafting is GraftingStrategy.DRIFT_CONTROLLED
    same = ChangeGrafting(seed=NAME, grafting=GraftingStrategy.FIXED_RAMP)
    assert refused(seed, same, at()).rule == "no-change"
    assert refused(given(Stage.STABILIZATION), same, at()).rule == "not-ramping"


def test_the_way_forward_is_an_open_gate_and_else_the_one_that_came_closest() -> None:
    seed = given(Stage.LOADING)
    opened = forward_gate(seed, at(trainable=False))
    assert opened is not None and opened.passed and opened.gate is Gate.FIXED_FUNCTION_LOADED
    closed = forward_gate(seed, at(blueprint_problem="gone"))
    assert closed is not None and not closed.passed and closed.gate is Gate.BLUEPRINT_LOADED
    assert forward_gate(given(Stage.FOSSILIZED), at()) is None


def test_an_event_of_another_kind_leaves_a_seed_as_it_is() -> None:
    seed = given(Stage.TRAINING)
    germinated = decide(Seed(seed_id=NAME), PLANT, at())[0]
    assert isinstance(germinated, SeedGerminated)
    filed = decide(seed, Cull(seed=NAME), at(reconstruction_loss=9.0))[-1]
    assert evolve(seed, filed) is seed


def test_a_locked_seed_and_one_under_embargo_do_not_germinate() -> None:
    assert refused(Seed(seed_id=NAME, locked=True), PLANT, at()).rule == "locked"
    refusal = refused(Seed(seed_id=NAME, embargoed_until=10), PLANT, at())
    assert (refusal.rule, refusal.reason) == ("embargoed", "seed 1.0 is under embargo until epoch 10")
    assert decide(Seed(seed_id=NAME, embargoed_until=9), PLANT, at())
