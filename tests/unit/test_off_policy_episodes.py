"""Whole episodes, on a 3-step problem whose value under the target is exactly 1.952.

Two states, GOOD (where episodes start) and BAD; two actions; three decisions. By action 1 and 0:

| state | target takes 1 | behaviour takes 1 | chance of reward 1, by 1 / 0 | chance that GOOD follows, by 1 / 0 |
|-------|----------------|-------------------|------------------------------|------------------------------------|
| GOOD  | 4/5            | 1/2               | 1 / 0                        | 4/5 / 2/5                          |
| BAD   | 3/5            | 2/5               | 1/5 / 1/10                   | 3/10 / 1/10                        |
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.off_policy import episodes
from engine.evaluation.off_policy.estimators import Evaluated
from engine.evaluation.off_policy.fitted_q import Regressor, Transitions, fitted_q
from engine.evaluation.off_policy.log import LoggedEpisodes

GOOD, BAD, STEPS = 0, 1, 3
VALUE = Fraction(1952, 1000)
F = Fraction
WHOLE = F(1)
TARGET = ((F(1, 5), F(4, 5)), (F(2, 5), F(3, 5)))
BEHAVIOUR = ((F(1, 2), F(1, 2)), (F(3, 5), F(2, 5)))
REWARD = ((F(0), F(1)), (F(1, 10), F(1, 5)))
TO_GOOD = ((F(2, 5), F(4, 5)), (F(1, 10), F(3, 10)))

Q = tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]]

ESTIMATORS: dict[str, Callable[[LoggedEpisodes], Evaluated]] = {
    "trajectory": episodes.trajectory,
    "weighted trajectory": episodes.weighted_trajectory,
    "per decision": episodes.per_decision,
    "weighted per decision": episodes.weighted_per_decision,
    "sequential DR": episodes.sequential_doubly_robust,
    "weighted DR": episodes.weighted_doubly_robust,
}


def exact_q(discount: Fraction = WHOLE) -> list[Q]:
    """By dynamic programming from the last step back, in fractions: q[t][state][action]."""
    tables: list[Q] = []
    after = (F(0), F(0))
    for _ in range(STEPS):
        table = tuple(
            tuple(
                REWARD[s][a] + discount * (TO_GOOD[s][a] * after[GOOD] + (1 - TO_GOOD[s][a]) * after[BAD])
                for a in range(2)
            )
            for s in range(2)
        )
        after = tuple(sum(TARGET[s][a] * table[s][a] for a in range(2)) for s in range(2))  # type: ignore[assignment]
        tables.insert(0, table)  # type: ignore[arg-type]
    return tables


def exact_value(discount: Fraction = WHOLE) -> Fraction:
    table = exact_q(discount)[0]
    return sum((TARGET[GOOD][a] * table[GOOD][a] for a in range(2)), F(0))


def numbers(table: tuple[tuple[Fraction, ...], ...]) -> np.ndarray:
    return np.array([[float(entry) for entry in row] for row in table])


def played(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, actions and rewards under the behaviour, shape (count, 3) each."""
    generator = np.random.Generator(np.random.PCG64(seed))
    states, actions = np.zeros((count, STEPS), dtype=int), np.zeros((count, STEPS), dtype=int)
    rewards = np.zeros((count, STEPS))
    now = np.full(count, GOOD)
    for t in range(STEPS):
        states[:, t] = now
        actions[:, t] = generator.random(count) < numbers(BEHAVIOUR)[now, 1]
        rewards[:, t] = generator.random(count) < numbers(REWARD)[now, actions[:, t]]
        now = np.where(generator.random(count) < numbers(TO_GOOD)[now, actions[:, t]], GOOD, BAD)
    return states, actions, rewards


def logged(states: np.ndarray, actions: np.ndarray, rewards: np.ndarray, *, error: float = 0.0) -> LoggedEpisodes:
    """With the exact model, every entry of which is off by ``error`` times its step and action."""
    tables = np.array([numbers(table) for table in exact_q()])
    tables = tables + error * (np.arange(STEPS)[:, None, None] + np.array([[1.0, -2.0], [0.5, 1.5]]))
    values = (numbers(TARGET) * tables).sum(axis=2)
    steps = np.arange(STEPS)
    return LoggedEpisodes(
        lengths=np.full(len(states), STEPS),
        rewards=rewards,
        behaviour=numbers(BEHAVIOUR)[states, actions],
        target=numbers(TARGET)[states, actions],
        forced=np.zeros(states.shape, dtype=bool),
        q=tables[steps, states, actions],
        v=values[steps, states],
    )


