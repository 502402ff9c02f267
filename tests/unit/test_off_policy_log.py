from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.evaluation.off_policy.fitted_q import Transitions
from engine.evaluation.off_policy.log import LoggedChoices, LoggedEpisodes


def choices(**changes: Any) -> LoggedChoices:
    """Two decisions among three actions, the third illegal in the first decision."""
    fields: dict[str, Any] = {
        "rewards": np.array([1.0, 0.0]),
        "chosen": np.array([0, 2]),
        "behaviour": np.array([0.5, 0.25]),
        "target": np.array([[0.75, 0.25, 0.0], [0.25, 0.25, 0.5]]),
        "behaviour_of_all": np.array([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25]]),
        "legal": np.array([[True, True, False], [True, True, True]]),
        "model": np.array([[0.5, 0.1, 0.0], [0.2, 0.3, 0.4]]),
    }
    return LoggedChoices(**(fields | changes))


def episodes(**changes: Any) -> LoggedEpisodes:
    """Two episodes of at most two decisions; the second has one, and it was forced."""
    fields: dict[str, Any] = {
        "lengths": np.array([2, 1]),
        "rewards": np.array([[1.0, 2.0], [3.0, 0.0]]),
        "behaviour": np.array([[0.5, 0.5], [1.0, 0.0]]),
        "target": np.array([[0.25, 1.0], [1.0, 0.0]]),
        "forced": np.array([[False, False], [True, False]]),
    }
    return LoggedEpisodes(**(fields | changes))


def test_a_log_of_choices_knows_its_weights_and_its_model() -> None:
    log = choices()
    mean, predicted = log.modelled

    assert log.weights.tolist() == [1.5, 2.0]
    assert mean.tolist() == pytest.approx([0.4, 0.325])
    assert predicted.tolist() == [0.5, 0.4]
    assert log.unlogged_actions() == (1,)


def test_an_action_that_the_behaviour_could_not_take_is_not_logged_even_if_it_is_elsewhere() -> None:
    log = choices(
        chosen=np.array([0, 1]),
        behaviour=np.array([0.5, 1.0]),
        target=np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]),
        behaviour_of_all=np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]),
    )

    assert log.unlogged_actions() == (0,)
    assert choices(chosen=np.array([0, 1]), behaviour=np.array([0.5, 0.25])).unlogged_actions() == (2,)


def test_arrays_of_a_log_cannot_be_changed_afterwards() -> None:
    rewards = np.array([1.0, 0.0])
    log = choices(rewards=rewards)
    rewards[0] = 7.0

    assert log.rewards.tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        log.target[0, 0] = 1.0


