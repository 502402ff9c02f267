"""A bus that is disturbed at both ends of the wire: some messages come twice, some late, some in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from engine.oona.bus import Bus, Delivery, Subscription
from engine.oona.dead_letters import DeadLetter
from engine.oona.envelope import Envelope
from engine.oona.faults import FaultKind, Faults
from engine.oona.topics import Topic

ItemT = TypeVar("ItemT")


@final
@dataclass(slots=True)
class _Late(Generic[ItemT]):
    """What is held back until so many others went by."""

    item: ItemT
    others: int


@final
class DisturbedBus:
    """Disturbs what ``faults`` says of messages on their way from ``publisher``, and on their way to each consumer.

    Nothing is lost for good: what is held back goes out when nothing else does.
    """

    def __init__(self, bus: Bus, faults: Faults, publisher: str, befell: Callable[[], None]) -> None:
        """``befell`` is called for every message that something befalls."""
        self._bus = bus
        self._faults = faults
        self._publisher = publisher
        self._befell = befell
        self._late: list[_Late[tuple[Topic, Envelope]]] = []

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        """Send it now, later, or both. Raises BusUnavailable."""
        later, is_sent = self.fault(envelope, self._publisher)
        if is_sent:
            self._bus.publish(topic, envelope)
        if later:
            self._late.append(_Late((topic, envelope), later + 1))
        for held in self._late:
            held.others -= 1
        self.release(0)

    def release(self, others_max: int | None = None) -> None:
        """Send what was held back long enough, or all of it."""
        for held in tuple(self._late):
            if others_max is None or held.others <= others_max:
                self._bus.publish(*held.item)
                self._late.remove(held)

    def subscribe(self, topics: Sequence[Topic], consumer: str, *, subject: str | None = None) -> DisturbedSubscription:
        """As the bus does."""
        return DisturbedSubscription(self, self._bus.subscribe(topics, consumer, subject=subject), consumer)

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """As the bus has them."""
        return self._bus.dead_letters()

    def close(self) -> None:
        """Send what is still held back, and leave."""
        self.release()
        self._bus.close()

    def fault(self, envelope: Envelope, on_the_way: str) -> tuple[int, bool]:
        """After how many others a message goes by as well, 0 for not at all; and whether it goes by at its time."""
        fault = self._faults.befalling(envelope, on_the_way)
        if fault is None:
            return 0, True
        self._befell()
        return max(fault.later, 1), fault.kind is FaultKind.DUPLICATED


@final
class DisturbedSubscription:
    """What a consumer is delivered through a disturbed bus."""

    def __init__(self, bus: DisturbedBus, inner: Subscription, consumer: str) -> None:
        self._bus = bus
        self._inner = inner
        self._consumer = consumer.partition("-")[0]  # what comes behind it is another at each start
        self._late: list[_Late[Delivery]] = []

    def next(self, seconds: float) -> Delivery | None:
        """The next message that is not held back; those that are, once nothing else comes. Raises BusUnavailable."""
        self._bus.release()
        while True:
            due = next((held for held in self._late if held.others <= 0), None)
            delivery = None if due is not None else self._inner.next(seconds)
            if due is None and delivery is None:
                due = next(iter(self._late), None)
            if due is not None:
                self._late.remove(due)
                return due.item
            if delivery is None:
                return None
            for held in self._late:
                held.others -= 1
            later, is_sent = self._bus.fault(delivery.envelope, self._consumer)
            if later:
                self._late.append(_Late(delivery, later))
            if is_sent:
                return delivery

    def close(self) -> None:
        """As the bus does."""
        self._inner.close()
