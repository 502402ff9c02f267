from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from support.observations import at_epoch, header, metrics, observe, planted, run

from domain.commands import Decision, Germinate, Wait
from domain.events import DecisionMade, DomainEvent, SeedGerminated
from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.controls import FixedSchedule, RandomBlueprint, RandomTime
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.plateau import Plateau
from domain.tamiyo.policy import NoMemory, TamiyoPolicy
from domain.tamiyo.without import Without
from engine.randomness import BoundaryRandomness

STATE = at_epoch(planted(header(TamiyoConfig())), 10)
NAMED = max(STATE.library.offered(), key=lambda record: record.number).name
FULL = TamiyoMemory(plateau=Plateau(epochs=9, reference=0.5))


def still(policy: TamiyoPolicy, epochs: int = 60, key: int = 7, **config: Any) -> list[DomainEvent]:
    """Everything that happens in a run whose accuracy stands still."""
    head = header(TamiyoConfig(**config), epochs=epochs, run_key=key)
    return run(policy, head, lambda epoch, state: metrics(0.6))[0]


def germinated(events: list[DomainEvent]) -> list[tuple[int, str]]:
    return [(event.epoch, str(event.adaptation.seed)) for event in events if isinstance(event, SeedGerminated)]


def decisions(events: list[DomainEvent], kind: type) -> list[tuple[int, Decision]]:
    made = (event for event in events if isinstance(event, DecisionMade))
    return [(event.epoch, event.decision) for event in made if isinstance(event.decision.command, kind)]


# The fixed schedule


def test_a_fixed_schedule_germinates_at_its_epochs_in_the_first_free_seed() -> None:
    events = still(FixedSchedule("4-30"))

    assert germinated(events) == [(4, "0.0"), (30, "0.0")]
    orders = [decision.command for _, decision in decisions(events, Germinate)]
    assert len({order.blueprint_id for order in orders if isinstance(order, Germinate)}) == 2


def test_a_schedule_that_is_due_while_no_place_is_free_is_a_recorded_wait() -> None:
    waits = decisions(still(FixedSchedule("4-6")), Wait)

    assert [(epoch, decision.reason) for epoch, decision in waits] == [(6, "epoch 6 is due, but nothing can be grown")]


def test_a_schedule_is_made_of_epochs() -> None:
    for wrong in ("", "4-", "4,5", "four"):
        with pytest.raises(ValueError, match="epochs must be numbers with dashes between them"):
            FixedSchedule(wrong)


# Random times


@pytest.mark.parametrize("count", [0, 1, 2])
def test_random_times_are_as_many_as_they_are_told(count: int) -> None:
    for key in range(12):
        events = still(RandomTime(germinations=count), epochs=80, key=key)

        assert len(germinated(events)) == count


def test_random_times_are_spread_over_every_boundary_alike() -> None:
    epochs = Counter(
        germinated(still(RandomTime(), epochs=45, key=key, warm_up_epochs=5))[0][0] // 4 for key in range(96)
    )

    # 16 boundaries, 5 to 20; the groups 5-7, 8-11, 12-15, 16-19, 20 expect 18, 24, 24, 24 and 6 of 96.
    expected = {1: 18, 2: 24, 3: 24, 4: 24, 5: 6}
    assert epochs.keys() <= expected.keys()
    assert sum((epochs[group] - mean) ** 2 / mean for group, mean in expected.items()) < 18.5  # one in a thousand


def test_at_a_random_time_the_seed_and_the_blueprint_are_the_designs() -> None:
    (design,) = AsDesigned().step(observe(STATE), FULL, BoundaryRandomness(1, 10)).decisions
    found = [RandomTime(germinations=9).step(observe(STATE), FULL, BoundaryRandomness(key, 10)).decisions[-1]
             for key in range(30)]  # fmt: skip

    grown = [decision for decision in found if isinstance(decision.command, Germinate)]
    assert {decision.command for decision in grown} == {design.command}
    assert all((decision.confidence, decision.urgency) == (1.0, 1.0) for decision in grown)


def test_a_number_of_germinations_under_nought_is_refused() -> None:
    with pytest.raises(ValueError, match="germinations must be at least 0 but is -1"):
        RandomTime(germinations=-1)


# Random blueprints


def test_a_random_blueprint_is_any_that_the_design_may_put_into_its_seed() -> None:
    alternatives = AsDesigned().alternatives(observe(STATE), FULL)
    weighed = {each.decision.command for each in alternatives}
    drawn = [
        RandomBlueprint().step(observe(STATE), FULL, BoundaryRandomness(key, 10)) for key in range(30 * len(weighed))
    ]

    taken = Counter(step.decisions[-1].command for step in drawn)
    assert taken.keys() == weighed
    # 30 expected of each with a standard deviation of 5.3; five of them is far outside chance.
    assert all(4 <= count <= 56 for count in taken.values())
    decision = drawn[0].decisions[-1]
    assert decision.legal == legal_actions(STATE)
    assert {chance for _, chance in decision.odds} == {decision.propensity} == {1.0 / len(weighed)}
    assert {step.memory for step in drawn} == {
        AsDesigned().step(observe(STATE), FULL, BoundaryRandomness(0, 10)).memory
    }


