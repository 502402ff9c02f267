from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from support.observations import at_epoch, header, metrics, observe, planted, report, run

from domain.commands import Advance, Cancel, Cull, Decision, Germinate, GraftingStrategy, Reads, Recover, RollBack, Wait
from domain.events import (
    AdaptationConcluded,
    CommandRefused,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    FieldReportFiled,
    RollbackOrdered,
    StageChanged,
)
from domain.gates import GateSettings
from domain.grafting import GraftingConfig
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Gate, Outcome, Stage
from domain.run import RunState
from domain.seed import Adaptation, Seed
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.emergency import emergency
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.memory import TamiyoMemory, remember
from domain.tamiyo.plateau import Plateau
from engine.randomness import BoundaryRandomness

FAST = header(TamiyoConfig(), gates=GateSettings()).model_copy(update={"grafting": GraftingConfig()})
SLOT = SeedId(layer=0, index=0)


def alpha_of(state: RunState) -> float:
    return max((seed.adaptation.alpha for seed in state.seeds.values() if seed.adaptation), default=0.0)


def stages(events: list[DomainEvent]) -> list[tuple[int, Stage]]:
    return [(event.epoch, event.target) for event in events if isinstance(event, StageChanged)]


def outcomes(events: list[DomainEvent]) -> list[Outcome]:
    return [event.outcome for event in events if isinstance(event, AdaptationConcluded)]


def decisions(events: list[DomainEvent], kind: type) -> list[Decision]:
    made = (event.decision for event in events if isinstance(event, DecisionMade))
    return [decision for decision in made if isinstance(decision.command, kind)]


def test_a_plateau_leads_a_seed_through_the_whole_lifecycle_in_twenty_four_epochs() -> None:
    events, state = run(AsDesigned(), FAST, lambda epoch, seen: metrics(0.6 + 0.1 * alpha_of(seen)), epochs=30)

    # The first epoch sets the reference, five without improvement follow: the plateau fills at epoch 6.
    assert stages(events) == [
        (6, Stage.GERMINATING),
        (7, Stage.LOADING),
        (8, Stage.TRAINING),
        (11, Stage.GRAFTING),
        (16, Stage.STABILIZATION),
        (18, Stage.EVALUATING),
        (20, Stage.FINE_TUNING),
        (28, Stage.ACTIVE),
        (30, Stage.FOSSILIZED),
    ]
    assert outcomes(events) == [Outcome.FOSSILIZED]
    assert not [event for event in events if isinstance(event, CommandRefused | DecisionVetoed)]
    assert TamiyoConfig().reserve_epochs == 25
    assert state.consecutive_failures == 0


def test_an_adaptation_without_effect_is_culled_and_reported_and_another_blueprint_follows() -> None:
    events, _ = run(AsDesigned(), FAST, lambda epoch, seen: metrics(0.6))

    reports = [event.report for event in events if isinstance(event, FieldReportFiled)]
    assert [each.outcome for each in reports] == [Outcome.CULLED] * len(reports)
    assert len(reports) == 2  # the second concludes at 53, too late for a third
    assert not [event for event in events if isinstance(event, CommandRefused | DecisionVetoed)]


def test_after_a_fossil_the_next_seed_waits_for_a_new_plateau() -> None:
    long = FAST.model_copy(update={"training": FAST.training.model_copy(update={"epochs": 70})})
    events, _ = run(AsDesigned(), long, lambda epoch, seen: metrics(0.6 + 0.1 * alpha_of(seen)), epochs=37)

    germinated = [epoch for epoch, stage in stages(events) if stage is Stage.GERMINATING]
    # Concluded at 30, noticed at 31 which restarts the plateau, five epochs without improvement: 36.
    assert germinated == [6, 36]
    orders = [decision.command for decision in decisions(events, Germinate)]
    assert len({str(order.seed) for order in orders if isinstance(order, Germinate)}) == 2


def test_nothing_germinates_above_the_accuracy_threshold() -> None:
    events, _ = run(AsDesigned(), FAST, lambda epoch, seen: metrics(0.95))

    assert decisions(events, Germinate) == []


def test_a_germination_explains_itself_with_numbers() -> None:
    events, _ = run(AsDesigned(), FAST, lambda epoch, seen: metrics(0.6), epochs=6)

    (decision,) = decisions(events, Germinate)
    assert decision.reason == (
        "no improvement for 5 epochs at accuracy 0.600 under 0.95: seed 0.1 is in greatest need (0.300); "
        "residual_mlp scores 0.955 for PERFORMANCE; FIXED_RAMP, validation loss moves by only 0.0% an epoch"
    )
    assert (decision.confidence, decision.urgency) == (1.0, 1.0)
    options = [entry.option for entry in decision.considered]
    assert "seed 0.1" in options
    assert "residual_mlp" in options


