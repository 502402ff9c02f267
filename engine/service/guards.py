"""What stands between a process and everything that may fail: its breakers, its recovery, its log, and its clock.

Wall-clock time exists here and in what uses this, nowhere deeper: clock and waiter are given by whoever starts a process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeVar, final

from engine.journal.errors import StorageFailed
from engine.oona.bus import BusUnavailable
from engine.service.breakers import LIMITS, Breaker, BreakerOpen, Limits
from engine.service.log import Log
from engine.service.outside import Incidents
from engine.service.recovery import Recovery, Tracker

ResultT = TypeVar("ResultT")

TROUBLE: Final = (BusUnavailable, BreakerOpen, StorageFailed)
"""What a call to the bus raises when it cannot be done now: the bus is away, was away too often, or a disk is full."""


@final
@dataclass(frozen=True, slots=True)
class Guards:
    """Of one process."""

    clock: Callable[[], float]
    """Seconds since whenever."""
    wait: Callable[[float], None]
    """Lets so many seconds pass."""
    log: Log
    incidents: Incidents
    breakers: Mapping[str, Breaker]
    recovery: Recovery

    @classmethod
    def of(
        cls,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        log: Log,
        limits: Mapping[str, Limits] = LIMITS,
    ) -> Self:
        """Guards with a breaker for each of ``limits``."""
        incidents = Incidents(log)
        breakers = {name: Breaker(name, limit, incidents.moved) for name, limit in limits.items()}
        recovery = Recovery(clock=clock, wait=wait, report=incidents.tried, tracker=Tracker())
        return cls(clock, wait, log, incidents, breakers, recovery)

    def call(self, name: str, action: Callable[[], ResultT], until_s: float, subject: str = "") -> ResultT:
        """What ``action`` returns, through the breaker ``name`` and with its recovery. Raises NotRecovered."""
        breaker = self.breakers[name]
        return self.recovery.call(name, lambda: breaker.call(action), until_s=until_s, subject=subject)
