"""A trainer process's line to Oona: tells what happens in its run, asks for decisions, takes orders.

Nothing on it can stop the run. What cannot be sent waits and goes out in order as soon as the bus is there again; what
comes in and cannot be understood goes to the dead letters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar, final

from domain.events import DomainEvent
from engine.oona.bus import Bus, Delivery
from engine.oona.envelope import Envelope, EnvelopeRefused, event_envelope, value_of
from engine.oona.topics import CONTRACTS, Topic, topic_of
from engine.service.breakers import BUS, TAMIYO
from engine.service.guards import TROUBLE, Guards
from engine.service.messages import ANSWERED, ORDERED, ControlBatch, DecisionRequest, request
from engine.service.recovery import NotRecovered, said

ResultT = TypeVar("ResultT")

LOOK_S: Final = 0.25
"""How long one wait for an answer takes at most, so that the time left is looked at again."""


class AnswerLate(TimeoutError):
    """No answer came in time."""


@final
class Line:
    """One run's end of the bus. ``obey`` is given each order, as JSON, and raises ValueError for what is none."""

    def __init__(
        self,
        bus: Bus,
        run: str,
        *,
        guards: Guards,
        obey: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._run = run
        self._guards = guards
        self._log = guards.log
        self._obey = obey
        self._waiting: deque[tuple[Topic, Envelope]] = deque()
        self._is_down = False
        """Whether the last attempt to send failed; then nothing is sent in passing until somebody needs an answer."""
        self._has_looked = False
        """Whether everything that came in up to the last boundary was taken while its answer was waited for."""
        self._position = 0
        self._requests = 0
        self._commands = bus.subscribe((Topic.KASMINA_COMMANDS,), f"kasmina-{run}", subject=run)

    def announce(self, event: DomainEvent) -> None:
        """Tell the world the next event of the run, now or as soon as the bus is there."""
        self._position += 1
        topic = topic_of(event)
        publisher = CONTRACTS[topic].publisher
        self._waiting.append((topic, event_envelope(event, run=self._run, position=self._position, source=publisher)))
        if self._is_down:
            return
        try:
            self._send()
        except TROUBLE as error:
            self._log.say("bus.down", position=self._position, reason=said(error))

    def ask(self, epoch: int, memory: str, read: Callable[[ControlBatch], ResultT], until_s: float) -> ResultT:
        """What ``read`` makes of the answer to this boundary's request; it raises ValueError for what is none.

        Raises NotRecovered where none came by the time ``until_s`` of the recovery's clock.
        """
        self._requests += 1
        asked = DecisionRequest(epoch=epoch, position=self._position, memory=memory)
        envelope = request(asked, self._run, self._requests)
        self._waiting.append((Topic.EPOCHS, envelope))
        self._guards.recovery.call(BUS, self._send, until_s=until_s)
        return self._guards.call(TAMIYO, lambda: self._answer(envelope, read, until_s), until_s)

    def look(self) -> None:
        """Take what has come in, without waiting: orders are obeyed, answers that come too late are dropped.

        What came in before the last answer was taken with it, and is not looked for again.
        """
        if self._has_looked or self._is_down:
            # A bus that takes nothing holds no news; that it can still be read would hide from its breaker that it fails.
            self._has_looked = False
            return
        try:
            while (delivery := self._guards.breakers[BUS].call(partial(self._commands.next, 0.0))) is not None:
                self._dealt_with(delivery)
        except TROUBLE as error:
            self._log.say("bus.down", position=self._position, reason=said(error))

    def close(self, until_s: float) -> None:
        """Send what still waits, as long as there is time, and hang up."""
        try:
            self._guards.recovery.call(BUS, self._send, until_s=until_s)
        except NotRecovered as lost:
            self._log.say("bus.left", unsent=len(self._waiting), reason=str(lost))
        counts = {name: breaker.counts.model_dump(mode="json") for name, breaker in self._guards.breakers.items()}
        self._log.say("line.closed", told=self._position, asked=self._requests, breakers=counts)
        self._commands.close()

    def _send(self) -> None:
        """Everything that waits, in order. Raises TROUBLE; what was not sent goes on waiting."""
        self._is_down = True
        while self._waiting:
            topic, envelope = self._waiting[0]
            self._guards.breakers[BUS].call(partial(self._bus.publish, topic, envelope))
            self._waiting.popleft()
        self._is_down = False

    def _answer(self, asked: Envelope, read: Callable[[ControlBatch], ResultT], until_s: float) -> ResultT:
        while (left := until_s - self._guards.clock()) > 0:
            delivery = self._guards.call(BUS, partial(self._commands.next, min(left, LOOK_S)), until_s)
            batch = None if delivery is None else self._dealt_with(delivery, asked)
            if delivery is None or batch is None:
                continue
            try:
                result = read(batch)
            except ValueError as error:
                self._reject(delivery, said(error))
                continue
            self._settle(delivery.confirm)
            self._has_looked = True
            return result
        raise AnswerLate(f"no decision for epoch {asked.epoch} in time; is `regrow tamiyo` running?")

    def _dealt_with(self, delivery: Delivery, asked: Envelope | None = None) -> ControlBatch | None:
        """The batch that answers ``asked``, which is the caller's to confirm; else None, and the message is settled."""
        envelope = delivery.envelope
        try:
            if envelope.type == ORDERED:
                self._obey(envelope.data)
                self._log.say("order.taken", id=envelope.id, order=envelope.data)
            elif envelope.type == ANSWERED:
                batch = value_of(envelope, ControlBatch)
                if asked is not None and (envelope.causation, batch.epoch) == (asked.id, asked.epoch):
                    return batch
                self._log.say("answer.late", id=envelope.id, epoch=batch.epoch)
            elif envelope.stream != self._run:  # what the run itself told of its decisions
                raise EnvelopeRefused(f"{envelope.type} {envelope.id}: a run takes {ANSWERED} and {ORDERED}")
        except ValueError as error:
            self._reject(delivery, said(error))
        else:
            self._settle(delivery.confirm)
        return None

    def _reject(self, delivery: Delivery, reason: str) -> None:
        self._log.say("message.rejected", id=delivery.envelope.id, type=delivery.envelope.type, reason=reason)
        self._settle(lambda: delivery.reject(reason))

    def _settle(self, action: Callable[[], None]) -> None:
        """A confirmation that is lost is no loss: the message comes again and is known."""
        try:
            self._guards.breakers[BUS].call(action)
        except TROUBLE as error:
            self._log.say("bus.down", position=self._position, reason=said(error))
