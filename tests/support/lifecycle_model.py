"""A plain second telling of the lifecycle: strings and dicts, written from the table of design §6 and nothing else."""

from __future__ import annotations

import math
from typing import Any

from domain.gates import GateSettings

FORWARD = {
    "full": {
        ("GERMINATING", "PROMOTION"): "LOADING",
        ("LOADING", "BLUEPRINT_LOADED"): "TRAINING",
        ("LOADING", "FIXED_FUNCTION_LOADED"): "GRAFTING",
        ("TRAINING", "RECONSTRUCTION"): "GRAFTING",
        ("GRAFTING", "ALPHA_REACHED"): "STABILIZATION",
        ("STABILIZATION", "SETTLED"): "EVALUATING",
        ("EVALUATING", "POSITIVE_EFFECT"): "FINE_TUNING",
        ("EVALUATING", "FIXED_FUNCTION_EFFECT"): "ACTIVE",
        ("FINE_TUNING", "TOTAL_IMPROVEMENT"): "ACTIVE",
        ("ACTIVE", "HELD"): "FOSSILIZED",
    },
    "simplified": {("LOADING", "LOADED_BLEND"): "ACTIVE", ("ACTIVE", "COMMANDED"): "FOSSILIZED"},
}
FIRST = {"full": "GERMINATING", "simplified": "LOADING"}
IN_HOST = {
    "full": ("LOADING", "TRAINING", "GRAFTING", "STABILIZATION", "EVALUATING", "FINE_TUNING", "ACTIVE"),
    "simplified": ("LOADING", "ACTIVE"),
}
MAY_BE_CULLED = {"full": ("TRAINING", "EVALUATING", "FINE_TUNING", "ACTIVE"), "simplified": ()}
MAY_BE_CANCELLED = {"full": ("GERMINATING", "LOADING", "TRAINING"), "simplified": ()}
MAY_CHANGE_RAMP = {"full": ("GERMINATING", "LOADING", "TRAINING", "GRAFTING"), "simplified": ()}
MAY_BE_ROLLED_BACK = {
    "full": ("GERMINATING", *IN_HOST["full"], "ERROR_RECOVERY"),
    "simplified": ("LOADING", "ACTIVE", "ERROR_RECOVERY"),
}

Seed = dict[str, Any]
Facts = dict[str, Any]
"""What the gates look at: age, loss, alpha, effect, stability, trainable, problem, active, limit."""


def untouched() -> Seed:
    """A seed that never germinated."""
    return {
        "stage": "DORMANT",
        "attempts": 0,
        "embargo": 0,
        "locked": False,
        "faults": 0,
        "faulted": -9,
        "alpha": None,
        "ramp": None,
        "ended": [],
    }


def is_open(gate: str, stage: str, facts: Facts, gates: GateSettings) -> bool:
    """Whether a gate lets a seed through. NaN is never good enough."""
    least = {
        "TRAINING": gates.training.min_epochs,
        "GRAFTING": gates.grafting.min_epochs,
        "STABILIZATION": gates.stabilization.min_epochs,
        "EVALUATING": gates.evaluating.min_epochs,
        "FINE_TUNING": gates.fine_tuning.min_epochs,
        "ACTIVE": gates.active.min_epochs,
    }
    if gate not in {"COMMANDED", "LOADED_BLEND"} and facts["age"] < least.get(stage, 0):
        return False
    works = facts["effect"] > 0 and facts["stability"] >= gates.evaluation_stability
    loadable = facts["problem"] is None
    match gate:
        case "PROMOTION":
            return bool(facts["active"] < facts["limit"])
        case "BLUEPRINT_LOADED":
            return bool(loadable and facts["trainable"])
        case "FIXED_FUNCTION_LOADED":
            return loadable and not facts["trainable"]
        case "LOADED_BLEND":
            return loadable
        case "RECONSTRUCTION":
            return bool(facts["loss"] is not None and facts["loss"] <= gates.reconstruction_loss)
        case "ALPHA_REACHED":
            return bool(facts["alpha"] == 1)
        case "POSITIVE_EFFECT":
            return bool(works and facts["trainable"])
        case "FIXED_FUNCTION_EFFECT":
            return works and not facts["trainable"]
        case "TOTAL_IMPROVEMENT":
            return bool(facts["effect"] >= gates.total_improvement)
        case "HELD":
            return bool(facts["alpha"] == 1 and facts["stability"] >= gates.final_stability)
        case _:
            return gate in {"SETTLED", "COMMANDED"}


