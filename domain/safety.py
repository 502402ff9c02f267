"""The shield in front of the host, and the checks on decisions. Pure: every check gets all it needs and tells all.

The shield judges what is deployed (Tamiyo v0.1a §8.2, ``SafetyValidator``); the decision checks judge how often and how
surely Tamiyo decides (the assessed implementation's ``_validate_decision_safety``, its clock replaced by epochs). Every
check runs and every violation is told; a decision is safe when there is none. ``domain/tamiyo/review.py`` gathers what
they need from a run. To add a check: a function, and a line in ``SHIELD`` or ``DECISION_CHECKS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from pydantic import Field

from domain.blueprint import BlueprintMetadata, ConfidenceLevel, LifecycleState
from domain.commands import GraftingStrategy
from domain.hardware import HardwareContext
from domain.identifiers import SeedId
from domain.values import Value


@final
class Violation(Value):
    """A rule of the shield or of the decision checks that a decision broke."""

    rule: str
    detail: str


@final
class DecisionCheckSettings(Value):
    """Limits of the five decision checks. Seconds of the assessed code are epochs here, so that a replay is exact."""

    check_confidence: bool = True
    check_cooldown: bool = True
    check_rate: bool = True
    check_stability: bool = True
    check_score: bool = True
    min_confidence: float = Field(default=0.7, ge=0, le=1)
    cooldown_epochs: int = Field(default=5, ge=0)
    """Epochs between two germinations in one layer."""
    adaptations_max: int = Field(default=6, ge=1)
    """Germinations in the last ``window_epochs`` epochs, all layers together."""
    window_epochs: int = Field(default=6, ge=1)
    min_overall_health: float = Field(default=0.3, ge=0, le=1)
    """Mean health below which the network is too unwell to be grown."""
    problematic_health: float = Field(default=0.3, ge=0, le=1)
    """Health below which a layer is a problem."""
    idle_urgency: float = Field(default=0.6, ge=0, le=1)
    """Urgency that a germination needs while no layer is a problem. The assessed service asks for 0.8, its trainer for
    0.6; they were never used together, and 0.8 on top of the trainer's rule lets nothing of it pass."""
    min_safety_score: float = Field(default=0.7, ge=0, le=1)
    """Smallest 1 - risk score of a blueprint whose risk is certified."""
    rash_urgency: float = Field(default=0.9, ge=0, le=1)
    rash_confidence: float = Field(default=0.8, ge=0, le=1)
    """Above ``rash_urgency`` a decision needs at least this confidence."""


CHECK_PRESETS: Final = {
    "default": DecisionCheckSettings(),
    "service": DecisionCheckSettings(
        min_confidence=0.7, cooldown_epochs=3, adaptations_max=6, window_epochs=6, idle_urgency=0.8
    ),
    "document": DecisionCheckSettings(
        min_confidence=0.6, cooldown_epochs=3, adaptations_max=10, window_epochs=6, idle_urgency=0.8
    ),
    "production": DecisionCheckSettings(
        min_confidence=0.75, cooldown_epochs=6, adaptations_max=3, window_epochs=6, idle_urgency=0.8
    ),
    "trainer": DecisionCheckSettings(
        min_confidence=0.7,
        cooldown_epochs=5,
        adaptations_max=2,
        window_epochs=1,
        check_stability=False,
        check_score=False,
    ),
}
"""The assessed implementation's numbers, an epoch read as 10 seconds: its service (0.7, 30 s, 6 a minute), the
assessment's table (0.6, 30 s, 10 a minute), its production example (0.75, 60 s, 3 a minute), and its trainer's own
limits, which are in epochs already (5 epochs, 2 an epoch) and know neither stability nor safety scores."""


