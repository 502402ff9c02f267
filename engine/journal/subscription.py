"""Following a journal without a thread: reading what is recorded, then waiting for what comes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, final
from weakref import WeakSet

from eventsourcing.persistence import ApplicationRecorder, Notification, PersistenceError, Subscription

POLL_S: Final = 0.05
"""How often a subscription looks for events of other processes. Those of its own process wake it at once."""

_SELECT_LIMIT: Final = 500


@final
class JournalSubscription(Subscription[ApplicationRecorder]):
    """Reads what is recorded, then waits: for a wake-up from its own process, or for the poll that sees others'.

    No thread of its own, so one that is forgotten keeps no process alive. Relies on the recorder giving out ids in the
    order of committing: where an id can be seen, nothing will ever be recorded under a lower one.
    """

    def __init__(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._pending: list[Notification] = []
        self._woken = threading.Event()

    def wake(self) -> None:
        """Look again now."""
        self._woken.set()

    def stop(self) -> None:
        """End the iteration, from whatever thread."""
        super().stop()
        self._woken.set()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._pending:
                return self._pending.pop()
            self._woken.clear()
            if not self._pull_unless_stopped():
                self._woken.wait(POLL_S)
        raise StopIteration

    def _pull_unless_stopped(self) -> bool:
        try:
            return self._pull()
        except PersistenceError:
            if self._has_been_stopped:  # the journal was closed meanwhile, by another thread
                return False
            raise

    def _pull(self) -> bool:
        newest = self._recorder.max_notification_id() or 0
        after = self._last_notification_id or 0
        if newest <= after:
            return False
        found = self._recorder.select_notifications(
            after, _SELECT_LIMIT, stop=newest, topics=self._topics, inclusive_of_start=False
        )
        # With fewer than asked for, nothing up to ``newest`` is left, whether or not its topic was wanted.
        self._last_notification_id = found[-1].id if len(found) == _SELECT_LIMIT else newest
        self._pending = list(reversed(found))
        return bool(found)


@final
class Subscriptions:
    """Those of one recorder that somebody still holds."""

    def __init__(self) -> None:
        self._open: Final[WeakSet[JournalSubscription]] = WeakSet()

    def begin(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> JournalSubscription:
        """One more."""
        subscription = JournalSubscription(recorder, gt, topics)
        self._open.add(subscription)
        return subscription

    def wake(self) -> None:
        """Something was recorded."""
        for subscription in list(self._open):
            subscription.wake()

    def stop(self) -> None:
        """End all of them."""
        for subscription in list(self._open):
            subscription.stop()
