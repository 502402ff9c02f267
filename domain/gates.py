"""The gates between the stages: what each asks for, and the evidence it asks it of.

Thresholds: design §6 with the preset ``fast``; ``patient`` has the assessed code's 100/50/20/30/50 minimum epochs.
``total_improvement`` is 0.02 and not 0.01, measured with the host frozen: see DECISIONS.md, D-004.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, final

from pydantic import Field, model_validator

from domain.lifecycle import Gate, Stage
from domain.values import Value


@final
class StageWindow(Value):
    """How long a seed stays in a stage: its gate opens after ``min_epochs`` and it is culled at ``max_epochs``."""

    min_epochs: int = Field(ge=0)
    max_epochs: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"min_epochs {self.min_epochs} is above max_epochs {self.max_epochs}")
        return self


@final
class GateSettings(Value):
    """Thresholds of every gate."""

    training: StageWindow = StageWindow(min_epochs=3, max_epochs=10)
    grafting: StageWindow = StageWindow(min_epochs=1, max_epochs=30)
    stabilization: StageWindow = StageWindow(min_epochs=2, max_epochs=2)
    evaluating: StageWindow = StageWindow(min_epochs=2, max_epochs=4)
    fine_tuning: StageWindow = StageWindow(min_epochs=8, max_epochs=14)
    active: StageWindow = StageWindow(min_epochs=2, max_epochs=6)
    reconstruction_loss: float = Field(default=0.5, gt=0)
    """Largest share of its input's variance that an isolated blueprint may fail to reconstruct."""
    evaluation_stability: float = Field(default=0.8, ge=0, le=1)
    total_improvement: float = Field(default=0.02, ge=0, le=1)
    """Gain in validation accuracy over the baseline taken at GRAFTING."""
    final_stability: float = Field(default=0.95, ge=0, le=1)
    faults_max: int = Field(default=3, ge=1)
    """Consecutive faults that send a seed to ERROR_RECOVERY."""
    embargo_epochs: int = Field(default=5, ge=0)
    unlock_after_rollback: bool = False
    """Whether a rolled-back seed is only embargoed instead of locked for the run."""
    loaded_alpha: float = Field(default=0.3, gt=0, le=1)
    """Simplified profile: blend after a load, min(confidence x 0.6, 0.5) at the assessed code's confidence 0.5."""

    def window(self, stage: Stage) -> StageWindow | None:
        """The window of ``stage``, or None where a seed may stay."""
        match stage:
            case Stage.TRAINING:
                return self.training
            case Stage.GRAFTING:
                return self.grafting
            case Stage.STABILIZATION:
                return self.stabilization
            case Stage.EVALUATING:
                return self.evaluating
            case Stage.FINE_TUNING:
                return self.fine_tuning
            case Stage.ACTIVE:
                return self.active
            case _:
                return None


def _patient() -> GateSettings:
    return GateSettings(
        training=StageWindow(min_epochs=100, max_epochs=200),
        grafting=StageWindow(min_epochs=50, max_epochs=200),
        stabilization=StageWindow(min_epochs=20, max_epochs=40),
        evaluating=StageWindow(min_epochs=30, max_epochs=60),
        fine_tuning=StageWindow(min_epochs=50, max_epochs=100),
    )


