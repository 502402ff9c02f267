"""The seven-component reward of one adaptation. Source: the assessed ``MultiMetricRewardSystem``, domain reference D9.

    total = 0.7 weighted components + 0.3 discounted impacts + 0.1 consistency + penalty, within [-5, 5]

Six components are weighted, by weights that learn; consistency is a bonus (K 20). The source's second reward is not built.
"""

from __future__ import annotations

import math

from domain.events import AdaptationConcluded, AdaptationRewarded
from domain.reward import components as judged
from domain.reward.horizons import discounted, impacts
from domain.reward.rewarding import Condition, Opened, Rewarding
from domain.reward.weights import WEIGHTED
from domain.reward.worth import MultiMetricReward, RewardComponent
from domain.run import RunState
from domain.shapes import ShapeMismatch, parameter_count

TOTAL_MAX = 5.0


def rewarded(state: RunState, concluded: AdaptationConcluded) -> AdaptationRewarded | None:
    """The reward of an adaptation that was just concluded; ``state`` contains the conclusion.

    None for one that began before rewards were kept, in a run that took up rule R6 at a fork.
    """
    opened = state.rewarding.of(concluded.adaptation)
    if opened is None:
        return None
    return AdaptationRewarded(
        epoch=concluded.epoch,
        adaptation=concluded.adaptation,
        blueprint_id=opened.blueprint_id,
        reward=_reward(state, opened),
    )


def _reward(state: RunState, opened: Opened) -> MultiMetricReward:
    kept, extent = state.rewarding, _extent(state, opened)
    score = judged.safety_score(opened, _certified(state, opened))
    found = _components(kept, opened, score, kept.condition(state.started))
    reached = impacts(
        state.started.rewards,
        opened.reached,
        accuracy_before=opened.accuracy,
        confidence=opened.confidence,
        urgency=opened.urgency,
        extent=extent,
    )
    penalty = judged.penalty(score, found[RewardComponent.STABILITY])
    weighted = math.fsum(weight * found[name] for name, weight in zip(WEIGHTED, kept.weights, strict=True))
    total = 0.7 * weighted + 0.3 * discounted(reached) + 0.1 * found[RewardComponent.CONSISTENCY] + penalty
    return MultiMetricReward(
        components=tuple(found.items()),
        weights=kept.weights_by_component(),
        impacts=reached,
        penalty=penalty,
        risk=judged.risk(opened, extent),
        total=min(max(total, -TOTAL_MAX), TOTAL_MAX),
    )


def _components(kept: Rewarding, opened: Opened, score: float, now: Condition) -> dict[RewardComponent, float]:
    """All seven, in the order of their enumeration."""
    last = kept.epochs[-1]
    return {
        RewardComponent.ACCURACY: judged.accuracy(opened, last.accuracy, now),
        RewardComponent.SPEED: judged.speed(opened, now),
        RewardComponent.MEMORY: judged.memory(opened, last.parameters),
        RewardComponent.STABILITY: judged.stability(opened, now),
        RewardComponent.SAFETY: judged.safety(score),
        RewardComponent.INNOVATION: judged.innovation(opened, kept.past),
        RewardComponent.CONSISTENCY: judged.consistency(opened, kept.past),
    }


def _certified(state: RunState, opened: Opened) -> float | None:
    """1 - risk score of the blueprint, where the crucible judged it."""
    record = state.library.record(opened.blueprint_id) if opened.blueprint_id in state.library else None
    return None if record is None or record.certificate is None else 1.0 - record.metadata.urabrask.risk_score


def _extent(state: RunState, opened: Opened) -> float:
    """The blueprint's parameters in its slot as a share of the network's at germination, [0, 1]; 0 where unknown."""
    host, slot = opened.baseline.parameters, opened.adaptation.seed
    if opened.blueprint_id not in state.library or not host:
        return 0.0
    layer = state.layer(slot.layer)
    try:
        added = parameter_count(
            state.library.record(opened.blueprint_id).graph,
            read=layer.read_width(opened.reads, slot.index),
            chunk=layer.chunk_width(slot.index),
        )
    except ShapeMismatch:  # it was cancelled while loading, because it did not fit
        return 0.0
    return min(added / host, 1.0)
