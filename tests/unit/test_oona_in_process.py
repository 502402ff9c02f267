from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.journal.blobs import FolderBlobs
from engine.oona.bus import Bus, Subscription
from engine.oona.dead_letters import DELIVERIES_MAX
from engine.oona.faults import FaultKind, Faults, MessageFault, SeededFaults
from engine.oona.in_process import InProcessBus
from engine.oona.topics import Topic
from tests.support.bus_messages import TheseFaults, message

SHARES = dict.fromkeys(FaultKind, 0.2)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def publish(bus: Bus, *numbers: int, epoch: int = 1) -> None:
    for number in numbers:
        bus.publish(Topic.EPOCHS, message(number, epoch=epoch))


def numbers_of(subscription: Subscription) -> list[int]:
    found = []
    while (delivery := subscription.next(0)) is not None:
        found.append(delivery.envelope.sequence)
        delivery.confirm()
    return found


def with_fault(blobs: FolderBlobs, kind: FaultKind, later: int, epochs: int = 0) -> InProcessBus:
    fault = MessageFault(message="tolaria/run/2", consumer="nissa", kind=kind, later=later, epochs=epochs)
    return InProcessBus(blobs, faults=TheseFaults([fault]))


def test_whoever_subscribes_late_begins_at_the_oldest_message(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    publish(bus, 1, 2)

    late = bus.subscribe([Topic.EPOCHS], "nissa")
    publish(bus, 3)

    assert numbers_of(late) == [1, 2, 3]


def test_a_consumer_goes_on_where_it_was_left_and_gets_again_what_it_did_not_confirm(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    publish(bus, 1, 2, 3)
    first = bus.subscribe([Topic.EPOCHS], "nissa")
    confirmed, open_still = first.next(0), first.next(0)
    assert confirmed is not None
    assert open_still is not None
    confirmed.confirm()

    first.close()

    assert sorted(numbers_of(bus.subscribe([Topic.EPOCHS], "nissa"))) == [2, 3]


def test_consumers_are_delivered_what_they_asked_for_and_each_by_itself(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    one = bus.subscribe([Topic.EPOCHS], "one", subject="run")
    other = bus.subscribe([Topic.EPOCHS], "other", subject="other")
    elsewhere = bus.subscribe([Topic.SEED_HEALTH], "elsewhere")
    every = bus.subscribe([Topic.EPOCHS], "every")

    publish(bus, 1)

    assert [numbers_of(each) for each in (one, other, elsewhere, every)] == [[1], [], [], [1]]


def test_the_same_id_twice_is_kept_once(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)

    publish(bus, 1, 1)

    assert numbers_of(bus.subscribe([Topic.EPOCHS], "nissa")) == [1]


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (FaultKind.DELAYED, [1, 3, 4, 2]),
        (FaultKind.LOST, [1, 3, 4, 2]),
        (FaultKind.DUPLICATED, [1, 2, 3, 4, 2]),
        (FaultKind.REORDERED, [2, 1, 3, 4]),
    ],
)
def test_what_befalls_a_message_changes_when_it_comes(blobs: FolderBlobs, kind: FaultKind, order: list[int]) -> None:
    bus = with_fault(blobs, kind, later=1)
    publish(bus, 1, 2, 3, 4)

    assert numbers_of(bus.subscribe([Topic.EPOCHS], "nissa")) == order


def test_a_message_that_is_late_by_an_epoch_comes_when_that_is_reached(blobs: FolderBlobs) -> None:
    bus = with_fault(blobs, FaultKind.DELAYED, later=1, epochs=1)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")

    publish(bus, 1, 2, 3)
    assert numbers_of(nissa) == [1, 3]

    bus.reach(2)
    assert numbers_of(nissa) == [2]


def test_faults_are_drawn_from_the_run_key_and_told_as_facts_that_deliver_the_same(blobs: FolderBlobs) -> None:
    def order(faults: Faults) -> tuple[list[int], list[MessageFault]]:
        bus = InProcessBus(blobs, faults=faults)
        nissa = bus.subscribe([Topic.EPOCHS], "nissa")
        publish(bus, *range(1, 41))
        return numbers_of(nissa), bus.befell

    drawn, facts = order(SeededFaults(7, SHARES))

    assert {fact.kind for fact in facts} == set(FaultKind)
    assert order(SeededFaults(7, SHARES)) == (drawn, facts)
    assert order(TheseFaults(facts)) == (drawn, facts)
    assert order(SeededFaults(8, SHARES)) != (drawn, facts)


def test_what_befalls_a_message_does_not_depend_on_what_else_travels() -> None:
    faults = SeededFaults(7, SHARES)
    alone = [faults.befalling(message(number), "nissa") for number in range(1, 30)]

    mixed = {number: faults.befalling(message(number), "nissa") for number in reversed(range(1, 60))}

    assert [mixed[number] for number in range(1, 30)] == alone


def test_a_rejected_message_is_a_dead_letter_with_the_reason(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    publish(bus, 1)
    delivery = nissa.next(0)
    assert delivery is not None

    delivery.reject("nobody can deal with this")

    [letter] = bus.dead_letters()
    assert (letter.subject, letter.consumer) == ("system.events.epoch", "nissa")
    assert letter.reason == "nobody can deal with this"
    assert '"run/1"' in letter.payload
    assert numbers_of(nissa) == []


def test_an_event_on_a_foreign_topic_goes_to_the_dead_letters_and_stops_nothing(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    every = bus.subscribe(list(Topic), "every")
    bus.publish(Topic.ROLLBACKS, message(1))

    publish(bus, 2)

    assert numbers_of(every) == [2]
    assert [letter.reason for letter in bus.dead_letters()] == [
        "a panic-raised travels on system.events.epoch but this one came on system.events.rollback"
    ]


def test_a_message_that_is_put_back_comes_later_but_not_for_ever(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    publish(bus, 1, 2)
    came = []

    while (delivery := nissa.next(0)) is not None:
        came.append(delivery.envelope.sequence)
        if delivery.envelope.sequence == 1:
            delivery.again()
        else:
            delivery.confirm()

    assert came == [1, 2] + [1] * (DELIVERIES_MAX - 1)
    assert [letter.reason for letter in bus.dead_letters()] == [
        f"it was delivered {DELIVERIES_MAX} times and put back each time"
    ]


def test_a_large_body_travels_as_a_claim_check_and_arrives_whole(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs, direct_bytes_max=1000)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    large = message(1, reason="x" * 2000)

    bus.publish(Topic.EPOCHS, large)
    delivery = nissa.next(0)

    assert delivery is not None
    assert delivery.envelope == large
    assert len(list(blobs.folder.iterdir())) == 1


def test_a_claim_whose_body_is_gone_goes_to_the_dead_letters(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs, direct_bytes_max=1000)
    bus.publish(Topic.EPOCHS, message(1, reason="x" * 2000))
    [body] = blobs.folder.iterdir()
    body.unlink()
    publish(bus, 2)

    assert numbers_of(bus.subscribe([Topic.EPOCHS], "nissa")) == [2]
    assert bus.dead_letters()[0].reason.startswith("the body of run/1 cannot be fetched: blob ")


def test_a_consumer_in_another_thread_waits_for_what_is_published(blobs: FolderBlobs) -> None:
    bus = InProcessBus(blobs)
    found: list[int] = []

    def consume() -> None:
        delivery = bus.subscribe([Topic.EPOCHS], "nissa").next(30)
        assert delivery is not None
        found.append(delivery.envelope.sequence)

    waiting = threading.Thread(target=consume)
    waiting.start()
    publish(bus, 1)
    waiting.join()

    assert found == [1]
