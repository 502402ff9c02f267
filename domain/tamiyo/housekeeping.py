"""Everything that must be ordered at a boundary whatever is grown: advance, cull, cancel, recover, promote.

Works for every lifecycle profile: it asks the profile for edges and the gates whether they are open. COMMANDED, the
simplified profile's way to fossilize, always opens and is therefore never ordered from here.
"""

from __future__ import annotations

from domain.commands import Advance, Cancel, Command, Cull, Decision, Recover
from domain.lifecycle import Gate, Stage
from domain.run import RunState
from domain.seed import Seed, forward_gate
from domain.tamiyo.policy import Observation

_RESTING = (Stage.DORMANT, Stage.GERMINATING, Stage.FOSSILIZED)
"""Stages in which nothing is due; the queue has its own turn."""


def housekeeping(observation: Observation) -> tuple[Decision, ...]:
    """Orders for every seed that something is due for, by seed, then promotions from the queue, first in first out."""
    state = observation.state
    names = sorted(name for name, seed in state.seeds.items() if seed.stage not in _RESTING)
    due = (_due(state.seed(name), state) for name in names)
    return (*(decision for decision in due if decision is not None), *_promotions(state))


def _due(seed: Seed, state: RunState) -> Decision | None:
    """What is due for one seed, or None."""
    profile, name = state.profile, seed.seed_id
    if seed.stage is Stage.ERROR_RECOVERY:
        if profile.edge(seed.stage, Gate.RECOVERY) is None:
            return None
        return _ordered(
            Recover(seed=name), f"seed {name} recovers after {seed.faults} faults in consecutive epochs", urgency=0.9
        )
    at = state.boundary(name)
    result = forward_gate(seed, at)
    if result is None or result.gate is Gate.COMMANDED:
        return None
    if result.passed:
        text = f"seed {name} passes {result.gate.value}: {result.message}"
        return _ordered(Advance(seed=name, gate=result.gate), text)
    problem = at.evidence.blueprint_problem  # of a seed in LOADING; no other has any
    if problem is not None and profile.edge(seed.stage, Gate.CANCEL) is not None:
        return _ordered(Cancel(seed=name), f"seed {name} cannot be loaded: {problem}")
    window, age = state.started.gates.window(seed.stage), state.epoch - seed.since
    if window is None or age < window.max_epochs or profile.edge(seed.stage, Gate.CULL) is None:
        return None
    text = f"seed {name} did not pass {result.gate.value} within {window.max_epochs} epochs: {result.message}"
    return _ordered(Cull(seed=name), text)


def _promotions(state: RunState) -> tuple[Decision, ...]:
    """The heads of the queue, as many as there are places now; a place that frees itself at this boundary waits."""
    taken, places = state.places_taken, state.started.tamiyo_config.max_active_seeds
    heads = state.queue[: max(places - taken, 0)]
    return tuple(
        _ordered(
            Advance(seed=name, gate=Gate.PROMOTION),
            f"seed {name} leaves the queue: {taken + ahead} of {places} places taken",
        )
        for ahead, name in enumerate(heads)
    )


def _ordered(command: Command, reason: str, urgency: float = 0.5) -> Decision:
    return Decision(command=command, reason=reason, confidence=1.0, urgency=urgency)
