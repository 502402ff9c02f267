"""Recovery by type of error: what is tried again, what is gone without, and when somebody has to be told.

Source: domain reference I4. A kernel there is a blueprint here. Time is told by a clock and passed by a waiter that both
come from outside: nothing here reads one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar, final

from domain.events import ErrorType, RecoveryStrategy, RecoveryTried
from domain.urza.library import UnknownBlueprint
from engine.journal.errors import BlobDamaged, BlobMissing, StorageFailed
from engine.service.breakers import BreakerOpen
from engine.wording import short

ResultT = TypeVar("ResultT")

STRATEGIES: Final[Mapping[ErrorType, RecoveryStrategy]] = MappingProxyType(
    {
        ErrorType.KERNEL_EXECUTION: RecoveryStrategy.FALLBACK,
        ErrorType.UNKNOWN: RecoveryStrategy.FALLBACK,
        ErrorType.KERNEL_LOADING: RecoveryStrategy.RETRY,
        ErrorType.NETWORK_ERROR: RecoveryStrategy.RETRY,
        ErrorType.TIMEOUT: RecoveryStrategy.RETRY,
        ErrorType.KERNEL_VALIDATION: RecoveryStrategy.GRACEFUL_DEGRADATION,
        ErrorType.CIRCUIT_BREAKER: RecoveryStrategy.GRACEFUL_DEGRADATION,
        ErrorType.MEMORY_OVERFLOW: RecoveryStrategy.CIRCUIT_BREAKER,
        ErrorType.DEVICE_ERROR: RecoveryStrategy.ESCALATE,
    }
)
"""What is done about each type of error. Only RETRY tries again; all others give up at once, in their own name."""

DELAYS_S: Final = (0.0, 1.0, 2.0)
"""Before the first, second and third attempt to recover, seconds."""
REMEMBERED: Final = 100
"""Errors that the tracker keeps."""
RATE_WINDOW_S: Final = 300.0
RATE_MAX: Final = 0.1
"""Errors of one type a second, over the window, above which it escalates."""
SUBJECT_ERRORS: Final = 3
COMPONENT_ERRORS: Final = 10
"""Errors within the window from which on a subject (a blueprint, a run) or a component is problematic."""

_TYPES: Final[tuple[tuple[type[BaseException], ErrorType], ...]] = (
    (BreakerOpen, ErrorType.CIRCUIT_BREAKER),
    (BlobMissing, ErrorType.KERNEL_LOADING),
    (StorageFailed, ErrorType.KERNEL_LOADING),
    (BlobDamaged, ErrorType.KERNEL_VALIDATION),
    (UnknownBlueprint, ErrorType.KERNEL_LOADING),
    (ArithmeticError, ErrorType.KERNEL_EXECUTION),
    (MemoryError, ErrorType.MEMORY_OVERFLOW),
    (TimeoutError, ErrorType.TIMEOUT),
    (ConnectionError, ErrorType.NETWORK_ERROR),
)
"""First match counts: some of these are kinds of others."""
_WORDS: Final = (
    ("out of memory", ErrorType.MEMORY_OVERFLOW),
    ("device", ErrorType.DEVICE_ERROR),
    ("timeout", ErrorType.TIMEOUT),
    ("timed out", ErrorType.TIMEOUT),
)
"""What an error's text says where its class says nothing."""


def error_type(error: BaseException) -> ErrorType:
    """What kind of error it is: by its class, else by what it says, else UNKNOWN."""
    for kind, found in _TYPES:
        if isinstance(error, kind):
            return found
    said = str(error).lower()
    return next((found for words, found in _WORDS if words in said), ErrorType.UNKNOWN)


@final
class _Error(NamedTuple):
    """An error as the tracker keeps it."""

    at_s: float
    component: str
    subject: str
    kind: ErrorType