def germinate(seed: Seed, epoch: int, profile: str, facts: Facts, ramp: str) -> Seed | None:
    """None where it is refused, here and below."""
    if seed["stage"] != "DORMANT" or seed["locked"] or epoch < seed["embargo"] or facts["problem"] is not None:
        return None
    return {
        **seed,
        "stage": FIRST[profile],
        "attempts": seed["attempts"] + 1,
        "faults": 0,
        "faulted": -9,
        "alpha": 0.0,
        "ramp": ramp,
    }


def advance(seed: Seed, gate: str, epoch: int, profile: str, facts: Facts, gates: GateSettings) -> Seed | None:
    """Along the way forward."""
    target = FORWARD[profile].get((seed["stage"], gate))
    if target is None or not is_open(gate, seed["stage"], facts, gates):
        return None
    if target == "FOSSILIZED":
        return {**seed, "stage": target, "ended": [*seed["ended"], "FOSSILIZED"]}
    alpha = gates.loaded_alpha if gate == "LOADED_BLEND" else seed["alpha"]
    return {**seed, "stage": target, "alpha": alpha}


def _dormant(seed: Seed, outcome: str) -> Seed:
    return {**seed, "stage": "DORMANT", "alpha": None, "ramp": None, "ended": [*seed["ended"], outcome]}


def cull(seed: Seed, epoch: int, profile: str, facts: Facts, gates: GateSettings) -> Seed | None:
    """Refused while a way forward is open."""
    ways = [gate for (stage, gate) in FORWARD[profile] if stage == seed["stage"]]
    if seed["stage"] not in MAY_BE_CULLED[profile]:
        return None
    if any(is_open(gate, seed["stage"], facts, gates) for gate in ways):
        return None
    return {**_dormant(seed, "CULLED"), "embargo": epoch + gates.embargo_epochs}


def cancel(seed: Seed, profile: str) -> Seed | None:
    """Without an embargo."""
    return _dormant(seed, "CANCELLED") if seed["stage"] in MAY_BE_CANCELLED[profile] else None


def recover(seed: Seed, epoch: int, gates: GateSettings) -> Seed | None:
    """Out of ERROR_RECOVERY."""
    if seed["stage"] != "ERROR_RECOVERY":
        return None
    return {**_dormant(seed, "CULLED"), "embargo": epoch + gates.embargo_epochs}


def reset(seed: Seed, profile: str) -> Seed | None:
    """A fossil's adaptation was concluded before, so nothing ends here."""
    if profile != "simplified" or seed["stage"] != "FOSSILIZED":
        return None
    return {**seed, "stage": "DORMANT", "alpha": None, "ramp": None}


def change_ramp(seed: Seed, ramp: str, profile: str) -> Seed | None:
    """While the ramp is ahead or under way."""
    if seed["stage"] not in MAY_CHANGE_RAMP[profile] or seed["ramp"] == ramp:
        return None
    return {**seed, "ramp": ramp}


def roll_back(seed: Seed, epoch: int, profile: str, gates: GateSettings) -> Seed | None:
    """Locked for the run, unless configured."""
    if seed["stage"] not in MAY_BE_ROLLED_BACK[profile]:
        return None
    ended = _dormant(seed, "ROLLED_BACK")
    if gates.unlock_after_rollback:
        return {**ended, "embargo": epoch + gates.embargo_epochs}
    return {**ended, "locked": True}


def fault(seed: Seed, epoch: int, count: int) -> Seed:
    """Faults in a row: an epoch without one starts the count anew."""
    before = seed["faults"] if seed["faulted"] >= epoch - 1 else 0
    return {**seed, "faults": before + count, "faulted": epoch}


def succumb(seed: Seed, profile: str, gates: GateSettings) -> Seed:
    """The only edge that nobody commands."""
    if seed["stage"] in IN_HOST[profile] and seed["faults"] >= gates.faults_max:
        return {**seed, "stage": "ERROR_RECOVERY"}
    return seed


def effect_and_stability(accuracies: list[float], baseline: float) -> tuple[float, float]:
    """Of the epochs since a seed entered its stage: mean of the last 3 less the baseline; 1 less the worst fall of 10."""
    if not accuracies:
        return 0.0, 1.0
    latest, held = accuracies[-3:], accuracies[-10:]
    if any(math.isnan(accuracy) for accuracy in held):
        fall = math.nan
    else:
        fall = max(before - after for i, before in enumerate(held) for after in held[i:])
    return sum(latest) / len(latest) - baseline, 1.0 - fall
