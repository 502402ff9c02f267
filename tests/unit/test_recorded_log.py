"""Recorded runs as a log: what every weight is, by hand, and which runs make none."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from domain.commands import Decision, Germinate, RollBack, Wait
from domain.endings import RunEnding
from domain.events import DecisionMade, DomainEvent, RollbackOrdered, RunEnded, RunForked, RunStarted
from domain.header import RULES_IN_FORCE, Rule
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.random_growth import RandomGrowth
from domain.tamiyo.softened import Softened
from engine.evaluation.off_policy.episodes import (
    per_decision,
    sequential_doubly_robust,
    trajectory,
    weighted_per_decision,
    weighted_trajectory,
)
from engine.evaluation.off_policy.intervals import cressie_read
from engine.evaluation.off_policy.support import Verdict
from engine.evaluation.recorded.bounds import choice_ratio, weight_bound
from engine.evaluation.recorded.log import RecordedLog, record_log, target_log
from engine.evaluation.recorded.models import modelled
from engine.evaluation.recorded.runs import RecordedRun, Unusable, read_run
from engine.randomness import stream
from tests.support.logged_runs import Coin, beside, taped, tossed
from tests.support.scripted_trainer import Curve

WORTH = {(False, False): 0.125, (False, True): 0.5, (True, False): 0.25, (True, True): 1.0}
"""What a run of two tosses is worth."""


def every_way(chance: Fraction, runs: int) -> list[RecordedRun]:
    """Each way that two tosses can fall, as often among ``runs`` as it is probable."""
    found = []
    for falls, worth in WORTH.items():
        often = math.prod(chance if fell else 1 - chance for fell in falls) * runs
        assert often.denominator == 1
        found += [tossed(float(chance), *falls, result=worth)] * int(often)
    return found


def value(chance: float) -> float:
    """What a coin is worth, by enumeration."""
    return math.fsum(
        math.prod(chance if fell else 1 - chance for fell in falls) * worth for falls, worth in WORTH.items()
    )


def log_of(*runs: RecordedRun, coins: tuple[float, ...] = ()) -> RecordedLog:
    known = {tossed(chance, False, False, result=0.0).behaviour: beside(Coin(chance)) for chance in coins}
    return record_log(runs, known)


@pytest.mark.parametrize("chance", [0.1, 0.3, 0.5, 0.9])
def test_the_value_of_another_coin_is_what_enumeration_says(chance: float) -> None:
    log = target_log(log_of(*every_way(Fraction(1, 2), 4)), beside(Coin(chance)))

    assert log.episodes.weights.mean() == pytest.approx(1, abs=1e-12)
    assert abs(trajectory(log.episodes).value - value(chance)) < 1e-10
    assert abs(weighted_trajectory(log.episodes).value - value(chance)) < 1e-10
    assert abs(per_decision(log.stepwise).value - value(chance)) < 1e-10
    assert log.unlogged == ()


def test_runs_of_two_policies_make_the_log_of_their_mixture() -> None:
    runs = [*every_way(Fraction(1, 2), 16), *every_way(Fraction(1, 4), 32)]
    log = target_log(log_of(*runs, coins=(0.5, 0.25)), beside(Coin(0.75)))
    both = {
        falls: math.prod(0.5 for _ in falls) / 3 + 2 / 3 * math.prod(0.25 if fell else 0.75 for fell in falls)
        for falls in WORTH
    }
    weights = {falls: math.prod(0.75 if fell else 0.25 for fell in falls) / both[falls] for falls in WORTH}
    told = [weights[tuple(at.chosen > 0 for at in run.boundaries)] for run in runs]

    assert log.episodes.weights == pytest.approx(told, abs=1e-12)
    assert abs(trajectory(log.episodes).value - value(0.75)) < 1e-10


def test_a_policy_that_recorded_part_of_the_log_never_weighs_more_than_one_over_its_share() -> None:
    runs = [*every_way(Fraction(1, 2), 16), *every_way(Fraction(1, 4), 48)]
    episodes = target_log(log_of(*runs, coins=(0.5, 0.25)), beside(Coin(0.5))).episodes

    assert episodes.weights.max() < 4
    assert abs(trajectory(episodes).value - value(0.5)) < 1e-10


def test_the_recording_policy_itself_weighs_exactly_one_and_is_worth_the_plain_mean() -> None:
    results = [0.5, 0.75, 0.25, 1.0, 0.125]
    runs = [
        read_run(str(key), taped(Softened(RandomGrowth(0.3), 0.2), name="r", epochs=9, run_key=key), result)
        for key, result in enumerate(results)
    ]
    log = target_log(record_log(runs, {}), beside(Softened(RandomGrowth(0.3), 0.2)))
    mean = sum(results) / len(results)

    assert sum(at.chosen > 0 for run in runs for at in run.boundaries) > 3
    assert log.episodes.weights.tolist() == [1.0] * 5
    assert log.support.ess == pytest.approx(5)
    assert log.episodes.returns().tolist() == results
    for estimate in (
        trajectory(log.episodes).value,
        weighted_trajectory(log.episodes).value,
        per_decision(log.stepwise).value,
        weighted_per_decision(log.stepwise).value,
        cressie_read(log.episodes.sample(low=0.0, high=1.0)).value,
    ):
        assert estimate == pytest.approx(mean, abs=1e-12)


def test_a_run_that_was_left_has_no_weight_and_the_others_all_of_it() -> None:
    runs = [tossed(0.5, *falls, result=worth) for falls, worth in WORTH.items()]
    log = target_log(log_of(*runs), beside(NeverGrow()))

    assert log.episodes.weights.tolist() == [4.0, 0.0, 0.0, 0.0]
    assert weighted_trajectory(log.episodes).value == 0.125
    assert log.unlogged == ()


def test_what_the_target_does_and_nobody_can_have_logged_is_named_and_unsupported() -> None:
    log = target_log(log_of(*every_way(Fraction(1, 2), 16)), beside(Coin(0.5, action=2)))

    assert len(log.unlogged) == 1
    assert log.unlogged[0].startswith("germinate 0.0 with ")
    assert log.support.verdict is Verdict.UNSUPPORTED
    assert "never logged" in log.support.reason


def test_a_log_that_misses_most_of_what_the_target_does_is_no_support_however_alike_its_weights() -> None:
    runs = [tossed(0.001, False, False, False, result=0.5)] * 20
    log = target_log(log_of(*runs), beside(Coin(0.6)))

    assert log.episodes.weights.std() < 1e-12
    assert log.support.ess == pytest.approx(20)
    assert log.support.verdict is Verdict.UNSUPPORTED
    assert log.support.reason.startswith("weights average 0.064 and not 1")


def test_what_the_target_would_do_off_its_own_course_need_not_be_logged() -> None:
    """It never germinates, and so never comes where another housekeeping would be due."""
    runs = [tossed(0.5, *falls, result=0.5) for falls in itertools.product((True, False), repeat=3)]
    log = target_log(log_of(*runs), beside(NeverGrow()))

    assert log.unlogged == ()
    assert sorted(log.episodes.weights) == [0.0] * 7 + [8.0]


def test_another_housekeeping_is_another_course_though_the_choice_is_forced() -> None:
    runs = [tossed(0.5, True, False, False, result=0.5, max_active_seeds=1)] * 20
    idle = target_log(log_of(*runs), beside(Coin(0.5, keeps_house=False)))

    assert idle.episodes.weights.tolist() == [0.0] * 20
    assert idle.unlogged == ("order nothing",)
    assert idle.support.verdict is Verdict.UNSUPPORTED


def test_a_boundary_with_one_legal_action_is_forced_and_counts_in_no_horizon() -> None:
    run = tossed(0.5, True, False, False, False, result=0.5, max_active_seeds=1)
    episodes = target_log(log_of(run), beside(Coin(0.25))).episodes

    assert [at.leaves_choice for at in run.boundaries] == [True, False, False, False]
    assert episodes.horizons.tolist() == [1]
    assert episodes.weights.tolist() == [0.5]


def test_a_silent_policy_waits_with_certainty() -> None:
    run = read_run("silent", taped(NeverGrow(), name="never_grow", epochs=3), 0.5)
    log = target_log(record_log([run], {}), beside(Coin(0.25)))

    assert [at.answer.odds for at in run.boundaries] == [((0, 1.0),)] * 3
    assert not run.draws
    assert log.episodes.weights[0] == pytest.approx(0.75**3)
    assert log.unlogged, "it may germinate, which a policy that never does cannot have logged"


def test_epochs_that_panicked_are_no_decisions_and_rolled_back_ones_still_are() -> None:
    curve = Curve(accuracies=(0.25, 0.5, 0.75), panics={2: "the loss is nan"})
    events = taped(Coin(0.5, (True,)), name="coin", epochs=5, curve=curve)
    run = read_run("panicked", events, 0.5)
    log = target_log(record_log([run], {}), beside(Coin(0.5)))

    assert any(isinstance(event, RollbackOrdered) for event in events)
    assert [at.epoch for at in run.boundaries] == [1, 3, 4, 5]
    assert log.episodes.lengths.tolist() == [4]
    assert log.episodes.weights.tolist() == [1.0]
    assert sum(run.increments) == pytest.approx(0.5)


def test_a_run_without_a_boundary_weighs_one() -> None:
    curve = Curve(panics={1: "nan", 2: "nan", 3: "nan"})
    events = taped(Coin(0.5), name="coin", epochs=5, curve=curve)
    log = target_log(record_log([read_run("lost", events, 0.0)], {}), beside(AlwaysGrow()))

    assert [event.ending for event in events if isinstance(event, RunEnded)] == [RunEnding.DIVERGED]
    assert (log.episodes.weights.tolist(), log.episodes.horizons.tolist()) == ([1.0], [0])
    assert log.stepwise.returns().tolist() == [0.0]


# Runs and policies of no use


def under(events: list[DomainEvent], **update: object) -> list[DomainEvent]:
    started = events[0]
    assert isinstance(started, RunStarted)
    return [started.model_copy(update={"header": started.header.model_copy(update=update)}), *events[1:]]


def forked(events: list[DomainEvent]) -> list[DomainEvent]:
    started = events[0]
    assert isinstance(started, RunStarted)
    return [*events, RunForked(epoch=3, parent="p", parent_digest="0" * 64, header=started.header)]


def ended(events: list[DomainEvent], ending: RunEnding) -> list[DomainEvent]:
    return [event.model_copy(update={"ending": ending}) if isinstance(event, RunEnded) else event for event in events]


RUN = taped(Coin(0.5, (True, False)), name="coin")
OLD = tuple(rule for rule in RULES_IN_FORCE if rule is not Rule.LEGAL_ACTIONS_RECORDED)


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([], "holds no events"),
        (forked(RUN), "forks share their past"),
        (under(RUN, trainer="simulated:" + "0" * 64), "not recorded live but by trainer simulated"),
        ([event for event in RUN if not isinstance(event, RunEnded)], "stopped without an ending"),
        (ended(RUN, RunEnding.LEFT_RECORDING), "ended LEFT_RECORDING"),
        (ended(RUN, RunEnding.POLICY_FAILED), "ended POLICY_FAILED"),
        (under(RUN, rules=OLD), "before rule R5"),
        (taped(AlwaysGrow(), name="always_grow"), "ordered 2 germinations at epoch 1"),
    ],
)
def test_a_run_that_makes_no_log_is_refused_with_its_reason(events: list[DomainEvent], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        read_run("run", events, 0.5)


def test_a_result_that_is_no_number_is_refused() -> None:
    with pytest.raises(Unusable, match="no number"):
        read_run("run", RUN, math.nan)


def test_a_target_of_another_lifecycle_is_refused() -> None:
    with pytest.raises(Unusable, match="drives the simplified lifecycle but the log was recorded under the full one"):
        target_log(log_of(tossed(0.5, True, result=0.5)), beside(Coin(0.5, profile="simplified")))


def test_a_behaviour_that_cannot_be_asked_about_the_others_runs_is_refused() -> None:
    with pytest.raises(Unusable, match=r"coin\?chance=0.25 cannot be asked"):
        log_of(tossed(0.5, True, result=0.5), tossed(0.25, True, result=0.5), coins=(0.5,))


def test_a_target_that_orders_several_germinations_at_once_is_unsupported() -> None:
    log = target_log(log_of(*every_way(Fraction(1, 2), 16)), beside(AlwaysGrow()))

    assert "several germinations at one boundary" in log.unlogged


# The model, and the largest weight


def test_the_model_of_a_run_is_fitted_on_other_runs() -> None:
    log = target_log(log_of(*every_way(Fraction(1, 2), 16)), beside(Coin(0.3)))
    one = modelled(log, stream(0, "folds"), low=0.0, high=1.0)
    again = modelled(log, stream(0, "folds"), low=0.0, high=1.0)
    increments = log.increments.copy()
    increments[0, 1] += 0.4
    other = replace(log, increments=increments)
    moved = modelled(other, stream(0, "folds"), low=0.0, high=1.0)

    assert one is not None and again is not None and moved is not None
    assert one.episodes.q is not None and again.episodes.q is not None and moved.episodes.q is not None
    assert np.array_equal(one.episodes.q, again.episodes.q)
    assert np.array_equal(one.episodes.q[0], moved.episodes.q[0])
    assert not np.array_equal(one.episodes.q, moved.episodes.q)


def test_doubly_robust_estimates_with_that_model_come_near_what_enumeration_says() -> None:
    log = target_log(log_of(*every_way(Fraction(1, 2), 400)), beside(Coin(0.3)))
    found = modelled(log, stream(0, "folds"), low=0.0, high=1.0)

    assert found is not None
    assert sequential_doubly_robust(found.episodes).value == pytest.approx(value(0.3), abs=0.01)
    assert found.value == pytest.approx(value(0.3), abs=0.05)


def test_few_runs_have_no_model() -> None:
    log = target_log(log_of(*every_way(Fraction(1, 2), 4)), beside(Coin(0.3)))

    assert modelled(log, stream(0, "folds"), low=0.0, high=1.0) is None


def test_the_largest_weight_is_known_for_rates_of_one_policy() -> None:
    soft = Softened(AsDesigned(), 0.02)

    assert choice_ratio(AsDesigned(), soft) == pytest.approx(1 / 0.98)
    assert choice_ratio(Softened(AsDesigned(), 0.05), soft) == pytest.approx(2.5)
    assert choice_ratio(NeverGrow(), RandomGrowth(0.03)) == pytest.approx(1 / 0.97)
    assert choice_ratio(RandomGrowth(0.06), RandomGrowth(0.03)) == pytest.approx(2)
    assert choice_ratio(AsDesigned(patience=3), soft) == math.inf
    assert choice_ratio(soft, AsDesigned()) == math.inf
    assert weight_bound(AsDesigned(), [(soft, 0.5)], 70) == pytest.approx(2 / 0.98**70)
    assert weight_bound(soft, [(soft, 0.25), (AsDesigned(), 0.75)], 70) == pytest.approx(4)
    assert weight_bound(Softened(AsDesigned(), 0.9), [(soft, 1.0)], 10**6) == math.inf


def test_no_weight_of_a_softened_log_exceeds_its_bound() -> None:
    soft, other = Softened(RandomGrowth(0.3), 0.2), Softened(RandomGrowth(0.3), 0.5)
    runs = [read_run(str(key), taped(soft, name="s", epochs=9, run_key=key), 0.5) for key in range(6)]
    weights = target_log(record_log(runs, {}), beside(other)).episodes.weights

    assert 0 < weights.max() <= weight_bound(other, [(soft, 1.0)], 9)


def test_every_boundary_says_what_was_decided_there() -> None:
    run = tossed(0.5, True, False, True, result=0.5)
    made = [event.decision for event in run.events if isinstance(event, DecisionMade)]
    choices: list[Decision] = [each for each in made if isinstance(each.command, Germinate | Wait)]

    assert [at.legal.action(at.chosen) for at in run.boundaries] == [each.command for each in choices]
    assert [at.grown for at in run.boundaries] == [0, 1, 1]
    assert not any(isinstance(each.command, RollBack) for each in made)
