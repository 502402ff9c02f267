"""Sinks: where a session's sealed epochs go. The one that records them is in ``engine/recording.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

from domain.events import DomainEvent, EpochSealed


class Sink(Protocol):
    """Where sealed epochs go."""

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        """Record ``events`` and their seal in one transaction; return the seal."""
        ...


@final
class Relay:
    """Hands epochs up to ``last`` to one sink and all later ones to another: first compare, then record."""

    def __init__(self, first: Sink, last: int, then: Sink) -> None:
        self._first = first
        self._last = last
        self._then = then

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        """As the sink whose turn it is."""
        sink = self._first if epoch <= self._last else self._then
        return sink.seal(epoch, events, state_digest, memory_digest)


@final
class Tape:
    """A sink that keeps everything in memory, for whoever wants to read it right away."""

    def __init__(self) -> None:
        self.events: list[DomainEvent] = []
        """Every event in order, seals included."""

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        """Keep them and their seal, which has no log digest."""
        seal = EpochSealed(
            epoch=epoch, events=len(events), log_digest="", state_digest=state_digest, memory_digest=memory_digest
        )
        self.events += [*events, seal]
        return seal


@final
class Discard:
    """A sink that records nothing: for measuring what recording costs, and for runs nobody will ask about."""

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        """The seal, with no log digest."""
        return EpochSealed(
            epoch=epoch, events=len(events), log_digest="", state_digest=state_digest, memory_digest=memory_digest
        )