def transitions(states: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> tuple[Transitions, np.ndarray]:
    """State and step as features; the features of the start, shape (1, 2)."""
    steps = np.broadcast_to(np.arange(STEPS), states.shape)
    features = np.stack([states, steps], axis=2).astype(float)
    after = np.concatenate([features[:, 1:], np.zeros((len(states), 1, 2))], axis=1)
    log = Transitions(
        states=features.reshape(-1, 2),
        actions=actions.ravel(),
        rewards=rewards.ravel(),
        next_states=after.reshape(-1, 2),
        next_target=numbers(TARGET)[after[:, :, 0].astype(int).ravel()],
        ended=(steps == STEPS - 1).ravel(),
    )
    return log, np.array([[float(GOOD), 0.0]])


def every_episode() -> tuple[LoggedEpisodes, np.ndarray]:
    """Each possible episode once, with its probability under the behaviour; the model in it is wrong."""
    rows: list[tuple[list[int], tuple[int, ...], tuple[int, ...]]] = []
    chances: list[Fraction] = []
    for path in itertools.product(range(2), repeat=STEPS - 1):
        for actions, rewards in itertools.product(itertools.product(range(2), repeat=STEPS), repeat=2):
            states, chance = [GOOD, *path], F(1)
            for t in range(STEPS):
                s, a = states[t], actions[t]
                chance *= BEHAVIOUR[s][a] * (REWARD[s][a] if rewards[t] else 1 - REWARD[s][a])
                if t + 1 < STEPS:
                    chance *= TO_GOOD[s][a] if states[t + 1] == GOOD else 1 - TO_GOOD[s][a]
            rows.append((states, actions, rewards))
            chances.append(chance)
    states, actions, rewards = (np.array(part) for part in zip(*rows, strict=True))
    assert sum(chances) == 1
    return logged(states, actions, rewards.astype(float), error=0.3), np.array([float(c) for c in chances])


def test_dynamic_programming_gives_the_value_exactly() -> None:
    assert exact_value() == VALUE


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("seed", range(3))
def test_each_estimator_converges_to_the_value_within_three_standard_errors(name: str, seed: int) -> None:
    found = ESTIMATORS[name](logged(*played(20_000, seed), error=0.1))

    assert found.standard_error < 0.05
    assert abs(found.value - float(VALUE)) < 3 * found.standard_error


@pytest.mark.parametrize("seed", range(3))
def test_fitted_q_evaluation_converges_to_the_value_within_three_standard_errors(seed: int) -> None:
    """Its standard error comes from 20 logs of 1000 episodes each."""
    found = []
    for part in range(20):
        log, start = transitions(*played(1000, 100 * (seed + 1) + part))
        found.append(fitted_q(log, iterations=STEPS).value(start, numbers(TARGET)[:1]))
    error = float(np.std(found, ddof=1)) / np.sqrt(len(found))

    assert error < 0.01
    assert abs(float(np.mean(found)) - float(VALUE)) < 3 * error


def test_fitted_q_evaluation_takes_a_regressor_of_scikit_learn() -> None:
    from sklearn.tree import DecisionTreeRegressor

    def tree() -> Regressor:
        regressor: Regressor = DecisionTreeRegressor(random_state=0)
        return regressor

    log, start = transitions(*played(2000, 3))
    by_tree, by_table = fitted_q(log, iterations=STEPS, regressor=tree), fitted_q(log, iterations=STEPS)

    assert by_tree.value(start, numbers(TARGET)[:1]) == pytest.approx(by_table.value(start, numbers(TARGET)[:1]))
    assert by_table.values(start).shape == (1, 2)


def test_fitted_q_evaluation_discounts_as_dynamic_programming_does() -> None:
    log, start = transitions(*played(40_000, 9))
    found = fitted_q(log, iterations=STEPS, discount=0.5).value(start, numbers(TARGET)[:1])

    assert found == pytest.approx(float(exact_value(F(1, 2))), abs=0.01)


@pytest.mark.parametrize("name", ["trajectory", "per decision", "sequential DR"])
@pytest.mark.parametrize("discount", [F(1), F(1, 2)])
def test_over_every_episode_the_plain_estimators_are_unbiased(name: str, discount: Fraction) -> None:
    """The model is wrong by up to 1, and sequential DR still expects the value."""
    estimator = {
        "trajectory": episodes.trajectory,
        "per decision": episodes.per_decision,
        "sequential DR": episodes.sequential_doubly_robust,
    }[name]
    log, chance = every_episode()

    expected = float(exact_value(discount))
    assert float(chance @ estimator(log, discount=float(discount)).terms) == pytest.approx(expected, abs=1e-10)


def test_with_the_exact_model_sequential_dr_varies_less_than_importance_sampling() -> None:
    log = logged(*played(5000, 4))

    robust, plain = episodes.sequential_doubly_robust(log), episodes.trajectory(log)
    assert robust.standard_error < 0.7 * plain.standard_error


@pytest.mark.parametrize("name", ESTIMATORS)
def test_with_the_ratio_inverted_no_estimator_converges(name: str) -> None:
    """Teeth: behaviour and target exchanged is far outside three standard errors."""
    right = logged(*played(20_000, 0), error=0.5)
    assert right.q is not None
    wrong = LoggedEpisodes(
        lengths=right.lengths,
        rewards=right.rewards,
        behaviour=right.target,
        target=right.behaviour,
        forced=right.forced,
        q=right.q,
        v=right.v,
    )
    found = ESTIMATORS[name](wrong)

    assert abs(found.value - float(VALUE)) > 6 * found.standard_error


@given(st.lists(st.lists(st.floats(-3, 3), min_size=4, max_size=4), min_size=2, max_size=8), st.floats(0, 1))
def test_on_policy_every_estimator_is_the_mean_return(rewards: list[list[float]], discount: float) -> None:
    n = len(rewards)
    lengths = np.arange(n) % 4 + 1
    log = LoggedEpisodes(
        lengths=lengths,
        rewards=np.array(rewards),
        behaviour=np.full((n, 4), 0.3),
        target=np.full((n, 4), 0.3),
        forced=np.zeros((n, 4), dtype=bool),
        q=np.zeros((n, 4)),
        v=np.zeros((n, 4)),
    )
    by_hand = np.mean(
        [
            sum(reward * discount**t for t, reward in enumerate(row[:length]))
            for row, length in zip(rewards, lengths, strict=True)
        ]
    )

    for estimator in (
        episodes.trajectory,
        episodes.weighted_trajectory,
        episodes.per_decision,
        episodes.weighted_per_decision,
        episodes.sequential_doubly_robust,
        episodes.weighted_doubly_robust,
    ):
        assert estimator(log, discount=discount).value == pytest.approx(by_hand, abs=1e-9), estimator.__name__


def test_nothing_is_earned_behind_the_end_however_often_fitted_q_evaluation_iterates() -> None:
    log, start = transitions(*played(500, 2))
    enough, more = fitted_q(log, iterations=STEPS), fitted_q(log, iterations=STEPS + 4)

    assert more.value(start, numbers(TARGET)[:1]) == pytest.approx(enough.value(start, numbers(TARGET)[:1]))


def test_weighted_dr_is_by_hand() -> None:
    """Two episodes of two steps; weights 2, 1 and then 4, 1/2: normalised 4/3, 2/3 and 16/9, 2/9."""
    log = LoggedEpisodes(
        lengths=np.array([2, 2]),
        rewards=np.array([[1.0, 0.0], [0.0, 1.0]]),
        behaviour=np.full((2, 2), 0.5),
        target=np.array([[1.0, 1.0], [0.5, 0.25]]),
        forced=np.zeros((2, 2), dtype=bool),
        q=np.array([[0.5, 0.25], [0.5, 0.5]]),
        v=np.array([[0.75, 0.5], [0.75, 1.0]]),
    )
    first = 4 / 3 * (1 - 0.5) + 0.75 + 16 / 9 * (0 - 0.25) + 4 / 3 * 0.5
    second = 2 / 3 * (0 - 0.5) + 0.75 + 2 / 9 * (1 - 0.5) + 2 / 3 * 1.0

    assert episodes.weighted_doubly_robust(log).terms == pytest.approx([first, second])


def test_forced_decisions_change_no_weight_and_no_horizon() -> None:
    log = LoggedEpisodes(
        lengths=np.array([3, 2]),
        rewards=np.ones((2, 3)),
        behaviour=np.array([[0.5, 1.0, 0.25], [1.0, 0.5, 99.0]]),
        target=np.array([[1.0, 1.0, 0.5], [1.0, 0.25, 99.0]]),
        forced=np.array([[False, True, False], [True, False, False]]),
    )

    assert log.horizons.tolist() == [2, 1]
    assert log.weights.tolist() == [4.0, 0.5]
    assert log.returns().tolist() == [3.0, 2.0]
    assert episodes.trajectory(log).terms.tolist() == [12.0, 1.0]
    assert episodes.per_decision(log).terms.tolist() == [2 + 2 + 4, 1 + 0.5]


def test_estimators_of_episodes_refuse_what_they_cannot_do() -> None:
    log = LoggedEpisodes(
        lengths=np.array([1]),
        rewards=np.ones((1, 1)),
        behaviour=np.ones((1, 1)),
        target=np.zeros((1, 1)),
        forced=np.zeros((1, 1), dtype=bool),
    )

    with pytest.raises(ValueError, match="the log holds none; fit one and pass q= and v="):
        episodes.sequential_doubly_robust(log)
    with pytest.raises(ValueError, match="discount must lie in"):
        episodes.trajectory(log, discount=1.5)
    with pytest.raises(ValueError, match="no sample has weight"):
        episodes.weighted_trajectory(log)
    with pytest.raises(ValueError, match="iterations 0 must be at least 1"):
        fitted_q(transitions(*played(2, 0))[0], iterations=0)
