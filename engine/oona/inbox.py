"""Makes of deliveries at least once, in any order, effects exactly once, in the order of their stream.

A message that comes before its turn is held back, unconfirmed, until the ones before it have come; one that comes again
is confirmed and has no effect. A message is confirmed only after its effect. What an inbox knows is gone with its
process, and so are the effects: whoever is killed begins again at the oldest message, under another name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from engine.oona.bus import Delivery

WINDOW: Final = 100
"""How far behind a missing message one may come before the gap is taken for a loss. Source: out-of-order window, C1."""


@final
class GapStays(RuntimeError):
    """What came is too far behind a message that did not come: that one was lost, and waiting only fills the memory."""


@final
@dataclass(slots=True)
class _Stream:
    position: int = 0
    """The number of the last message that had its effect; 0 before the first."""
    held: dict[int, Delivery] = field(default_factory=dict)
    recent: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ids of the messages that last had their effect."""


@final
class Inbox:
    """One consumer's; its deliveries may come from several subscriptions. For one thread."""

    def __init__(self, *, window: int = WINDOW) -> None:
        assert window >= 1, f"a window of {window} messages lets nothing through"
        self._window = window
        self._streams: dict[str, _Stream] = {}

    def take(self, delivery: Delivery, effect: Callable[[Delivery], None]) -> int:
        """Deal with a delivery: ``effect`` is called for it and for those that waited for it, as far as it is their turn.

        Returns how many had their effect: 0 for one that came again or before its turn. What ``effect`` raises comes
        through; that message is neither confirmed nor counted, and can be taken again. Raises GapStays, and leaves the
        delivery as it is.
        """
        envelope = delivery.envelope
        stream = self._streams.setdefault(envelope.stream, _Stream())
        held = stream.held.get(envelope.sequence)
        if envelope.sequence <= stream.position:
            delivery.confirm()
            return 0
        if held is not None and held.envelope.id != envelope.id:
            delivery.reject(
                f"{envelope.stream} has two messages of number {envelope.sequence}: {held.envelope.id} and "
                f"{envelope.id}; the first is kept"
            )
            return 0
        if envelope.sequence > stream.position + 1 + self._window:
            raise GapStays(
                f"message {stream.position + 1} of {envelope.stream} is missing while number {envelope.sequence} is "
                f"there, and the window is {self._window}; consume from the beginning under another name"
            )
        # Delivered again while it waits: only the newer delivery can still be confirmed.
        stream.held[envelope.sequence] = delivery
        return self._let_through(stream, effect)

    def has_gap(self, stream: str) -> bool:
        """Whether messages of ``stream`` wait for one that has not come."""
        return stream in self._streams and bool(self._streams[stream].held)

    def forget(self, stream: str) -> None:
        """Nobody wants to know of ``stream`` any more: what waits in it is confirmed, what is known of it dropped."""
        for delivery in self._streams.pop(stream, _Stream()).held.values():
            delivery.confirm()

    def _let_through(self, stream: _Stream, effect: Callable[[Delivery], None]) -> int:
        effects = 0
        while (delivery := stream.held.get(stream.position + 1)) is not None:
            name = delivery.envelope.id
            if name not in stream.recent:
                effect(delivery)
                effects += 1
            stream.position += 1
            del stream.held[stream.position]
            stream.recent[name] = None
            if len(stream.recent) > self._window:
                stream.recent.popitem(last=False)
            delivery.confirm()
        return effects