def test_a_random_blueprint_comes_when_the_design_germinates() -> None:
    first = germinated(still(RandomBlueprint()))[0]

    assert first == germinated(still(AsDesigned()))[0]


# Without one germination


def test_without_a_germination_the_run_goes_on_as_if_it_had_been_refused() -> None:
    whole = still(AsDesigned())
    epoch, seed = germinated(whole)[0]
    events = still(Without(AsDesigned(), seed, epoch))

    (waited,) = [decision for at, decision in decisions(events, Wait) if at == epoch]
    order = next(decision for at, decision in decisions(whole, Germinate) if at == epoch)
    assert waited.reason == f"without the germination of seed {seed} at epoch {epoch}: {order.reason}"
    assert waited.legal == order.legal and waited.odds == ((0, 1.0),)
    # The plateau starts over, as it did with the germination: the next comes when it has filled again.
    assert germinated(events)[0] == (epoch + TamiyoConfig().plateau_patience, seed)


def test_without_what_never_was_nothing_changes() -> None:
    whole = [event for event in still(AsDesigned()) if isinstance(event, DecisionMade)]
    (epoch, seed), *_ = germinated(still(AsDesigned()))

    for other in (Without(AsDesigned(), seed, epoch + 1), Without(AsDesigned(), "1.1", epoch)):
        assert [event for event in still(other) if isinstance(event, DecisionMade)] == whole


def test_the_other_germinations_of_the_boundary_stay() -> None:
    together = TamiyoConfig(max_active_seeds=3, allow_concurrent_adaptations=True)
    state = at_epoch(planted(header(together)), 10)

    step = Without(AlwaysGrow(), "0.1", 10).step(observe(state), NoMemory(), BoundaryRandomness(1, 10))

    kinds = [(each.command.kind, str(getattr(each.command, "seed", ""))) for each in step.decisions]
    assert kinds == [("germinate", "0.0"), ("wait", ""), ("germinate", "1.0")]


def test_only_a_seed_can_be_left_out() -> None:
    with pytest.raises(ValueError, match=r"a seed is named LAYER\.SEED"):
        Without(AsDesigned(), "first", 10)


# The design with settings of its own


def test_the_designs_settings_are_the_scenarios_unless_given() -> None:
    assert germinated(still(AsDesigned(patience=5)))[0] == germinated(still(AsDesigned()))[0] == (6, "0.1")
    assert germinated(still(AsDesigned(patience=9)))[0] == (10, "0.1")
    (small,) = [d for _, d in decisions(still(AsDesigned(strategy="SIZE"), epochs=32), Germinate)]
    assert "for SIZE" in small.reason


def test_only_one_blueprint_may_be_grown_if_one_is_named() -> None:
    found = decisions(still(AsDesigned(only=NAMED), epochs=32), Germinate)
    none = decisions(still(AsDesigned(only="no_such_thing"), epochs=32), Wait)

    assert [f"; {NAMED} scores" in decision.reason for _, decision in found] == [True]
    assert "no blueprint may be put into any of" in none[0][1].reason
    assert any(entry.note == "only no_such_thing is to be grown" for entry in none[0][1].considered)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="patience must be at least 1 but is 0"):
        AsDesigned(patience=0)
    with pytest.raises(ValueError, match=r"strategy must be one of NONE, PERFORMANCE, .* but is 'BEST'"):
        AsDesigned(strategy="BEST")
    with pytest.raises(ValueError, match="not of the form STRATEGY:WEIGHT"):
        AsDesigned(hybrid="ACCURACY")
    with pytest.raises(ValueError, match="hybrid_weights may not hold NONE"):
        AsDesigned(hybrid="NONE:1")
    with pytest.raises(ValueError, match=r"seeds must be one of need, ucb, .* but is 'best'"):
        AsDesigned(seeds="best")


# Legal actions


def test_what_is_legal_is_what_the_lifecycle_would_let_through() -> None:
    from domain.tamiyo.blueprint_terms import reads_of
    from domain.tamiyo.legal import fitting

    state: RunState = STATE
    config = state.started.tamiyo_config
    for seed in state.germinable_seeds():
        slow = tuple(
            record
            for record in state.library.offered()
            if state.problem(seed, record.blueprint_id, reads_of(record, config)) is None
        )
        assert fitting(seed, state) == slow


def test_a_blueprint_that_is_not_what_it_is_named_after_is_never_legal() -> None:
    records = dict(STATE.library.records)
    (first, one), (second, other), *_ = records.items()
    forged = MappingProxyType(records | {first: replace(one, graph=other.graph)})
    state = replace(STATE, library=replace(STATE.library, records=forged))

    plants = {plant.blueprint_id for plot in legal_actions(state).plots for plant in plot.plants}

    assert first not in plants and second in plants


def test_a_free_seed_under_embargo_or_in_any_stage_but_dormant_is_not_legal() -> None:
    one, two, three, _ = STATE.germinable_seeds()
    seeds = {
        one: replace(STATE.seed(one), embargoed_until=11),
        two: replace(STATE.seed(two), locked=True),
        three: replace(STATE.seed(three), stage=Stage.FOSSILIZED),
    }
    found = {seed for plot in legal_actions(replace(STATE, seeds=seeds)).plots for seed in plot.seeds}

    assert found == set(STATE.germinable_seeds()) - seeds.keys()
