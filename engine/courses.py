"""The course of a run: which policies decide from when on, and how a session is put where it stands.

A run has one course from its planting, and another one from each of its forks on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from domain.events import DomainEvent, RunForked, RunStarted
from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.run import rebuild
from domain.tamiyo.policy import TamiyoPolicy
from domain.urza.provenance import planted_library
from engine.outside import Outside, Recalled
from engine.session import EpochView, Session
from engine.sink import Sink
from engine.trainers.trainer import Trainer
from engine.watching import watch as watched

Cast = Callable[[RunHeader], tuple[TamiyoPolicy, KarnPolicy]]
"""Gives the policies that a header names."""

Trainers = Callable[[RunHeader], Trainer]
"""Gives the trainer that a header names."""


@final
@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint to run again from."""

    epoch: int
    checkpoint: str
    """Its content hash."""
    controllers: Mapping[str, str]
    """The policies' memory saved with each checkpoint kept at that epoch, as JSON, by content hash."""


def header_of(events: Sequence[DomainEvent]) -> RunHeader:
    """The header that a run opens with."""
    assert events and isinstance(events[0], RunStarted), "a run opens with its header"
    return events[0].header


def headers_of(events: Sequence[DomainEvent]) -> tuple[RunHeader, ...]:
    """Every header that was in force, in order: the first one, then one a fork."""
    return (header_of(events), *(event.header for event in events if isinstance(event, RunForked)))


@final
class Course:
    """The recorded course of a run, for a session that goes the same way again."""

    def __init__(
        self, events: Sequence[DomainEvent], cast: Cast, trainers: Trainers, outside: Outside | None = None
    ) -> None:
        """``outside`` tells what happens behind the end of the recording."""
        self._events = events
        self._cast = cast
        self._trainers = trainers
        self._outside = Recalled(events, outside)
        self._forks = {event.epoch: event for event in events if isinstance(event, RunForked)}

    def session(
        self,
        sink: Sink,
        start: Start | None = None,
        *,
        watch: Callable[[EpochView], None] = lambda view: None,
    ) -> Session:
        """A session that has planted, or stands where ``start`` says."""
        if start is None:
            header = header_of(self._events)
            session = Session(self._trainers(header), *self._cast(header), sink, outside=self._outside, watch=watch)
            session.plant(header, planted_library(self._events))
            return session
        state = rebuild(self._told(start.epoch))
        session = Session(
            self._trainers(state.started), *self._cast(state.started), sink, outside=self._outside, watch=watch
        )
        session.resume(state, start.checkpoint, self._controllers(start))
        return session

    def follow(self, session: Session, last: int) -> None:
        """Run to the end of epoch ``last`` or of the run, taking each fork where it was taken."""
        while session.state.ending is None and session.state.epoch < last:
            forked = self._forks.get(session.state.epoch + 1)
            if forked is not None:
                take(session, forked, self._told(session.state.epoch), self._cast, self._trainers)
            session.step()

    def _told(self, epoch: int) -> list[DomainEvent]:
        return [event for event in self._events if event.epoch <= epoch]

    def _controllers(self, start: Start) -> Mapping[str, str]:
        """Memories by checkpoint; of checkpoints from before the last fork, what the policies in force knew then."""
        before = [fork for epoch, fork in self._forks.items() if epoch <= start.epoch]
        if not before:
            return start.controllers
        fork = before[-1]
        past = watched(self._told(fork.epoch - 1), *self._cast(fork.header), fork.header)
        own = {digest: memories.to_json() for digest, memories in past.saved.items()}
        return {**start.controllers, **own}


def take(session: Session, forked: RunForked, past: Sequence[DomainEvent], cast: Cast, trainers: Trainers) -> None:
    """Let ``session``, which stands at the end of ``past``, take a fork. The new policies have watched the past.

    Raises PolicyFailed if one of them cannot bear it.
    """
    tamiyo, karn = cast(forked.header)
    known = watched(past, tamiyo, karn, forked.header)
    if forked.header.trainer != session.state.started.trainer:
        session.hand_over(trainers(forked.header))
    session.fork(forked, tamiyo, karn, known.memories, known.saved)