def test_a_log_becomes_a_sample_for_intervals_with_or_without_its_model() -> None:
    robust = choices().robust_sample(low=0.0, high=1.0)
    plain = choices().sample(low=0.0, high=1.0, weight_max=4.0)

    assert robust.baseline is not None
    assert robust.baseline.tolist() == pytest.approx([0.4, 0.325])
    assert plain.baseline is None
    assert plain.weight_max == 4.0
    assert episodes().sample(low=0.0, high=5.0).rewards.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.array([])}, "a log of choices is empty; record at least one decision"),
        (
            {"rewards": np.array([1.0, np.nan])},
            "the reward of sample 1 is nan but must be finite; leave that sample out",
        ),
        ({"behaviour": np.array([0.5, 0.0])}, "probability is 0.0 in row 1 but must be above 0 and at most 1"),
        ({"behaviour": np.array([0.5, 1.5])}, "probability is 1.5 in row 1 but must be above 0 and at most 1"),
        (
            {"behaviour": np.array([0.4, 0.25])},
            "probability is 0.4 in row 0 but must equal its entry in behaviour_of_all",
        ),
        ({"behaviour": np.array([0.5])}, r"has shape \(1,\) but must have \(2,\); give one number a sample"),
        ({"chosen": np.array([0, 3])}, "chosen is 3 in row 1 but must be an index under 3"),
        ({"chosen": np.array([0.0, 2.0])}, "chosen must be integers of shape"),
        ({"chosen": np.array([2, 2]), "behaviour_of_all": None}, "chosen is 2 in row 0 but must be legal"),
        (
            {"target": np.array([[0.7, 0.2, 0.0], [0.0, 0.5, 0.5]])},
            "the sum of the target is .* in row 0 but must be 1",
        ),
        (
            {"target": np.array([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])},
            "the target is 0.5 in row 0, column 2 .* illegal action",
        ),
        (
            {"target": np.array([[1.5, -0.5, 0.0], [0.0, 0.5, 0.5]])},
            r"the target is 1.5 in row 0, column 0 .* \[0, 1\]",
        ),
        ({"target": np.ones((3, 3))}, r"the target has shape \(3, 3\) but must have \(2, A\); give one row a decision"),
        ({"model": np.full((2, 3), np.inf)}, "the model is inf in row 0, column 0 but must be finite"),
        ({"model": np.zeros((2, 2))}, r"the model has shape \(2, 2\) but must have \(2, 3\)"),
        ({"legal": np.ones((2, 3))}, "legal must be booleans of shape"),
    ],
)
def test_a_log_of_choices_refuses_what_contradicts_itself(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choices(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": np.array([0, 1])}, r"the length is 0 in row 0 but must lie in \[1, 2\]"),
        ({"lengths": np.array([2, 3])}, r"the length is 3 in row 1 but must lie in \[1, 2\]"),
        ({"lengths": np.array([2.0, 1.0])}, "lengths must be integers"),
        ({"lengths": np.array([2, 2])}, "behaviour is 0.0 in row 1, column 1 but must be above 0 and at most 1"),
        ({"rewards": np.array([1.0, 2.0])}, r"must have shape \(n, T\)"),
        ({"rewards": np.array([[1.0, np.inf], [3.0, 0.0]])}, "rewards is inf in row 0, column 1 but must be finite"),
        ({"target": np.array([[0.25, 1.5], [1.0, 0.0]])}, r"target is 1.5 in row 0, column 1 but must lie in \[0, 1\]"),
        (
            {"target": np.array([[0.25, 1.0], [0.5, 0.0]])},
            "target is 0.5 in row 1, column 0 but must be 1, .* was forced",
        ),
        ({"target": np.ones((2, 3))}, r"target has shape \(2, 3\) but rewards have \(2, 2\); pad alike"),
        ({"forced": np.zeros((2, 1), dtype=bool)}, r"forced has shape \(2, 1\) but rewards have \(2, 2\); pad alike"),
        ({"q": np.zeros((2, 2))}, "a model needs both q and v but one is missing"),
    ],
)
def test_a_log_of_episodes_refuses_what_contradicts_itself(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        episodes(**changes)


def test_padding_is_not_read() -> None:
    odd = episodes(rewards=np.array([[1.0, 2.0], [3.0, np.nan]]), target=np.array([[0.25, 1.0], [1.0, np.nan]]))

    assert odd.returns().tolist() == [3.0, 3.0]
    assert odd.weights.tolist() == [1.0, 1.0]
    assert odd.horizons.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.array([])}, "there are no transitions to fit"),
        ({"states": np.zeros((1, 2))}, r"states has shape \(1, 2\) but must have \(2, 2\)"),
        ({"next_states": np.full((2, 2), np.nan)}, "next_states holds a number that is not finite"),
        ({"actions": np.array([0, 2])}, r"an action is outside \[0, 2\)"),
        ({"next_target": np.full((2, 2), 0.4)}, "a row of next_target is no distribution"),
        ({"ended": np.array([True])}, "must have 2 rows"),
    ],
)
def test_transitions_refuse_what_contradicts_itself(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "states": np.zeros((2, 2)),
        "actions": np.array([0, 1]),
        "rewards": np.zeros(2),
        "next_states": np.zeros((2, 2)),
        "next_target": np.full((2, 2), 0.5),
        "ended": np.array([False, True]),
    }

    Transitions(**fields)
    with pytest.raises(ValueError, match=message):
        Transitions(**(fields | changes))
