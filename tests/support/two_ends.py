"""A scripted run at the trainer's end of a bus in one process, which may be away for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.events import DomainEvent
from domain.header import RunHeader
from domain.karn.no_invention import NoInvention
from domain.run import RunState
from domain.tamiyo.policy import TamiyoPolicy
from engine.oona.bus import BusUnavailable, Delivery, Subscription
from engine.oona.dead_letters import DeadLetter
from engine.oona.envelope import Envelope
from engine.oona.faults import Faults
from engine.oona.topics import Topic
from engine.outside import Outside, Undisturbed
from engine.service.line import Line
from engine.service.log import Log, Silence
from engine.service.one_process import BothEnds
from engine.service.outside import Surroundings
from engine.service.remote import RemoteTamiyo
from engine.service.tamiyo import Cast
from engine.session import Session
from engine.sink import Tape
from scenarios import composition
from tests.support.scripted_trainer import Curve, ScriptedTrainer

RUN = "run"
PATIENCE_S = 30.0


@dataclass
class TwoEnds:
    """Both ends in this process, and a bus that may be away for the trainer's."""

    cast: Cast
    faults: Faults | None = None
    log: Log = field(default_factory=Silence)
    away: Callable[[int], bool] = lambda call: False
    """Whether the bus is away for the trainer at its so many-th call, counted from 1."""
    full: Callable[[int], bool] = lambda call: False
    """Whether the bus can be read at that call, but takes nothing."""
    calls: int = 0

    def __post_init__(self) -> None:
        self.both = BothEnds(self.cast, self.log, self.faults)

    def called(self) -> None:
        self.calls += 1
        if self.away(self.calls):
            raise BusUnavailable("the bus is away")

    # The bus, as the trainer has it

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        self.called()
        if self.full(self.calls):
            raise BusUnavailable("the bus is full")
        self.both.publish(topic, envelope)

    def subscribe(self, topics: Sequence[Topic], consumer: str, *, subject: str | None = None) -> Subscription:
        return Reached(self, self.both.subscribe(topics, consumer, subject=subject))

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        return self.both.dead_letters()

    def close(self) -> None:
        self.both.close()

    def run(
        self,
        header: RunHeader,
        tamiyo: TamiyoPolicy,
        curve: Curve,
        *,
        people: Outside | None = None,
        obey: Callable[[str], None] = lambda body: None,
        each: Callable[[int], None] = lambda epoch: None,
    ) -> list[DomainEvent]:
        """What the trainer's end records; ``each`` is called as every epoch is sealed."""
        guards = self.both.guards()
        line = Line(self, RUN, guards=guards, obey=obey)
        outside = Surroundings(guards.incidents, people or Undisturbed(), line.look)
        far = RemoteTamiyo(tamiyo, line, guards.clock, PATIENCE_S)
        events = recorded(header, far, curve, outside, line.announce, each)
        line.close(guards.clock() + PATIENCE_S)
        return events


class Reached:
    """A subscription over a bus that may be away."""

    def __init__(self, ends: TwoEnds, inner: Subscription) -> None:
        self._ends = ends
        self._inner = inner

    def next(self, seconds: float) -> Delivery | None:
        self._ends.called()
        return self._inner.next(seconds)

    def close(self) -> None:
        self._inner.close()


def recorded(
    header: RunHeader,
    tamiyo: TamiyoPolicy,
    curve: Curve,
    outside: Outside | None = None,
    announce: Callable[[DomainEvent], None] = lambda event: None,
    each: Callable[[int], None] = lambda epoch: None,
) -> list[DomainEvent]:
    """The events of a scripted run."""
    told = Tape()
    session = Session(
        ScriptedTrainer(curve),
        tamiyo,
        NoInvention(),
        told,
        outside=outside,
        announce=announce,
        watch=lambda view: each(view.state.epoch),
    )
    session.run(header, composition.first_library())
    return told.events


def always(tamiyo: Any) -> Cast:
    """The cast of a service that knows one policy."""
    return lambda header: (tamiyo, NoInvention())


@dataclass
class Switched:
    """People who order what they are told to, at their epochs."""

    at_epochs: dict[int, Any]

    def at(self, epoch: int, state: RunState) -> tuple[Any, ...]:
        made = self.at_epochs.get(epoch)
        return () if made is None else (made(epoch=epoch, by="somebody"),)
