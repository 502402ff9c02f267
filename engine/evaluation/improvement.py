"""How likely a run of one policy is to beat a run of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import numpy as np

from domain.values import Value
from engine.evaluation.intervals import Numbers

RESAMPLES: Final = 2000


@final
class Improvement(Value):
    """The probability that a run of one policy beats a run of the other on the same scenario; a tie counts half."""

    probability: float
    """[0, 1], mean over scenarios."""
    low: float
    high: float


def probability_of_improvement(
    scores: Sequence[Numbers], others: Sequence[Numbers], *, level: float, generator: np.random.Generator
) -> Improvement:
    """Mean over scenarios of P(X > Y) + P(X = Y) / 2, both sides' scores by scenario, in the order of their run keys.

    The interval is the hull of the stratified percentile bootstrap over run keys and of Wilson's interval for as many
    trials as there are keys: where one side always wins the bootstrap alone has no width, and no estimate from so many
    pairs can vary more than that many coins. Source: Agarwal et al. 2021 §4.3.
    """
    wins = [np.greater.outer(one, other) + 0.5 * np.equal.outer(one, other) for one, other in _both(scores, others)]
    probability = float(np.mean([won.mean() for won in wins]))
    draws = np.mean([_redrawn(won, generator) for won in wins], axis=0)
    low, high = (float(bound) for bound in np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]))
    floor, ceiling = _wilson(probability, sum(len(won) for won in wins), level)
    return Improvement(probability=probability, low=max(0.0, min(low, floor)), high=min(1.0, max(high, ceiling)))


def _both(scores: Sequence[Numbers], others: Sequence[Numbers]) -> list[tuple[Numbers, Numbers]]:
    pairs = list(zip(scores, others, strict=True))
    if not pairs or any(len(one) != len(other) or len(one) == 0 for one, other in pairs):
        raise ValueError("both sides need the same run keys, at least one per scenario")
    return pairs


def _redrawn(won: Numbers, generator: np.random.Generator) -> Numbers:
    """The share won in each resample of the keys, shape (resamples,): a key is drawn with both of its runs."""
    keys = len(won)
    counts = generator.multinomial(keys, [1 / keys] * keys, RESAMPLES) / keys
    shares: Numbers = np.sum((counts @ won) * counts, axis=1)
    return shares


def _wilson(share: float, trials: int, level: float) -> tuple[float, float]:
    from scipy import stats

    reach = float(stats.norm.isf((1 - level) / 2))
    centre = (share + reach**2 / (2 * trials)) / (1 + reach**2 / trials)
    half = reach * float(np.sqrt(share * (1 - share) / trials + reach**2 / (4 * trials**2))) / (1 + reach**2 / trials)
    return centre - half, centre + half
