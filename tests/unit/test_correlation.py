"""What decisions and rewards have in common, on decisions of which it is known."""

from __future__ import annotations

import math

import pytest

from domain.analysis.correlation import correlations, mutual_information, succeeded
from domain.analysis.outcomes import Outcomes, decision_outcomes
from domain.reward.worth import RewardComponent
from tests.support.rewarded_runs import rewarded_run


def test_a_feature_that_decides_an_outcome_is_found_with_its_sign() -> None:
    decided = decision_outcomes(rewarded_run(40))
    found = {(pair.feature, pair.outcome): pair for pair in correlations(decided)}

    pair = found["confidence", RewardComponent.ACCURACY]
    assert pair.coefficient > 0.9
    assert pair.p_value < 1e-6
    assert pair.samples == 40
    falling = decision_outcomes(rewarded_run(40, accuracy=lambda number: -(number % 10) / 10))
    assert correlations(falling)[0].coefficient == pytest.approx(-1.0)


def test_nothing_is_said_of_few_decisions_or_of_what_never_varied() -> None:
    assert correlations(decision_outcomes(rewarded_run(9))) == ()
    assert correlations(decision_outcomes(rewarded_run(30, confidence=lambda number: 0.8))) == ()


def test_only_the_last_hundred_decisions_count() -> None:
    def turned(number: int) -> float:
        return (number % 10) / 10 * (-1 if number < 200 else 1)

    (pair,) = correlations(decision_outcomes(rewarded_run(300, accuracy=turned)))

    assert (pair.samples, pair.coefficient) == (100, pytest.approx(1.0))


def test_confidence_that_tells_success_from_failure_tells_all_of_it() -> None:
    def sure(number: int) -> float:
        return 0.95 if number % 2 else 0.1

    told = mutual_information(decision_outcomes(rewarded_run(40, confidence=sure, accuracy=lambda n: n % 2 - 0.5)))
    unrelated = mutual_information(
        decision_outcomes(rewarded_run(40, confidence=sure, accuracy=lambda n: n // 2 % 2 - 0.5))
    )

    assert told == pytest.approx(math.log(2))
    assert unrelated == pytest.approx(0.0, abs=1e-12)
    assert mutual_information(decision_outcomes(rewarded_run(19))) is None


def test_accuracy_above_nothing_is_a_success() -> None:
    bad, good = decision_outcomes(rewarded_run(2, accuracy=lambda number: number - 0.5))

    assert (succeeded(bad), succeeded(good)) == (False, True)


def test_decisions_that_wait_for_their_reward_survive_a_pause() -> None:
    events = rewarded_run(6)
    outcomes, found = Outcomes(), []
    for event in events:
        rewarded = outcomes.after(event)
        outcomes = Outcomes.remembered(outcomes.memory())
        found += [rewarded] if rewarded else []

    assert tuple(found) == decision_outcomes(events)
    assert [each.germinated_at for each in found] == [1, 3, 5, 7, 9, 11]