PRESETS: Final = {"fast": GateSettings(), "patient": _patient()}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a seed's gates are judged on, at one boundary."""

    epochs_in_stage: int
    reconstruction_loss: float | None = None
    alpha: float = 0.0
    effect: float = 0.0
    """Validation accuracy since the seed entered its stage (mean of at most its last 3 epochs) minus the baseline."""
    stability: float = 1.0
    """1 - the largest fall of validation accuracy since the seed entered its stage (at most 10 epochs), [0, 1]."""
    trainable: bool = True
    blueprint_problem: str | None = None
    """Why the blueprint cannot be loaded into this slot, or None."""
    active_seeds: int = 0
    max_active_seeds: int = 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """Whether a gate opened, check by check."""

    gate: Gate
    passed: bool
    checks_passed: tuple[str, ...] = ()
    checks_failed: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The checks in one line, failed ones first."""
        return "; ".join([*(f"not: {check}" for check in self.checks_failed), *self.checks_passed])


def evaluate(gate: Gate, stage: Stage, evidence: Evidence, settings: GateSettings) -> GateResult:
    """Ask ``gate`` whether a seed in ``stage`` may pass. Gates that are only commanded always open."""
    checks = dict(_checks(gate, evidence, settings))
    window = settings.window(stage)
    if window is not None and gate in _TIMED:
        minimum = window.min_epochs
        checks[f"{evidence.epochs_in_stage} of at least {minimum} epochs in {stage.value}"] = (
            evidence.epochs_in_stage >= minimum
        )
    return GateResult(
        gate=gate,
        passed=all(checks.values()),
        checks_passed=tuple(check for check, held in checks.items() if held),
        checks_failed=tuple(check for check, held in checks.items() if not held),
    )


_TIMED: Final = frozenset(
    {
        Gate.RECONSTRUCTION,
        Gate.ALPHA_REACHED,
        Gate.SETTLED,
        Gate.POSITIVE_EFFECT,
        Gate.FIXED_FUNCTION_EFFECT,
        Gate.TOTAL_IMPROVEMENT,
        Gate.HELD,
    }
)


def _checks(gate: Gate, evidence: Evidence, settings: GateSettings) -> list[tuple[str, bool]]:
    effect = evidence.effect
    stability = evidence.stability
    stable = settings.evaluation_stability
    match gate:
        case Gate.PROMOTION:
            room = evidence.active_seeds < evidence.max_active_seeds
            return [(f"{evidence.active_seeds} of {evidence.max_active_seeds} places taken", room)]
        case Gate.BLUEPRINT_LOADED | Gate.FIXED_FUNCTION_LOADED | Gate.LOADED_BLEND:
            problem = evidence.blueprint_problem
            checks = [(problem or "blueprint found, its hash verified, its shapes fit", problem is None)]
            if gate is not Gate.LOADED_BLEND:
                wanted = gate is Gate.BLUEPRINT_LOADED
                checks.append(("trainable" if wanted else "fixed-function", evidence.trainable == wanted))
            return checks
        case Gate.RECONSTRUCTION:
            loss, limit = evidence.reconstruction_loss, settings.reconstruction_loss
            return [(f"reconstruction loss {_show(loss)} at most {limit:g}", loss is not None and loss <= limit)]
        case Gate.ALPHA_REACHED:
            return [(f"alpha {evidence.alpha:.2f} reached 1", evidence.alpha >= 1.0)]
        case Gate.POSITIVE_EFFECT | Gate.FIXED_FUNCTION_EFFECT:
            kind = gate is Gate.POSITIVE_EFFECT
            return [
                ("trainable" if kind else "fixed-function", evidence.trainable == kind),
                (f"effect {effect:+.4f} above 0", effect > 0),
                (f"stability {stability:.3f} at least {stable:g}", stability >= stable),
            ]
        case Gate.TOTAL_IMPROVEMENT:
            wanted_gain = settings.total_improvement
            return [(f"improvement {effect:+.4f} at least {wanted_gain:g}", effect >= wanted_gain)]
        case Gate.HELD:
            final_stability = settings.final_stability
            return [
                (f"alpha {evidence.alpha:.2f} held at 1", evidence.alpha >= 1.0),
                (f"stability {stability:.3f} at least {final_stability:g}", stability >= final_stability),
            ]
        case _:
            return []


def _show(loss: float | None) -> str:
    return "unmeasured" if loss is None else f"{loss:.4f}"


def largest_fall(values: Sequence[float]) -> float:
    """How far the values ever fell from the highest before, [0, inf); 0 while they rise, NaN if one of them is."""
    highest, fall = -math.inf, 0.0
    for value in values:
        if math.isnan(value):
            return math.nan
        if value > highest:
            highest = value
        elif highest - value > fall:
            fall = highest - value
    return fall
