"""Tamiyo's configuration. Source: Tamiyo v0.1a §9.1, with the fields that its rules need and it does not name.

Embargoes and minimum epochs a stage are ``domain.gates.GateSettings``. Ranges are checked by ``validate``, which lists
every violation and never raises; ``checked`` refuses a configuration that has any.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Annotated, Final, Literal, Self, final

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field

from domain.blueprint import ConfidenceLevel
from domain.commands import GraftingStrategy, Reads
from domain.health import HealthWeights
from domain.lifecycle import Stage
from domain.tamiyo.bandit_settings import BanditSettings, SeedSelection
from domain.values import Value


@final
class BlueprintSelectionStrategy(Enum):
    """What a blueprint is chosen for. Source: Tamiyo v0.1a §3.3 and appendix A, the union of both lists."""

    NONE = "NONE"
    PERFORMANCE = "PERFORMANCE"
    STABILITY = "STABILITY"
    ACCURACY = "ACCURACY"
    RISK = "RISK"
    NOVELTY = "NOVELTY"
    OPTIMIZATION = "OPTIMIZATION"
    SIZE = "SIZE"
    COST = "COST"
    POWER = "POWER"
    HARDWARE = "HARDWARE"
    SAFETY = "SAFETY"
    HYBRID = "HYBRID"


SELECTABLE: Final = tuple(BlueprintSelectionStrategy)
"""The strategies that can be chosen: every one that the source names."""

HybridMix = tuple[tuple[BlueprintSelectionStrategy, float], ...]
"""Strategies with the weights that HYBRID mixes them by; what they sum to does not matter."""

EVEN_MIX: Final[HybridMix] = ((BlueprintSelectionStrategy.ACCURACY, 0.5), (BlueprintSelectionStrategy.SIZE, 0.5))
"""What HYBRID mixes where it is not told."""

UNMIXABLE: Final = (BlueprintSelectionStrategy.NONE, BlueprintSelectionStrategy.HYBRID)


def hybrid_mix(text: str) -> HybridMix:
    """``"ACCURACY:0.6,SIZE:0.4"`` as a mix. Raises ValueError for anything else."""
    mix = []
    for part in text.split(","):
        name, _, weight = part.strip().partition(":")
        try:
            mix.append((BlueprintSelectionStrategy(name), float(weight)))
        except ValueError:
            form = "is not of the form STRATEGY:WEIGHT,... such as ACCURACY:0.6,SIZE:0.4"
            raise ValueError(f"the mix {text!r} {form}") from None
    return tuple(mix)


def _mix(given: object) -> object:
    """A mix as scenario files may write it: as text, or as a table of strategies and weights."""
    if isinstance(given, str):
        return hybrid_mix(given)
    return tuple(given.items()) if isinstance(given, dict) else given


@final
class RiskLevel(Enum):
    """How much risk a run may take; decides which confidence levels are allowed."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"

    @property
    def allowed_levels(self) -> tuple[ConfidenceLevel, ...]:
        """HIGH takes every level, MEDIUM no speculative one, LOW only the highest."""
        levels = (ConfidenceLevel.HIGH, ConfidenceLevel.MODERATE, ConfidenceLevel.SPECULATIVE)
        return levels[: {RiskLevel.LOW: 1, RiskLevel.MEDIUM: 2, RiskLevel.HIGH: 3}[self]]


_STAGE_ALIASES: Final = {"GERMINATED": "GERMINATING", "BLENDING": "GRAFTING"}


def _stage(name: object) -> object:
    return _STAGE_ALIASES.get(name, name) if isinstance(name, str) else name


_StageName = Annotated[Stage, BeforeValidator(_stage)]

Condition = Literal["either", "both"]
"""Whether one of two symptoms suffices."""


