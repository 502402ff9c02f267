from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from support.observations import at_epoch, header, metrics, observe, planted, run

from domain.commands import Decision, Germinate, Wait
from domain.events import DecisionMade, SeedGerminated
from domain.gates import GateSettings
from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.policy import NoMemory
from domain.tamiyo.random_growth import RandomGrowth, germinable_pairs
from engine.randomness import BoundaryRandomness

TOGETHER = TamiyoConfig(max_active_seeds=3, allow_concurrent_adaptations=True)
STATE = at_epoch(planted(header(TOGETHER)), 10)


def test_never_grow_decides_nothing_in_a_run_of_its_own() -> None:
    events, _ = run(NeverGrow(), header(), lambda epoch, state: metrics(0.3))

    assert not [event for event in events if isinstance(event, DecisionMade)]


def test_never_grow_brings_to_an_end_what_another_policy_began() -> None:
    _, state = run(AlwaysGrow(), header(gates=GateSettings()), lambda epoch, seen: metrics(0.3), epochs=2)

    step = NeverGrow().step(observe(state), NoMemory(), BoundaryRandomness(1, 3))

    assert [decision.command.kind for decision in step.decisions] == ["advance"]


def test_always_grow_fills_every_free_place_at_once_in_order() -> None:
    step = AlwaysGrow().step(observe(STATE), NoMemory(), BoundaryRandomness(1, 10))

    orders = [decision.command for decision in step.decisions]
    assert [str(order.seed) for order in orders if isinstance(order, Germinate)] == ["0.0", "0.1", "1.0"]


def test_always_grow_waits_for_a_place() -> None:
    name = next(iter(STATE.germinable_seeds()))
    one = at_epoch(planted(header(TamiyoConfig())), 10)
    taken = replace(one, seeds={name: replace(one.seed(name), stage=Stage.TRAINING)}, epoch=10)

    assert [
        decision.command.kind
        for decision in AlwaysGrow().step(observe(one), NoMemory(), BoundaryRandomness(1, 10)).decisions
    ] == ["germinate"]
    assert not [
        decision
        for decision in AlwaysGrow().step(observe(taken), NoMemory(), BoundaryRandomness(1, 10)).decisions
        if isinstance(decision.command, Germinate)
    ]


def test_always_grow_takes_turns_among_blueprints() -> None:
    events, _ = run(AlwaysGrow(), header(epochs=60), lambda epoch, state: metrics(0.3))

    grown = [event.blueprint_id for event in events if isinstance(event, SeedGerminated)]
    assert len(grown) >= 4
    assert len(set(grown)) == len(grown)


def drawn(state: RunState, key: int, probability: float = 0.5) -> object:
    step = RandomGrowth(probability).step(observe(state), NoMemory(), BoundaryRandomness(key, state.epoch))
    (decision,) = step.decisions
    return decision


def test_random_growth_records_propensity_and_draws_of_both_outcomes() -> None:
    pairs = len(germinable_pairs(STATE))
    found = {type(decision.command): decision for decision in (drawn(STATE, key) for key in range(20))}  # type: ignore[attr-defined]

    assert found[Wait].propensity == 0.5
    assert [(draw.stream, draw.count) for draw in found[Wait].draws] == [("tamiyo/random-growth", 1)]
    assert found[Germinate].propensity == pytest.approx(0.5 / pairs)
    assert [(draw.stream, draw.count) for draw in found[Germinate].draws] == [("tamiyo/random-growth", 2)]


def test_random_growth_takes_each_pair_alike() -> None:
    pairs = len(germinable_pairs(STATE))
    decisions = [drawn(STATE, key, probability=0.999) for key in range(40 * pairs)]
    orders = Counter(
        (str(each.command.seed), each.command.blueprint_id)  # type: ignore[attr-defined]
        for each in decisions
        if isinstance(each.command, Germinate)  # type: ignore[attr-defined]
    )

    assert len(orders) == pairs
    # 40 expected for each pair with a standard deviation of 6.2; five of them is far outside chance.
    assert all(9 <= count <= 71 for count in orders.values())


def test_the_propensities_of_everything_that_can_be_drawn_sum_to_one() -> None:
    pairs = len(germinable_pairs(STATE))

    assert 0.95 + pairs * (0.05 / pairs) == pytest.approx(1.0)
    assert drawn(STATE, 1, probability=0.05).propensity in {0.95, 0.05 / pairs}  # type: ignore[attr-defined]


def test_random_growth_says_what_every_pair_had() -> None:
    pairs = germinable_pairs(STATE)
    for key in range(20):
        decision: Decision = drawn(STATE, key, probability=0.3)  # type: ignore[assignment]
        assert decision.legal == legal_actions(STATE)
        assert len(decision.odds) == len(pairs) + 1
        assert decision.odds[0] == (0, 0.7)
        named = [decision.legal.action(number) for number, _ in decision.odds[1:]]
        assert [(each.seed, each.blueprint_id) for each in named if isinstance(each, Germinate)] == [
            (seed, record.blueprint_id) for seed, record in pairs
        ]
        assert {each.grafting for each in named if isinstance(each, Germinate)} == {
            STATE.started.tamiyo_config.default_grafting_strategy
        }


def test_random_growth_draws_nothing_where_there_is_no_choice() -> None:
    locked = replace(STATE, seeds={name: replace(STATE.seed(name), locked=True) for name in STATE.germinable_seeds()})

    assert RandomGrowth().step(observe(locked), NoMemory(), BoundaryRandomness(1, 10)).decisions == ()


def test_a_probability_outside_zero_and_one_is_refused() -> None:
    for probability in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="must be above 0 and under 1"):
            RandomGrowth(probability)
