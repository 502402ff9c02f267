from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.js.api import StreamInfo

from engine.journal.blobs import FolderBlobs
from engine.oona.addresses import open_bus
from engine.oona.bus import Bus, BusUnavailable, Subscription
from engine.oona.connection import STREAM, Connection
from engine.oona.dead_letters import DELIVERIES_MAX
from engine.oona.inbox import Inbox
from engine.oona.jetstream import JetStreamBus
from engine.oona.subjects import subject_of
from engine.oona.topics import Topic
from engine.oona.tuning import LimitCut
from scenarios.experiments.nats_server import NatsServer, free_port, running
from tests.support.bus_messages import Effects, message

WAIT = 10
"""Seconds that a message is waited for which must come: far more than it takes."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with running(tmp_path / "jetstream") as started:
        yield started


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def bus(server: NatsServer, blobs: FolderBlobs) -> Iterator[Bus]:
    opened = open_bus(server.url, blobs)
    yield opened
    opened.close()


def publish(bus: Bus, *numbers: int, run: str = "run") -> None:
    for number in numbers:
        bus.publish(Topic.EPOCHS, message(number, run=run))


def numbers_of(subscription: Subscription, count: int) -> list[int]:
    """The next ``count`` messages, confirmed, and that none comes after them."""
    found = []
    for _ in range(count):
        delivery = subscription.next(WAIT)
        assert delivery is not None, f"only {found} came"
        found.append(delivery.envelope.sequence)
        delivery.confirm()
    assert subscription.next(0) is None
    return found


def publish_raw(server: NatsServer, *messages: tuple[str, bytes]) -> None:
    """As anybody could who knows the server."""

    async def send() -> None:
        client = await nats.connect(server.url)
        for subject, content in messages:
            await client.jetstream().publish(subject, content)
        await client.close()

    asyncio.run(send())


def stored(server: NatsServer) -> tuple[StreamInfo, list[dict[str, str]]]:
    """What the server says of the stream, and the headers of every message in it."""

    async def look() -> tuple[StreamInfo, list[dict[str, str]]]:
        client = await nats.connect(server.url)
        info = await client.jetstream().stream_info(STREAM)
        kept = [await client.jetstream().get_msg(STREAM, number) for number in range(1, info.state.last_seq + 1)]
        await client.close()
        return info, [one.headers or {} for one in kept]

    return asyncio.run(look())


def test_messages_arrive_whole_and_in_order_from_the_oldest_kept(bus: Bus) -> None:
    publish(bus, 1, 2, 3)

    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    delivery = nissa.next(WAIT)

    assert delivery is not None
    assert (delivery.topic, delivery.envelope) == (Topic.EPOCHS, message(1))
    delivery.confirm()
    assert numbers_of(nissa, 2) == [2, 3]


def test_topics_of_different_retention_are_consumed_in_the_order_of_publishing(bus: Bus, server: NatsServer) -> None:
    both = bus.subscribe([Topic.EPOCHS, Topic.FIELD_REPORTS], "nissa")
    sent = [
        message(number).model_copy(update={"type": "panic-raised.v1" if number % 2 else "wish-made.v1"})
        for number in range(1, 21)
    ]
    for one in sent:
        bus.publish(Topic.EPOCHS if one.sequence % 2 else Topic.FIELD_REPORTS, one)

    assert numbers_of(both, 20) == list(range(1, 21))
    ages = [header.get("Nats-TTL") for header in stored(server)[1]]
    assert ages == [str(30 * 86400), None] * 10


def test_the_same_id_twice_is_stored_once(bus: Bus, server: NatsServer) -> None:
    publish(bus, 1, 1, 2, 1)

    assert numbers_of(bus.subscribe([Topic.EPOCHS], "nissa"), 2) == [1, 2]
    assert stored(server)[0].state.messages == 2


def test_the_time_of_sending_is_in_the_headers_alone(server: NatsServer, blobs: FolderBlobs) -> None:
    bus = open_bus(server.url, blobs, clock=lambda: 1234.5)
    publish(bus, 1)

    delivery = bus.subscribe([Topic.EPOCHS], "nissa").next(WAIT)
    bus.close()

    assert stored(server)[1][0]["Oona-Sent"] == "1234.500000"
    assert delivery is not None
    assert delivery.envelope == message(1)


def test_a_consumer_follows_one_run_or_all_whatever_they_are_called(bus: Bus) -> None:
    runs = ("run", "run.2", "a b>*")
    for run in runs:
        publish(bus, 1, run=run)

    assert [numbers_of(bus.subscribe([Topic.EPOCHS], "nissa", subject=run), 1) for run in runs] == [[1]] * 3
    assert numbers_of(bus.subscribe([Topic.EPOCHS], "nissa"), 3) == [1, 1, 1]


def test_a_durable_consumer_goes_on_in_another_process(server: NatsServer, blobs: FolderBlobs, bus: Bus) -> None:
    publish(bus, 1, 2, 3)
    first = bus.subscribe([Topic.EPOCHS], "nissa")
    confirmed, open_still = first.next(WAIT), first.next(WAIT)
    assert confirmed is not None
    assert open_still is not None
    confirmed.confirm()
    first.close()

    other = open_bus(server.url, blobs)

    assert sorted(numbers_of(other.subscribe([Topic.EPOCHS], "nissa"), 2)) == [2, 3]
    other.close()


def test_a_body_over_the_limit_travels_as_a_claim_check(bus: Bus, blobs: FolderBlobs, server: NatsServer) -> None:
    large = message(1, reason="x" * 2_000_000)

    bus.publish(Topic.EPOCHS, large)
    delivery = bus.subscribe([Topic.EPOCHS], "nissa").next(WAIT)

    assert delivery is not None
    assert delivery.envelope == large
    assert len(list(blobs.folder.iterdir())) == 1
    assert stored(server)[0].state.bytes < 1000


def test_a_body_that_quoting_makes_too_long_for_the_server_travels_as_a_claim_check(bus: Bus) -> None:
    long = message(1, reason='"' * 450_000)  # 900,000 bytes as JSON, twice that within the envelope's

    bus.publish(Topic.EPOCHS, long)
    delivery = bus.subscribe([Topic.EPOCHS], "nissa").next(WAIT)

    assert delivery is not None
    assert delivery.envelope == long


def test_what_is_foreign_or_malformed_goes_to_the_dead_letters_and_stops_nothing(bus: Bus, server: NatsServer) -> None:
    here = subject_of(Topic.EPOCHS, "run")
    foreign = {"specversion": "1.0", "id": "1", "source": "shop", "type": "com.example.sold", "data": {}}
    publish_raw(
        server,
        (here, b"\xff\x00 garbage"),
        (here, json.dumps(foreign).encode()),
        (here, message(1, run="other").model_dump_json().encode()),
        (f"{here}.more", message(1).model_dump_json().encode()),
        (subject_of(Topic.ROLLBACKS, "run"), message(1).model_dump_json().encode()),
    )
    publish(bus, 1)

    assert numbers_of(bus.subscribe([Topic.EPOCHS, Topic.ROLLBACKS], "nissa"), 1) == [1]
    letters = bus.dead_letters()
    assert [letter.reason for letter in letters] == [
        "no envelope: Invalid JSON: expected value at line 1 column 1",
        "no envelope: subject: Field required",
        "its subject is 'other' but it came as of 'run'",
        "its subject is 'run' but it came as of 'more'",
        "a panic-raised travels on system.events.epoch but this one came on system.events.rollback",
    ]
    assert (letters[0].payload, letters[0].consumer) == ("\\xff\x00 garbage", "nissa")
    assert letters[0].subject == "oona.system.events.epoch.run"


def test_a_message_that_is_put_back_comes_again_but_not_for_ever(bus: Bus) -> None:
    publish(bus, 1, 2)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")

    for _ in range(DELIVERIES_MAX + 1):
        delivery = nissa.next(WAIT)
        assert delivery is not None
        if delivery.envelope.sequence == 1:
            delivery.again()
        else:
            delivery.confirm()

    assert nissa.next(0) is None
    [letter] = bus.dead_letters()
    assert letter.reason == f"it was delivered {DELIVERIES_MAX} times and put back each time"


def test_what_is_not_confirmed_in_time_is_delivered_again(server: NatsServer, blobs: FolderBlobs) -> None:
    connection = Connection(server.url, server.url, patience_seconds=WAIT)
    bus = JetStreamBus(connection, blobs, clock=lambda: 0.0, confirm_seconds=0.2)
    publish(bus, 1)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    assert nissa.next(WAIT) is not None

    assert numbers_of(nissa, 1) == [1]
    bus.close()


@pytest.mark.parametrize(("topic", "claims"), [(Topic.SEED_HEALTH, 1), (Topic.EPOCHS, 0)])
def test_a_slow_server_cuts_the_direct_limit_of_what_is_not_critical(
    topic: Topic, claims: int, server: NatsServer, blobs: FolderBlobs
) -> None:
    ticks, cuts = iter(range(1_000_000)), list[LimitCut]()
    connection = Connection(server.url, server.url, patience_seconds=WAIT)
    bus = JetStreamBus(connection, blobs, clock=lambda: next(ticks) * 0.06, slow=cuts.append, direct_bytes_max=40_000)

    publish(bus, *range(1, 101))
    bus.publish(topic, message(101, reason="x" * 35_000))
    bus.close()

    assert [(cut.p99_ms, cut.before, cut.after) for cut in cuts] == [(pytest.approx(60.0), 40_000, 30_000)]
    assert len(list(blobs.folder.glob("*"))) == claims


def test_a_server_that_does_not_answer_is_one_clear_line(blobs: FolderBlobs) -> None:
    url = f"nats://127.0.0.1:{free_port()}"

    with pytest.raises(BusUnavailable) as gone:
        open_bus(url, blobs, patience_seconds=0.3)

    assert str(gone.value).startswith(f"the NATS server at {url} does not answer within 0.3 s (")
    assert str(gone.value).endswith("start it with `nats-server -js` or name another address")
    assert "\n" not in str(gone.value)


@pytest.mark.parametrize(
    ("options", "user", "said"),
    [
        (("-DV",), "", "has no JetStream; start it with `nats-server -js`"),
        (("-js", "--user", "ada", "--pass", "right"), "ada:wrong@", "Authorization Violation"),
    ],
)
def test_a_server_that_cannot_serve_is_one_clear_line_without_a_password(
    options: tuple[str, ...], user: str, said: str, tmp_path: Path, blobs: FolderBlobs
) -> None:
    with running(tmp_path / "other", *options) as other, pytest.raises(BusUnavailable) as unable:
        open_bus(f"nats://{user}127.0.0.1:{other.port}", blobs, patience_seconds=0.5)

    assert said in str(unable.value)
    assert "wrong" not in str(unable.value)
    assert "\n" not in str(unable.value)


def test_a_server_that_goes_away_is_noticed_when_patience_is_over(server: NatsServer, blobs: FolderBlobs) -> None:
    bus = open_bus(server.url, blobs, patience_seconds=0.4)
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    assert nissa.next(0) is None
    server.kill()

    with pytest.raises(BusUnavailable, match=r"did not confirm a message within 0\.4 s"):
        publish(bus, 1)
    with pytest.raises(BusUnavailable, match=r"is gone and did not come back within 0\.4 s"):
        nissa.next(WAIT)
    bus.close()
    with pytest.raises(BusUnavailable, match="was left; open it again"):
        publish(bus, 1)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_broker_restarted_while_publishing_and_consuming_loses_and_doubles_nothing(
    how: str, server: NatsServer, blobs: FolderBlobs, tmp_path: Path
) -> None:
    total, due = 300, [60, 120, 180]
    sender, receiver = open_bus(server.url, blobs), open_bus(server.url, blobs)
    effects, ahead = Effects(), threading.Semaphore(20)

    def publish_as_it_is_consumed() -> None:
        for number in range(1, total + 1):
            assert ahead.acquire(timeout=WAIT), "nothing is consumed any more"
            publish(sender, number)

    publishing = threading.Thread(target=publish_as_it_is_consumed, daemon=True)
    publishing.start()
    inbox, nissa, position = Inbox(), receiver.subscribe([Topic.EPOCHS], "nissa", subject="run"), 0
    while position < total:
        delivery = nissa.next(WAIT)
        assert delivery is not None, f"nothing came after message {position}"
        for _ in range(inbox.take(delivery, effects)):
            position += 1
            ahead.release()
        if due and position >= due[0]:
            due.pop(0)
            getattr(server, how)()
            ahead.release(10)  # to be published while nobody is there
            server.start()
            nissa.close()
            nissa = receiver.subscribe([Topic.EPOCHS], "nissa", subject="run")
    publishing.join(WAIT)
    sender.close()
    receiver.close()

    assert effects.had == {"run": list(range(1, total + 1))}
