"""The value models that doubly robust estimators and fitted Q evaluation take for a log of runs.

Fitted Q iteration on four features of a boundary (see ``TargetLog.states``) and whether something was germinated: which
blueprint, and where, the model does not see. Every run's values come from a model that was fitted on other runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from engine.evaluation.off_policy.fitted_q import FittedQ, Transitions, fitted_q
from engine.evaluation.off_policy.log import Flags, Indices, LoggedEpisodes
from engine.evaluation.off_policy.samples import Floats
from engine.evaluation.recorded_log import TargetLog

FOLDS: Final = 3
RUNS_MIN: Final = 12
"""Runs under which nothing is fitted: four a fold."""
SHRINKAGE: Final = 1.0
"""Of the ridge regression, on standardised features."""
DEGREE: Final = 2


@final
@dataclass(frozen=True, slots=True, eq=False)
class Modelled:
    """A log with its model."""

    episodes: LoggedEpisodes
    """With q and v, each run's from other runs."""
    value: float
    """What fitted Q evaluation says the target is worth: the mean over runs of v at their first choice."""


def modelled(log: TargetLog, generator: np.random.Generator, *, low: float, high: float) -> Modelled | None:
    """Fit q and v under the target; ``low`` and ``high`` bound the result, and so every prediction.

    ``generator`` deals the runs to folds. None for fewer than 12 runs, or where a fold leaves no choice to fit on.
    """
    episodes = log.episodes
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
            iterations = int(choices.sum(axis=1).max())
            fitted = fitted_q(fitting, iterations=iterations, regressor=lambda: _Bounded(low, high))
            q[asked], v[asked] = _values(fitted, log, asked)
    first = np.argmax(choices, axis=1)
    starts = np.where(choices.any(axis=1), v[np.arange(count), first], episodes.returns())
    return Modelled(replace(episodes, q=q, v=v), float(starts.mean()))


def _transitions(log: TargetLog, choices: Flags) -> Transitions | None:
    """From each choice of a run to its next; what is forced in between is part of the way."""
    rows, places = np.nonzero(choices)
    if rows.size == 0:
        return None
    ended = np.append(rows[1:] != rows[:-1], True)
    after = np.append(np.arange(1, rows.size), rows.size - 1)
    states = log.states[rows, places]
    germinating = log.germinating[rows, places]
    both = np.stack([1 - germinating, germinating], axis=1)
    return Transitions(
        states=states,
        actions=log.actions[rows, places],
        rewards=np.where(ended, log.episodes.returns()[rows], 0.0),
        next_states=states[after],
        next_target=both[after],
        ended=ended,
    )


def _values(fitted: FittedQ, log: TargetLog, asked: Flags) -> tuple[Floats, Floats]:
    values = fitted.values(log.states[asked])
    actions: Indices = log.actions[asked]
    germinating = log.germinating[asked]
    of_state = (1 - germinating) * values[:, 0] + germinating * values[:, 1]
    return values[np.arange(actions.size), actions], of_state


@final
class _Bounded:
    """Ridge regression on squares and products of the features, kept inside the bounds of the result."""

    def __init__(self, low: float, high: float) -> None:
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        self._bounds = low, high
        self._line = make_pipeline(
            PolynomialFeatures(DEGREE, include_bias=False), StandardScaler(), Ridge(alpha=SHRINKAGE)
        )

    def fit(self, features: Any, targets: Any) -> _Bounded:
        """Learns from shape (m, d) and (m,)."""
        self._line.fit(features, targets)
        return self

    def predict(self, features: Any) -> Floats:
        """Shape (m,) for features of shape (m, d)."""
        predicted: Floats = np.clip(np.asarray(self._line.predict(features), dtype=np.float64), *self._bounds)
        return predicted