@final
class SafetyConfig(Value):
    """What the shield insists on. Source: Tamiyo v0.1a §8.2."""

    allowed_conf_levels: tuple[ConfidenceLevel, ...] = (
        ConfidenceLevel.HIGH,
        ConfidenceLevel.MODERATE,
        ConfidenceLevel.SPECULATIVE,
    )
    max_drift_threshold: float = Field(default=0.15, ge=0)
    """Largest weight drift of the blueprints that hold at full blend, [0, inf)."""
    min_rollback_success_rate: float = Field(default=0.98, ge=0, le=1)
    stability_window_epochs: int = Field(default=10, ge=0)
    """Epochs without a loss that is not finite that a deployment needs behind it."""
    max_gradient_variance: float = Field(default=100.0, gt=0)
    """Largest expected variance of a blueprint's gradient norm; the source asks for a bound and names none."""
    encryption_required: bool = False
    privacy_mode: bool = False
    audit_logging: bool = True
    """The journal is the audit log; a scenario that turns it off fails the security check."""
    emergency_rollback_enabled: bool = True
    fail_safe_mode: bool = False
    """Whether nothing at all is deployed once anything failed: one culled or rolled-back adaptation is enough."""
    max_consecutive_failures: int = Field(default=3, ge=1)
    allow_risky: bool = False
    """Whether blueprints marked risky may be grafted under any strategy but DRIFT_CONTROLLED."""
    decision_checks: DecisionCheckSettings = DecisionCheckSettings()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentMetrics:
    """The moment of a deployment, as far as the shield looks at it."""

    latency_ms: float = 0.0
    """Estimated for the blueprint in this slot, ms a sample."""
    memory_gb: float = 0.0
    """Estimated for the blueprint in this slot, GB."""
    drift: float = 0.0
    """Largest weight drift of the blueprints that hold at full blend, [0, inf)."""
    rollback_success_rate: float = 1.0
    stable_epochs: int | None = None
    """Epochs since a loss that was not finite; None when there never was one."""
    gradient_variance: float = 0.0
    """Expected of the blueprint: measured by earlier uses where there are any, else its estimate."""
    consecutive_failures: int = 0
    grafting: GraftingStrategy = GraftingStrategy.FIXED_RAMP


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A blueprint about to be germinated, and everything the shield holds it against."""

    blueprint: BlueprintMetadata
    hardware: HardwareContext
    metrics: CurrentMetrics
    config: SafetyConfig
    memory_margin: float = 0.1
    latency_margin: float = 0.2
    enforce_hardware: bool = True


def _found(rule: str, *findings: tuple[bool, str]) -> tuple[Violation, ...]:
    return tuple(Violation(rule=rule, detail=detail) for broken, detail in findings if broken)


def check_confidence_level(it: Deployment) -> tuple[Violation, ...]:
    """1. The blueprint's confidence level must be allowed."""
    level, allowed = it.blueprint.urabrask.conf_level, it.config.allowed_conf_levels
    names = ", ".join(entry.value for entry in allowed) or "none"
    return _found("confidence_level", (level not in allowed, f"level {level.value} is not among {names}"))


def check_hardware(it: Deployment) -> tuple[Violation, ...]:
    """2. Memory, operations and latency must fit the declared hardware with the margins; so must its kind."""
    if not it.enforce_hardware:
        return ()
    hardware, urza = it.hardware, it.blueprint.urza
    memory = max(urza.min_memory_gb, it.metrics.memory_gb) * (1 + it.memory_margin)
    latency = it.metrics.latency_ms * (1 + it.latency_margin)
    capacity = hardware.compute_capacity_tflops
    return _found(
        "hardware",
        (
            not memory <= hardware.memory_available_gb,
            f"needs {memory:.4g} GB with margin but {hardware.memory_available_gb:g} GB are available",
        ),
        (
            capacity > 0 and urza.min_tflops > capacity,
            f"needs {urza.min_tflops:g} TFLOPS but the device has {capacity:g}",
        ),
        (
            not latency <= hardware.latency_budget_ms,
            f"takes {latency:.4g} ms with margin but the budget is {hardware.latency_budget_ms:g} ms",
        ),
        (
            hardware.device_type not in urza.supported_architectures,
            f"does not support {hardware.device_type} but {', '.join(urza.supported_architectures)}",
        ),
        (
            it.blueprint.quantized and not hardware.supports_quantization,
            "is quantized but the device does not support quantization",
        ),
    )


