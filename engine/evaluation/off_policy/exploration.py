"""How much exploration a log needs before another policy can be read off it.

The model: an episode has ``horizon`` decisions with a choice, each among ``actions`` legal ones. The behaviour takes
its own choice with probability ``1 - e`` and, with ``e``, any action alike, its own included: so its choice has
``1 - e + e/A`` and every other ``e/A``. The target does the same around its choices with its own rate (0: it is
deterministic), and its choice differs from the behaviour's in ``differing`` of the decisions. With p the target's and b
the behaviour's distribution, the weight of an episode has ``E[w] = 1`` and ``E[w^2] = product of sum p^2 / b``, and
Kish's effective sample size of n episodes goes to ``n / E[w^2]``. For a deterministic target that share is the chance
that the behaviour takes the target's every choice, ``(e/A)^k (1 - e + e/A)^(H - k)``.
Source: Kish (1965), §11.7; Owen (2013), Monte Carlo theory, methods and examples, §9.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

GRID: Final = 100
"""Rates that the search for the best one begins with."""
BISECTIONS: Final = 60
NORMAL_95: Final = 1.959963984540054
"""Standard deviations on either side that hold 95 %."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """A question to the calculator, but for the behaviour's rate. Raises ValueError for numbers out of range."""

    horizon: int
    """Decisions with a choice in one episode, at least 1; forced ones do not count."""
    actions: int
    """Legal actions of each, at least 2."""
    differing: int = 0
    """Decisions in which the target's choice is another than the behaviour's, [0, horizon]."""
    target_rate: float = 0.0
    """The target's own exploration rate, [0, 1]."""

    def __post_init__(self) -> None:
        """Raises ValueError as the class says."""
        if self.horizon < 1 or self.actions < 2:
            raise ValueError(
                f"horizon {self.horizon} must be at least 1 and actions {self.actions} at least 2; "
                "count only decisions that leave a choice"
            )
        if not 0 <= self.differing <= self.horizon:
            raise ValueError(f"differing is {self.differing} but must lie in [0, {self.horizon}], the horizon")
        if not 0 <= self.target_rate <= 1:
            raise ValueError(f"target_rate is {self.target_rate} but must lie in [0, 1]; 0 is deterministic")

    def share(self, rate: float) -> float:
        """Expected effective share of the episodes, [0, 1], where the behaviour explores at ``rate``, [0, 1].

        0 where the behaviour never takes what the target may take. Raises ValueError for a rate out of range.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"an exploration rate must lie in [0, 1] but is {rate}")
        own, other = _two(rate, self.actions)
        kept, rare = _two(self.target_rate, self.actions)
        agreeing = _moment(kept, own) + _moment(rare, other, self.actions - 1)
        differing = _moment(kept, other) + _moment(rare, own) + _moment(rare, other, self.actions - 2)
        logarithm = _power(agreeing, self.horizon - self.differing) + _power(differing, self.differing)
        return math.exp(-logarithm)

    def episodes(self, rate: float, *, effective: float) -> int:
        """Episodes that give ``effective`` effective ones on average. ValueError where no number does."""
        share = self.share(rate)
        if share == 0:
            raise ValueError(
                f"at exploration rate {rate:g} the log never holds what the target does; raise the rate above 0"
            )
        return math.ceil(_positive("effective", effective) / share)

    def episodes_for_width(self, rate: float, *, width: float, spread: float) -> int:
        """Episodes after which a 95 % interval on the mean is about ``width`` wide.

        ``spread`` is the standard deviation of the return under the target, in the same unit; half the span of its
        bounds is never too little. From ``width = 2 * 1.96 * spread / sqrt(effective)``; the unseen sample that
        Cressie-Read adds makes intervals on a small log wider. Raises ValueError as ``episodes``.
        """
        half = _positive("width", width) / 2
        return self.episodes(rate, effective=(NORMAL_95 * _positive("spread", spread) / half) ** 2)

    def best_rate(self) -> float:
        """The rate, [0, 1], at which the effective share is largest."""
        near = max((step / GRID for step in range(GRID + 1)), key=self.share)
        low, high = max(0.0, near - 1 / GRID), min(1.0, near + 1 / GRID)
        for _ in range(BISECTIONS):
            third = (high - low) / 3
            left, right = low + third, high - third
            low, high = (left, high) if self.share(left) < self.share(right) else (low, right)
        return max((near, (low + high) / 2), key=self.share)

    def rate(self, *, episodes: int, effective: float) -> float:
        """The least exploration rate at which ``episodes`` hold ``effective`` effective ones on average.

        Raises ValueError where no rate does, with what the best one gives.
        """
        wanted = _positive("effective", effective) / _positive("episodes", episodes)
        best = self.best_rate()
        if self.share(best) < wanted:
            raise ValueError(
                f"{episodes} episodes hold {episodes * self.share(best):.3g} effective ones at best, at rate {best:.3g}, "
                f"but {effective:g} are wanted; record {self.episodes(best, effective=effective)} episodes, or fork"
            )
        low, high = 0.0, best
        if self.share(low) >= wanted:
            return low
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.share(middle) >= wanted else (middle, high)
        return high


def _two(rate: float, actions: int) -> tuple[float, float]:
    """Probability of the preferred action and of each other one."""
    return 1 - rate + rate / actions, rate / actions


def _moment(target: float, behaviour: float, actions: int = 1) -> float:
    """What ``actions`` of these probabilities add to ``sum p^2 / b``."""
    if target == 0 or actions == 0:
        return 0.0
    return actions * target**2 / behaviour if behaviour > 0 else math.inf


def _power(moment: float, times: int) -> float:
    """``times * ln(moment)``, and 0 for no times."""
    return 0.0 if times == 0 else times * math.log(moment)


def _positive(name: str, value: float) -> float:
    if not value > 0 or math.isinf(value):
        raise ValueError(f"{name} must be above 0 and finite but is {value}")
    return value
