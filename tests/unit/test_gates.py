"""Every threshold of every gate, at its boundary and one step to either side."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from domain.gates import PRESETS, Evidence, GateSettings, StageWindow, evaluate
from domain.lifecycle import Gate, Stage

SETTINGS = GateSettings()
BELOW, ABOVE = -math.inf, math.inf


def passes(gate: Gate, stage: Stage, **evidence: Any) -> bool:
    """Whether evidence that is good enough everywhere, but for what is given, opens the gate."""
    best: dict[str, Any] = {
        "epochs_in_stage": 1000,
        "reconstruction_loss": 0.0,
        "alpha": 1.0,
        "effect": 1.0,
        "stability": 1.0,
    }
    return evaluate(gate, stage, Evidence(**best | evidence), SETTINGS).passed


def just(value: float, toward: float) -> float:
    """The next float in a direction."""
    return math.nextafter(value, toward)


AGED = [
    (Gate.RECONSTRUCTION, Stage.TRAINING, 3, {}),
    (Gate.ALPHA_REACHED, Stage.GRAFTING, 1, {}),
    (Gate.SETTLED, Stage.STABILIZATION, 2, {}),
    (Gate.POSITIVE_EFFECT, Stage.EVALUATING, 2, {}),
    (Gate.FIXED_FUNCTION_EFFECT, Stage.EVALUATING, 2, {"trainable": False}),
    (Gate.TOTAL_IMPROVEMENT, Stage.FINE_TUNING, 8, {}),
    (Gate.HELD, Stage.ACTIVE, 2, {}),
]


@pytest.mark.parametrize(("gate", "stage", "least", "extra"), AGED)
def test_a_timed_gate_opens_at_its_minimum_epochs_and_not_before(
    gate: Gate, stage: Stage, least: int, extra: dict[str, Any]
) -> None:
    assert passes(gate, stage, epochs_in_stage=least, **extra)
    assert not passes(gate, stage, epochs_in_stage=least - 1, **extra)


@pytest.mark.parametrize(
    ("gate", "stage", "field", "good", "bad"),
    [
        (Gate.RECONSTRUCTION, Stage.TRAINING, "reconstruction_loss", 0.5, just(0.5, ABOVE)),
        (Gate.RECONSTRUCTION, Stage.TRAINING, "reconstruction_loss", 0.0, None),
        (Gate.RECONSTRUCTION, Stage.TRAINING, "reconstruction_loss", 0.0, math.nan),
        (Gate.ALPHA_REACHED, Stage.GRAFTING, "alpha", 1.0, just(1.0, BELOW)),
        (Gate.POSITIVE_EFFECT, Stage.EVALUATING, "effect", just(0.0, ABOVE), 0.0),
        (Gate.POSITIVE_EFFECT, Stage.EVALUATING, "effect", just(0.0, ABOVE), -0.0),
        (Gate.POSITIVE_EFFECT, Stage.EVALUATING, "effect", 1.0, math.nan),
        (Gate.POSITIVE_EFFECT, Stage.EVALUATING, "stability", 0.8, just(0.8, BELOW)),
        (Gate.POSITIVE_EFFECT, Stage.EVALUATING, "stability", 0.8, math.nan),
        (Gate.POSITIVE_EFFECT, Stage.EVALUATING, "trainable", True, False),
        (Gate.TOTAL_IMPROVEMENT, Stage.FINE_TUNING, "effect", 0.02, just(0.02, BELOW)),
        (Gate.TOTAL_IMPROVEMENT, Stage.FINE_TUNING, "effect", 0.02, math.nan),
        (Gate.HELD, Stage.ACTIVE, "stability", 0.95, just(0.95, BELOW)),
        (Gate.HELD, Stage.ACTIVE, "alpha", 1.0, just(1.0, BELOW)),
        (Gate.BLUEPRINT_LOADED, Stage.LOADING, "trainable", True, False),
        (Gate.FIXED_FUNCTION_LOADED, Stage.LOADING, "trainable", False, True),
        (Gate.LOADED_BLEND, Stage.LOADING, "blueprint_problem", None, "unknown blueprint"),
        (Gate.BLUEPRINT_LOADED, Stage.LOADING, "blueprint_problem", None, "unknown blueprint"),
    ],
)
def test_a_gate_opens_at_its_threshold_and_not_one_step_beyond(
    gate: Gate, stage: Stage, field: str, good: object, bad: object
) -> None:
    assert passes(gate, stage, **{field: good})
    assert not passes(gate, stage, **{field: bad})


@pytest.mark.parametrize("field", ["effect", "stability"])
def test_a_fixed_function_blueprint_is_judged_by_the_same_effect_and_stability(field: str) -> None:
    limits = {"effect": (just(0.0, ABOVE), 0.0), "stability": (0.8, just(0.8, BELOW))}
    good, bad = limits[field]
    assert passes(Gate.FIXED_FUNCTION_EFFECT, Stage.EVALUATING, trainable=False, **{field: good})
    assert not passes(Gate.FIXED_FUNCTION_EFFECT, Stage.EVALUATING, trainable=False, **{field: bad})
    assert not passes(Gate.FIXED_FUNCTION_EFFECT, Stage.EVALUATING, trainable=True)


@pytest.mark.parametrize(("active", "limit", "opened"), [(0, 1, True), (1, 1, False), (1, 2, True), (3, 2, False)])
def test_promotion_needs_a_free_place(active: int, limit: int, opened: bool) -> None:
    assert passes(Gate.PROMOTION, Stage.GERMINATING, active_seeds=active, max_active_seeds=limit) == opened


@pytest.mark.parametrize("gate", [Gate.COMMANDED, Gate.CULL, Gate.CANCEL, Gate.ROLLBACK, Gate.RECOVERY, Gate.RESET])
def test_a_gate_that_is_only_commanded_asks_for_nothing(gate: Gate) -> None:
    result = evaluate(gate, Stage.ACTIVE, Evidence(epochs_in_stage=0, effect=-1.0, stability=0.0), SETTINGS)
    assert result.passed and result.message == ""


def test_a_gate_says_what_failed_first_and_what_held_after() -> None:
    evidence = Evidence(epochs_in_stage=2, effect=0.25, stability=0.5)
    result = evaluate(Gate.POSITIVE_EFFECT, Stage.EVALUATING, evidence, SETTINGS)
    assert result.checks_failed == ("stability 0.500 at least 0.8",)
    assert result.message.startswith("not: stability 0.500 at least 0.8; trainable; effect +0.2500 above 0")


def test_an_unmeasured_reconstruction_is_said_to_be_unmeasured() -> None:
    result = evaluate(Gate.RECONSTRUCTION, Stage.TRAINING, Evidence(epochs_in_stage=9), SETTINGS)
    assert "not: reconstruction loss unmeasured at most 0.5" in result.message


def test_the_patient_preset_has_the_assessed_minimum_epochs() -> None:
    patient = PRESETS["patient"]
    stages = (Stage.TRAINING, Stage.GRAFTING, Stage.STABILIZATION, Stage.EVALUATING, Stage.FINE_TUNING)
    windows = [patient.window(stage) for stage in stages]
    assert [window.min_epochs for window in windows if window] == [100, 50, 20, 30, 50]


def test_the_fast_presets_minimum_epochs_fit_into_thirty() -> None:
    windows = [PRESETS["fast"].window(stage) for stage in Stage]
    assert sum(window.min_epochs for window in windows if window) <= 30


@pytest.mark.parametrize("stage", [Stage.DORMANT, Stage.GERMINATING, Stage.LOADING, Stage.FOSSILIZED])
def test_a_seed_may_stay_where_there_is_no_window(stage: Stage) -> None:
    assert SETTINGS.window(stage) is None


def test_a_window_that_closes_before_it_opens_is_refused() -> None:
    assert StageWindow(min_epochs=3, max_epochs=3).max_epochs == 3
    with pytest.raises(ValidationError, match="min_epochs 4 is above max_epochs 3"):
        StageWindow(min_epochs=4, max_epochs=3)
