"""Estimators for logged decisions that each have their own reward (a contextual bandit).

``w`` is the target's over the behaviour's probability of what was chosen, ``r`` the reward, ``q`` a reward model and
``m = sum over a of target(a) q(a)`` its mean under the target. Every estimator returns one term a sample whose plain
mean is its value. Where the mean weight in the log is not 1, the self-normalised ones divide by it; their terms are
``value + w (r - value) / mean w``, first order in the sample (the delta method).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from engine.evaluation.off_policy.log import LoggedChoices
from engine.evaluation.off_policy.samples import Floats

THRESHOLD: Final = 10.0
"""Weights above are left to the model (Switch-DR) or cut (clipped)."""
SHRINKAGE: Final = 100.0
"""Of optimistic shrinkage: weights well above its square root shrink to nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """A value with the terms whose plain mean it is."""

    method: str
    terms: Floats
    """One a sample or episode, shape (n,)."""

    @property
    def value(self) -> float:
        """Mean of the terms."""
        return float(self.terms.mean())

    @property
    def standard_error(self) -> float:
        """``sd / sqrt(n)`` of the terms, at least 0; infinite for one sample."""
        return float(self.terms.std(ddof=1) / np.sqrt(self.terms.size)) if self.terms.size > 1 else float("inf")


def direct_method(log: LoggedChoices) -> Evaluated:
    """``mean m``: what the model says. No more right than the model. Source: Beygelzimer and Langford (2009), §3."""
    return Evaluated(method="DM", terms=log.modelled[0])


def inverse_propensity(log: LoggedChoices) -> Evaluated:
    """``mean w r``: unbiased. Source: Horvitz and Thompson (1952); Dudík, Langford and Li (2011), eq. 2."""
    return Evaluated(method="IPS", terms=log.weights * log.rewards)


def self_normalised(log: LoggedChoices) -> Evaluated:
    """``sum w r / sum w``: inside the rewards seen. Source: Swaminathan and Joachims (2015), eq. 5 (SNIPS).

    Raises ValueError where no sample has weight.
    """
    return Evaluated(method="SNIPS", terms=ratio_terms(log.weights, log.rewards))


def doubly_robust(log: LoggedChoices) -> Evaluated:
    """``mean (m + w (r - q))``: unbiased whatever the model. Source: Dudík, Langford and Li (2011), eq. 3."""
    mean, predicted = log.modelled
    return Evaluated(method="DR", terms=mean + log.weights * (log.rewards - predicted))


def self_normalised_doubly_robust(log: LoggedChoices) -> Evaluated:
    """``mean m + sum w (r - q) / sum w``. Source: Thomas and Brunskill (2016), eq. 6 at horizon 1.

    Raises ValueError where no sample has weight.
    """
    mean, predicted = log.modelled
    return Evaluated(method="SNDR", terms=mean + ratio_terms(log.weights, log.rewards - predicted))


def switch_doubly_robust(log: LoggedChoices, *, threshold: float = THRESHOLD) -> Evaluated:
    """``mean (m + w [w <= threshold] (r - q))``: large weights are left to the model.

    Source: Wang, Agarwal and Dudík (2017), §3.3 (Switch-DR). Raises ValueError for a negative threshold.
    """
    _at_least_zero("threshold", threshold)
    mean, predicted = log.modelled
    kept = np.where(log.weights <= threshold, log.weights, 0.0)
    return Evaluated(method="Switch-DR", terms=mean + kept * (log.rewards - predicted))


def optimistic_shrinkage(log: LoggedChoices, *, shrinkage: float = SHRINKAGE) -> Evaluated:
    """``mean (m + s w / (w^2 + s) (r - q))``: DM at s = 0, DR as s grows without bound.

    Source: Su, Dimakopoulou, Krishnamurthy and Dudík (2020), §4 (DRos). Raises ValueError for a negative shrinkage.
    """
    _at_least_zero("shrinkage", shrinkage)
    mean, predicted = log.modelled
    weights = log.weights
    with np.errstate(over="ignore"):  # a weight whose square overflows shrinks to 0, as it should
        below = weights**2 + shrinkage
    shrunk = np.divide(shrinkage * weights, below, out=np.zeros_like(weights), where=below > 0)
    return Evaluated(method="DRos", terms=mean + shrunk * (log.rewards - predicted))


def clipped(log: LoggedChoices, *, threshold: float = THRESHOLD) -> Evaluated:
    """``mean min(w, threshold) r``: biased low for rewards of at least 0. Source: Ionides (2008); Bottou et al. (2013).

    Raises ValueError for a negative threshold.
    """
    _at_least_zero("threshold", threshold)
    return Evaluated(method="clipped IPS", terms=np.minimum(log.weights, threshold) * log.rewards)


def ratio_terms(weights: Floats, values: Floats) -> Floats:
    """Terms whose mean is ``sum w x / sum w`` and whose spread is that ratio's (delta method), shape (n,).

    Raises ValueError where no sample has weight.
    """
    mean = float(weights.mean())
    if mean == 0:
        raise ValueError("no sample has weight: the target takes none of the logged actions; ask for the support first")
    ratio = float(weights @ values) / (mean * weights.size)
    terms: Floats = ratio + weights * (values - ratio) / mean
    return terms


def _at_least_zero(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must be at least 0 but is {value}; 10 is usual for weights around 1")
