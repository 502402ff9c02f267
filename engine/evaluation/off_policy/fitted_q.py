"""Fitted Q evaluation: the target's value function from logged transitions, by regression, no ratio needed.

It is as right as its regressor can be, and extrapolates silently where the log holds nothing: read it under the
support verdict like the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from engine.evaluation.off_policy.log import Flags, Indices
from engine.evaluation.off_policy.samples import Floats, column


class Regressor(Protocol):
    """What scikit-learn's regressors do."""

    def fit(self, features: Any, targets: Any) -> Any:
        """Learns from shape (m, d) and (m,)."""

    def predict(self, features: Any) -> Any:
        """Shape (m,) for features of shape (m, d)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transitions:
    """m logged steps. Raises ValueError where shapes disagree or the target is no distribution."""

    states: Floats
    """Features, finite, shape (m, d); in a finite horizon the step is one of them."""
    actions: Indices
    """[0, A), shape (m,)."""
    rewards: Floats
    """Finite, shape (m,)."""
    next_states: Floats
    """Features, shape (m, d); any finite numbers where the episode ended."""
    next_target: Floats
    """The target's distribution at the next state, rows sum to 1, shape (m, A); not read where the episode ended."""
    ended: Flags
    """Whether the step was its episode's last, shape (m,)."""

    def __post_init__(self) -> None:
        """Raises ValueError as the class says."""
        rewards = column("the reward", self.rewards)
        m = rewards.size
        if m == 0:
            raise ValueError("there are no transitions to fit; record at least one episode")
        for name in ("states", "next_states"):
            shape, wanted = np.shape(getattr(self, name)), (m, np.shape(self.states)[-1])
            if shape != wanted:
                raise ValueError(f"{name} has shape {shape} but must have {wanted}; give one row a transition")
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} holds a number that is not finite; fill it with any finite one")
        target, actions, ended = np.asarray(self.next_target), np.asarray(self.actions), np.asarray(self.ended)
        if target.ndim != 2 or not (len(target) == actions.size == ended.size == m):
            raise ValueError(f"actions, ended and next_target must have {m} rows; give one row a transition")
        if actions.min() < 0 or actions.max() >= target.shape[1]:
            raise ValueError(
                f"an action is outside [0, {target.shape[1]}), the target's columns; number actions from 0"
            )
        sums = target[~ended.astype(bool)].sum(axis=1)
        if (np.abs(sums - 1) > 1e-9).any() or (target < 0).any():
            raise ValueError("a row of next_target is no distribution; its probabilities must sum to 1")


@final
@dataclass(frozen=True, slots=True, eq=False)
class FittedQ:
    """The fitted value function."""

    regressor: Regressor
    actions: int
    """A, at least 1."""

    def values(self, states: Floats) -> Floats:
        """q of every action, shape (m, A), for features of shape (m, d)."""
        m = len(states)
        parts = [self.regressor.predict(_features(states, np.full(m, a), self.actions)) for a in range(self.actions)]
        stacked: Floats = np.stack([np.asarray(part, dtype=np.float64) for part in parts], axis=1)
        return stacked

    def value(self, starts: Floats, target: Floats) -> float:
        """Mean over start states (k, d) of q under the target's distributions there, (k, A)."""
        return float((self.values(starts) * target).sum(axis=1).mean())


def fitted_q(
    log: Transitions, *, iterations: int, discount: float = 1.0, regressor: Callable[[], Regressor] | None = None
) -> FittedQ:
    """``q_k = fit(r + discount * sum over a of target(a) q_{k-1}(s', a))``, ``iterations`` times from q_0 = 0.

    A horizon of H needs H iterations. ``regressor`` makes a fresh scikit-learn regressor over (state features, one
    column an action); None: the mean of each distinct row, which is exact for states that can be counted.
    Source: Le, Voloshin and Yue (2019), "Batch policy learning under constraints", algorithm 3; Ernst et al. (2005).
    Raises ValueError for no iterations or a discount outside [0, 1].
    """
    if iterations < 1 or not 0 <= discount <= 1:
        raise ValueError(f"iterations {iterations} must be at least 1 and discount {discount} in [0, 1]")
    make = regressor or TabularRegressor
    actions = np.shape(log.next_target)[1]
    features = _features(log.states, log.actions, actions)
    goes_on = ~np.asarray(log.ended, dtype=bool)
    goals = np.asarray(log.rewards, dtype=np.float64)
    fitted = FittedQ(_fresh(make, features, goals), actions)
    for _ in range(iterations - 1):
        ahead = (fitted.values(log.next_states) * log.next_target).sum(axis=1)
        fitted = FittedQ(_fresh(make, features, goals + discount * np.where(goes_on, ahead, 0.0)), actions)
    return fitted


@final
class TabularRegressor:
    """Predicts the mean of what was seen at exactly the same features, 0 where nothing was."""

    def __init__(self) -> None:
        self._means: dict[bytes, float] = {}

    def fit(self, features: Any, targets: Any) -> TabularRegressor:
        """Learns from shape (m, d) and (m,)."""
        rows, place = np.unique(_plain(features), axis=0, return_inverse=True)
        sums = np.bincount(place.ravel(), weights=np.asarray(targets, dtype=np.float64), minlength=len(rows))
        means = sums / np.bincount(place.ravel(), minlength=len(rows))
        self._means = {row.tobytes(): float(mean) for row, mean in zip(rows, means, strict=True)}
        return self

    def predict(self, features: Any) -> Floats:
        """Shape (m,) for features of shape (m, d)."""
        rows, place = np.unique(_plain(features), axis=0, return_inverse=True)
        found = np.array([self._means.get(row.tobytes(), 0.0) for row in rows])
        predicted: Floats = found[place.ravel()]
        return predicted


def _plain(features: Any) -> Floats:
    # Adding 0 makes -0.0 into 0.0: rows are told apart by their bytes.
    plain: Floats = np.ascontiguousarray(features, dtype=np.float64) + 0.0
    return plain


def _fresh(make: Callable[[], Regressor], features: Floats, goals: Floats) -> Regressor:
    regressor = make()
    regressor.fit(features, goals)
    return regressor


def _features(states: Floats, actions: Indices, count: int) -> Floats:
    return np.concatenate([np.asarray(states, dtype=np.float64), np.eye(count)[np.asarray(actions)]], axis=1)