def test_a_plateau_that_no_blueprint_may_end_is_a_recorded_wait() -> None:
    bare = FAST.model_copy(update={"safety": FAST.safety.model_copy(update={"allowed_conf_levels": ()})})

    events, _ = run(AsDesigned(), bare, lambda epoch, seen: metrics(0.6), epochs=6)

    (waited,) = decisions(events, Wait)
    assert "no blueprint may be put into any of 4 seeds" in waited.reason
    assert any("not allowed" in entry.note for entry in waited.considered)


def test_an_emergency_rolls_back_and_orders_nothing_else() -> None:
    def script(epoch: int, seen: RunState) -> Any:
        grafting = any(seed.stage is Stage.GRAFTING for seed in seen.seeds.values())
        return metrics(0.4, 1.0) if grafting else metrics(0.6)

    events, state = run(AsDesigned(), FAST, script, epochs=12)

    (ordered,) = [event for event in events if isinstance(event, RollbackOrdered)]
    assert ordered.epoch == 12
    assert "validation loss changed by +150.0% and accuracy by -0.200" in ordered.reason
    assert outcomes(events) == [Outcome.ROLLED_BACK]
    made = [event.decision for event in events if isinstance(event, DecisionMade) and event.epoch == 12]
    assert [type(decision.command) for decision in made] == [RollBack]
    assert state.seed(SeedId(layer=0, index=1)).locked


# Emergency


def growing(stage: Stage = Stage.GRAFTING, name: SeedId = SLOT, alpha: float = 0.5, **changes: Any) -> Seed:
    blueprint = planted().library.by_name("residual_mlp").blueprint_id
    adaptation = Adaptation(
        attempt=1,
        blueprint_id=changes.pop("blueprint_id", blueprint),
        reads=Reads.BOTH,
        grafting=GraftingStrategy.FIXED_RAMP,
        germinated_at=5,
        pre_accuracy=0.8,
        pre_loss=0.5,
        baseline_accuracy=0.8,
        alpha=alpha,
    )
    return Seed(seed_id=name, stage=stage, since=changes.pop("since", 9), attempts=1, adaptation=adaptation, **changes)


def standing(*seeds: Seed, config: TamiyoConfig | None = None, now: Any = None, **changes: Any) -> RunState:
    head = header(config, gates=GateSettings()) if config else FAST
    history = [now or metrics(0.8, 0.5)] * 3
    state = at_epoch(planted(head), changes.pop("epoch", 10), *history)
    waiting = tuple(seed.seed_id for seed in seeds if seed.stage is Stage.GERMINATING)
    return replace(state, seeds={seed.seed_id: seed for seed in seeds}, queue=waiting, **changes)


@pytest.mark.parametrize(
    ("condition", "accuracy", "loss", "rolled_back"),
    [
        ("both", 0.74, 0.53, True),
        ("both", 0.76, 0.53, False),
        ("both", 0.74, 0.52, False),
        ("either", 0.76, 0.53, True),
        ("either", 0.74, 0.52, True),
        ("either", 0.76, 0.52, False),
    ],
)
def test_the_emergency_rule_compares_with_the_germination(
    condition: str, accuracy: float, loss: float, rolled_back: bool
) -> None:
    config = TamiyoConfig.model_validate({"emergency_condition": condition})
    state = standing(growing(), config=config, now=metrics(accuracy, loss))

    assert bool(emergency(observe(state))) is rolled_back


@pytest.mark.parametrize("stage", [Stage.DORMANT, Stage.LOADING, Stage.TRAINING, Stage.FOSSILIZED])
def test_a_seed_that_is_not_blended_in_is_no_culprit(stage: Stage) -> None:
    assert emergency(observe(standing(growing(stage), now=metrics(0.1, 9.0)))) == ()


def test_a_loss_that_is_not_finite_is_an_emergency_and_the_deepest_seed_its_suspect() -> None:
    deep, shallow = growing(alpha=0.9), growing(name=SeedId(layer=0, index=1), alpha=0.1)

    (decision,) = emergency(observe(standing(shallow, deep, now=metrics(0.8, math.nan))))

    assert decision.command == RollBack(seed=SLOT)
    assert "not finite" in decision.reason


def test_emergencies_can_be_switched_off() -> None:
    state = standing(growing(), now=metrics(0.1, math.nan))
    off = state.started.model_copy(
        update={"safety": state.started.safety.model_copy(update={"emergency_rollback_enabled": False})}
    )

    assert emergency(observe(replace(state, header=off))) == ()


# Housekeeping


