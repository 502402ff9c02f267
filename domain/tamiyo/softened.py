"""Exploration around any policy: what it would order most of the time, and with known odds anything else.

At every boundary with a real choice, more than one legal action, a softened policy takes exactly one recorded growth
decision, to wait or to germinate, with the odds of every legal action:

- with probability 1 - epsilon what the wrapped policy ordered: its first germination, or to wait where it ordered none;
- with probability epsilon any legal action, each alike;
- with a temperature above 0, what the wrapped policy *weighed* in place of that germination: drawn with probabilities in
  proportion to exp(score / temperature). A policy hands over what it weighed, with scores, through ``Weighing.alternatives``;
  ``as_designed`` the blueprints that its strategy scored for the seed it chose, each with the grafting it would choose for
  it. Of a policy without that method nothing but its order is known, and temperature changes nothing.

Where the wrapped policy drew its decision itself, its odds are mixed into ours, and what it drew is kept.

Everything else passes through unchanged: housekeeping, before and after; an emergency, alone; a germination that is not
legal, which is for the lifecycle to refuse. Of several germinations only the first is softened: where it was replaced, the
others follow if they are still legal; where it was not, as they are.

What is remembered is the wrapped policy's memory of what came of the boundary: where the draw turned a germination into a
wait or a wait into a germination, ``Remembering.remembering`` says what it remembers of that (``as_designed``: its plateau
starts over with a germination and only then, so after an unwanted wait its trigger fires again at the next boundary). A
policy without that method remembers what its own step did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from domain.commands import Command, Decision, Germinate, LegalActions, RollBack, Wait
from domain.tamiyo.legal import carried_over, legal_actions
from domain.tamiyo.policy import Alternative, Observation, Randomness, Remembering, Step, TamiyoPolicy, Weighing

STREAM: Final = "tamiyo/softened"


@final
@dataclass(frozen=True, slots=True)
class Softened:
    """A policy that explores. Raises ValueError for an epsilon outside [0, 1] and a temperature under 0."""

    policy: TamiyoPolicy
    epsilon: float = 0.0
    """Share of choices that any legal action is taken at, [0, 1]."""
    temperature: float = 0.0
    """In units of the wrapped policy's scores, [0, inf); 0 for always its best."""

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon must be between 0 and 1 but is {self.epsilon}")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature must be finite and at least 0 but is {self.temperature}")

    @property
    def profile(self) -> str:
        """The wrapped policy's."""
        return self.policy.profile

    def initial(self) -> Any:
        """What the wrapped policy remembers."""
        return self.policy.initial()

    def step(self, observation: Observation, memory: Any, random: Randomness) -> Step[Any]:
        """The wrapped policy's step with its growth decision drawn again."""
        step = self.policy.step(observation, memory, random)
        legal = legal_actions(observation.state)
        place = _place(step.decisions)
        meant = step.decisions[place] if place < len(step.decisions) else _silence(self.policy)
        rolled_back = any(isinstance(decision.command, RollBack) for decision in step.decisions)
        if len(legal) == 1 or rolled_back or legal.index(meant.command) is None:
            return step
        weighed = self._weighed(meant, legal, observation, memory)
        drawn = self._drawn(meant, weighed, legal, random)
        before, after = step.decisions[:place], step.decisions[place + 1 :]
        if drawn.command == meant.command:
            return Step((*before, drawn, *after), step.memory)
        decisions = (*before, drawn, *still_legal(after, [drawn.command], observation))
        germinated = any(isinstance(decision.command, Germinate) for decision in decisions)
        return Step(decisions, remembered(self.policy, step, observation, memory, germinated=germinated))

    def _weighed(
        self, meant: Decision, legal: LegalActions, observation: Observation, memory: Any
    ) -> tuple[tuple[Decision, float], ...]:
        """What may be taken in place of the order, with probabilities under the temperature."""
        if self.temperature > 0 and isinstance(meant.command, Germinate) and isinstance(self.policy, Weighing):
            found = softmax(self.policy.alternatives(observation, memory), self.temperature, legal)
            return found or ((meant, 1.0),)
        return ((meant, 1.0),)

    def _drawn(
        self,
        meant: Decision,
        weighed: tuple[tuple[Decision, float], ...],
        legal: LegalActions,
        random: Randomness,
    ) -> Decision:
        """One of the legal actions, with the odds of all of them."""
        odds = self._odds(meant, weighed, legal)
        taken, count = meant, 0
        if self.epsilon > 0:
            count += 1
            if random.generator(STREAM).random() < self.epsilon:
                number = int(random.generator(STREAM).integers(len(legal)))
                return _with_odds(self._explored(legal.action(number), meant, legal), legal, odds, meant, random, 2)
        if len(weighed) > 1:
            count += 1
            taken = draw_one(weighed, random.generator(STREAM))
        return _with_odds(taken, legal, odds, meant, random, count)

    def _odds(
        self, meant: Decision, weighed: tuple[tuple[Decision, float], ...], legal: LegalActions
    ) -> dict[int, float]:
        """The probability of every legal action that has one."""
        alike = self.epsilon / len(legal)
        odds = dict.fromkeys(range(len(legal)), alike) if alike > 0 else {}
        own: Sequence[tuple[int | None, float]] = [(legal.index(each.command), chance) for each, chance in weighed]
        if len(weighed) == 1 and meant.legal == legal:
            own = meant.odds  # it drew itself
        for number, chance in own:
            share = (1.0 - self.epsilon) * chance
            if number is not None and share > 0:
                odds[number] = min(odds.get(number, 0.0) + share, 1.0)
        return odds

    def _explored(self, command: Command, meant: Decision, legal: LegalActions) -> Decision:
        said = f"explored, as in {self.epsilon:g} of all choices: any of {len(legal)} legal actions alike"
        return Decision(
            command=command, reason=f"{said}; otherwise: {meant.reason}", urgency=1.0, considered=meant.considered
        )


