from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.observations import at_epoch, header, healthy, metrics, planted

from domain.blueprint import (
    BlueprintMetadata,
    ConfidenceLevel,
    LifecycleState,
    TamiyoMetadata,
    UrabraskMetadata,
    UrzaMetadata,
)
from domain.commands import Decision, Germinate, GraftingStrategy, Reads, Wait
from domain.hardware import HardwareContext
from domain.identifiers import BlueprintId, SeedId
from domain.safety import (
    CHECK_PRESETS,
    DECISION_CHECKS,
    SHIELD,
    CurrentMetrics,
    DecisionCheckSettings,
    DecisionContext,
    Deployment,
    SafetyConfig,
    validate_blueprint_deployment,
    validate_decision,
)
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.review import review

SAFE = Deployment(
    blueprint=BlueprintMetadata(name="safe", urabrask=UrabraskMetadata(conf_level=ConfidenceLevel.HIGH)),
    hardware=HardwareContext(),
    metrics=CurrentMetrics(latency_ms=1.0, memory_gb=0.1),
    config=SafetyConfig(),
)


def blueprint(**changes: Any) -> Callable[[Deployment], Deployment]:
    return lambda it: replace(it, blueprint=it.blueprint.model_copy(update=changes))


def moment(**changes: Any) -> Callable[[Deployment], Deployment]:
    return lambda it: replace(it, metrics=replace(it.metrics, **changes))


def config(**changes: Any) -> Callable[[Deployment], Deployment]:
    return lambda it: replace(it, config=it.config.model_copy(update=changes))


def hardware(**changes: Any) -> Callable[[Deployment], Deployment]:
    return lambda it: replace(it, hardware=it.hardware.model_copy(update=changes))


def test_a_safe_blueprint_passes_all_seven_checks() -> None:
    assert len(SHIELD) == 7
    assert validate_blueprint_deployment(SAFE) == (True, ())


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (config(allowed_conf_levels=(ConfidenceLevel.MODERATE,)), "confidence_level"),
        (moment(memory_gb=3.7), "hardware"),  # 3.7 x 1.1 is over 4
        (moment(latency_ms=8.4), "hardware"),  # 8.4 x 1.2 is over 10
        (moment(latency_ms=float("nan")), "hardware"),
        (blueprint(quantized=True), "hardware"),
        (blueprint(urza=UrzaMetadata(min_tflops=0.06)), "hardware"),
        (blueprint(urza=UrzaMetadata(min_memory_gb=3.7)), "hardware"),
        (hardware(device_type="TPU"), "hardware"),
        (moment(drift=0.16), "drift_and_stability"),
        (moment(drift=float("nan")), "drift_and_stability"),
        (moment(rollback_success_rate=0.97), "drift_and_stability"),
        (moment(stable_epochs=9), "drift_and_stability"),
        (moment(gradient_variance=101.0), "drift_and_stability"),
        (config(encryption_required=True), "security"),
        (config(audit_logging=False), "security"),
        (blueprint(risky=True), "risky_primitive"),
        (moment(consecutive_failures=3), "fail_safe"),
        (lambda it: config(fail_safe_mode=True)(moment(consecutive_failures=1)(it)), "fail_safe"),
        (blueprint(urza=UrzaMetadata(lifecycle=LifecycleState.ARCHIVED)), "lifecycle_flags"),
        (blueprint(tamiyo=TamiyoMetadata(rollback_flag=True)), "lifecycle_flags"),
    ],
)
def test_each_rule_of_the_shield_is_told_alone(change: Callable[[Deployment], Deployment], rule: str) -> None:
    safe, violations = validate_blueprint_deployment(change(SAFE))

    assert not safe
    assert [violation.rule for violation in violations] == [rule]
    assert violations[0].detail


def test_violations_of_several_checks_accumulate() -> None:
    broken = moment(drift=1.0, consecutive_failures=9)(blueprint(risky=True, quantized=True)(SAFE))

    _, violations = validate_blueprint_deployment(broken)

    assert [violation.rule for violation in violations] == [
        "hardware",
        "drift_and_stability",
        "risky_primitive",
        "fail_safe",
    ]


@pytest.mark.parametrize(
    "change",
    [
        moment(memory_gb=3.6),
        moment(latency_ms=8.3),
        moment(stable_epochs=10),
        moment(consecutive_failures=2),
        config(fail_safe_mode=True),
        hardware(compute_capacity_tflops=0.0),
        lambda it: moment(grafting=GraftingStrategy.DRIFT_CONTROLLED)(blueprint(risky=True)(it)),
        lambda it: config(allow_risky=True)(blueprint(risky=True)(it)),
        lambda it: config(encryption_required=True)(blueprint(encrypted_capable=True)(it)),
        lambda it: replace(moment(latency_ms=1e9)(it), enforce_hardware=False),
    ],
)
def test_what_stays_inside_the_limits_is_safe(change: Callable[[Deployment], Deployment]) -> None:
    assert validate_blueprint_deployment(change(SAFE)) == (True, ())


CALM = DecisionContext(confidence=0.9, urgency=0.8, layer=0, epoch=20, layer_health=(0.8, 0.9))


