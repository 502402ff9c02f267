"""Which operator to mutate by: UCB1 over what each one's children were worth beyond their parents. Source: Auer 2002."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, final

from domain.commands import Considered
from domain.values import Value

SCALE: Final = 0.05
"""How far apart rewards are expected to be: the width of UCB's bonus. Rewards of one generation differ by some points."""
REFUSED: Final = -0.05
"""Reward of a proposal that did not even get into the crucible."""


@final
class Arm(Value):
    """What one operator has brought."""

    operator: str
    pulls: int = 0
    total: float = 0.0
    """Sum of its rewards: child's less parent's."""


@final
class OperatorBandit(Value):
    """Every operator that was ever judged, by name."""

    arms: tuple[Arm, ...] = ()

    def after(self, operator: str, reward: float) -> OperatorBandit:
        """With one reward more. One that is not a number counts as a refusal."""
        known = {arm.operator: arm for arm in self.arms}
        arm = known.get(operator, Arm(operator=operator))
        worth = reward if math.isfinite(reward) else REFUSED
        known[operator] = Arm(operator=operator, pulls=arm.pulls + 1, total=arm.total + worth)
        return OperatorBandit(arms=tuple(known[name] for name in sorted(known)))

    def mean(self, operator: str) -> float:
        """Mean reward of an operator, one imagined pull that brought nothing included."""
        arm = next((arm for arm in self.arms if arm.operator == operator), Arm(operator=operator))
        return arm.total / (arm.pulls + 1)

    def scores(self, operators: Sequence[str], drafted: Mapping[str, int]) -> tuple[Considered, ...]:
        """Each operator's upper confidence bound, in their order; ``drafted`` are pulls whose rewards are not in yet.

        Mean reward, with one imagined pull that brought nothing, plus ``SCALE`` sqrt(2 ln N / n): what was drafted
        already gives way to what was not, so a batch of candidates comes from several operators.
        """
        known = {arm.operator: arm for arm in self.arms}
        pulls = {name: 1 + drafted.get(name, 0) + (known[name].pulls if name in known else 0) for name in operators}
        logarithm = 2 * math.log(sum(pulls.values()))
        return tuple(
            Considered(option=name, score=self.mean(name) + SCALE * math.sqrt(logarithm / pulls[name]))
            for name in operators
        )


def best(scores: Sequence[Considered]) -> str:
    """The option of the highest score, the first of equal ones."""
    return max(scores, key=lambda entry: entry.score).option