def test_an_open_gate_advances_and_quotes_its_checks() -> None:
    (decision,) = housekeeping(observe(standing(growing(alpha=1.0))))

    assert decision.command == Advance(seed=SLOT, gate=Gate.ALPHA_REACHED)
    assert "alpha 1.00 reached 1; 1 of at least 1 epochs in GRAFTING" in decision.reason


@pytest.mark.parametrize(
    ("stage", "epochs", "gate"),
    [
        (Stage.TRAINING, 10, "RECONSTRUCTION"),
        (Stage.EVALUATING, 4, "POSITIVE_EFFECT"),
        (Stage.FINE_TUNING, 14, "TOTAL_IMPROVEMENT"),
        (Stage.ACTIVE, 6, "HELD"),
    ],
)
def test_a_gate_that_stays_shut_for_its_window_culls(stage: Stage, epochs: int, gate: str) -> None:
    seed = growing(stage, since=20)

    assert housekeeping(observe(standing(seed, epoch=20 + epochs - 1))) == ()
    (decision,) = housekeeping(observe(standing(seed, epoch=20 + epochs)))
    assert decision.command == Cull(seed=SLOT)
    assert f"did not pass {gate} within {epochs} epochs: not: " in decision.reason


def test_a_ramp_is_never_culled() -> None:
    assert housekeeping(observe(standing(growing(Stage.GRAFTING, since=1), epoch=50))) == ()


def test_a_blueprint_that_cannot_be_loaded_is_cancelled() -> None:
    seed = growing(Stage.LOADING, blueprint_id=BlueprintId("0" * 64))

    (decision,) = housekeeping(observe(standing(seed)))

    assert decision.command == Cancel(seed=SLOT)
    assert "is not in the library" in decision.reason


def test_a_seed_in_error_recovery_recovers() -> None:
    (decision,) = housekeeping(observe(standing(growing(Stage.ERROR_RECOVERY, faults=3))))

    assert decision.command == Recover(seed=SLOT)


def test_the_queue_is_promoted_in_its_order_as_far_as_places_go() -> None:
    config = TamiyoConfig(max_active_seeds=3, allow_concurrent_adaptations=True)
    waiting = [growing(Stage.GERMINATING, name=SeedId(layer=1, index=index)) for index in (1, 0)]
    third = growing(Stage.GERMINATING, name=SeedId(layer=0, index=1))
    state = standing(growing(alpha=0.5), *waiting, third, config=config)

    promoted = [decision.command for decision in housekeeping(observe(state))]

    assert promoted == [
        Advance(seed=SeedId(layer=1, index=1), gate=Gate.PROMOTION),
        Advance(seed=SeedId(layer=1, index=0), gate=Gate.PROMOTION),
    ]


# Memory


def test_a_failure_is_noticed_penalised_and_slowly_forgotten() -> None:
    config = TamiyoConfig()
    seed = growing()
    before = remember(TamiyoMemory(), standing(seed), config)
    culled = replace(seed, stage=Stage.DORMANT, adaptation=None, embargoed_until=16)

    after = remember(before, standing(culled, epoch=11), config)

    assert after.failed_at == 11
    assert after.plateau == Plateau(reference=0.8)
    blueprint = before.open_adaptations[0].blueprint_id
    assert after.penalty(SLOT, blueprint) == 2.0
    later = after
    for epoch in range(12, 12 + 29):
        later = remember(later, standing(culled, epoch=epoch), config)
    assert later.penalty(SLOT, blueprint) == 0.0  # 2 x 0.9^29 is under 0.1


def test_a_fossil_and_a_cancellation_are_no_failures() -> None:
    config, seed = TamiyoConfig(), growing()
    before = remember(TamiyoMemory(), standing(seed), config)
    assert seed.adaptation is not None
    fossil = replace(seed, stage=Stage.FOSSILIZED, adaptation=replace(seed.adaptation, outcome=Outcome.FOSSILIZED))
    cancelled = replace(seed, stage=Stage.DORMANT, adaptation=None)

    for concluded in (fossil, cancelled):
        after = remember(before, standing(concluded), config)
        assert (after.failed_at, after.penalties, after.open_adaptations) == (None, (), ())
        assert after.plateau.epochs == 0


def test_the_seed_in_need_gets_the_germination() -> None:
    state = at_epoch(planted(FAST), 20)
    memory = TamiyoMemory(plateau=Plateau(epochs=9, reference=0.5))
    seen = observe(state, (report(0, [1.0, 0.9]), report(1, [0.1, 1.0])))

    step = AsDesigned().step(seen, memory, BoundaryRandomness(1, 20))

    (decision,) = step.decisions
    assert isinstance(decision.command, Germinate)
    assert decision.command.seed == SeedId(layer=1, index=0)
    assert step.memory.plateau.epochs == 0