def remembered(
    policy: TamiyoPolicy, step: Step[Any], observation: Observation, memory: Any, *, germinated: bool
) -> Any:
    """What a policy remembers if a boundary ended otherwise than with its ``step``; ``memory`` is that from before.

    For whoever orders in its place, or shows it what another ordered. The memory of its step where it cannot say.
    """
    while isinstance(policy, Softened):
        policy = policy.policy
    return (
        policy.remembering(observation, memory, germinated=germinated)
        if isinstance(policy, Remembering)
        else step.memory
    )


def softmax(
    alternatives: Sequence[Alternative], temperature: float, legal: LegalActions
) -> tuple[tuple[Decision, float], ...]:
    """Legal alternatives with probabilities in proportion to exp(score / temperature), scores that are no numbers left out.

    Those too small to have one in floating point are left out as well; the rest sums to 1 but for rounding.
    """
    rated = [
        each for each in alternatives if math.isfinite(each.score) and legal.index(each.decision.command) is not None
    ]
    best = max((each.score for each in rated), default=0.0)
    weights = [math.exp((each.score - best) / temperature) for each in rated]
    total = math.fsum(weights)
    return tuple(
        (each.decision, weight / total) for each, weight in zip(rated, weights, strict=True) if weight / total > 0
    )


def draw_one(weighed: Sequence[tuple[Decision, float]], generator: np.random.Generator) -> Decision:
    """One of the decisions with their probabilities, by one number from the generator."""
    left = generator.random()
    for decision, chance in weighed:
        left -= chance
        if left < 0:
            return decision
    return weighed[-1][0]  # rounding took the last sliver


def still_legal(
    decisions: Sequence[Decision], ordered: Sequence[Command], observation: Observation
) -> tuple[Decision, ...]:
    """The decisions without the growth among them that other orders before it, ``ordered``, have made illegal."""
    before, kept = list(ordered), []
    for decision in decisions:
        growth = isinstance(decision.command, Germinate | Wait)
        carried = carried_over(decision, legal_actions(observation.state, before)) if growth else decision
        if carried is not None:
            kept.append(carried)
            before.append(carried.command)
    return tuple(kept)


def _with_odds(
    decision: Decision,
    legal: LegalActions,
    odds: dict[int, float],
    meant: Decision,
    random: Randomness,
    count: int,
) -> Decision:
    """The decision with the odds it was drawn by, and every draw that led to it."""
    number = legal.index(decision.command)
    assert number is not None, f"a decision that is not legal was drawn: {decision.command}"
    draws = (*meant.draws, random.drawn(STREAM, count)) if count else meant.draws
    update = {
        "legal": legal,
        "odds": tuple(sorted(odds.items())),
        "propensity": odds[number],
        "draws": draws,
    }
    return decision.model_copy(update=update)


def _place(decisions: Sequence[Decision]) -> int:
    """Where the growth decision stands: the first germination, else the first wait, else behind everything."""
    for kind in (Germinate, Wait):
        for place, decision in enumerate(decisions):
            if isinstance(decision.command, kind):
                return place
    return len(decisions)


def _silence(policy: TamiyoPolicy) -> Decision:
    return Decision(command=Wait(), reason=f"{type(policy).__name__} orders no germination")
