"""The emergency rule: roll back when training broke, or when things got worse since a seed germinated.

Source: Tamiyo v0.1a §3.6, §9.1. The source glosses its one threshold as loss and as performance; see
``TamiyoConfig.emergency_condition`` for how we read it.
"""

from __future__ import annotations

import math
from typing import Final

from domain.commands import Decision, RollBack
from domain.identifiers import SeedId
from domain.lifecycle import ON_TRIAL, Stage
from domain.run import RunState
from domain.seed import Seed
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.policy import Observation

BLENDED: Final = (*ON_TRIAL, Stage.ACTIVE)
"""Stages in which a blueprint is blended in. One that is not touches nothing and cannot have done it: D-016."""


def emergency(observation: Observation) -> tuple[Decision, ...]:
    """One order to roll back, or none. Without a seed in the host a broken training is Tolaria's own to mend."""
    state = observation.state
    header = state.started
    judged = [seed for seed in (state.seed(name) for name in state.active) if seed.stage in BLENDED]
    if not judged or not header.safety.emergency_rollback_enabled:
        return ()
    # A seed deep in the host is likelier to have done it than one that has just arrived.
    judged.sort(key=lambda seed: (-_exposure(seed), seed.seed_id))
    metrics = observation.metrics
    if not (math.isfinite(metrics.validation_loss) and math.isfinite(metrics.train_loss)):
        reason = f"loss is not finite: {metrics.train_loss} in training, {metrics.validation_loss} in validation"
        return (_rolled_back(judged[0].seed_id, reason),)
    for seed in judged:
        worse = _worse(seed, state, header.tamiyo_config)
        if worse is not None:
            return (_rolled_back(seed.seed_id, worse),)
    return ()


def _exposure(seed: Seed) -> float:
    return seed.adaptation.alpha if seed.adaptation else 0.0


def _worse(seed: Seed, state: RunState, config: TamiyoConfig) -> str | None:
    """How much worse validation is than at the seed's germination, when that is an emergency."""
    adaptation = seed.adaptation
    if adaptation is None or not math.isfinite(adaptation.pre_loss):
        return None
    now, limit = state.recent[-1], config.emergency_rollback_threshold
    rise = (now.validation_loss - adaptation.pre_loss) / max(adaptation.pre_loss, 1e-8)
    fall = adaptation.pre_accuracy - now.validation_accuracy
    symptoms = (rise > limit, fall > limit)
    if not (all(symptoms) if config.emergency_condition == "both" else any(symptoms)):
        return None
    return (
        f"since seed {seed.seed_id} germinated at epoch {adaptation.germinated_at}, validation loss changed by "
        f"{rise:+.1%} and accuracy by {-fall:+.3f}; the limit is {limit:g} for {config.emergency_condition}"
    )


def _rolled_back(culprit: SeedId, reason: str) -> Decision:
    return Decision(command=RollBack(seed=culprit), reason=reason, confidence=1.0, urgency=1.0)
