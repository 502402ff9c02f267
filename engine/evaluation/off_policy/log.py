"""What was logged and what the target would have done: decisions one by one, or whole episodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.off_policy.samples import Floats, WeightedSample, column

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

SUM_TOLERANCE: Final = 1e-9
"""A distribution sums to 1 within this."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoggedChoices:
    """n logged decisions among A actions, each with its own reward (a contextual bandit).

    Raises ValueError where a shape, a probability or a sum is wrong, where an illegal action has probability or was
    chosen, and where two fields contradict each other.
    """

    rewards: Floats
    """Finite, shape (n,)."""
    chosen: Indices
    """Index of the action taken, [0, A), shape (n,)."""
    behaviour: Floats
    """Probability with which it was taken, (0, 1], shape (n,)."""
    target: Floats
    """The target's distribution over the actions, rows sum to 1, shape (n, A)."""
    behaviour_of_all: Floats | None = None
    """The behaviour's distribution, rows sum to 1, shape (n, A): shows targets that could never have been logged."""
    legal: Flags | None = None
    """Which actions were allowed, shape (n, A); None: all."""
    model: Floats | None = None
    """A reward model's prediction q for every action, finite, shape (n, A), fitted on other data."""

    def __post_init__(self) -> None:
        """Raises ValueError as the class says."""
        rewards = column("the reward", self.rewards)
        n = rewards.size
        if n == 0:
            raise ValueError("a log of choices is empty; record at least one decision")
        target = _matrix("the target", self.target, n, None)
        chosen = np.array(self.chosen)
        if chosen.shape != (n,) or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(f"chosen must be integers of shape ({n},) but is {chosen.dtype} of shape {chosen.shape}")
        actions = target.shape[1]
        _refuse(
            "chosen", chosen, (chosen < 0) | (chosen >= actions), f"be an index under {actions}, the target's columns"
        )
        chosen.setflags(write=False)
        behaviour = column("the behaviour's probability", self.behaviour, n)
        _refuse(
            "the behaviour's probability", behaviour, (behaviour <= 0) | (behaviour > 1), "be above 0 and at most 1"
        )
        fields = {"rewards": rewards, "chosen": chosen, "behaviour": behaviour, "target": target}
        _distributions("the target", target, self.legal)
        if self.behaviour_of_all is not None:
            everything = _matrix("the behaviour", self.behaviour_of_all, n, actions)
            _distributions("the behaviour", everything, self.legal)
            off = np.abs(everything[np.arange(n), chosen] - behaviour) > SUM_TOLERANCE
            _refuse("the behaviour's probability", behaviour, off, "equal its entry in behaviour_of_all")
            fields["behaviour_of_all"] = everything
        if self.legal is not None:
            legal = np.array(self.legal)
            object.__setattr__(self, "legal", _frozen(legal))
            _refuse("chosen", chosen, ~legal[np.arange(n), chosen], "be legal; check the mask")
        if self.model is not None:
            fields["model"] = _matrix("the model", self.model, n, actions)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def weights(self) -> Floats:
        """Target over behaviour probability of what was chosen, [0, inf), shape (n,)."""
        weights: Floats = self.target[np.arange(self.rewards.size), self.chosen] / self.behaviour
        return weights

    @property
    def modelled(self) -> tuple[Floats, Floats]:
        """The model's mean under the target and its prediction for what was chosen, (n,) each. ValueError without."""
        if self.model is None:
            raise ValueError("this estimator needs a reward model but the log holds none; fit one and pass model=")
        return (self.target * self.model).sum(axis=1), self.model[np.arange(self.rewards.size), self.chosen]

    def unlogged_actions(self) -> tuple[int, ...]:
        """Actions that the target takes with positive probability and the log cannot speak of, ascending.

        Never chosen anywhere, or, where ``behaviour_of_all`` is known, impossible in a decision where the target
        wants them.
        """
        never = ~np.isin(np.arange(self.target.shape[1]), self.chosen)
        wanted = (self.target > 0).any(axis=0) & never
        if self.behaviour_of_all is not None:
            wanted = wanted | ((self.target > 0) & (self.behaviour_of_all == 0)).any(axis=0)
        return tuple(int(action) for action in np.flatnonzero(wanted))

    def sample(self, *, low: float, high: float, weight_max: float = math.inf) -> WeightedSample:
        """For intervals, without the model: usually the narrower. Bounds as ``WeightedSample``'s."""
        return WeightedSample(weights=self.weights, rewards=self.rewards, low=low, high=high, weight_max=weight_max)

    def robust_sample(self, *, low: float, high: float, weight_max: float = math.inf) -> WeightedSample:
        """For intervals, doubly robust. Residuals may be twice as far apart as rewards, and every honest interval pays.

        Raises ValueError without a model.
        """
        baseline, predicted = self.modelled
        return WeightedSample(
            weights=self.weights,
            rewards=self.rewards,
            low=low,
            high=high,
            weight_max=weight_max,
            baseline=baseline,
            predicted=predicted,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoggedEpisodes:
    """n logged episodes of at most T decisions, padded; what lies behind an episode's end is not read.

    A forced decision has one legal action: both probabilities are exactly 1, and it does not count in the horizon.
    Raises ValueError where a shape or a probability is wrong.
    """

    lengths: Indices
    """Decisions of each episode, [1, T], shape (n,)."""
    rewards: Floats
    """After each decision, finite, shape (n, T)."""
    behaviour: Floats
    """Probability with which the logged action was taken, (0, 1], shape (n, T)."""
    target: Floats
    """The target's probability of it, [0, 1], shape (n, T)."""
    forced: Flags
    """Whether there was no choice, shape (n, T)."""
    q: Floats | None = None
    """A model's value of the logged action under the target from there on, shape (n, T)."""
    v: Floats | None = None
    """The model's value of the state under the target, shape (n, T); given if and only if ``q`` is."""

    def __post_init__(self) -> None:
        """Raises ValueError as the class says."""
        shape = np.shape(self.rewards)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"rewards of episodes must have shape (n, T) but have {shape}; pad episodes to one length")
        lengths = np.array(self.lengths)
        if lengths.shape != shape[:1] or not np.issubdtype(lengths.dtype, np.integer):
            raise ValueError(f"lengths must be integers of shape ({shape[0]},) but are {lengths.dtype} {lengths.shape}")
        _refuse("the length", lengths, (lengths < 1) | (lengths > shape[1]), f"lie in [1, {shape[1]}]")
        if (self.q is None) != (self.v is None):
            raise ValueError("a model needs both q and v but one is missing; give both or none")
        lengths.setflags(write=False)
        object.__setattr__(self, "lengths", lengths)
        inside = self.inside
        forced = np.array(self.forced, dtype=np.bool_)
        if forced.shape != shape:
            raise ValueError(f"forced has shape {forced.shape} but rewards have {shape}; pad alike")
        object.__setattr__(self, "forced", _frozen(forced & inside))
        for name, padding in (("rewards", 0.0), ("behaviour", 1.0), ("target", 1.0), ("q", 0.0), ("v", 0.0)):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, _padded(name, values, inside, padding))
        b, t = self.behaviour, self.target
        _refuse("behaviour", b, (b <= 0) | (b > 1), "be above 0 and at most 1")
        _refuse("target", t, (t < 0) | (t > 1), "lie in [0, 1]")
        _refuse("target", t, self.forced & ((t != 1) | (b != 1)), "be 1, and behaviour too: that decision was forced")

    @property
    def inside(self) -> Flags:
        """Which entries are decisions and not padding, shape (n, T)."""
        inside: Flags = np.arange(np.shape(self.rewards)[1]) < self.lengths[:, None]
        return inside

    @property
    def horizons(self) -> Indices:
        """Decisions with a choice in each episode, [0, T], shape (n,)."""
        horizons: Indices = (self.inside & ~self.forced).sum(axis=1)
        return horizons

    @property
    def ratios(self) -> Floats:
        """Target over behaviour probability of each decision, 1 where forced and in the padding, shape (n, T)."""
        ratios: Floats = self.target / self.behaviour
        return ratios

    @property
    def cumulative(self) -> Floats:
        """Product of the ratios up to and with each decision, shape (n, T)."""
        cumulative: Floats = np.cumprod(self.ratios, axis=1, dtype=np.float64)
        return cumulative

    @property
    def weights(self) -> Floats:
        """Product of all ratios of each episode, [0, inf), shape (n,)."""
        weights: Floats = self.cumulative[:, -1]
        return weights

    def returns(self, discount: float = 1.0) -> Floats:
        """``sum over t of discount^t reward_t``, t from 0, shape (n,). ValueError for a discount outside [0, 1]."""
        returns: Floats = self.rewards @ discounts(discount, self.rewards.shape[1])
        return returns

    def sample(self, *, low: float, high: float, discount: float = 1.0, weight_max: float = math.inf) -> WeightedSample:
        """For intervals: one weight and one return an episode; ``low`` and ``high`` bound the return."""
        return WeightedSample(
            weights=self.weights, rewards=self.returns(discount), low=low, high=high, weight_max=weight_max
        )


