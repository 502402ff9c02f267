"""The disturbed bus of ``make oona``: it disturbs a lot, loses nothing, and an inbox makes up for it."""

from __future__ import annotations

from engine.oona.bus import Delivery
from engine.oona.envelope import Envelope, value_envelope
from engine.oona.faults import SeededFaults
from engine.oona.in_process import InProcessBus
from engine.oona.inbox import Inbox
from engine.oona.topics import Topic
from engine.service.messages import DecisionRequest
from engine.trainers.stores import MemoryStore
from scenarios.experiments.disturbed import DisturbedBus
from scenarios.experiments.oona import SHARES

COUNT = 400


def message(number: int) -> Envelope:
    body = DecisionRequest(epoch=1, position=number, memory="{}")
    return value_envelope(
        body, kind="said.v1", name=f"{number}", source="x", run="run", stream="run", sequence=number, epoch=1
    )


def test_what_is_disturbed_on_both_ways_arrives_once_and_in_order() -> None:
    disturbed, came, had = list[None](), list[int](), list[int]()
    bus = DisturbedBus(
        InProcessBus(MemoryStore()), SeededFaults(3, SHARES), "publisher", lambda: disturbed.append(None)
    )
    for number in range(1, COUNT + 1):
        bus.publish(Topic.EPOCHS, message(number))
    inbox, subscription = Inbox(), bus.subscribe((Topic.EPOCHS,), "consumer")

    def effect(delivery: Delivery) -> None:
        had.append(delivery.envelope.sequence)

    while (delivery := subscription.next(0)) is not None:
        came.append(delivery.envelope.sequence)
        inbox.take(delivery, effect)

    assert had == list(range(1, COUNT + 1))
    assert came != had and len(came) > COUNT, "out of order, and some of them twice"
    assert 0.2 * COUNT < len(disturbed) < 0.4 * COUNT, "15 % on each way"
