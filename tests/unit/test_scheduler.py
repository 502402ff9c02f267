from __future__ import annotations

from engine.scheduler import Scheduler


def taken(scheduler: Scheduler[str]) -> list[str]:
    found = []
    while (item := scheduler.take()) is not None:
        found.append(item)
    return found


def test_what_is_due_comes_by_epoch_then_priority_then_as_it_was_scheduled() -> None:
    scheduler = Scheduler[str]()
    scheduler.schedule("late", 2)
    scheduler.schedule("after", 1, 1)
    scheduler.schedule("first", 1)
    scheduler.schedule("second", 1)
    scheduler.schedule("before", 1, -1)

    scheduler.reach(2)

    assert taken(scheduler) == ["before", "first", "second", "after", "late"]


def test_nothing_comes_before_its_epoch() -> None:
    scheduler = Scheduler[str]()
    scheduler.schedule("later", 3)

    scheduler.reach(2)

    assert taken(scheduler) == []
    assert len(scheduler) == 1


def test_time_does_not_go_back_and_what_is_late_is_due_now() -> None:
    scheduler = Scheduler[str]()
    scheduler.reach(5)
    scheduler.reach(3)

    scheduler.schedule("late", 1)

    assert scheduler.now == 5
    assert taken(scheduler) == ["late"]