@final
class TamiyoConfig(Value):
    """Everything Tamiyo can be told. Any value of the right type can be held; ``validate`` judges it."""

    model_config = ConfigDict(populate_by_name=True)

    acc_threshold: float = 0.95
    """Validation accuracy from which nothing germinates any more, [0, 1]."""
    plateau_patience: int = 5
    """Epochs without improvement that make a plateau, at least 1."""
    min_improvement_delta: float = 0.001
    """Gain in validation accuracy that counts as an improvement, at least 0."""
    plateau_reference: Literal["best", "previous"] = "best"
    """What an epoch is compared with. The source says the previous epoch; with validation noise about half of all
    epochs then improve and a patience of 5 to 8 almost never fills, so the default is early stopping's: the best."""
    health_weights: HealthWeights = HealthWeights()
    allow_concurrent_adaptations: bool = False
    max_active_seeds: int = 1
    """Seeds that may have a blueprint in the host at a time, at least 1; 1 unless concurrency is allowed."""
    respected_states: tuple[_StageName, ...] = (
        Stage.GERMINATING,
        Stage.LOADING,
        Stage.TRAINING,
        Stage.GRAFTING,
        Stage.STABILIZATION,
        Stage.EVALUATING,
        Stage.FINE_TUNING,
        Stage.ACTIVE,
    )
    """Stages of one seed that hold back the next germination. The source's five, and the three that the reconciled
    lifecycle puts around them."""
    warm_up_epochs: int = 5
    """Epochs before the first germination."""
    cool_down_epochs: int = 5
    """Epochs without a germination after an adaptation was culled or rolled back."""
    reserve_epochs: int = 25
    """No germination with fewer epochs left: waiting 2, training 3, grafting 5, settling 2, evaluating 2,
    fine-tuning 8 and holding 2 take 24, and the next epoch is the first to show the result."""
    enable_safety_validation: bool = True
    """Whether the shield and the decision checks judge Tamiyo's decisions."""
    max_consecutive_failures: int = 3
    """Culled or rolled-back adaptations in a row after which nothing germinates, at least 1."""
    emergency_rollback_threshold: float = 0.05
    """Relative rise of validation loss, and fall of validation accuracy, that are an emergency, (0, 1]."""
    emergency_condition: Condition = "both"
    """Whether loss or accuracy alone is enough. The source glosses one rule both ways ("loss change", "performance
    drop"); either alone is noise: near loss 0 a change of 5 % is, and so are 5 points on a small validation set. A
    false alarm costs the checkpoint's epochs and the seed for the run, so the default asks for both."""
    enforce_hardware_constraints: bool = True
    memory_safety_margin: float = 0.1
    """Share of a blueprint's memory kept free on top of it, [0, 1)."""
    latency_safety_margin: float = 0.2
    """Share of a blueprint's latency kept free on top of it, [0, 1)."""
    blueprint_selection_strategy: BlueprintSelectionStrategy = Field(
        default=BlueprintSelectionStrategy.PERFORMANCE,
        validation_alias=AliasChoices("blueprint_selection_strategy", "blueprint_strategy"),
    )
    """On input also ``blueprint_strategy``, as the source's profiles call it."""
    hybrid_weights: Annotated[HybridMix, BeforeValidator(_mix)] = Field(default=(), exclude_if=lambda mix: not mix)
    """What HYBRID mixes, each weight above 0; empty for ``EVEN_MIX``. On input also a text or a table."""
    shortlist_size: int = Field(default=20, exclude_if=lambda size: size == 20)
    """Blueprints that a strategy compares where more passed the filters, at least 1: the best by their profiles, half of
    the places first to those that a host has kept."""
    shortlist_sample: int = Field(default=5, exclude_if=lambda size: size == 5)
    """Blueprints unlike those that are compared beside them, at least 0."""
    when_all_penalised: Literal["wait", "rotate"] = Field(default="wait", exclude_if=lambda rule: rule == "wait")
    """What to do where all that may be put into a slot failed there too often: wait until it is forgotten, or rotate,
    from the one with the lowest penalty."""
    seed_selection: SeedSelection = Field(default=SeedSelection.NEED, exclude_if=lambda way: way is SeedSelection.NEED)
    """By what the seed of a germination is chosen."""
    bandit: BanditSettings = Field(default=BanditSettings(), exclude_if=lambda settings: settings == BanditSettings())
    """Numbers of the ways to choose a seed other than by need."""
    grafting_strategy_selection: GraftingStrategy = Field(
        default=GraftingStrategy.GRAD_NORM_GATED,
        validation_alias=AliasChoices("grafting_strategy_selection", "grafting_strategy"),
    )
    """What a blueprint without a certified recommendation is grafted by. On input also ``grafting_strategy``."""
    default_grafting_strategy: GraftingStrategy = GraftingStrategy.GRAD_NORM_GATED
    """What is used while the network's condition cannot be judged."""
    reads_preference: Reads | None = None
    """What every blueprint is to read; None for each one's own preference."""
    neural_controller_enabled: bool = False
    neural_controller_confidence_threshold: float = 0.8
    """[0, 1]."""
    risk_tolerance: RiskLevel = RiskLevel.HIGH

    def validate(self) -> list[str]:  # type: ignore[override]  # the source's name; pydantic's is deprecated
        """Every rule that a value breaks: which field, which value, which rule. Never raises; empty when valid."""
        return [*self._out_of_range(), *self._contradictions()]

    def checked(self) -> Self:
        """Itself. Raises ValueError with every violation in one line."""
        violations = self.validate()
        if violations:
            raise ValueError(f"the Tamiyo configuration breaks {len(violations)} rules: {'; '.join(violations)}")
        return self

    def _out_of_range(self) -> list[str]:
        found = [
            f"{name} must be between 0 and 1 but is {value}"
            for name, value in (
                ("acc_threshold", self.acc_threshold),
                ("neural_controller_confidence_threshold", self.neural_controller_confidence_threshold),
            )
            if not 0 <= value <= 1
        ]
        found += [
            f"{name} must be at least {least} but is {value}"
            for name, value, least in (
                ("plateau_patience", self.plateau_patience, 1),
                ("max_active_seeds", self.max_active_seeds, 1),
                ("max_consecutive_failures", self.max_consecutive_failures, 1),
                ("warm_up_epochs", self.warm_up_epochs, 0),
                ("cool_down_epochs", self.cool_down_epochs, 0),
                ("reserve_epochs", self.reserve_epochs, 0),
                ("shortlist_size", self.shortlist_size, 1),
                ("shortlist_sample", self.shortlist_sample, 0),
            )
            if value < least
        ]
        found += [
            f"{name} must be at least 0 and under 1 but is {value}"
            for name, value in (
                ("memory_safety_margin", self.memory_safety_margin),
                ("latency_safety_margin", self.latency_safety_margin),
            )
            if not 0 <= value < 1
        ]
        if not (math.isfinite(self.min_improvement_delta) and self.min_improvement_delta >= 0):
            found.append(f"min_improvement_delta must be at least 0 but is {self.min_improvement_delta}")
        if not 0 < self.emergency_rollback_threshold <= 1:
            found.append(
                f"emergency_rollback_threshold must be above 0 and at most 1 but is {self.emergency_rollback_threshold}"
            )
        return found

    def _contradictions(self) -> list[str]:
        found = []
        weights = self.health_weights
        total = weights.variance_weight + weights.dead_node_weight + weights.correlation_weight
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            found.append(f"health_weights must sum to 1 but sum to {total:g}")
        if not self.allow_concurrent_adaptations and self.max_active_seeds > 1:
            found.append(
                f"max_active_seeds is {self.max_active_seeds} but allow_concurrent_adaptations is off; "
                "turn it on or set max_active_seeds to 1"
            )
        idle = [stage.value for stage in self.respected_states if stage in {Stage.DORMANT, Stage.FOSSILIZED}]
        if idle:
            found.append(f"respected_states may not hold {idle[0]}, in which nothing goes on")
        for strategy, weight in self.hybrid_weights:
            if strategy in UNMIXABLE:
                found.append(f"hybrid_weights may not hold {strategy.value}, which is no score of its own")
            if not (math.isfinite(weight) and weight > 0):
                found.append(f"hybrid_weights must be finite and above 0 but {strategy.value} has {weight}")
        if self.neural_controller_enabled:
            found.append("neural_controller_enabled is on but this version has no neural controller; turn it off")
        return found
