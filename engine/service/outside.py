"""What a run is told from outside while services that may fail take part in it: collected between its boundaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from domain.events import BreakerMoved, OutsideFact, RecoveryTried
from domain.run import RunState
from engine.outside import Outside
from engine.service.log import Log


@final
class Incidents:
    """What happened at the edge of a process: all of it is logged, and what a run has to know waits for its boundary.

    An error that was overcome changed nothing: a run through it is the same run as one without, so its log says nothing
    of it. What was not overcome, and every move of a breaker, is part of why the run went as it did. The facts in here
    have no epoch yet, because they happened between two of them.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: list[BreakerMoved | RecoveryTried] = []

    def moved(self, fact: BreakerMoved) -> None:
        """A breaker opened, closed, or lets a call through."""
        states = {"source": fact.source.value, "target": fact.target.value}
        self._log.say("breaker.moved", breaker=fact.breaker, **states, reason=fact.reason)
        self._waiting.append(fact)

    def tried(self, fact: RecoveryTried) -> None:
        """An error was dealt with, for better or worse."""
        self._log.say(
            "recovery.tried",
            component=fact.component,
            error=fact.error.value,
            strategy=fact.strategy.value,
            attempts=fact.attempts,
            recovered=fact.recovered,
            reason=fact.detail,
        )
        if not fact.recovered:
            self._waiting.append(fact)

    def take(self) -> tuple[BreakerMoved | RecoveryTried, ...]:
        """What a run has to know since it was taken last, in order."""
        taken = tuple(self._waiting)
        self._waiting.clear()
        return taken


@final
class Surroundings:
    """The outside of a session whose controller is elsewhere: incidents first, then what people ordered.

    ``look`` is called before anything else: it brings orders that wait on a bus to where ``people`` finds them.
    """

    def __init__(self, incidents: Incidents, people: Outside, look: Callable[[], None]) -> None:
        self._incidents = incidents
        self._people = people
        self._look = look

    def at(self, epoch: int, state: RunState) -> tuple[OutsideFact, ...]:
        """What happened since the boundary before."""
        self._look()
        incidents = (fact.model_copy(update={"epoch": epoch}) for fact in self._incidents.take())
        return (*incidents, *self._people.at(epoch, state))
