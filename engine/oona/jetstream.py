"""Oona across processes: topics on a NATS server with JetStream, kept in its files.

What a topic's retention says goes with each message. The wall clock of sending is in the header ``Oona-Sent`` and
nowhere else; nothing here reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, final
from urllib.parse import quote

import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.client import JetStreamContext
from pydantic import ValidationError

from engine.journal.blobs import RunBlobs
from engine.oona.bus import BusUnavailable
from engine.oona.claims import DIRECT_BYTES_MAX, checked_in, redeemed
from engine.oona.connection import DEAD_STREAM, STREAM, TROUBLE, Connection
from engine.oona.dead_letters import DELIVERIES_MAX, DeadLetter
from engine.oona.envelope import Envelope, EnvelopeRefused, envelope_of, name_of
from engine.oona.subjects import DEAD_LETTERS, durable_name, filter_of, run_on, subject_of, topic_on
from engine.oona.topics import CONTRACTS, Qos, Topic, misplaced
from engine.oona.tuning import DirectLimit, LimitCut

CONFIRM_SECONDS: Final = 30.0
"""A message that is not confirmed for so long is delivered again."""
_UNCONFIRMED_MAX: Final = 100_000
"""Beyond this the server falls silent: far more than runs of which a part is no longer kept can hold back."""
_PULL_SECONDS: Final = 0.5
"""A pull that a dying server swallowed is made again after this."""
_PULL_SECONDS_MIN: Final = 0.02
"""For ``next(0)``: what is there still has to come over."""
_FORGOTTEN_SECONDS: Final = 86400.0
"""A consumer that nobody was for so long is forgotten by the server."""
_HEADER_BYTES: Final = 2000
"""Room for headers within the server's largest message."""


@final
class JetStreamBus:
    """A bus on a server; any number of processes meet there."""

    def __init__(
        self,
        connection: Connection,
        blobs: RunBlobs,
        *,
        clock: Callable[[], float],
        slow: Callable[[LimitCut], None] = lambda cut: None,
        direct_bytes_max: int = DIRECT_BYTES_MAX,
        confirm_seconds: float = CONFIRM_SECONDS,
    ) -> None:
        """``clock`` gives seconds since 1970: for the header, and for how long a message took to be stored.

        ``slow`` is told whenever the bus was too slow, and what that leaves of the direct limit of ``Qos.NORMAL``.
        """
        self._connection = connection
        self._blobs = blobs
        self._clock = clock
        self._direct_bytes_max = direct_bytes_max
        self._limit = DirectLimit(slow, direct_bytes_max)
        self._confirm_seconds = confirm_seconds

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        """Send a message; back once it is stored. Raises BusUnavailable, and StorageFailed for a body too large to send."""
        assert envelope.claim is None, f"{envelope.id} is checked in already: publish it with its body"
        content = envelope.model_dump_json().encode()
        room = self._connection.client.max_payload - _HEADER_BYTES
        limit = self._limit.size if CONTRACTS[topic].qos is Qos.NORMAL else self._direct_bytes_max
        # A body within the limit may still be too large for the server: quoting it makes it longer.
        if len(envelope.data.encode()) > limit or len(content) > room:
            content = checked_in(envelope, self._blobs).model_dump_json().encode()
        took = self._send(
            subject_of(topic, envelope.subject),
            content,
            name=name_of(envelope),
            ttl=CONTRACTS[topic].retention.value,
        )
        self._limit.took(took * 1000)

    def subscribe(self, topics: Sequence[Topic], consumer: str, *, subject: str | None = None) -> JetStreamSubscription:
        """Consume ``topics`` as the durable ``consumer``, from the oldest message that is kept; of one run if given."""
        durable = durable_name(consumer, subject)
        config = ConsumerConfig(
            name=durable,
            durable_name=durable,
            filter_subjects=[filter_of(topic, subject) for topic in topics],
            ack_wait=self._confirm_seconds,
            max_ack_pending=_UNCONFIRMED_MAX,
            inactive_threshold=_FORGOTTEN_SECONDS,
            max_deliver=-1,  # counted here, because the server would only fall silent
        )
        return JetStreamSubscription(self, self._connection, consumer, config)

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """What nobody could deal with and is still kept, oldest first. Raises BusUnavailable."""
        return self._connection.call(self._dead_letters())

    def close(self) -> None:
        """Leave the bus."""
        self._connection.close()

    def read(self, message: Msg) -> Envelope:
        """The envelope in a message, with its body. Raises EnvelopeRefused with what is wrong."""
        deliveries = message.metadata.num_delivered or 1
        if deliveries > DELIVERIES_MAX:
            raise EnvelopeRefused(f"it was delivered {deliveries - 1} times and never confirmed")
        envelope = envelope_of(message.data)
        if message.subject != subject_of(topic_on(message.subject), envelope.subject):
            raise EnvelopeRefused(f"its subject is {envelope.subject!r} but it came as of {run_on(message.subject)!r}")
        reason = misplaced(topic_on(message.subject), envelope.type)
        if reason is not None:
            raise EnvelopeRefused(reason)
        return redeemed(envelope, self._blobs)

    def bury(self, message: Msg, consumer: str, reason: str) -> None:
        """Put a message among the dead letters, once. Raises BusUnavailable."""
        letter = DeadLetter.of(message.data, subject=message.subject, consumer=consumer, reason=reason)
        name = f"dead/{consumer}/{message.metadata.sequence.stream}"
        self._send(DEAD_LETTERS, letter.model_dump_json().encode(), name=name, ttl=None)

    def _send(self, subject: str, content: bytes, *, name: str, ttl: int | None) -> float:
        headers = {"Nats-Msg-Id": quote(name, safe="/"), "Oona-Sent": f"{self._clock():.6f}"}
        sending = self._connection.publish(subject, content, headers, ttl=ttl, clock=self._clock)
        return self._connection.call(sending)

    async def _dead_letters(self) -> tuple[DeadLetter, ...]:
        server, found = self._connection.client.jetstream(), []
        try:
            state = (await server.stream_info(DEAD_STREAM)).state
            for number in range(state.first_seq, state.last_seq + 1):
                with suppress(nats.js.errors.NotFoundError, ValidationError):
                    kept = await server.get_msg(DEAD_STREAM, number, direct=True)
                    found.append(DeadLetter.model_validate_json(kept.data or b""))
        except TROUBLE as error:
            raise BusUnavailable(
                f"the NATS server at {self._connection.name} went away: {error!r}; ask again"
            ) from error
        return tuple(found)


