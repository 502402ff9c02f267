"""The five ways to choose a seed by what was tried: each gives every seed a score and the chance that it is taken.

Source: the assessed implementation's seed selector (D8 of our domain reference). A way that draws is a distribution over
seeds, so that one number from a stream picks one, and the odds that are recorded are exactly those it was drawn by.
Thompson sampling draws a success rate for each seed and takes the largest: it takes each seed as often as it is likely
to be the best, and that is the distribution here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from domain.tamiyo.bandit_settings import BanditSettings, SeedSelection

Numbers = NDArray[np.float64]

UNBOUNDED: Final = 1e6
"""Stands for the infinite bound of a seed that never germinated: above every other, and a number that can be recorded."""
UNEXPLORED_WEIGHT: Final = 0.1
"""Performance weight of a seed that never germinated."""
GRID: Final = 1.0 - (1.0 - np.linspace(0.0, 1.0, 1025)) ** 4
"""Success rates that Thompson sampling tells apart; closer together near 1, where the largest of many lies."""


@final
@dataclass(frozen=True, slots=True)
class Arms:
    """Seeds to choose from, a column each; shape (seeds,)."""

    germinations: Numbers
    """n."""
    in_layer: Numbers
    """N: germinations in the whole layer."""
    improvements: Numbers
    """s: samples that were improvements."""
    setbacks: Numbers
    """f: samples that were none."""
    mean: Numbers
    """mu, see ``Performance.mean``."""
    score: Numbers
    """See ``Performance.score``."""

    @property
    def unexplored(self) -> NDArray[np.bool_]:
        """Which seeds never germinated."""
        found: NDArray[np.bool_] = self.germinations == 0
        return found


@final
@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a choice depends on beside the seeds."""

    epoch: int
    urgency: float
    """[0, 1]."""
    settings: BanditSettings
    successor: int = 0
    """The seed after the one that germinated last."""


Ranking = tuple[Numbers, Numbers]
"""Score and chance of each seed; the chances sum to 1 but for rounding."""


def _best(scores: Numbers) -> Numbers:
    """All chances on the highest score, the first of equals."""
    chances = np.zeros(len(scores))
    chances[int(np.argmax(scores))] = 1.0
    return chances


def _each(function: Callable[[float], float], values: Numbers) -> Numbers:
    """The function of every value by the C library: NumPy's own give other last bits on other processors."""
    return np.array([function(value) for value in values.tolist()])


def ucb(arms: Arms, now: Circumstances) -> Ranking:
    """mu + sqrt(c ln N / n), at most ``UNBOUNDED``, which it is for a seed that never germinated."""
    tries = np.maximum(arms.germinations, 1.0)
    logarithm = _each(math.log, np.maximum(arms.in_layer, 1.0))
    bonus = np.sqrt(now.settings.exploration_constant * logarithm / tries)
    scores = np.where(arms.unexplored, UNBOUNDED, np.minimum(arms.mean + bonus, UNBOUNDED))
    return scores, _best(scores)


def thompson(arms: Arms, now: Circumstances) -> Ranking:
    """The chance that a draw from Beta(s + 1, f + 1) is the largest; scored by its mean.

    Sums are NumPy's and not those of a linear algebra library, whose last bits depend on the processor.
    """
    from scipy.special import betainc, xlogy

    del now
    pairs = np.stack([arms.improvements, arms.setbacks], axis=1)
    kinds, kind_of, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    many = counts[:, np.newaxis]
    below = betainc(kinds[:, :1] + 1.0, kinds[:, 1:] + 1.0, GRID)  # P(draw <= x), a row a kind
    largest = _each(math.exp, xlogy(many, below).sum(axis=0))  # that no draw at all is above
    # Within a step of the grid the largest is of a kind in proportion to how fast the kind's logarithm rises.
    log_below = xlogy(1.0, below)
    with np.errstate(invalid="ignore"):
        rises = np.where(np.isfinite(log_below[:, :-1]), np.diff(log_below, axis=1), 0.0)
    total = (many * rises).sum(axis=0)
    steps = np.where(total > 0, np.diff(largest) / np.where(total > 0, total, 1.0), 0.0)
    chances = np.maximum((rises * steps).sum(axis=1), 0.0)[kind_of.reshape(-1)]
    rates = (arms.improvements + 1.0) / (arms.improvements + arms.setbacks + 2.0)
    return rates, chances / chances.sum()


def epsilon_greedy(arms: Arms, now: Circumstances) -> Ranking:
    """With epsilon x decay^epoch any seed alike, else the highest performance score."""
    epsilon = now.settings.epsilon * now.settings.epsilon_decay**now.epoch
    return arms.score, epsilon / len(arms.score) + (1.0 - epsilon) * _best(arms.score)


def performance_weighted(arms: Arms, now: Circumstances) -> Ranking:
    """Softmax over performance score x (1 + urgency), 0.1 where unexplored; at temperature 0 the highest."""
    weights = np.where(arms.unexplored, UNEXPLORED_WEIGHT, arms.score * (1.0 + now.urgency))
    if now.settings.temperature == 0:
        return weights, _best(weights)
    shares = _each(math.exp, (weights - weights.max()) / now.settings.temperature)
    return weights, shares / shares.sum()


def round_robin(arms: Arms, now: Circumstances) -> Ranking:
    """The next one in order after the seed that germinated last; scored by how soon it is its turn."""
    count = len(arms.score)
    turns = (np.arange(count) - now.successor) % count
    scores = 1.0 - turns / count
    return scores, _best(scores)


WAYS: Final[Mapping[SeedSelection, Callable[[Arms, Circumstances], Ranking]]] = {
    SeedSelection.UCB: ucb,
    SeedSelection.THOMPSON: thompson,
    SeedSelection.EPSILON_GREEDY: epsilon_greedy,
    SeedSelection.PERFORMANCE_WEIGHTED: performance_weighted,
    SeedSelection.ROUND_ROBIN: round_robin,
}
assert {*WAYS, SeedSelection.NEED} == set(SeedSelection)
