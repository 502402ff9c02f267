from __future__ import annotations

import pytest

from engine.oona.bus import Delivery
from engine.oona.envelope import Envelope
from engine.oona.inbox import GapStays, Inbox
from engine.oona.topics import Topic
from tests.support.bus_messages import Effects, message


class Handed:
    """A delivery that remembers what became of it."""

    topic = Topic.EPOCHS

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.became = "waiting"

    def confirm(self) -> None:
        self.became = "confirmed"

    def again(self) -> None:
        self.became = "put back"

    def reject(self, reason: str) -> None:
        self.became = reason


def fails(_delivery: Delivery) -> None:
    raise RuntimeError("the effect failed")


def test_messages_have_their_effects_in_order_however_they_come() -> None:
    inbox, effects = Inbox(), Effects()

    counts = [inbox.take(Handed(message(number)), effects) for number in (2, 3, 1, 5, 4)]

    assert counts == [0, 0, 3, 0, 2]
    assert effects.had == {"run": [1, 2, 3, 4, 5]}


def test_a_message_that_waits_is_confirmed_only_when_it_had_its_effect() -> None:
    inbox, effects = Inbox(), Effects()
    second = Handed(message(2))

    inbox.take(second, effects)
    assert second.became == "waiting"
    inbox.take(Handed(message(1)), effects)

    assert second.became == "confirmed"


def test_a_message_that_comes_again_is_confirmed_and_has_no_effect() -> None:
    inbox, effects = Inbox(), Effects()
    inbox.take(Handed(message(1)), effects)
    again = Handed(message(1))

    assert inbox.take(again, effects) == 0
    assert again.became == "confirmed"
    assert effects.had == {"run": [1]}


def test_an_id_that_comes_under_another_number_has_no_second_effect() -> None:
    inbox, effects = Inbox(), Effects()
    inbox.take(Handed(message(1)), effects)

    renumbered = message(1).model_copy(update={"sequence": 2})

    assert inbox.take(Handed(renumbered), effects) == 0
    assert inbox.take(Handed(message(3)), effects) == 1


def test_streams_do_not_wait_for_each_other() -> None:
    inbox, effects = Inbox(), Effects()

    inbox.take(Handed(message(2, run="late")), effects)
    inbox.take(Handed(message(1, run="other")), effects)

    assert effects.had == {"other": [1]}


def test_two_messages_of_one_number_cannot_both_be_right() -> None:
    inbox, effects = Inbox(), Effects()
    inbox.take(Handed(message(2)), effects)
    other = Handed(message(2).model_copy(update={"id": "forged"}))

    inbox.take(other, effects)

    assert other.became == "run has two messages of number 2: run/2 and forged; the first is kept"


def test_an_effect_that_fails_leaves_its_message_to_be_taken_again() -> None:
    inbox, effects = Inbox(), Effects()
    first = Handed(message(1))

    with pytest.raises(RuntimeError, match="the effect failed"):
        inbox.take(first, fails)
    assert first.became == "waiting"

    assert inbox.take(Handed(message(1)), effects) == 1


def test_a_gap_that_stays_open_beyond_the_window_is_an_error_that_names_it() -> None:
    inbox, effects = Inbox(window=2), Effects()
    inbox.take(Handed(message(1)), effects)
    inbox.take(Handed(message(3)), effects)
    inbox.take(Handed(message(4)), effects)

    with pytest.raises(GapStays, match=r"^message 2 of run is missing while number 5 is there"):
        inbox.take(Handed(message(5)), effects)


def test_a_stream_that_is_forgotten_holds_nothing_back_and_begins_again() -> None:
    inbox, effects, third = Inbox(), Effects(), Handed(message(3))
    inbox.take(Handed(message(1)), effects)
    inbox.take(third, effects)
    assert inbox.has_gap("run")

    inbox.forget("run")

    assert third.became == "confirmed"
    assert not inbox.has_gap("run")
    assert inbox.take(Handed(message(1)), effects) == 1
