from __future__ import annotations

import re
from collections import Counter

import pytest

from domain.events import EVENTS, DomainEvent, PanicRaised
from engine.oona.envelope import event_envelope
from engine.oona.topics import CONTRACTS, NOT_CARRIED, Retention, Topic, misplaced, topic_of


def test_every_event_travels_on_exactly_one_topic() -> None:
    homes = Counter(event for contract in CONTRACTS.values() for event in contract.events)

    assert set(homes) == set(EVENTS), "give every event of domain/events a topic in engine/oona/topics.py"
    assert set(homes.values()) == {1}


def test_every_topic_has_its_contract() -> None:
    assert set(CONTRACTS) == set(Topic)
    assert all(contract.publisher and contract.consumers and contract.events for contract in CONTRACTS.values())
    assert not {topic.value for topic in Topic} & set(NOT_CARRIED)


def test_a_topic_is_named_by_plane_subsystem_and_event() -> None:
    assert all(re.fullmatch(r"(telemetry|control|innovation|system)(\.[a-z_]+){1,2}", topic.value) for topic in Topic)


@pytest.mark.parametrize(
    ("plane", "retention", "seconds"),
    [
        ("telemetry", Retention.TELEMETRY, 259_200),
        ("control", Retention.OPERATIONS, 2_592_000),
        ("system", Retention.OPERATIONS, 2_592_000),
        ("innovation", Retention.FOR_EVER, None),
    ],
)
def test_telemetry_is_kept_for_three_days_operations_for_thirty_and_inventions_for_ever(
    plane: str, retention: Retention, seconds: int | None
) -> None:
    kept = {CONTRACTS[topic].retention for topic in Topic if topic.value.startswith(plane)}

    assert kept == {retention}
    assert retention.value == seconds


def test_an_event_on_the_topic_of_another_is_misplaced() -> None:
    event: DomainEvent = PanicRaised(epoch=1, reason="")
    kind = event_envelope(event, run="run", position=1, source="tolaria").type

    assert misplaced(topic_of(event), kind) is None
    assert misplaced(Topic.SEED_HEALTH, kind) == (
        "a panic-raised travels on system.events.epoch but this one came on telemetry.seed.health"
    )


def test_what_is_no_event_may_travel_on_any_topic() -> None:
    assert misplaced(Topic.KASMINA_COMMANDS, "decisions-reached.v1") is None
