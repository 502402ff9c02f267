"""How large an importance weight can get at most, known from the policies and not read off the log.

A known bound narrows the Cressie-Read interval: an unseen run cannot weigh more than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.policy import TamiyoPolicy
from domain.tamiyo.random_growth import RandomGrowth
from domain.tamiyo.softened import Softened


def weight_bound(target: TamiyoPolicy, behaviours: Iterable[tuple[TamiyoPolicy, float]], epochs: int) -> float:
    """The largest weight, at least 1, of a run of at most ``epochs`` decisions that a mixture of policies recorded.

    ``behaviours`` are those policies with their shares, (0, 1]. Of one behaviour with share s the weight is at most
    ``ratio^epochs / s``, ratio being the largest that one decision can have. Infinite where no ratio is known.
    """
    bounds = (_power(choice_ratio(target, policy), epochs) / share for policy, share in behaviours)
    return min(bounds, default=math.inf)


def choice_ratio(target: TamiyoPolicy, behaviour: TamiyoPolicy) -> float:
    """The largest ratio, at least 1, of the two policies' probabilities of one choice; infinite where unknown.

    Known for equal policies, for the same policy under two rates of exploration (of what it orders itself, ``1 - e`` or
    more; of anything else ``e / actions``), and for random and no growth.
    """
    if target == behaviour:
        return 1.0
    wanted, known = _growing(target), _growing(behaviour)
    if wanted is not None and known is not None and target.profile == behaviour.profile:
        return _ratio(wanted, known)
    one, e = _softness(target)
    other, f = _softness(behaviour)
    return _ratio(e, f) if one == other else math.inf


def _ratio(target: float, behaviour: float) -> float:
    """Of two rates at which the rare thing is done, each spread alike over the same actions."""
    rare = 1.0 if target == 0 else (target / behaviour if behaviour > 0 else math.inf)
    usual = 1.0 if target == 1 else ((1 - target) / (1 - behaviour) if behaviour < 1 else math.inf)
    return max(rare, usual, 1.0)


def _growing(policy: TamiyoPolicy) -> float | None:
    """The probability of any germination, all alike, of a policy that looks at nothing; None for others."""
    if isinstance(policy, NeverGrow):
        return 0.0
    return policy.probability if isinstance(policy, RandomGrowth) else None


def _softness(policy: TamiyoPolicy) -> tuple[tuple[TamiyoPolicy, float], float]:
    """What is softened at which temperature, and how often it explores."""
    if isinstance(policy, Softened):
        return (policy.policy, policy.temperature), policy.epsilon
    return (policy, 0.0), 0.0


def _power(ratio: float, times: int) -> float:
    """Without overflow."""
    logarithm = math.log(ratio) * times if math.isfinite(ratio) else math.inf
    return math.exp(logarithm) if logarithm < 700 else math.inf
