"""Both ends of a bus in one process, the service working whenever the trainer's end waits: no thread, and no time passes.

So a policy can be tried under messages that are lost, doubled or late, and the same faults befall it again each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import final

from engine.oona.bus import Delivery, Subscription
from engine.oona.dead_letters import DeadLetter
from engine.oona.envelope import Envelope
from engine.oona.faults import Faults
from engine.oona.in_process import InProcessBus
from engine.oona.topics import Topic
from engine.service.guards import Guards
from engine.service.log import Log
from engine.service.tamiyo import Cast, TamiyoService
from engine.trainers.stores import MemoryStore


@final
class StillClock:
    """A clock that only moves when somebody waits."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Seconds that were waited so far."""
        return self._now_s

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._now_s += seconds


@final
class BothEnds:
    """A bus as a trainer's end has it, with the service that is on it, if there is one at the moment."""

    def __init__(self, cast: Cast, log: Log, faults: Faults | None = None) -> None:
        self.clock = StillClock()
        self.bus = InProcessBus(MemoryStore(), faults=faults)
        """Without the service: what is published here makes nobody work."""
        self.service: TamiyoService | None = None
        self._cast = cast
        self._log = log
        self._services = 0

    def guards(self) -> Guards:
        """For one of the ends."""
        return Guards.of(self.clock, self.clock.wait, self._log)

    def start_service(self) -> TamiyoService:
        """A new one, as after a kill: nothing of the one before is left."""
        self._services += 1
        self.service = TamiyoService(self.bus, f"tamiyo-{self._services}", self._cast, self.guards())
        return self.service

    def serve(self) -> None:
        """Let the service deal with everything that is due."""
        while self.service is not None and self.service.turn(0):
            pass

    # The bus, as the trainer's end has it

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        """As the bus does."""
        self.bus.publish(topic, envelope)

    def subscribe(self, topics: Sequence[Topic], consumer: str, *, subject: str | None = None) -> Subscription:
        """As the bus does; the service works while this consumer waits."""
        return _Waited(self, self.bus.subscribe(topics, consumer, subject=subject))

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """As the bus has them."""
        return self.bus.dead_letters()

    def close(self) -> None:
        """Let the service hear the rest, and log what befell messages on their way."""
        self.serve()
        if self.service is not None:
            self.service.close()
        befell = Counter(fault.kind.value for fault in self.bus.befell)
        self._log.say("bus.closed", befell=dict(sorted(befell.items())), dead_letters=len(self.dead_letters()))
        self.bus.close()


@final
class _Waited:
    """A subscription whose waiting lets the service work, and if nothing comes of that, time pass."""

    def __init__(self, ends: BothEnds, inner: Subscription) -> None:
        self._ends = ends
        self._inner = inner

    def next(self, seconds: float) -> Delivery | None:
        """The next message that is due once the service has dealt with all that it can."""
        self._ends.serve()
        delivery = self._inner.next(0)
        if delivery is None:
            self._ends.clock.wait(seconds)
        return delivery

    def close(self) -> None:
        """As the bus does."""
        self._inner.close()
