"""Oona within one process: every consumer has a scheduler, and what befalls a message befalls it again each time.

For one thread or several. With one, ``next(0)`` says what is due now and never waits. The epoch is the latest that a
message was published in; a message that is late by epochs comes once that epoch is reached.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

from engine.journal.blobs import RunBlobs
from engine.oona.claims import DIRECT_BYTES_MAX, checked_in, redeemed
from engine.oona.dead_letters import DELIVERIES_MAX, DeadLetter
from engine.oona.envelope import Envelope, EnvelopeRefused, name_of
from engine.oona.faults import FaultKind, Faults, MessageFault, NoFaults
from engine.oona.topics import Topic, misplaced
from engine.scheduler import Scheduler

AGAIN_LATER: Final = 1
"""Priorities that a message comes later that a consumer put back."""


@final
@dataclass(frozen=True, slots=True)
class _Message:
    topic: Topic
    envelope: Envelope
    """As it travels: with a claim check where its body stayed behind."""


@final
@dataclass(frozen=True, slots=True)
class _Coming:
    message: _Message
    deliveries: int = 0
    """How often it came already and was put back."""


@final
@dataclass(slots=True)
class _Consumer:
    """A durable consumer: what is still to come to it, and what came and was not confirmed."""

    name: str
    subject: str | None
    topics: frozenset[Topic]
    coming: Scheduler[_Coming] = field(default_factory=Scheduler)
    unconfirmed: dict[int, _Coming] = field(default_factory=dict)
    deliveries: int = 0

    def wants(self, message: _Message) -> bool:
        return message.topic in self.topics and self.subject in {None, message.envelope.subject}


@final
class InProcessBus:
    """A bus whose messages never leave the process. They are kept until it ends."""

    def __init__(
        self, blobs: RunBlobs, *, faults: Faults | None = None, direct_bytes_max: int = DIRECT_BYTES_MAX
    ) -> None:
        self._blobs = blobs
        self._faults = faults or NoFaults()
        self._direct_bytes_max = direct_bytes_max
        self._kept: dict[str, _Message] = {}
        self._consumers: dict[tuple[str, str | None], _Consumer] = {}
        self._dead: list[DeadLetter] = []
        self._changed = threading.Condition()
        self._epoch = 0
        self.befell: list[MessageFault] = []
        """What befell messages so far, in the order of scheduling."""

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        """Keep a message and schedule it for each consumer; one whose id is kept already changes nothing."""
        if len(envelope.data.encode()) > self._direct_bytes_max:
            envelope = checked_in(envelope, self._blobs)
        with self._changed:
            if name_of(envelope) in self._kept:
                return
            message = self._kept[name_of(envelope)] = _Message(topic, envelope)
            for consumer in self._consumers.values():
                self._schedule(consumer, message)
            self.reach(envelope.epoch)

    def reach(self, epoch: int) -> None:
        """It is ``epoch`` now: what was late by epochs and is due comes."""
        with self._changed:
            self._epoch = max(self._epoch, epoch)
            for consumer in self._consumers.values():
                consumer.coming.reach(self._epoch)
            self._changed.notify_all()

    def subscribe(self, topics: Sequence[Topic], consumer: str, *, subject: str | None = None) -> InProcessSubscription:
        """Consume ``topics`` as the durable ``consumer``, from the oldest message that is kept; of one run if given."""
        with self._changed:
            known = self._consumers.get((consumer, subject))
            if known is None:
                known = self._consumers[consumer, subject] = _Consumer(consumer, subject, frozenset(topics))
                for message in self._kept.values():
                    self._schedule(known, message)
                known.coming.reach(self._epoch)
            known.topics = frozenset(topics)
        return InProcessSubscription(self, known, self._changed)

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """What nobody could deal with, oldest first."""
        with self._changed:
            return tuple(self._dead)

    def close(self) -> None:
        """Nothing is to be left: whoever subscribes again goes on."""

    def opened(self, message: _Message) -> Envelope:
        """The message with its body. Raises EnvelopeRefused for one that has no business on its topic."""
        reason = misplaced(message.topic, message.envelope.type)
        if reason is not None:
            raise EnvelopeRefused(reason)
        return redeemed(message.envelope, self._blobs)

    def bury(self, message: _Message, consumer: str, reason: str) -> None:
        """Put a message among the dead letters."""
        content = message.envelope.model_dump_json().encode()
        with self._changed:
            self._dead.append(DeadLetter.of(content, subject=message.topic.value, consumer=consumer, reason=reason))

    def _schedule(self, consumer: _Consumer, message: _Message) -> None:
        if not consumer.wants(message):
            return
        fault, epoch = self._faults.befalling(message.envelope, consumer.name), message.envelope.epoch
        if fault is None:
            consumer.coming.schedule(_Coming(message), epoch)
            return
        self.befell.append(fault)
        if fault.kind is FaultKind.REORDERED:
            consumer.coming.schedule(_Coming(message), epoch, -fault.later)
            return
        if fault.kind is FaultKind.DUPLICATED:
            consumer.coming.schedule(_Coming(message), epoch)
        consumer.coming.schedule(_Coming(message), epoch + fault.epochs, fault.later)


@final
class InProcessSubscription:
    """What one durable consumer is delivered."""

    def __init__(self, bus: InProcessBus, consumer: _Consumer, changed: threading.Condition) -> None:
        self._bus = bus
        self._consumer = consumer
        self._changed = changed

    def next(self, seconds: float) -> InProcessDelivery | None:
        """The next message that is due, or None if none came due within ``seconds``."""
        while (taken := self._taken(seconds)) is not None:
            number, message = taken
            try:
                return InProcessDelivery(self, number, message.topic, self._bus.opened(message))
            except EnvelopeRefused as refused:
                self.settle(number, reason=str(refused))
        return None

    def close(self) -> None:
        """Stop consuming; what was not confirmed will be delivered again."""
        with self._changed:
            for coming in self._consumer.unconfirmed.values():
                self._consumer.coming.schedule(coming, coming.message.envelope.epoch)
            self._consumer.unconfirmed.clear()

    def settle(self, number: int, *, reason: str | None = None) -> None:
        """Delivery ``number`` is done with; as a dead letter where there is a reason."""
        with self._changed:
            coming = self._consumer.unconfirmed.pop(number, None)
            if coming is not None and reason is not None:
                self._bus.bury(coming.message, self._consumer.name, reason)

    def put_back(self, number: int) -> None:
        """Delivery ``number`` is to come again."""
        with self._changed:
            coming = self._consumer.unconfirmed[number]
            if coming.deliveries >= DELIVERIES_MAX:
                self.settle(number, reason=f"it was delivered {coming.deliveries} times and put back each time")
                return
            del self._consumer.unconfirmed[number]
            self._consumer.coming.schedule(coming, coming.message.envelope.epoch, AGAIN_LATER)
            self._changed.notify_all()

    def _taken(self, seconds: float) -> tuple[int, _Message] | None:
        found: list[_Coming] = []

        def is_there() -> bool:
            coming = self._consumer.coming.take()
            found.extend([] if coming is None else [coming])
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(is_there, seconds):
                return None
            self._consumer.deliveries += 1
            [coming] = found
            self._consumer.unconfirmed[self._consumer.deliveries] = replace(coming, deliveries=coming.deliveries + 1)
            return self._consumer.deliveries, coming.message


@final
@dataclass(frozen=True, slots=True)
class InProcessDelivery:
    """A message that was delivered and waits to be confirmed."""

    _subscription: InProcessSubscription
    _number: int
    topic: Topic
    envelope: Envelope

    def confirm(self) -> None:
        """It had its effect."""
        self._subscription.settle(self._number)

    def again(self) -> None:
        """Deliver it later."""
        self._subscription.put_back(self._number)

    def reject(self, reason: str) -> None:
        """It goes to the dead letters."""
        self._subscription.settle(self._number, reason=reason)
