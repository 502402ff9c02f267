"""Circuit breakers at the edge of a process: pybreaker with the parameters of domain reference I5, its moves as facts.

A breaker that opened fails at once, without trying, until its recovery time is over. Then one call may try: where it
fails the breaker opens again, where enough of them succeed it closes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar, final

from domain.events import BreakerMoved, BreakerState
from domain.values import Value
from engine.wording import short

ResultT = TypeVar("ResultT")


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """Parameters of a breaker."""

    failures_max: int
    """Failures in a row that open it."""
    recovery_s: float
    """How long it stays open, seconds."""
    successes_min: int
    """Successes in a row that close it when it is half open."""
    call_s: float
    """How long a call may take, seconds: whoever calls hands it to what is called."""


BUS: Final = "bus"
LIBRARY: Final = "library"
TAMIYO: Final = "tamiyo"
TRAINER: Final = "trainer"

LIMITS: Final[Mapping[str, Limits]] = MappingProxyType(
    {
        BUS: Limits(failures_max=5, recovery_s=60, successes_min=3, call_s=30),
        LIBRARY: Limits(failures_max=5, recovery_s=30, successes_min=3, call_s=30),
        TAMIYO: Limits(failures_max=3, recovery_s=45, successes_min=2, call_s=30),
        TRAINER: Limits(failures_max=3, recovery_s=60, successes_min=3, call_s=30),
    }
)
"""Of each breaker by name. Source: domain reference I5, rows v2 bus (its call time the default's), kernel cache -> Urza,
TamiyoClient, execution integrator."""


class BreakerOpen(ConnectionError):
    """The breaker is open: nothing was tried."""


@final
class Counts(Value):
    """What went through a breaker since the process began, and how it stands now."""

    state: BreakerState = BreakerState.CLOSED
    """One whose recovery time is over stays open until somebody calls."""
    requests: int = 0
    failures: int = 0
    successes: int = 0
    timeouts: int = 0
    """Failures that were for want of time; they count as failures too."""
    opens: int = 0
    refused: int = 0
    """Requests that were not even tried, because it was open."""


@final
class Breaker:
    """One named breaker. ``moved`` is told every change of its state, as a fact that has no epoch yet."""

    def __init__(self, name: str, limits: Limits, moved: Callable[[BreakerMoved], None]) -> None:
        from pybreaker import CircuitBreaker  # lazily: only what talks to another process needs it

        self.name = name
        self.limits = limits
        self._counts = Counts()
        self._moved = moved
        self._why = ""
        self._breaker = CircuitBreaker(
            fail_max=limits.failures_max,
            reset_timeout=limits.recovery_s,
            success_threshold=limits.successes_min,
            listeners=[_listener(self._changed)],
            name=name,
            throw_new_error_on_trip=False,
        )

    @property
    def counts(self) -> Counts:
        """As they stand."""
        return self._counts.model_copy(update={"state": _state(self._breaker.current_state)})

    def call(self, action: Callable[[], ResultT]) -> ResultT:
        """What ``action`` returns. Raises what it raises, and BreakerOpen where it was not even tried."""
        from pybreaker import CircuitBreakerError

        self._count(requests=1)
        try:
            result: ResultT = self._breaker.call(self._noting, action)
        except CircuitBreakerError as error:
            self._count(refused=1)
            raise BreakerOpen(
                f"the breaker {self.name!r} is open; it lets a call through {self.limits.recovery_s:g} s after it opened"
            ) from error
        except Exception as error:
            self._count(failures=1, timeouts=int(isinstance(error, TimeoutError)))
            raise
        self._count(successes=1)
        return result

    def _noting(self, action: Callable[[], ResultT]) -> ResultT:
        """``action``, its error kept as the reason of whatever the breaker does about it."""
        try:
            result = action()
        except Exception as error:
            self._why = f"{type(error).__name__}: {short(str(error))}"
            raise
        self._why = f"{self.limits.successes_min} calls in a row succeeded"
        return result

    def _changed(self, source: str, target: str) -> None:
        reason = self._why
        if _state(target) is BreakerState.OPEN:
            self._count(opens=1)
        elif _state(target) is BreakerState.HALF_OPEN:
            reason = f"{self.limits.recovery_s:g} s have passed"
        self._moved(
            BreakerMoved(epoch=0, breaker=self.name, source=_state(source), target=_state(target), reason=reason)
        )

    def _count(self, **more: int) -> None:
        self._counts = self._counts.model_copy(
            update={name: getattr(self._counts, name) + count for name, count in more.items()}
        )


def _state(name: str) -> BreakerState:
    return BreakerState(name.upper().replace("-", "_"))


def _listener(changed: Callable[[str, str], None]) -> Any:
    """What pybreaker tells of its moves: it wants a subclass of its own listener."""
    from pybreaker import CircuitBreakerListener

    class _Listener(CircuitBreakerListener):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            changed(old_state.name, new_state.name)

    return _Listener()