def check_drift_and_stability(it: Deployment) -> tuple[Violation, ...]:
    """3. The network must be steady, rollbacks must have worked, and the blueprint's gradients must stay bounded."""
    metrics, config = it.metrics, it.config
    stable, window = metrics.stable_epochs, config.stability_window_epochs
    return _found(
        "drift_and_stability",
        (
            not metrics.drift <= config.max_drift_threshold,
            f"drift {metrics.drift:.3g} is above {config.max_drift_threshold:g}",
        ),
        (
            not metrics.rollback_success_rate >= config.min_rollback_success_rate,
            f"{metrics.rollback_success_rate:.1%} of rollbacks worked, under {config.min_rollback_success_rate:.1%}",
        ),
        (
            stable is not None and stable < window,
            f"{stable} epochs since a loss was not finite, fewer than {window}",
        ),
        (
            not metrics.gradient_variance <= config.max_gradient_variance,
            f"gradient variance {metrics.gradient_variance:.3g} is above {config.max_gradient_variance:g}",
        ),
    )


def check_security(it: Deployment) -> tuple[Violation, ...]:
    """4. Encryption, privacy and the audit log, where they are asked for."""
    config, blueprint = it.config, it.blueprint
    return _found(
        "security",
        (
            config.encryption_required and not blueprint.encrypted_capable,
            "encryption is required but the blueprint cannot work on encrypted data",
        ),
        (
            config.privacy_mode and "public-data-path" in blueprint.urza.tags,
            "privacy mode is on but the blueprint is tagged public-data-path",
        ),
        (not config.audit_logging, "audit logging is off; turn audit_logging on"),
    )


def check_risky_primitive(it: Deployment) -> tuple[Violation, ...]:
    """5. A blueprint marked risky needs leave, or the guard-rail of DRIFT_CONTROLLED grafting. Source: Urza §1."""
    guarded = it.config.allow_risky or it.metrics.grafting is GraftingStrategy.DRIFT_CONTROLLED
    return _found(
        "risky_primitive",
        (
            it.blueprint.risky and not guarded,
            f"is marked risky; graft it by DRIFT_CONTROLLED, not {it.metrics.grafting.value}, or set allow_risky",
        ),
    )


def check_fail_safe(it: Deployment) -> tuple[Violation, ...]:
    """6. After too many failures in a row nothing is deployed; in fail-safe mode one failure is too many."""
    failures, limit = it.metrics.consecutive_failures, it.config.max_consecutive_failures
    return _found(
        "fail_safe",
        (it.config.fail_safe_mode and failures > 0, f"fail-safe mode is on and {failures} adaptations failed in a row"),
        (failures >= limit, f"{failures} adaptations failed in a row, the limit is {limit}"),
    )


def check_lifecycle_flags(it: Deployment) -> tuple[Violation, ...]:
    """7. An archived blueprint, or one that caused a rollback, is not deployed."""
    return _found(
        "lifecycle_flags",
        (it.blueprint.urza.lifecycle is not LifecycleState.ACTIVE, "is archived"),
        (it.blueprint.tamiyo.rollback_flag, "took part in a rollback"),
    )


SHIELD: Final[tuple[Callable[[Deployment], tuple[Violation, ...]], ...]] = (
    check_confidence_level,
    check_hardware,
    check_drift_and_stability,
    check_security,
    check_risky_primitive,
    check_fail_safe,
    check_lifecycle_flags,
)


