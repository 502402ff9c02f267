from __future__ import annotations

import json
import math

import pytest

from domain.events import BlueprintProposed, EpochCompleted, EpochMetrics, PanicRaised
from domain.identifiers import BlueprintId
from domain.values import Value
from engine.oona.envelope import (
    Envelope,
    EnvelopeRefused,
    envelope_of,
    event_envelope,
    event_of,
    name_of,
    traceparent,
    value_envelope,
    value_of,
)

BROKEN = EpochMetrics(train_loss=math.nan, train_accuracy=-0.0, validation_loss=math.inf, validation_accuracy=0.1 + 0.2)


class Wish(Value):
    by: str


def wish(number: int = 1) -> Envelope:
    return value_envelope(
        Wish(by="ada"),
        kind="wish-made.v1",
        name=f"run/wish/{number}",
        source="operator",
        run="run",
        stream="run/wishes",
        sequence=number,
        epoch=3,
        causation="run/7",
    )


def test_an_event_comes_back_bit_for_bit() -> None:
    event = EpochCompleted(epoch=4, metrics=BROKEN, parameters=7, weights_digest="")

    sent = event_envelope(event, run="run", position=12, source="tolaria")
    came = envelope_of(sent.model_dump_json().encode())

    assert came == sent
    assert event_of(came).model_dump_json() == event.model_dump_json()
    assert (sent.id, sent.type, sent.stream, sent.sequence) == ("run/12", "epoch-completed.v1", "run", 12)


def test_equal_events_are_sent_in_equal_bytes() -> None:
    first, second = (
        event_envelope(PanicRaised(epoch=1, reason="NaN"), run="run", position=2, source="tolaria") for _ in range(2)
    )

    assert first.model_dump_json() == second.model_dump_json()


def test_messages_of_a_run_share_its_trace_and_have_spans_of_their_own() -> None:
    one, other, foreign = traceparent("run", "run/1"), traceparent("run", "run/2"), traceparent("run-2", "run-2/1")

    assert one.split("-")[1] == other.split("-")[1] != foreign.split("-")[1]
    assert one.split("-")[2] != other.split("-")[2]


def test_another_value_comes_back_too_and_names_what_it_answers() -> None:
    came = envelope_of(wish().model_dump_json().encode())

    assert value_of(came, Wish) == Wish(by="ada")
    assert came.causation == "run/7"
    assert name_of(came) == "operator/run/wish/1"


def test_an_event_of_an_older_version_is_read_through_its_upcasts() -> None:
    proposed = BlueprintProposed(epoch=1, number=0, blueprint_id=BlueprintId("b" * 64), reason="r", propensity=1.0)
    older = {"epoch": 1, "number": 0, "blueprint_id": "b" * 64, "reason": "r", "propensity": 1.0, "draws": []}
    sent = event_envelope(proposed, run="run", position=1, source="tolaria")
    assert sent.type == "blueprint-proposed.v2"

    came = sent.model_copy(update={"type": "blueprint-proposed.v1", "data": json.dumps(older)})

    assert event_of(came) == proposed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no envelope: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"\xff\xfe", "no envelope: Invalid JSON: "),
        (b"[]", "no envelope: Input should be an object"),
        (b"{}", "no envelope: id: Field required"),
        (
            wish().model_dump_json().replace('"1.0"', '"0.3"').encode(),
            "no envelope: specversion: Input should be '1.0'",
        ),
        (wish().model_dump_json().replace('"sequence":1', '"sequence":0').encode(), "no envelope: sequence: "),
        (wish().model_dump_json().replace('"id"', '"ident":1,"id"').encode(), "no envelope: ident: Extra inputs"),
    ],
)
def test_what_is_no_envelope_is_refused_with_the_first_thing_that_is_wrong(content: bytes, reason: str) -> None:
    with pytest.raises(EnvelopeRefused) as refused:
        envelope_of(content)

    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("unheard-of.v1", "{}", "unheard-of.v1 run/1: event topic 'unheard-of:1' is unknown to this regrow"),
        ("panic-raised.v9", "{}", "panic-raised.v9 run/1: event 'panic-raised' has version 9"),
        ("panic-raised", "{}", "panic-raised run/1: event topic"),
        ("panic-raised.v1", "{", "panic-raised.v1 run/1 holds no such event: Invalid JSON"),
        ("panic-raised.v1", '{"epoch":1}', "panic-raised.v1 run/1 holds no such event: reason: Field required"),
    ],
)
def test_a_body_that_is_not_what_its_type_says_is_refused(kind: str, data: str, reason: str) -> None:
    sent = event_envelope(PanicRaised(epoch=1, reason="x"), run="run", position=1, source="tolaria")

    with pytest.raises(EnvelopeRefused) as refused:
        event_of(sent.model_copy(update={"type": kind, "data": data}))

    assert str(refused.value).startswith(reason)


def test_a_value_that_is_another_is_refused() -> None:
    with pytest.raises(EnvelopeRefused, match=r"^wish-made.v1 run/wish/1 holds no PanicRaised: epoch: Field required"):
        value_of(wish(), PanicRaised)
