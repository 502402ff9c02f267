"""What a message bus is to those who use it. Two implementations: ``in_process.py`` and ``jetstream.py``.

Delivery is at least once. ``inbox.py`` makes of it effects exactly once, in order. ``addresses.py`` opens a bus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.oona.dead_letters import DeadLetter
from engine.oona.envelope import Envelope
from engine.oona.topics import Topic


class BusUnavailable(ConnectionError):
    """The bus cannot be reached, or did not confirm in time. What was to be sent may have arrived."""


class Delivery(Protocol):
    """A message that was delivered to a consumer and waits to be confirmed."""

    @property
    def envelope(self) -> Envelope:
        """The message, its body fetched where it travelled as a claim check."""
        ...

    @property
    def topic(self) -> Topic:
        """Where it was published."""
        ...

    def confirm(self) -> None:
        """It had its effect; it is not delivered to this consumer again."""
        ...

    def again(self) -> None:
        """It could not be dealt with now; deliver it later."""
        ...

    def reject(self, reason: str) -> None:
        """It can never be dealt with: it goes to the dead letters with the reason."""
        ...


class Subscription(Protocol):
    """A durable consumer: it goes on where it was left, in another process too."""

    def next(self, seconds: float) -> Delivery | None:
        """The next message, or None if none came within ``seconds``.

        What is no envelope of this topic goes to the dead letters by itself and is never returned. Raises
        BusUnavailable.
        """
        ...

    def close(self) -> None:
        """Stop consuming; what was not confirmed will be delivered again."""
        ...


class Bus(Protocol):
    """Topics to publish on and to subscribe to."""

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        """Send a message; back once the bus has stored it. Sending the same id twice stores it once.

        A body over the direct limit is put into the blob store and travels as a claim check. Raises BusUnavailable.
        """
        ...

    def subscribe(self, topics: Sequence[Topic], consumer: str, *, subject: str | None = None) -> Subscription:
        """Consume ``topics`` as the durable ``consumer``, from the oldest message that is kept; of one run if given."""
        ...

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """What nobody could deal with and is still kept, oldest first. Raises BusUnavailable."""
        ...

    def close(self) -> None:
        """Leave the bus."""
        ...
