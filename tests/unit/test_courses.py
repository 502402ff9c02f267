"""Sessions put where a recorded run stands, and what stops them."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events import CheckpointSaved, DecisionDiverged, DecisionMade, DomainEvent, RunEnded, RunForked
from domain.header import PolicyReference, RunHeader
from domain.identifiers import Epoch
from domain.karn.no_invention import NoInvention
from domain.run import RunState
from domain.urza.catalogue import registrations
from engine.controllers import Controllers, PolicyFailed
from engine.courses import Course, header_of, headers_of, take
from engine.replay import ComparingSink, Diverged, replay
from engine.session import Session
from engine.sink import Relay, Tape
from engine.trainers.recorded import RecordedTrainer, WhatIfTrainer, effects, orders
from engine.trainers.trainer import CannotObey
from tests.support.chaotic_policy import ChaoticTamiyo, Tally
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

HEADER = small_header(epochs=10)
CURVE = Curve(accuracies=tuple(0.4 + 0.02 * epoch for epoch in range(12)))


def cast(header: RunHeader) -> tuple[Any, Any]:
    if header.tamiyo.name == "fails":
        return Failing(), NoInvention()
    return ChaoticTamiyo(mischief=0.1), NoInvention()


class Failing:
    profile = "full"

    def initial(self) -> Tally:
        return Tally()

    def step(self, observation: Any, memory: Tally, random: Any) -> Any:
        raise ValueError("it never works")


@pytest.fixture(scope="module")
def events() -> list[DomainEvent]:
    kept = Tape()
    Session(ScriptedTrainer(CURVE), *cast(HEADER), kept).run(HEADER, registrations())
    return kept.events


def at(events: list[DomainEvent], epoch: int) -> list[DomainEvent]:
    return [event for event in events if event.epoch <= epoch]


def standing(past: list[DomainEvent], trainer: Any, then: Tape) -> Session:
    course = Course(past, cast, lambda header: trainer)
    session = course.session(Relay(ComparingSink(past), past[-1].epoch, then))
    course.follow(session, past[-1].epoch)
    return session


def test_each_fork_puts_a_header_in_force(events: list[DomainEvent]) -> None:
    longer = HEADER.model_copy(update={"training": HEADER.training.model_copy(update={"epochs": 14})})
    kept, trainer = Tape(), ScriptedTrainer(CURVE)
    past = at(events, 4)
    session = standing(past, trainer, kept)
    forked = RunForked(epoch=5, parent="parent", parent_digest="ab" * 32, header=longer)
    take(session, forked, past, cast, lambda header: trainer)
    while session.state.ending is None:
        session.step()

    assert session.state.epoch == 14
    assert headers_of([*past, *kept.events]) == (HEADER, longer)
    assert header_of([*past, *kept.events]) == HEADER
    assert kept.events[0] == forked, "it comes before anything of its epoch"


def test_another_telling_of_the_way_is_stopped_at_its_first_difference(events: list[DomainEvent]) -> None:
    other = ScriptedTrainer(Curve(accuracies=(*CURVE.accuracies[:5], 0.1)))
    with pytest.raises(Diverged, match="epoch 6"):
        standing(at(events, 8), other, Tape())


def test_a_policy_that_cannot_take_over_is_said_to_fail(events: list[DomainEvent]) -> None:
    failing = HEADER.model_copy(update={"tamiyo": PolicyReference(name="fails", source_digest="0" * 64)})
    past, trainer = at(events, 4), ScriptedTrainer(CURVE)
    session = standing(past, trainer, Tape())
    forked = RunForked(epoch=5, parent="parent", parent_digest="ab" * 32, header=failing)
    with pytest.raises(PolicyFailed, match="Failing raised ValueError at epoch 1: it never works"):
        take(session, forked, past, cast, lambda header: trainer)


def test_a_replay_whose_policy_fails_to_take_over_diverges_at_the_fork(events: list[DomainEvent]) -> None:
    past, trainer, kept = at(events, 4), ScriptedTrainer(CURVE), Tape()
    session = standing(past, trainer, kept)
    same = RunForked(epoch=5, parent="parent", parent_digest="ab" * 32, header=HEADER)
    take(session, same, past, cast, lambda header: trainer)
    session.step()
    child = [*past, *kept.events]
    failing = HEADER.model_copy(update={"tamiyo": PolicyReference(name="fails", source_digest="0" * 64)})
    child[len(past)] = same.model_copy(update={"header": failing})
    divergence = replay(child, RecordedTrainer(child), cast)

    assert divergence is not None
    assert (divergence.recorded_topic, divergence.position) == ("run-forked", len(past) + 1)
    assert "Failing raised ValueError" in divergence.cause


def test_memory_that_another_source_wrote_is_refused() -> None:
    with pytest.raises(PolicyFailed, match="cannot read what checkpoint abcabcabcabc says they remembered"):
        Controllers(*cast(HEADER)).saved({"abc" * 20: '{"tamiyo": {"words": 3}, "karn": {}}'})


def test_over_a_recording_the_same_orders_with_another_effect_leave_it(events: list[DomainEvent]) -> None:
    """Another grafting ramp moves alpha otherwise although nothing was decided otherwise."""
    epoch = next(event.epoch for event in events if event.TOPIC == "alpha-changed")
    trainer = WhatIfTrainer(events)
    own = [event for event in events if event.epoch == epoch]
    trainer.obey(Epoch(epoch), tuple(own), RunState())
    moved = [event.model_copy(update={"alpha": 0.123}) if event.TOPIC == "alpha-changed" else event for event in own]
    assert orders(own) == orders(moved) and effects(own) != effects(moved)
    with pytest.raises(CannotObey, match="had another effect than in the recording") as left:
        trainer.obey(Epoch(epoch), tuple(moved), RunState())
    assert isinstance(left.value.event, DecisionDiverged)


def test_where_a_recording_stops_a_run_over_it_ends_with_nobody_to_blame(events: list[DomainEvent]) -> None:
    open_ = at(events, 6)
    trainer = WhatIfTrainer(open_)
    last = tuple(event for event in open_ if event.epoch == 6)
    trainer.obey(Epoch(5), tuple(event for event in open_ if event.epoch == 5), RunState())
    with pytest.raises(CannotObey, match="the recording ends at epoch 6") as left:
        trainer.obey(Epoch(6), last, RunState())
    assert left.value.event is None
    acts = tuple(event for event in events if event.epoch == 10 and not isinstance(event, RunEnded))
    WhatIfTrainer(events).obey(Epoch(10), acts, RunState())  # a run that ends there ends there again


def test_the_script_holds_what_these_tests_need(events: list[DomainEvent]) -> None:
    assert any(isinstance(event, CheckpointSaved) and event.epoch > 0 for event in events)
    assert any(isinstance(event, DecisionMade) for event in events)
    assert {event.TOPIC for event in events} >= {"alpha-changed", "seed-germinated"}
