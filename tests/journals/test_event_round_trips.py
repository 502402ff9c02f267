"""What is recorded reads back bit for bit, through its own type."""

from __future__ import annotations

import json
import struct
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from domain.events import EVENTS, DomainEvent, EpochCompleted, EpochMetrics, PanicRaised
from domain.values import Column
from engine.journal.codec import Codec
from engine.journal.errors import JournalTooNew, Unrecordable
from engine.journal.upcasts import UPCASTS, Fields
from tests.support.event_strategies import any_event, events

CODEC = Codec()


def bits(value: Any) -> Any:
    """A value with every float as its eight bytes, so that NaN equals NaN and -0.0 differs from 0.0."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, Column):
        return value.values.tobytes()
    if isinstance(value, BaseModel):
        return (type(value), {name: bits(getattr(value, name)) for name in type(value).model_fields})
    if isinstance(value, tuple):
        return tuple(bits(item) for item in value)
    return (type(value), value)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.TOPIC)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_event_reads_back_bit_for_bit(kind: type[DomainEvent], data: st.DataObject) -> None:
    event = data.draw(events(kind))
    state = CODEC.encode(event)

    back = CODEC.decode(CODEC.topic(kind), state)

    assert bits(back) == bits(event)
    assert CODEC.encode(back) == state
    json.loads(state, parse_constant=lambda name: pytest.fail(f"{name} is no standard JSON"))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 0.1])
def test_awkward_floats_keep_their_bits(number: float) -> None:
    metrics = EpochMetrics(train_loss=number, train_accuracy=number, validation_loss=number, validation_accuracy=number)
    event = EpochCompleted(epoch=1, metrics=metrics, parameters=1, weights_digest="")

    back = CODEC.decode("epoch-completed:1", CODEC.encode(event))

    assert bits(back) == bits(event)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_event())
def test_canonical_bytes_are_the_types_own_json(event: DomainEvent) -> None:
    assert CODEC.encode(event) == event.model_dump_json().encode()


def test_the_epoch_is_the_first_field_of_every_event() -> None:
    assert [next(iter(kind.model_fields)) for kind in EVENTS] == ["epoch"] * len(EVENTS)


def test_topics_are_the_types_own_and_no_path_of_a_module() -> None:
    assert {CODEC.topic(kind) for kind in EVENTS} == {f"{kind.TOPIC}:{kind.VERSION}" for kind in EVENTS}
    assert len({kind.TOPIC for kind in EVENTS}) == len(EVENTS)


def test_text_that_utf8_cannot_hold_is_refused_when_it_is_written() -> None:
    with pytest.raises(Unrecordable, match="PanicRaised cannot be recorded"):
        CODEC.encode(PanicRaised.model_construct(epoch=1, reason="\ud800"))


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(JournalTooNew, match="'seed-sang:1' is unknown to this regrow"):
        CODEC.decode("seed-sang:1", b'{"epoch":1}')


def test_a_newer_version_is_refused_and_not_read_as_today() -> None:
    with pytest.raises(JournalTooNew, match="'panic-raised' has version 2 but this regrow knows versions up to 1"):
        CODEC.decode("panic-raised:2", b'{"epoch":1,"reason":"x"}')


@pytest.mark.parametrize(
    "state", [b'{"epoch":-1,"reason":"x"}', b'{"epoch":1}', b'{"epoch":1,"reason":"x","more":1}', b"\xff", b"[]", b""]
)
def test_what_is_no_such_event_is_refused_when_it_is_read(state: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        CODEC.decode("panic-raised:1", state)


class Sung(DomainEvent):
    """An event in its third version."""

    TOPIC: ClassVar[str] = "seed-sang"
    VERSION: ClassVar[int] = 3

    verses: int
    loudness: float


def _count_verses(fields: Fields) -> Fields:
    return {"epoch": fields["epoch"], "verses": len(fields["song"])}


def _default_loudness(fields: Fields) -> Fields:
    return {**fields, "loudness": "-Infinity"}


SUNG = Codec((Sung,), {"seed-sang": {1: _count_verses, 2: _default_loudness}})


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("seed-sang:1", b'{"epoch":4,"song":["a","b"]}'),
        ("seed-sang:2", b'{"epoch":4,"verses":2}'),
        ("seed-sang:3", b'{"epoch":4,"verses":2,"loudness":"-Infinity"}'),
    ],
)
def test_every_older_version_is_read_as_todays(topic: str, state: bytes) -> None:
    assert SUNG.decode(topic, state) == Sung(epoch=4, verses=2, loudness=float("-inf"))


def test_a_missing_step_is_our_own_bug_and_says_where_it_belongs() -> None:
    with pytest.raises(LookupError, match=r"no step from version 2; add it to engine/journal/upcasts.py"):
        Codec((Sung,), {"seed-sang": {1: _count_verses}}).decode("seed-sang:1", b'{"epoch":4,"song":[]}')


def test_every_version_that_was_ever_stored_has_its_step() -> None:
    missing = [
        (kind.TOPIC, version)
        for kind in EVENTS
        for version in range(1, kind.VERSION)
        if version not in UPCASTS.get(kind.TOPIC, {})
    ]

    assert missing == []
    assert set(UPCASTS) <= {kind.TOPIC for kind in EVENTS}
