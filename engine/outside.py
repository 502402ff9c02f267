"""What a session is told from outside at each boundary: by people and services, or by a recording of what they did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol, final

from domain.events import DomainEvent, OutsideFact
from domain.run import RunState


class Outside(Protocol):
    """Where facts come from that nothing inside a run decides."""

    def at(self, epoch: int, state: RunState) -> tuple[OutsideFact, ...]:
        """What has happened outside up to the end of ``epoch``, after the boundary before, in order.

        Asked once a boundary, before Tamiyo decides. A ``ControllerSilent`` among them says that it does not.
        """
        ...


@final
class Undisturbed:
    """Nothing ever comes from outside."""

    def at(self, epoch: int, state: RunState) -> tuple[OutsideFact, ...]:
        """Nothing."""
        del epoch, state
        return ()


@final
class Recalled:
    """What a recording says came from outside; behind its end, whatever ``then`` says."""

    def __init__(self, events: Iterable[DomainEvent], then: Outside | None = None) -> None:
        self._facts: defaultdict[int, list[OutsideFact]] = defaultdict(list)
        self._last = 0
        self._then = then or Undisturbed()
        for event in events:
            self._last = max(self._last, event.epoch)
            if isinstance(event, OutsideFact):
                self._facts[event.epoch].append(event)

    def at(self, epoch: int, state: RunState) -> tuple[OutsideFact, ...]:
        """As recorded."""
        return tuple(self._facts[epoch]) if epoch <= self._last else self._then.at(epoch, state)
