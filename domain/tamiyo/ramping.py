"""Moves the blend of every grafting seed at a boundary, from what the epoch measured of it."""

from __future__ import annotations

import math

from domain.events import AlphaChanged
from domain.grafting import GraftSignals, next_alpha
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.run import RunState


def graft_signals(state: RunState, name: SeedId) -> GraftSignals:
    """What the ramp of seed ``name`` is steered by at this boundary."""
    seed, measured = state.seed(name), state.progress.get(name)
    alpha = seed.adaptation.alpha if seed.adaptation else 0.0
    return GraftSignals(
        epochs_in_stage=state.epoch - seed.since,
        alpha=alpha,
        gradient_norm=measured.gradient_norm if measured else math.nan,
        gradient_variance=measured.gradient_variance if measured else math.nan,
        weight_drift=measured.weight_drift if measured else math.nan,
        improvement=_improvement(state),
    )


def _improvement(state: RunState) -> float:
    if len(state.recent) < 2:
        return 0.0
    before, now = state.recent[-2].validation_loss, state.recent[-1].validation_loss
    return (before - now) / max(abs(before), 1e-8)


def ramp(state: RunState) -> tuple[AlphaChanged, ...]:
    """One event for every seed in GRAFTING whose alpha is not 1 yet, in order, held ones included.

    To be asked once a boundary, after the decisions were carried out: a seed that has just entered GRAFTING takes its
    first step, so no epoch is trained at alpha 0.
    """
    config = state.started.grafting
    events = []
    for name in sorted(name for name, seed in state.seeds.items() if seed.stage is Stage.GRAFTING):
        adaptation = state.seed(name).adaptation
        if adaptation is None or adaptation.alpha >= 1.0:
            continue
        step = next_alpha(config, adaptation.grafting, adaptation.ramp_steps, graft_signals(state, name))
        events.append(
            AlphaChanged(epoch=state.epoch, seed=name, alpha=step.alpha, steps=step.steps, reason=step.reason)
        )
    return tuple(events)