def germinations(*pairs: tuple[int, int]) -> tuple[tuple[SeedId, int], ...]:
    return tuple((SeedId(layer=layer, index=0), epoch) for layer, epoch in pairs)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"confidence": 0.69}, "confidence_threshold"),
        ({"confidence": float("nan")}, "confidence_threshold"),
        ({"germinations": germinations((0, 16))}, "cooldown_period"),
        ({"germinations": germinations(*((1, 15 + i) for i in range(6)))}, "adaptation_rate"),
        ({"urgency": 0.59}, "system_stability"),
        ({"layer_health": (0.1, 0.2)}, "system_stability"),
        ({"safety_score": 0.69}, "safety_score"),
        ({"urgency": 0.95, "confidence": 0.75}, "safety_score"),
    ],
)
def test_each_decision_check_is_told_alone(changes: dict[str, Any], rule: str) -> None:
    assert len(DECISION_CHECKS) == 5
    assert validate_decision(CALM, DecisionCheckSettings()) == ()
    assert [found.rule for found in validate_decision(replace(CALM, **changes), DecisionCheckSettings())] == [rule]


def test_all_five_decision_checks_run_even_when_the_first_fails() -> None:
    hopeless = replace(
        CALM,
        confidence=0.1,
        urgency=0.95,
        germinations=germinations(*((0, 20) for _ in range(6))),
        layer_health=(0.1,),
        safety_score=0.0,
    )

    rules = [found.rule for found in validate_decision(hopeless, DecisionCheckSettings())]

    assert rules == [
        "confidence_threshold",
        "cooldown_period",
        "adaptation_rate",
        "system_stability",
        "safety_score",
        "safety_score",
    ]


def test_a_check_that_is_switched_off_says_nothing() -> None:
    off = DecisionCheckSettings(
        check_confidence=False, check_cooldown=False, check_rate=False, check_stability=False, check_score=False
    )
    hopeless = replace(CALM, confidence=0.0, germinations=germinations((0, 20)), layer_health=(0.0,), safety_score=0.0)

    assert validate_decision(hopeless, off) == ()


def test_cooldown_and_rate_end_on_the_epoch_they_say() -> None:
    limits = DecisionCheckSettings(cooldown_epochs=5, adaptations_max=1, window_epochs=3)

    assert validate_decision(replace(CALM, germinations=germinations((0, 15))), limits) == ()
    assert validate_decision(replace(CALM, germinations=germinations((1, 17))), limits) == ()
    assert len(validate_decision(replace(CALM, germinations=germinations((1, 18))), limits)) == 1


def test_the_presets_hold_the_assessed_implementations_numbers() -> None:
    numbers = {
        name: (preset.min_confidence, preset.cooldown_epochs, preset.adaptations_max, preset.window_epochs)
        for name, preset in CHECK_PRESETS.items()
    }

    assert numbers == {
        "default": (0.7, 5, 6, 6),
        "service": (0.7, 3, 6, 6),
        "document": (0.6, 3, 10, 6),
        "production": (0.75, 6, 3, 6),
        "trainer": (0.7, 5, 2, 1),
    }


def germination(**changes: Any) -> Decision:
    record = planted().library.by_name("residual_mlp")
    order = {
        "seed": SeedId(layer=0, index=0),
        "blueprint_id": record.blueprint_id,
        "reads": Reads.BOTH,
        "grafting": GraftingStrategy.FIXED_RAMP,
    }
    given = {"reason": "a plateau", "confidence": 1.0, "urgency": 1.0}
    return Decision(
        command=Germinate(**{name: changes.get(name, value) for name, value in order.items()}),
        **{name: changes.get(name, value) for name, value in given.items()},
    )


def test_review_passes_a_sound_germination_and_whatever_is_no_germination() -> None:
    state = at_epoch(planted(), 10)

    assert review(germination(), state, healthy(state)) == ()
    assert review(Decision(command=Wait(), reason="nothing"), state, healthy(state)) == ()


def test_review_tells_what_shield_and_checks_found_in_the_run() -> None:
    broken = metrics(0.5, loss=float("nan"))
    state = replace(at_epoch(planted(), 10, broken, metrics(0.5)), consecutive_failures=3)

    found = review(germination(confidence=0.5), state, healthy(state))

    assert [violation.rule for violation in found] == [
        "drift_and_stability",
        "fail_safe",
        "confidence_threshold",
        "safety_score",
    ]


def test_review_counts_germinations_of_this_very_boundary() -> None:
    state = replace(at_epoch(planted(), 10), last_germinations=germinations((0, 10)))

    assert [violation.rule for violation in review(germination(), state, healthy(state))] == ["cooldown_period"]


def test_review_leaves_what_the_lifecycle_refuses_to_the_lifecycle() -> None:
    state = at_epoch(planted(), 10)
    nowhere = germination(seed=SeedId(layer=9, index=0), confidence=0.0)
    nothing = germination(blueprint_id=BlueprintId("0" * 64), confidence=0.0)

    assert review(nowhere, state, healthy(state)) == ()
    assert review(nothing, state, healthy(state)) == ()


def test_review_is_off_when_safety_validation_is() -> None:
    state = at_epoch(planted(header(TamiyoConfig(enable_safety_validation=False))), 10)

    assert review(germination(confidence=0.0), state, healthy(state)) == ()
