"""What is due when: a heap of (epoch, priority, sequence). The only notion of now that there is.

Within an epoch what has the lower priority number comes first, and among equals what was scheduled first. Nothing else
breaks a tie, so equal schedules are equal in another process too. Source: SimPy's event queue.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar, final

T = TypeVar("T")


@final
class Scheduler(Generic[T]):
    """Things that are due, in order; epochs never go back."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, T]] = []
        self._numbers = count()
        self._now = 0

    @property
    def now(self) -> int:
        """The epoch that has been reached."""
        return self._now

    def reach(self, epoch: int) -> None:
        """It is ``epoch`` now, unless it is later already: what is due by then may be taken."""
        self._now = max(self._now, epoch)

    def schedule(self, item: T, epoch: int, priority: int = 0) -> None:
        """Have ``item`` due in ``epoch``; in one that is over, now."""
        heappush(self._heap, (max(epoch, self._now), priority, next(self._numbers), item))

    def take(self) -> T | None:
        """The next thing that is due by now, or None."""
        if not self._heap or self._heap[0][0] > self._now:
            return None
        return heappop(self._heap)[3]

    def __len__(self) -> int:
        """How many things are scheduled, due or not."""
        return len(self._heap)
