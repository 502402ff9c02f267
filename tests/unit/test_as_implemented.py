from __future__ import annotations

from dataclasses import replace

import pytest
from support.observations import at_epoch, header, metrics, observe, planted, report, run

from domain.commands import Advance, Germinate
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    CommandRefused,
    FieldReportFiled,
    SeedGerminated,
    StageChanged,
)
from domain.health import LayerHealthReport
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.as_implemented import AsImplemented
from domain.tamiyo.policy import NoMemory
from engine.randomness import BoundaryRandomness

HEAD = header(layers=3, epochs=12).model_copy(update={"profile": "simplified"})


def unwell(layer: int, dead: float = 1.0) -> LayerHealthReport:
    """A layer whose second seed has almost no variance; health is 1 - 0.6 (1 - 0.01) - 0.3 dead."""
    return report(layer, [1.0, 0.01], dead=[0.0, dead])


def well(layer: int) -> LayerHealthReport:
    return report(layer, [1.0, 1.0])


def orders(state: RunState, *reports: LayerHealthReport) -> list[Germinate]:
    step = AsImplemented().step(observe(state, reports), NoMemory(), BoundaryRandomness(1, 1))
    return [decision.command for decision in step.decisions if isinstance(decision.command, Germinate)]


STATE = at_epoch(planted(HEAD), 1)


def test_it_adds_a_seed_where_health_is_under_seven_tenths_and_says_so() -> None:
    seen = observe(STATE, (well(0), unwell(1), well(2)))

    (decision,) = AsImplemented().step(seen, NoMemory(), BoundaryRandomness(1, 1)).decisions

    assert isinstance(decision.command, Germinate)
    assert decision.command.seed == SeedId(layer=1, index=1)
    assert decision.confidence == 0.8
    assert decision.urgency == pytest.approx(0.6 * 0.99 + 0.3)
    assert decision.reason.startswith("layer 1 reports health 0.106 under 0.7: add seed 1.1")


def test_health_between_four_and_seven_tenths_is_proposed_but_never_carried_out() -> None:
    # Health 1 - 0.6 x 0.99 = 0.406: under 0.7, but its urgency of 0.594 is not above the trainer's 0.6.
    assert orders(STATE, unwell(0, dead=0.0)) == []
    assert len(orders(STATE, unwell(0, dead=0.1))) == 1


def test_at_most_two_layers_an_epoch_the_unhealthiest_first() -> None:
    found = orders(STATE, unwell(0, dead=0.5), unwell(1, dead=1.0), unwell(2, dead=0.8))

    assert [order.seed.layer for order in found] == [1, 2]


def test_a_layer_rests_for_five_epochs() -> None:
    germinated = ((SeedId(layer=0, index=0), 1),)
    resting = replace(at_epoch(STATE, 5), last_germinations=germinated)
    rested = replace(at_epoch(STATE, 6), last_germinations=germinated)

    assert orders(resting, unwell(0)) == []
    assert len(orders(rested, unwell(0))) == 1


def test_a_blueprint_that_is_present_is_not_added_again() -> None:
    events, _ = run(AsImplemented(), HEAD, lambda epoch, state: metrics(0.5), lambda state: (unwell(0),))

    grown = [event.blueprint_id for event in events if isinstance(event, SeedGerminated)]
    assert len(grown) == 2
    assert len(set(grown)) == 2


def test_it_loads_blends_three_tenths_and_never_concludes_anything() -> None:
    events, state = run(AsImplemented(), HEAD, lambda epoch, seen: metrics(0.5), lambda seen: (unwell(0),))

    moves = [(event.epoch, event.target) for event in events if isinstance(event, StageChanged)]
    assert moves == [(1, Stage.LOADING), (2, Stage.ACTIVE), (6, Stage.LOADING), (7, Stage.ACTIVE)]
    assert {event.alpha for event in events if isinstance(event, AlphaChanged)} == {0.3}
    assert not [event for event in events if isinstance(event, AdaptationConcluded | FieldReportFiled | CommandRefused)]
    assert len(state.active) == 2


def test_housekeeping_comes_before_growth() -> None:
    events, state = run(
        AsImplemented(), HEAD, lambda epoch, seen: metrics(0.5), lambda seen: (unwell(0), unwell(1)), epochs=1
    )
    del events
    state = replace(state, epoch=2)

    step = AsImplemented().step(observe(state, (unwell(2),)), NoMemory(), BoundaryRandomness(1, 2))

    assert [type(decision.command) for decision in step.decisions] == [Advance, Advance, Germinate]


def test_its_germinations_say_what_every_score_is_made_of() -> None:
    seen = observe(STATE, (well(0), unwell(1), well(2)))

    (decision,) = AsImplemented().step(seen, NoMemory(), BoundaryRandomness(1, 1)).decisions

    assert all(entry.note for entry in decision.considered)
    assert decision.considered[0].option == "seed 1.1"
    assert any("gain" in entry.note and "- risk" in entry.note for entry in decision.considered)