def discounts(discount: float, horizon: int) -> Floats:
    """``discount^t`` for t from 0, shape (horizon,). Raises ValueError for a discount outside [0, 1]."""
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must lie in [0, 1] but is {discount}; 1 leaves rewards as they are")
    powers: Floats = np.power(discount, np.arange(horizon, dtype=np.float64))
    return powers


def _frozen(array: Flags) -> Flags:
    array.setflags(write=False)
    return array


def _matrix(name: str, values: Floats, rows: int, columns: int | None) -> Floats:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != rows or array.shape[1] < 1 or columns not in {None, array.shape[1]}:
        wanted = f"({rows}, {'A' if columns is None else columns})"
        raise ValueError(f"{name} has shape {array.shape} but must have {wanted}; give one row a decision")
    _refuse(name, array, ~np.isfinite(array), "be finite")
    array.setflags(write=False)
    return array


def _padded(name: str, values: Floats, inside: Flags, padding: float) -> Floats:
    array = np.array(values, dtype=np.float64)
    if array.shape != inside.shape:
        raise ValueError(f"{name} has shape {array.shape} but rewards have {inside.shape}; pad alike")
    array[~inside] = padding
    _refuse(name, array, ~np.isfinite(array), "be finite")
    array.setflags(write=False)
    return array


def _distributions(name: str, matrix: Floats, legal: Flags | None) -> None:
    _refuse(name, matrix, (matrix < 0) | (matrix > 1), "lie in [0, 1]")
    sums = matrix.sum(axis=1)
    _refuse(f"the sum of {name}", sums, np.abs(sums - 1) > SUM_TOLERANCE, "be 1; give the whole distribution")
    if legal is None:
        return
    mask = np.asarray(legal)
    if mask.shape != matrix.shape or mask.dtype != np.bool_:
        raise ValueError(f"legal must be booleans of shape {matrix.shape} but is {mask.dtype} of shape {mask.shape}")
    _refuse(name, matrix, ~mask & (matrix > 0), "be 0 for an illegal action; check the mask")


def _refuse(name: str, values: Floats | Indices, wrong: Flags, rule: str) -> None:
    """Raises ValueError that shows the first wrong value."""
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = ", ".join(f"{what} {i}" for what, i in zip(("row", "column"), place, strict=False))
        raise ValueError(f"{name} is {values[place]} in {where} but must {rule}")