@final
class Tracker:
    """The last 100 errors, and who makes too many of them."""

    def __init__(self) -> None:
        self._errors: deque[_Error] = deque(maxlen=REMEMBERED)

    def add(self, now_s: float, component: str, kind: ErrorType, subject: str = "") -> None:
        """Keep an error of ``component``, about ``subject``, a blueprint or a run, if it is about one."""
        self._errors.append(_Error(now_s, component, subject, kind))

    def escalates(self, now_s: float, component: str, kind: ErrorType, subject: str = "") -> str | None:
        """Why another error like this is beyond recovery, or None."""
        recent = [error for error in self._errors if now_s - error.at_s <= RATE_WINDOW_S]
        of_component = sum(error.component == component for error in recent)
        if of_component >= COMPONENT_ERRORS:
            return f"{component} is problematic: {of_component} errors in {RATE_WINDOW_S:g} s"
        of_subject = sum(error.subject == subject for error in recent) if subject else 0
        if of_subject >= SUBJECT_ERRORS:
            return f"{subject} is problematic: {of_subject} errors in {RATE_WINDOW_S:g} s"
        rate = sum(error.kind is kind for error in recent) / RATE_WINDOW_S
        return f"{rate:.2g} errors of type {kind.value} a second" if rate > RATE_MAX else None


class NotRecovered(Exception):
    """What was tried came to nothing; ``__cause__`` is the last error."""

    def __init__(self, tried: RecoveryTried) -> None:
        super().__init__(f"{tried.component}: {tried.detail}")
        self.tried = tried


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Calls what may fail, and deals with its errors by their type."""

    clock: Callable[[], float]
    """Seconds since whenever."""
    wait: Callable[[float], None]
    """Lets so many seconds pass."""
    report: Callable[[RecoveryTried], None]
    """Is told of every error that was dealt with, as a fact that has no epoch yet."""
    tracker: Tracker

    def call(
        self, component: str, action: Callable[[], ResultT], *, until_s: float = math.inf, subject: str = ""
    ) -> ResultT:
        """What ``action`` returns, at the first attempt or one of three more; none begins after ``until_s``.

        Raises NotRecovered, also where ``action`` itself calls something that did not recover. An escalation never
        counts as recovered.
        """
        try:
            return action()
        except NotRecovered:
            raise
        except Exception as error:
            kind = error_type(error)
            self.tracker.add(self.clock(), component, kind, subject)
            beyond = self.tracker.escalates(self.clock(), component, kind, subject)
            strategy = STRATEGIES[kind] if beyond is None else RecoveryStrategy.ESCALATE
            if strategy is not RecoveryStrategy.RETRY:
                tried = self._tried(component, kind, strategy, 0, recovered=False, detail=beyond or said(error))
                raise NotRecovered(tried) from error
            return self._again(component, action, kind, error, until_s)

    def _again(
        self, component: str, action: Callable[[], ResultT], kind: ErrorType, error: Exception, until_s: float
    ) -> ResultT:
        attempts, last = 0, error
        for delay in DELAYS_S:
            if self.clock() + delay >= until_s:
                break
            self.wait(delay)
            attempts += 1
            try:
                result = action()
            except BreakerOpen as refused:
                last = refused
                break
            except Exception as again:
                last = again
            else:
                self._tried(component, kind, RecoveryStrategy.RETRY, attempts, recovered=True, detail=said(error))
                return result
        tried = self._tried(component, kind, RecoveryStrategy.RETRY, attempts, recovered=False, detail=said(last))
        raise NotRecovered(tried) from last

    def _tried(
        self,
        component: str,
        kind: ErrorType,
        strategy: RecoveryStrategy,
        attempts: int,
        *,
        recovered: bool,
        detail: str,
    ) -> RecoveryTried:
        tried = RecoveryTried(
            epoch=0,
            component=component,
            error=kind,
            strategy=strategy,
            attempts=attempts,
            recovered=recovered,
            detail=detail,
        )
        self.report(tried)
        return tried


def said(error: BaseException) -> str:
    """An error in a line that can be recorded."""
    return f"{type(error).__name__}: {short(str(error))}"
