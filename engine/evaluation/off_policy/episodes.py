"""Estimators for logged episodes. Fitted Q evaluation has its own module, fitted_q.py.

``rho_t`` is the ratio of decision t, ``w_t`` the product of the ratios up to and with it, ``g`` the discount. Every
estimator returns one term an episode whose plain mean is its value.
"""

from __future__ import annotations

import numpy as np

from engine.evaluation.off_policy.estimators import Evaluated, ratio_terms
from engine.evaluation.off_policy.log import LoggedEpisodes, discounts
from engine.evaluation.off_policy.samples import Floats


def trajectory(log: LoggedEpisodes, *, discount: float = 1.0) -> Evaluated:
    """``mean w G`` with the whole episode's weight and return: unbiased. Source: Precup, Sutton and Singh (2000), eq. 3.

    Raises ValueError for a discount outside [0, 1], as all here.
    """
    return Evaluated(method="trajectory IS", terms=log.weights * log.returns(discount))


def weighted_trajectory(log: LoggedEpisodes, *, discount: float = 1.0) -> Evaluated:
    """``sum w G / sum w``: consistent, inside the returns seen. Source: Precup, Sutton and Singh (2000), eq. 4.

    Raises ValueError where no episode has weight.
    """
    return Evaluated(method="weighted trajectory IS", terms=ratio_terms(log.weights, log.returns(discount)))


def per_decision(log: LoggedEpisodes, *, discount: float = 1.0) -> Evaluated:
    """``mean over episodes of sum over t of g^t w_t r_t``: a reward waits for no later ratio; unbiased.

    Source: Precup, Sutton and Singh (2000), eq. 5.
    """
    factors = discounts(discount, log.rewards.shape[1])
    return Evaluated(method="per-decision IS", terms=(log.cumulative * log.rewards) @ factors)


def weighted_per_decision(log: LoggedEpisodes, *, discount: float = 1.0) -> Evaluated:
    """``sum over t of g^t (sum w_t r_t / sum w_t)``, sums over episodes: consistent.

    An episode that has ended keeps its last weight and earns 0. Source: Thomas (2015), Safe Reinforcement Learning,
    §3.9 (CWPDIS). Raises ValueError where no episode has weight at some t.
    """
    factors = discounts(discount, log.rewards.shape[1])
    weights = log.cumulative
    parts = [ratio_terms(weights[:, t], log.rewards[:, t]) * factors[t] for t in range(factors.size)]
    terms: Floats = np.sum(parts, axis=0)
    return Evaluated(method="weighted per-decision IS", terms=terms)


def sequential_doubly_robust(log: LoggedEpisodes, *, discount: float = 1.0) -> Evaluated:
    """``V_t = v(s_t) + rho_t (r_t + g V_{t+1} - q(s_t, a_t))`` from the last decision back: unbiased whatever the model.

    The model must be fitted on other episodes. Source: Jiang and Li (2016), eq. 10. Raises ValueError without a model.
    """
    q, v = _model(log)
    discounts(discount, 1)
    ratios, inside = log.ratios, log.inside
    value: Floats = np.zeros(log.lengths.size)
    for t in reversed(range(ratios.shape[1])):
        step = v[:, t] + ratios[:, t] * (log.rewards[:, t] + discount * value - q[:, t])
        value = np.where(inside[:, t], step, 0.0)
    return Evaluated(method="sequential DR", terms=value)


def weighted_doubly_robust(log: LoggedEpisodes, *, discount: float = 1.0) -> Evaluated:
    """``sum over t of g^t (W_t (r_t - q_t) + W_{t-1} v_t)``, W the weights over their mean at t, W_{-1} = 1: consistent.

    Source: Thomas and Brunskill (2016), eq. 6 (WDR). Its terms hold the mean weights fixed, which understates their
    spread a little. Raises ValueError without a model, or where no episode has weight at some t.
    """
    q, v = _model(log)
    factors = discounts(discount, log.rewards.shape[1])
    before = np.ones(log.lengths.size)
    terms: Floats = np.zeros(log.lengths.size)
    for t, factor in enumerate(factors):
        weights = log.cumulative[:, t]
        if not weights.any():
            raise ValueError(f"no episode has weight after decision {t}: the target left the log; ask for the support")
        now = weights / weights.mean()
        terms = terms + factor * (now * (log.rewards[:, t] - q[:, t]) + before * v[:, t])
        before = now
    return Evaluated(method="weighted DR", terms=terms)


def _model(log: LoggedEpisodes) -> tuple[Floats, Floats]:
    if log.q is None or log.v is None:
        raise ValueError("doubly robust estimators need a model but the log holds none; fit one and pass q= and v=")
    return log.q, log.v
