"""Breakers and recovery at the edge of a process: what opens, what is tried again, what is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.events import BreakerMoved, BreakerState, ErrorType, RecoveryStrategy, RecoveryTried
from domain.urza.library import UnknownBlueprint
from engine.journal.errors import BlobDamaged, BlobMissing
from engine.oona.bus import BusUnavailable
from engine.service.breakers import BUS, LIBRARY, LIMITS, TAMIYO, TRAINER, Breaker, BreakerOpen, Limits
from engine.service.library import GuardedBlobs
from engine.service.line import AnswerLate
from engine.service.one_process import StillClock
from engine.service.recovery import STRATEGIES, NotRecovered, Recovery, Tracker, error_type
from engine.trainers.stores import MemoryStore

AT_ONCE = replace(LIMITS[TAMIYO], recovery_s=0.0)
"""Half open as soon as it is called again: nobody waits."""


def failing() -> None:
    raise BusUnavailable("away")


class Failing:
    """Fails so many times, then succeeds."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


def broken(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(BusUnavailable):
            breaker.call(failing)


@pytest.mark.parametrize(
    ("name", "limits"), [(BUS, (5, 60, 3)), (LIBRARY, (5, 30, 3)), (TAMIYO, (3, 45, 2)), (TRAINER, (3, 60, 3))]
)
def test_the_breakers_have_the_parameters_of_the_table(name: str, limits: tuple[int, int, int]) -> None:
    found = LIMITS[name]

    assert (found.failures_max, found.recovery_s, found.successes_min, found.call_s) == (*limits, 30)


def test_a_breaker_opens_at_its_limit_and_then_tries_nothing() -> None:
    moved: list[BreakerMoved] = []
    breaker = Breaker(TAMIYO, LIMITS[TAMIYO], moved.append)
    broken(breaker, 2)
    breaker.call(lambda: "a success zeroes the count")
    broken(breaker, 3)

    calls = Failing(0, RuntimeError())
    with pytest.raises(BreakerOpen, match="'tamiyo' is open"):
        breaker.call(calls)

    assert calls.calls == 0
    assert [(move.source, move.target) for move in moved] == [(BreakerState.CLOSED, BreakerState.OPEN)]
    assert moved[0].reason == "BusUnavailable: 'away'"
    counts = breaker.counts
    assert (counts.requests, counts.failures, counts.successes, counts.opens, counts.refused) == (7, 5, 1, 1, 1)


def test_a_breaker_closes_after_enough_successes_and_one_failure_opens_it_again() -> None:
    moved: list[BreakerMoved] = []
    breaker = Breaker(TAMIYO, AT_ONCE, moved.append)
    broken(breaker, 3)
    broken(breaker, 1)
    breaker.call(lambda: "one")
    assert breaker.counts.state is BreakerState.HALF_OPEN
    breaker.call(lambda: "two")

    assert breaker.counts.state is BreakerState.CLOSED
    names = [move.target.value for move in moved]
    assert names == ["OPEN", "HALF_OPEN", "OPEN", "HALF_OPEN", "CLOSED"]
    assert moved[-1].reason == "2 calls in a row succeeded"


def test_what_came_too_late_is_counted_as_such() -> None:
    breaker = Breaker(TAMIYO, LIMITS[TAMIYO], lambda move: None)
    with pytest.raises(AnswerLate):
        breaker.call(Failing(1, AnswerLate("late")))

    assert (breaker.counts.failures, breaker.counts.timeouts) == (1, 1)


def test_a_store_that_fails_too_often_is_not_asked_any_more() -> None:
    limits = Limits(failures_max=2, recovery_s=30, successes_min=3, call_s=30)
    blobs = GuardedBlobs(MemoryStore(), Breaker(LIBRARY, limits, lambda move: None))
    digest = blobs.put(b"body")
    assert blobs.get(digest) == b"body"
    for _ in range(2):
        with pytest.raises(KeyError):
            blobs.get("0" * 64)

    with pytest.raises(BreakerOpen):
        blobs.get(digest)


@pytest.mark.parametrize(
    ("error", "kind", "strategy"),
    [
        (BusUnavailable("away"), ErrorType.NETWORK_ERROR, RecoveryStrategy.RETRY),
        (AnswerLate("late"), ErrorType.TIMEOUT, RecoveryStrategy.RETRY),
        (RuntimeError("request timed out"), ErrorType.TIMEOUT, RecoveryStrategy.RETRY),
        (BlobMissing("gone"), ErrorType.KERNEL_LOADING, RecoveryStrategy.RETRY),
        (UnknownBlueprint("none"), ErrorType.KERNEL_LOADING, RecoveryStrategy.RETRY),
        (BlobDamaged("bits"), ErrorType.KERNEL_VALIDATION, RecoveryStrategy.GRACEFUL_DEGRADATION),
        (BreakerOpen("open"), ErrorType.CIRCUIT_BREAKER, RecoveryStrategy.GRACEFUL_DEGRADATION),
        (FloatingPointError("nan"), ErrorType.KERNEL_EXECUTION, RecoveryStrategy.FALLBACK),
        (MemoryError(), ErrorType.MEMORY_OVERFLOW, RecoveryStrategy.CIRCUIT_BREAKER),
        (RuntimeError("CUDA out of memory"), ErrorType.MEMORY_OVERFLOW, RecoveryStrategy.CIRCUIT_BREAKER),
        (RuntimeError("device-side assert"), ErrorType.DEVICE_ERROR, RecoveryStrategy.ESCALATE),
        (RuntimeError("what now"), ErrorType.UNKNOWN, RecoveryStrategy.FALLBACK),
    ],
)
def test_every_error_has_its_type_and_every_type_its_strategy(
    error: Exception, kind: ErrorType, strategy: RecoveryStrategy
) -> None:
    assert error_type(error) is kind
    assert STRATEGIES[kind] is strategy


def recovery(clock: StillClock, told: list[RecoveryTried]) -> Recovery:
    return Recovery(clock=clock, wait=clock.wait, report=told.append, tracker=Tracker())


def test_a_network_error_is_tried_again_at_once_after_one_second_and_after_two() -> None:
    waited, told = list[float](), list[RecoveryTried]()
    trying = Recovery(clock=StillClock(), wait=waited.append, report=told.append, tracker=Tracker())
    assert trying.call(BUS, Failing(3, BusUnavailable("away"))) == "done"

    assert waited == [0.0, 1.0, 2.0]
    assert [(tried.attempts, tried.recovered, tried.error) for tried in told] == [(3, True, ErrorType.NETWORK_ERROR)]


def test_the_fourth_failure_is_the_last_and_no_attempt_begins_after_its_time() -> None:
    clock, told = StillClock(), list[RecoveryTried]()
    calls = Failing(99, BusUnavailable("away"))
    with pytest.raises(NotRecovered, match="bus: BusUnavailable: 'away'"):
        recovery(clock, told).call(BUS, calls)
    assert calls.calls == 4
    with pytest.raises(NotRecovered):
        recovery(clock, told).call(BUS, calls, until_s=clock() + 1.0)

    assert [(tried.attempts, tried.recovered) for tried in told] == [(3, False), (1, False)]


def test_what_is_not_to_be_tried_again_is_given_up_in_its_own_name() -> None:
    clock, told = StillClock(), list[RecoveryTried]()
    calls = Failing(1, BreakerOpen("open"))
    with pytest.raises(NotRecovered):
        recovery(clock, told).call(TAMIYO, calls)

    assert (calls.calls, told[0].strategy, told[0].attempts) == (1, RecoveryStrategy.GRACEFUL_DEGRADATION, 0)


@pytest.mark.parametrize(("subject", "errors"), [("run 7", 3), ("", 10)])
def test_who_makes_too_many_errors_is_escalated_and_not_tried_again(subject: str, errors: int) -> None:
    clock, told = StillClock(), list[RecoveryTried]()
    recovering = recovery(clock, told)
    for _ in range(errors - 1):
        assert recovering.call(BUS, Failing(1, BusUnavailable("away")), subject=subject) == "done"
    with pytest.raises(NotRecovered, match=f"is problematic: {errors} errors"):
        recovering.call(BUS, Failing(1, BusUnavailable("away")), subject=subject)

    assert (told[-1].strategy, told[-1].recovered) == (RecoveryStrategy.ESCALATE, False)
    clock.wait(301.0)
    assert recovering.call(BUS, Failing(1, BusUnavailable("away")), subject=subject) == "done", (
        "old errors are forgiven"
    )


def test_a_flood_of_one_type_is_escalated_whoever_makes_it() -> None:
    tracker = Tracker()
    for number in range(31):
        tracker.add(0.0, f"component {number}", ErrorType.TIMEOUT)

    assert tracker.escalates(0.0, "another", ErrorType.TIMEOUT) == "0.1 errors of type TIMEOUT a second"
    assert tracker.escalates(0.0, "another", ErrorType.NETWORK_ERROR) is None