def validate_blueprint_deployment(deployment: Deployment) -> tuple[bool, tuple[Violation, ...]]:
    """The shield: (is_safe, violations). All seven checks run; safe when none found anything."""
    violations = tuple(violation for check in SHIELD for violation in check(deployment))
    return not violations, violations


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """A decision to germinate, and the run's recent past as far as the decision checks look at it."""

    confidence: float
    urgency: float
    layer: int
    epoch: int
    germinations: tuple[tuple[SeedId, int], ...] = ()
    """Earlier germinations with their epochs; those of this epoch that were already carried out included."""
    layer_health: tuple[float, ...] = field(default=())
    """Mean health of each layer's seeds, [0, 1]; empty when nothing was reported."""
    safety_score: float | None = None
    """1 - risk score of a certified blueprint, [0, 1]; None while it is not certified."""


def check_confidence_threshold(it: DecisionContext, limits: DecisionCheckSettings) -> tuple[Violation, ...]:
    """1. The decision must be sure enough."""
    unsure = not it.confidence >= limits.min_confidence
    return _found(
        "confidence_threshold",
        (limits.check_confidence and unsure, f"confidence {it.confidence:.2f} is under {limits.min_confidence:g}"),
    )


def check_cooldown_period(it: DecisionContext, limits: DecisionCheckSettings) -> tuple[Violation, ...]:
    """2. The layer's last germination must be long enough ago."""
    last = max((epoch for seed, epoch in it.germinations if seed.layer == it.layer), default=None)
    if not limits.check_cooldown or last is None or it.epoch - last >= limits.cooldown_epochs:
        return ()
    detail = f"layer {it.layer} germinated {it.epoch - last} epochs ago, it rests for {limits.cooldown_epochs}"
    return (Violation(rule="cooldown_period", detail=detail),)


def check_adaptation_rate(it: DecisionContext, limits: DecisionCheckSettings) -> tuple[Violation, ...]:
    """3. Not too many germinations in the window. The assessed code never counts any; here they are counted."""
    recent = sum(it.epoch - epoch < limits.window_epochs for _, epoch in it.germinations)
    detail = f"{recent} germinations in {limits.window_epochs} epochs, the limit is {limits.adaptations_max}"
    return _found("adaptation_rate", (limits.check_rate and recent >= limits.adaptations_max, detail))


def check_system_stability(it: DecisionContext, limits: DecisionCheckSettings) -> tuple[Violation, ...]:
    """4. The network must be well enough to be grown, and unwell enough to need it unless the case is urgent."""
    health = [value for value in it.layer_health if math.isfinite(value)]
    if not limits.check_stability or not health:
        return ()
    overall = math.fsum(health) / len(health)
    problems = sum(value < limits.problematic_health for value in health)
    return _found(
        "system_stability",
        (
            problems == 0 and it.urgency < limits.idle_urgency,
            f"no layer is a problem and urgency {it.urgency:.2f} is under {limits.idle_urgency:g}",
        ),
        (overall < limits.min_overall_health, f"overall health {overall:.2f} is under {limits.min_overall_health:g}"),
    )


def check_safety_score(it: DecisionContext, limits: DecisionCheckSettings) -> tuple[Violation, ...]:
    """5. A certified blueprint must be safe enough, and an urgent decision sure enough."""
    score = it.safety_score
    rash = it.urgency > limits.rash_urgency and it.confidence < limits.rash_confidence
    return _found(
        "safety_score",
        (
            limits.check_score and score is not None and score < limits.min_safety_score,
            f"safety score {score if score is None else round(score, 3)} is under {limits.min_safety_score:g}",
        ),
        (
            limits.check_score and rash,
            f"urgency {it.urgency:.2f} asks for confidence {limits.rash_confidence:g} but it is {it.confidence:.2f}",
        ),
    )


DECISION_CHECKS: Final[tuple[Callable[[DecisionContext, DecisionCheckSettings], tuple[Violation, ...]], ...]] = (
    check_confidence_threshold,
    check_cooldown_period,
    check_adaptation_rate,
    check_system_stability,
    check_safety_score,
)


def validate_decision(context: DecisionContext, limits: DecisionCheckSettings) -> tuple[Violation, ...]:
    """The five decision checks, in the assessed code's order; unlike it, all of them run. Empty when all pass."""
    return tuple(violation for check in DECISION_CHECKS for violation in check(context, limits))
