"""Decisions one by one, against closed forms worked out on a bandit whose every outcome can be listed.

Two contexts, met with 1/4 and 3/4; three actions; rewards of 0 or 1. The behaviour, the target, the true means and a
wrong model are the tables below. Everything the estimators must give is computed from the tables by plain loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.off_policy import estimators
from engine.evaluation.off_policy.estimators import Evaluated
from engine.evaluation.off_policy.log import LoggedChoices

CONTEXT = (0.25, 0.75)
BEHAVIOUR = ((0.5, 0.25, 0.25), (0.125, 0.125, 0.75))
TARGET = ((0.25, 0.0, 0.75), (0.5, 0.375, 0.125))
MEAN = ((0.5, 0.25, 0.75), (0.125, 0.875, 0.5))
MODEL = ((0.4, 0.9, 0.1), (0.3, 0.6, 0.5))
Outcome = tuple[int, int, int, float]

EXACT = 1e-10


def outcomes() -> Iterator[Outcome]:
    """Context, action, reward, probability under the behaviour."""
    for x, a, r in itertools.product(range(2), range(3), range(2)):
        yield x, a, r, CONTEXT[x] * BEHAVIOUR[x][a] * (MEAN[x][a] if r else 1 - MEAN[x][a])


def log_of(cases: list[Outcome], *, model: bool = True) -> LoggedChoices:
    contexts, actions, rewards, _ = zip(*cases, strict=True)
    return LoggedChoices(
        rewards=np.array(rewards, dtype=float),
        chosen=np.array(actions),
        behaviour=np.array([BEHAVIOUR[x][a] for x, a in zip(contexts, actions, strict=True)]),
        target=np.array([TARGET[x] for x in contexts]),
        behaviour_of_all=np.array([BEHAVIOUR[x] for x in contexts]),
        model=np.array([MODEL[x] for x in contexts]) if model else None,
    )


def every_outcome_as_often_as_it_is_likely() -> LoggedChoices:
    """Probabilities are multiples of 1/2048: each outcome is repeated so that frequencies are exact."""
    return log_of([case for case in outcomes() for _ in range(round(case[3] * 2048))])


def value_of(mean: tuple[tuple[float, ...], ...]) -> float:
    return sum(CONTEXT[x] * TARGET[x][a] * mean[x][a] for x in range(2) for a in range(3))


def closed(weight: Callable[[float], float], model: tuple[tuple[float, ...], ...] = MODEL) -> float:
    """``sum over x of P(x) sum over a of (target q + behaviour weight(w) (mean - q))``: what a reweighted DR expects."""
    total = 0.0
    for x, a in itertools.product(range(2), range(3)):
        b, t, q = BEHAVIOUR[x][a], TARGET[x][a], model[x][a]
        total += CONTEXT[x] * (t * q + b * weight(t / b) * (MEAN[x][a] - q))
    return total


NOTHING = ((0.0,) * 3,) * 2

LINEAR: dict[str, tuple[Callable[[LoggedChoices], Evaluated], float]] = {
    "DM": (estimators.direct_method, value_of(MODEL)),
    "IPS": (estimators.inverse_propensity, value_of(MEAN)),
    "DR": (estimators.doubly_robust, value_of(MEAN)),
    "Switch-DR at 1": (
        lambda log: estimators.switch_doubly_robust(log, threshold=1.0),
        closed(lambda w: w if w <= 1 else 0.0),
    ),
    "Switch-DR at 3": (
        lambda log: estimators.switch_doubly_robust(log, threshold=3.0),
        closed(lambda w: w if w <= 3 else 0.0),
    ),
    "DRos at 2": (
        lambda log: estimators.optimistic_shrinkage(log, shrinkage=2.0),
        closed(lambda w: 2 * w / (w * w + 2)),
    ),
    "clipped at 1.5": (
        lambda log: estimators.clipped(log, threshold=1.5),
        closed(lambda w: min(w, 1.5), NOTHING),
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_the_expectation_over_every_outcome_is_the_closed_form(name: str) -> None:
    estimator, expected = LINEAR[name]
    cases = list(outcomes())
    probability = np.array([case[3] for case in cases])

    assert probability.sum() == pytest.approx(1.0, abs=EXACT)
    assert float(probability @ estimator(log_of(cases)).terms) == pytest.approx(expected, abs=EXACT)


def test_the_true_value_is_known_by_hand() -> None:
    # 1/4 (1/4 * 1/2 + 3/4 * 3/4) + 3/4 (1/2 * 1/8 + 3/8 * 7/8 + 1/8 * 1/2) = 11/64 + 87/256
    assert value_of(MEAN) == pytest.approx(131 / 256, abs=EXACT)


@pytest.mark.parametrize("name", ["SNIPS", "SNDR"])
def test_where_frequencies_are_exact_the_self_normalised_ones_give_the_truth(name: str) -> None:
    estimator = {"SNIPS": estimators.self_normalised, "SNDR": estimators.self_normalised_doubly_robust}[name]

    assert estimator(every_outcome_as_often_as_it_is_likely()).value == pytest.approx(value_of(MEAN), abs=EXACT)


def test_the_self_normalised_ones_agree_with_their_ratio_on_every_pair_of_outcomes() -> None:
    expected_plain = expected_robust = found_plain = found_robust = 0.0
    for one, other in itertools.product(outcomes(), repeat=2):
        pair = [one, other]
        w = [TARGET[x][a] / BEHAVIOUR[x][a] for x, a, _, _ in pair]
        if sum(w) == 0:
            continue
        likely = one[3] * other[3]
        expected_plain += likely * sum(wi * r for wi, (_, _, r, _) in zip(w, pair, strict=True)) / sum(w)
        robust = sum(wi * (r - MODEL[x][a]) for wi, (x, a, r, _) in zip(w, pair, strict=True)) / sum(w)
        robust += sum(TARGET[x][a] * MODEL[x][a] for x, _, _, _ in pair for a in range(3)) / 2
        expected_robust += likely * robust
        found_plain += likely * estimators.self_normalised(log_of(pair)).value
        found_robust += likely * estimators.self_normalised_doubly_robust(log_of(pair)).value

    assert found_plain == pytest.approx(expected_plain, abs=EXACT)
    assert found_robust == pytest.approx(expected_robust, abs=EXACT)


@given(st.lists(st.floats(-2, 2), min_size=6, max_size=6))
def test_dr_is_unbiased_whatever_the_model(numbers: list[float]) -> None:
    cases = list(outcomes())
    probability = np.array([case[3] for case in cases])
    wrong = np.array(numbers).reshape(2, 3)
    log = log_of(cases)
    log = LoggedChoices(
        rewards=log.rewards,
        chosen=log.chosen,
        behaviour=log.behaviour,
        target=log.target,
        model=wrong[[x for x, *_ in cases]],
    )

    assert float(probability @ estimators.doubly_robust(log).terms) == pytest.approx(value_of(MEAN), abs=EXACT)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.data())
def test_on_policy_every_weighted_estimator_is_the_mean(rewards: list[float], data: st.DataObject) -> None:
    n = len(rewards)
    chosen = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    log = LoggedChoices(
        rewards=np.array(rewards),
        chosen=chosen,
        behaviour=np.full(n, 1 / 3),
        target=np.full((n, 3), 1 / 3),
        model=np.zeros((n, 3)),
    )
    weighted = (
        estimators.inverse_propensity,
        estimators.self_normalised,
        estimators.doubly_robust,
        estimators.self_normalised_doubly_robust,
        estimators.switch_doubly_robust,
        estimators.clipped,
    )

    for estimator in weighted:
        assert estimator(log).value == pytest.approx(np.mean(rewards), abs=1e-9), estimator.__name__


def test_with_probabilities_turned_round_the_closed_forms_fail() -> None:
    """Teeth: the bandit tells a ratio from its inverse by far more than the tolerance."""
    cases = list(outcomes())
    probability = np.array([case[3] for case in cases])
    rewards = np.array([case[2] for case in cases], dtype=float)
    inverse = np.array([BEHAVIOUR[x][a] / max(TARGET[x][a], 1e-3) for x, a, _, _ in cases])

    assert abs(float(probability @ (inverse * rewards)) - value_of(MEAN)) > 0.1
    assert abs(float(probability @ rewards) - value_of(MEAN)) > 0.01, "the behaviour's own value is another"


def test_the_ends_of_shrinkage_and_switching_are_dm_and_dr() -> None:
    log = every_outcome_as_often_as_it_is_likely()
    direct, robust = estimators.direct_method(log).value, estimators.doubly_robust(log).value

    assert estimators.optimistic_shrinkage(log, shrinkage=0.0).value == pytest.approx(direct, abs=EXACT)
    assert estimators.optimistic_shrinkage(log, shrinkage=1e15).value == pytest.approx(robust, abs=EXACT)
    assert estimators.switch_doubly_robust(log, threshold=0.0).value == pytest.approx(direct, abs=EXACT)
    assert estimators.switch_doubly_robust(log, threshold=1e9).value == pytest.approx(robust, abs=EXACT)
    assert estimators.clipped(log, threshold=1e9).value == pytest.approx(value_of(MEAN), abs=EXACT)


def test_terms_of_the_ratio_have_the_spread_of_the_ratio() -> None:
    """Their standard error agrees with what the ratio does over 2000 samples of 200, within 8 %."""
    cases = list(outcomes())
    generator = np.random.Generator(np.random.PCG64(5))
    drawn = generator.choice(len(cases), size=(2000, 200), p=[case[3] for case in cases])
    weights = np.array([TARGET[x][a] / BEHAVIOUR[x][a] for x, a, _, _ in cases])[drawn]
    rewards = np.array([case[2] for case in cases], dtype=float)[drawn]
    spread = float(((weights * rewards).sum(axis=1) / weights.sum(axis=1)).std())
    claimed = estimators.self_normalised(every_outcome_as_often_as_it_is_likely())

    assert float(claimed.terms.std()) / np.sqrt(200) == pytest.approx(spread, rel=0.08)


def test_what_an_estimator_cannot_do_it_refuses() -> None:
    bare = log_of(list(outcomes()), model=False)
    never = LoggedChoices(
        rewards=np.ones(2), chosen=np.zeros(2, dtype=int), behaviour=np.ones(2), target=np.array([[0.0, 1.0]] * 2)
    )

    with pytest.raises(ValueError, match="needs a reward model but the log holds none; fit one"):
        estimators.doubly_robust(bare)
    with pytest.raises(ValueError, match="no sample has weight"):
        estimators.self_normalised(never)
    with pytest.raises(ValueError, match="threshold must be at least 0 but is -1"):
        estimators.clipped(bare, threshold=-1)
    assert Evaluated(method="one", terms=np.ones(1)).standard_error == float("inf")
