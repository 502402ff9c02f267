"""How much exploration a log needs before another policy can be read off it, reckoned from one recorded run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, final

from domain.events import DomainEvent
from domain.tamiyo.softened import Softened
from domain.values import Value
from engine.controllers import PolicyFailed
from engine.courses import header_of
from engine.evaluation.off_policy.exploration import Exploration
from engine.evaluation.off_policy.support import SHARE_MIN
from engine.watching import watch
from scenarios import composition
from scenarios.specification import BadInput

EFFECTIVE: Final = 50.0
"""Effective runs that an interval of some use takes."""


@final
class ExplorationAdvice(Value):
    """What a log of the recorded policy would need, were it softened, to speak of another."""

    run: str
    recorded: str
    """The policy that is to explore."""
    tamiyo: str
    """The policy that is to be evaluated."""
    epsilon: float
    """Share of choices at which any legal action is taken, [0, 1]."""
    horizon: int
    """Boundaries with a choice in the recorded run."""
    actions: int
    """Legal actions of such a boundary, their median."""
    differing: int
    """Boundaries at which the other policy's likeliest choice is not the recorded one's."""
    first_difference: int | None
    """Epoch of the first of them."""
    effective: float
    """Effective runs that are wanted."""
    share: float
    """Effective over recorded runs, expected, [0, 1]."""
    episodes: int | None
    """Runs that give so many effective ones; None where no number does."""
    best_epsilon: float
    best_share: float
    """At the rate at which most of a log is effective."""
    remark: str
    """What else there is to say; empty for nothing."""


def exploration_advice(
    run: str, events: Sequence[DomainEvent], tamiyo: str, epsilon: float, *, effective: float = EFFECTIVE
) -> ExplorationAdvice:
    """What a log of a run's policy, softened by ``epsilon``, needs for ``effective`` effective runs under ``tamiyo``.

    Boundaries, legal actions and differences are those of the one run; others have more or fewer. Raises BadInput for a
    run without a choice, a policy that cannot be asked about it, and numbers out of range.
    """
    header = header_of(events)
    policy, reference = composition.tamiyo(tamiyo)
    if policy.profile != header.profile:
        raise BadInput(
            f"--tamiyo {tamiyo}: it drives the {policy.profile} lifecycle but {run} was recorded under the "
            f"{header.profile} one; no exploration helps, fork"
        )
    if not 0 <= epsilon <= 1 or not 0 < effective < float("inf"):
        raise BadInput(f"--epsilon {epsilon:g} must lie in [0, 1], and {effective:g} effective runs be above 0")
    try:
        boundaries = watch(events, policy, composition.karn(header.karn.name)[0]).boundaries
    except PolicyFailed as failure:
        raise BadInput(f"--tamiyo {tamiyo}: {failure}") from failure
    asked = [(at.epoch, at.recorded_choice, at.choice) for at in boundaries if not at.recorded_choice.is_forced]
    if not asked:
        raise BadInput(f"run {run} has no boundary with a choice; a log of it says nothing of another policy")
    odds = [(epoch, _likeliest(recorded.odds), _likeliest(choice.odds)) for epoch, recorded, choice in asked]
    differing = [epoch for epoch, recorded, wanted in odds if recorded != wanted]
    question = Exploration(
        horizon=len(asked),
        actions=max(2, round(statistics.median(len(recorded.legal) for _, recorded, _ in asked))),
        differing=len(differing),
        target_rate=policy.epsilon if isinstance(policy, Softened) else 0.0,
    )
    share, best = question.share(epsilon), question.best_rate()
    return ExplorationAdvice(
        run=run,
        recorded=header.tamiyo.name,
        tamiyo=reference.name,
        epsilon=epsilon,
        horizon=question.horizon,
        actions=question.actions,
        differing=len(differing),
        first_difference=differing[0] if differing else None,
        effective=effective,
        share=share,
        episodes=question.episodes(epsilon, effective=effective) if share > 0 else None,
        best_epsilon=best,
        best_share=question.share(best),
        remark=_remark(question.share(best)),
    )


def _likeliest(odds: Sequence[tuple[int, float]]) -> int:
    return max(odds, key=lambda each: each[1])[0]


def _remark(best: float) -> str:
    if best >= SHARE_MIN:
        return ""
    return f"At no rate is {SHARE_MIN:.0%} of a log effective, which the support verdict asks for: fork instead."
