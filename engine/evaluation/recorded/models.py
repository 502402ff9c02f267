"""The value models that doubly robust estimators and fitted Q evaluation take for a log of runs.

Fitted Q iteration on four features of a boundary (see ``TargetLog.states``) and whether something was germinated: which
blueprint, and where, the model does not see. What is fitted is the gain to come, told step by step (see
``TargetLog.increments``): it varies less than where a run ends. Every run's values come from a model that was fitted on
other runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from engine.evaluation.off_policy.fitted_q import FittedQ, Transitions, fitted_q
from engine.evaluation.off_policy.log import Flags, LoggedEpisodes
from engine.evaluation.off_policy.samples import Floats
from engine.evaluation.recorded.log import TargetLog

FOLDS: Final = 3
RUNS_MIN: Final = 12
"""Runs under which nothing is fitted: four a fold."""
ACCURACY: Final = 1
"""The place of the accuracy among the features."""
SHRINKAGE: Final = 1.0
"""Of the ridge regression, on standardised features; in squares of the target a sample."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Modelled:
    """A log with its model."""

    episodes: LoggedEpisodes
    """Earning step by step, with q and v, each run's from other runs."""
    value: float
    """What fitted Q evaluation says the target is worth: the mean over runs of what was earned before the first choice
    and v there."""


def modelled(log: TargetLog, generator: np.random.Generator, *, low: float, high: float) -> Modelled | None:
    """Fit q and v under the target; ``low`` and ``high`` bound the result, so that no gain exceeds their distance.

    ``generator`` deals the runs to folds. None for fewer than 12 runs, or where a fold leaves no choice to fit on.
    """
    episodes = log.stepwise
    choices = episodes.inside & ~episodes.forced
    count = episodes.lengths.size
    if count < RUNS_MIN:
        return None
    fold = generator.permutation(count) % FOLDS
    q, v = np.zeros(episodes.rewards.shape), np.zeros(episodes.rewards.shape)
    for held in range(FOLDS):
        fitting = _transitions(log, choices & (fold != held)[:, None])
        asked = choices & (fold == held)[:, None]
        if fitting is None:
            return None
        if asked.any():
            fitted = _fitted(fitting, int(choices.sum(axis=1).max()), high - low)
            q[asked], v[asked] = _values(fitted, log, asked)
    # What was reached before the first boundary is earned at it, and known there.
    first = choices[:, 0]
    q[first, 0] += log.states[first, 0, ACCURACY]
    v[first, 0] += log.states[first, 0, ACCURACY]
    before = np.where(np.cumsum(choices, axis=1) == 0, episodes.rewards, 0.0).sum(axis=1)
    starts = before + np.where(choices.any(axis=1), v[np.arange(count), np.argmax(choices, axis=1)], 0.0)
    return Modelled(replace(episodes, q=q, v=v), float(starts.mean()))


def _transitions(log: TargetLog, choices: Flags) -> Transitions | None:
    """From each choice of a run to its next, with everything gained on the way."""
    rows, places = np.nonzero(choices)
    if rows.size == 0:
        return None
    ended = np.append(rows[1:] != rows[:-1], True)
    after = np.append(np.arange(1, rows.size), rows.size - 1)
    states = log.states[rows, places]
    germinating = log.germinating[rows, places]
    both = np.stack([1 - germinating, germinating], axis=1)
    # Gained up to a boundary from the first one: differences of it are what lies between.
    so_far = np.cumsum(log.increments, axis=1)
    until = np.where(
        ended, so_far[rows, -1], so_far[rows[after], places[after]] - log.increments[rows[after], places[after]]
    )
    since = so_far[rows, places] - log.increments[rows, places]
    known = np.where(places == 0, states[:, ACCURACY], 0.0)
    return Transitions(
        states=states,
        actions=log.actions[rows, places],
        rewards=until - since - known,
        next_states=states[after],
        next_target=both[after],
        ended=ended,
    )


def _fitted(log: Transitions, iterations: int, most: float) -> FittedQ:
    first = _Ridge(most)
    return fitted_q(log, iterations=iterations, regressor=lambda: first.again() if first.is_fitted else first)


def _values(fitted: FittedQ, log: TargetLog, asked: Flags) -> tuple[Floats, Floats]:
    values = fitted.values(log.states[asked])
    actions, germinating = log.actions[asked], log.germinating[asked]
    of_state = (1 - germinating) * values[:, 0] + germinating * values[:, 1]
    return values[np.arange(actions.size), actions], of_state


@final
class _Ridge:
    """Ridge regression on the features, their squares and products, its predictions kept within ``most`` of 0.

    It is fitted once an iteration, always on the same features: what depends on them alone is worked out once.
    """

    def __init__(self, most: float, solved: _Solved | None = None) -> None:
        self._most = most
        self._solved = solved

    def fit(self, features: Any, targets: Any) -> _Ridge:
        """Learns from shape (m, d) and (m,)."""
        if self._solved is None:
            self._solved = _Solved(np.asarray(features, dtype=np.float64))
        self._weights = self._solved.solver @ np.asarray(targets, dtype=np.float64)
        return self

    @property
    def is_fitted(self) -> bool:
        """Whether it knows its features."""
        return self._solved is not None

    def again(self) -> _Ridge:
        """One to be fitted on the same features."""
        return _Ridge(self._most, self._solved)

    def predict(self, features: Any) -> Floats:
        """Shape (m,) for features of shape (m, d)."""
        assert self._solved is not None, "it was fitted"
        predicted: Floats = self._solved.columns(np.asarray(features, dtype=np.float64)) @ self._weights
        return np.clip(predicted, -self._most, self._most)


@final
class _Solved:
    """What a ridge regression owes to the features it is fitted on."""

    def __init__(self, raw: Floats) -> None:
        spread = raw.std(axis=0)
        self._centre, self._scale = raw.mean(axis=0), np.where(spread > 0, spread, 1.0)
        columns = self.columns(raw)
        penalty = SHRINKAGE * np.eye(columns.shape[1])
        penalty[0, 0] = 0.0
        self.solver = np.asarray(np.linalg.solve(columns.T @ columns + penalty, columns.T), dtype=np.float64)
        """Weights for targets, shape (columns, m)."""

    def columns(self, raw: Floats) -> Floats:
        """1, the standardised features, and all their products of two, shape (m, columns)."""
        scaled = (raw - self._centre) / self._scale
        one, two = np.triu_indices(scaled.shape[1])
        return np.concatenate([np.ones((len(raw), 1)), scaled, scaled[:, one] * scaled[:, two]], axis=1)