@final
class JetStreamSubscription:
    """What one durable consumer is delivered. For one thread."""

    def __init__(self, bus: JetStreamBus, connection: Connection, consumer: str, config: ConsumerConfig) -> None:
        """Raises BusUnavailable."""
        self._bus = bus
        self._connection = connection
        self._consumer = consumer
        self._config = config
        self._pull: JetStreamContext.PullSubscription | None = None
        self._unsettled: dict[str, Msg] = {}
        """Messages that were handed out, by where to confirm them."""

    def next(self, seconds: float) -> JetStreamDelivery | None:
        """The next message, or None if none came within ``seconds``; also while the server is away, within patience.

        Raises BusUnavailable once it is away for longer.
        """
        deadline = self._connection.now() + seconds
        while (message := self._connection.call(self._next(deadline))) is not None:
            self._unsettled[message.reply] = message
            try:
                return JetStreamDelivery(self, message, topic_on(message.subject), self._bus.read(message))
            except EnvelopeRefused as refused:
                self.bury(message, str(refused))
        return None

    def close(self) -> None:
        """Stop consuming; what was not confirmed is put back for whoever consumes next under this name."""
        for message in tuple(self._unsettled.values()):
            self.settle(message, message.nak)
        self._connection.call(self._unbind())

    def bury(self, message: Msg, reason: str) -> None:
        """Take a message out of the way, kept among the dead letters. Raises BusUnavailable, and it comes again."""
        self._bus.bury(message, self._consumer, reason)
        self.settle(message, message.term)

    def put_back(self, message: Msg) -> None:
        """Have a message delivered again, unless it was too often."""
        deliveries = message.metadata.num_delivered or 1
        if deliveries >= DELIVERIES_MAX:
            self.bury(message, f"it was delivered {deliveries} times and put back each time")
        else:
            self.settle(message, message.nak)

    def settle(self, message: Msg, how: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Tell the server what became of a message. A server that does not hear of it delivers it again."""
        self._unsettled.pop(message.reply, None)
        with suppress(*TROUBLE):
            self._connection.call(how())

    async def _next(self, deadline: float) -> Msg | None:
        while True:
            left = deadline - self._connection.now()
            if await self._connection.is_there(max(left, 0.0)):
                try:
                    pull = self._pull or await self._bind()
                    [message] = await pull.fetch(1, timeout=min(max(left, _PULL_SECONDS_MIN), _PULL_SECONDS))
                except TimeoutError:
                    pass
                except TROUBLE:  # the server is starting, or forgot the consumer: make it again
                    await self._unbind()
                    await self._connection.pause(min(max(left, 0.0), _PULL_SECONDS))
                else:
                    return message
            if self._connection.now() >= deadline:
                return None

    async def _bind(self) -> JetStreamContext.PullSubscription:
        server = self._connection.client.jetstream(timeout=_PULL_SECONDS * 2)
        await server.add_consumer(STREAM, self._config)  # one that is there already goes on where it was left
        self._pull = await server.pull_subscribe_bind(durable=self._config.durable_name, stream=STREAM)
        return self._pull

    async def _unbind(self) -> None:
        pull, self._pull = self._pull, None
        if pull is not None:
            with suppress(*TROUBLE):
                await pull.unsubscribe()


@final
@dataclass(frozen=True, slots=True)
class JetStreamDelivery:
    """A message that was delivered and waits to be confirmed."""

    _subscription: JetStreamSubscription
    _message: Msg
    topic: Topic
    envelope: Envelope

    def confirm(self) -> None:
        """It had its effect."""
        self._subscription.settle(self._message, self._message.ack)

    def again(self) -> None:
        """Deliver it later."""
        self._subscription.put_back(self._message)

    def reject(self, reason: str) -> None:
        """It goes to the dead letters."""
        self._subscription.bury(self._message, reason)
