"""The divergence ledger on a recording made by hand: who would have chosen what, and with which probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import pytest

from domain.commands import Decision, Germinate, Wait
from domain.events import DomainEvent
from domain.header import RunHeader
from domain.karn.no_invention import NoInvention
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from domain.urza.catalogue import registrations
from engine.controllers import PolicyFailed
from engine.ledger import Ledger, entries_of
from engine.session import Session
from engine.sink import Tape
from tests.support.chaotic_runs import LENIENT
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

EPOCHS = 8
STREAM = "tamiyo/dice"


@final
@dataclass(frozen=True, slots=True)
class Sower:
    """Germinates at one epoch what is legal first; gives that ``chance`` and the rest to waiting, without drawing."""

    at: int
    chance: float = 1.0
    waits: bool = True
    profile: str = "full"

    def initial(self) -> NoMemory:
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        legal = legal_actions(observation.state)
        number = 1 if observation.epoch == self.at and len(legal) > 1 else 0
        if number == 0 and not self.waits:
            return Step((), memory)
        odds = ((0, 1.0),) if number == 0 else ((0, 1.0 - self.chance), (1, self.chance))
        decision = Decision(
            command=legal.action(number),
            reason="sown" if number else "idle",
            urgency=0.85,
            propensity=dict(odds)[number],
            legal=legal,
            odds=tuple(pair for pair in odds if pair[1] > 0),
        )
        return Step((decision,), memory)


def recording(tamiyo: Any, header: RunHeader | None = None, curve: Curve | None = None) -> list[DomainEvent]:
    kept = Tape()
    session = Session(ScriptedTrainer(curve or Curve()), tamiyo, NoInvention(), kept)
    session.run(header or small_header(epochs=EPOCHS, safety=LENIENT), registrations())
    return kept.events


def ledger(recorded: Any, asked: Any, **options: Any) -> Ledger:
    entries = entries_of(recording(recorded, **options), asked, NoInvention())
    return Ledger(run="run", tamiyo="asked", recorded_tamiyo="recorded", epochs=EPOCHS, entries=entries)


def test_the_recorded_policy_agrees_with_itself_at_every_boundary() -> None:
    told = ledger(Sower(at=3, chance=0.25), Sower(at=3, chance=0.25))

    assert told.boundary is None and not told.is_forced
    assert told.up_to_boundary() == told
    assert [entry.epoch for entry in told.entries] == list(range(1, EPOCHS + 1))
    for entry in told.entries:
        assert entry.probability == entry.propensity == (0.25 if entry.epoch == 3 else 1.0)
        assert not entry.differs


def test_probability_and_propensity_are_each_policys_own() -> None:
    third = ledger(Sower(at=3, chance=0.25), Sower(at=3, chance=0.625)).entries[2]

    assert isinstance(third.recorded, Germinate) and third.recorded == third.chosen
    assert (third.probability, third.propensity) == (0.625, 0.25)
    assert not third.differs and not third.is_forced
    assert third.legal_actions > 1


def test_the_first_difference_is_where_the_orders_differ() -> None:
    told = ledger(Sower(at=5), Sower(at=3, chance=0.75))
    third, fifth = told.entries[2], told.entries[4]

    assert told.boundary == 3 and told.is_forced
    assert (third.recorded.kind, third.chosen.kind, third.differs) == ("wait", "germinate", True)
    assert math.isclose(third.probability, 0.25), "it would have waited with what it did not give to germinating"
    assert (third.recorded_orders, len(third.chosen_orders)) == ((), 1)
    assert (fifth.recorded.kind, fifth.chosen.kind, fifth.probability) == ("germinate", "wait", 0.0)
    short = told.up_to_boundary()
    assert [entry.epoch for entry in short.entries] == [1, 2, 3]
    assert short.boundary == 3 and not short.is_forced


def test_saying_nothing_is_to_wait_for_certain() -> None:
    told = ledger(Sower(at=0, waits=False), Sower(at=0))

    assert told.boundary is None
    assert {(entry.recorded.kind, entry.probability, entry.propensity) for entry in told.entries} == {
        ("wait", 1.0, 1.0)
    }


def test_a_boundary_with_one_legal_action_is_forced() -> None:
    told = ledger(Sower(at=2), Sower(at=2), header=small_header(epochs=EPOCHS, layers=1, seeds=1, safety=LENIENT))

    assert [entry.epoch for entry in told.entries if entry.is_forced] == list(range(3, EPOCHS + 1))
    document = told.to_document()
    assert [entry["is_forced"] for entry in document["entries"]] == [epoch > 2 for epoch in range(1, EPOCHS + 1)]
    assert (document["boundary"], document["is_forced"]) == (None, False)


def test_an_epoch_that_panicked_asks_nobody() -> None:
    told = ledger(Sower(at=6), Sower(at=6), curve=Curve(panics={4: "loss is not finite"}))

    assert [entry.epoch for entry in told.entries] == [1, 2, 3, 5, 6, 7, 8]


def test_under_another_lifecycle_any_order_is_a_difference() -> None:
    header = small_header(epochs=EPOCHS)
    simplified = header.model_copy(update={"profile": "simplified"})
    entries = entries_of(
        recording(Sower(at=3), header),
        Sower(at=3, profile="simplified"),
        NoInvention(),
        lambda in_force: simplified,
    )

    assert [entry.epoch for entry in entries if entry.differs] == [3]
    assert entries[2].recorded_orders == entries[2].chosen_orders


def test_a_policy_that_cannot_bear_the_recording_says_so() -> None:
    class Fails:
        profile = "full"

        def initial(self) -> NoMemory:
            return NoMemory()

        def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
            if observation.epoch == 4:
                raise ZeroDivisionError("four")
            return Step((Decision(command=Wait(), reason="well"),), memory)

    with pytest.raises(PolicyFailed, match="Fails raised ZeroDivisionError at epoch 4: four"):
        ledger(Sower(at=3), Fails())
