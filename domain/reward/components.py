"""The seven respects in which an adaptation is judged, each a pure function of what was decided and measured.

Source: the assessed ``MultiMetricRewardSystem``, domain reference D9. What it left open is read like this:

- its ``success_rate`` is the share of validation samples that the network answers right, its ``model_health`` the mean
  health of the layers;
- its ``error_rate``, which nothing ever produced, is the share of epochs in which the adaptation's seed faulted;
- its gradient fix is a graft that the gradient norm gates: the one order here that is about gradients;
- a decision is like another, for innovation, if it planted the same blueprint;
- the length of a request's text stood for how much was asked for; here that is the blueprint's parameters as a share of
  the network's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from domain.commands import GraftingStrategy
from domain.reward.horizons import held
from domain.reward.rewarding import Condition, Opened, Past

INNOVATION_LAST: Final = 20
"""Decisions that innovation looks back on."""
ALIKE: Final = 0.4
"""Similarity from which a past decision counts for consistency."""


def accuracy(opened: Opened, answered: float, now: Condition) -> float:
    """Mean relative improvement of accuracy and health over the baseline, more for a sure and pressing decision.

    ``answered`` is the validation accuracy now, [0, 1].
    """
    base = opened.baseline
    mean = (improvement(answered, base.accuracy) + improvement(now.health, base.condition.health)) / 2.0
    return held(1.2 * mean if opened.confidence > 0.7 and opened.urgency > 0.5 else mean)


def speed(opened: Opened, now: Condition) -> float:
    """Mean of the relative fall of latency and the relative rise of the cache's hit rate."""
    before = opened.baseline.condition
    slower = improvement(now.latency_ms, before.latency_ms)
    return held((improvement(now.cache_hit_rate, before.cache_hit_rate) - slower) / 2.0)


def memory(opened: Opened, parameters: int) -> float:
    """The relative fall of memory, which goes with the parameters; a blueprint just taken out still counts."""
    return held(-improvement(float(parameters), opened.baseline.parameters))


def stability(opened: Opened, now: Condition) -> float:
    """How steadily the network trained since germination, less its faults and unhealthy gradients."""
    before = opened.baseline.condition
    found = ((1.0 - opened.fall) + now.training_stability + now.gradient_stability) / 3.0
    found -= min((opened.faulty_epochs + opened.faults) / max(opened.epochs, 1), 1.0)
    if now.gradient_health < 0.5:
        found -= 0.3 if now.gradient_health < 0.3 else 0.1
    ailing = min(before.gradient_health, before.training_stability) < 0.5
    if ailing and opened.grafting is GraftingStrategy.GRAD_NORM_GATED:
        found += 0.2
    if not before.problematic and opened.confidence < 0.8:
        found -= 0.2
    return held(found)


def safety_score(opened: Opened, certified: float | None) -> float:
    """How safe the decision was, [0, 1]. ``certified`` is 1 - risk of a blueprint that the crucible judged, else None."""
    score = 0.9
    if opened.confidence < 0.5:
        score -= 0.2
    if opened.urgency > 0.8 and opened.confidence < 0.7:
        score -= 0.3
    if certified is not None:
        score = 0.7 * score + 0.3 * certified
    if not opened.baseline.condition.problematic:
        score -= 0.1
    return min(max(score, 0.0), 1.0)


def safety(score: float) -> float:
    """A safety score as a component, [-1, 1]."""
    return held(2.0 * (score - 0.5))


def innovation(opened: Opened, past: Sequence[Past]) -> float:
    """More for what was seldom planted among the last 20 that were rewarded, [0, 0.3]; 0.1 for the first of all."""
    last = past[-INNOVATION_LAST:]
    if not last:
        return 0.1
    return 0.3 * (1.0 - sum(each.blueprint_id == opened.blueprint_id for each in last) / len(last))


def consistency(opened: Opened, past: Sequence[Past]) -> float:
    """Half the mean reward of decisions like this one, [-0.5, 0.5]; 0 where there is none."""
    totals = [each.total for each in past if similarity(opened, each) >= ALIKE]
    return min(max(0.5 * math.fsum(totals) / len(totals), -0.5), 0.5) if totals else 0.0


def similarity(opened: Opened, other: Past) -> float:
    """How like two decisions are, [0, 1]: 0.3 for the layer, 0.2 confidence, 0.2 urgency, 0.3 the blueprint."""
    return (
        0.3 * (opened.adaptation.seed.layer == other.layer)
        + 0.2 * (1.0 - abs(opened.confidence - other.confidence))
        + 0.2 * (1.0 - abs(opened.urgency - other.urgency))
        + 0.3 * (opened.blueprint_id == other.blueprint_id)
    )


def risk(opened: Opened, extent: float) -> float:
    """How rash the decision was, [0, 1]; ``extent`` is how much it asked for, [0, 1]."""
    sure, pressing, problems = opened.confidence, opened.urgency, opened.baseline.condition.problematic
    found = 0.3 if sure < 0.5 else 0.1 if sure < 0.7 else 0.0
    if pressing > 0.7 and sure < 0.6:
        found += 0.4
    if problems and opened.adaptation.seed.layer not in problems:
        found += 0.2
    return min(max(found + 0.3 * extent, 0.0), 1.0)


def penalty(score: float, steady: float) -> float:
    """What a lack of safety (``score``, [0, 1]) or stability (``steady``, [-1, 1]) takes off, at most 0."""
    unsafe = -2.0 * (0.5 - score) if score < 0.5 else 0.0
    return unsafe - (0.3 - steady if steady < 0.3 else 0.0)


def improvement(value: float, base: float) -> float:
    """(value - base) / |base|; from nothing, any gain is whole: 1, and 0 for none."""
    if base == 0.0:
        return math.copysign(1.0, value) if value else 0.0
    return (value - base) / abs(base)
