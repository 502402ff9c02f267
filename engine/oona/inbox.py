"""Makes of deliveries at least once, in any order, effects exactly once, in the order of their stream.

A message that comes before its turn is held back, unconfirmed, until the ones before it have come; one that comes again
is confirmed and has no effect. A message is confirmed only after its effect and the new position are kept together, so
whoever is killed in between is delivered it again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Final, final

from engine.oona.bus import Delivery
from engine.oona.positions import Positions, PositionsInMemory

WINDOW: Final = 100
"""Messages that are held back before a gap is taken for a loss. Source: out-of-order window, domain reference C1."""


@final
class GapStays(RuntimeError):
    """Too much came after a message that did not come: it was lost, and waiting longer only fills the memory."""


@final
class Start(Enum):
    """Where a stream begins for somebody who knows nothing of it."""

    FIRST = "first"
    """At its first message: whoever comes later is held back until that one came."""
    OLDEST_KEPT = "oldest kept"
    """At whichever of its messages comes first, as when the bus no longer keeps the ones before."""


@final
@dataclass(slots=True)
class _Waiting:
    held: dict[int, Delivery] = field(default_factory=dict)
    recent: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ids of the messages that last had their effect."""


@final
class Inbox:
    """One consumer's; its deliveries may come from several subscriptions. For one thread."""

    def __init__(self, positions: Positions | None = None, *, window: int = WINDOW, start: Start = Start.FIRST) -> None:
        assert window >= 1, f"a window of {window} messages lets nothing through"
        self._positions = positions or PositionsInMemory()
        self._window = window
        self._start = start
        self._streams: dict[str, _Waiting] = {}

    def take(self, delivery: Delivery, effect: Callable[[Delivery], None]) -> int:
        """Deal with a delivery: ``effect`` is called for it and for those that waited for it, as far as it is their turn.

        Returns how many had their effect: 0 for one that came again or before its turn. What ``effect`` raises comes
        through; that message is neither confirmed nor counted, and can be taken again. Raises GapStays.
        """
        envelope = delivery.envelope
        waiting = self._streams.setdefault(envelope.stream, _Waiting())
        position = self._position(delivery)
        held = waiting.held.get(envelope.sequence)
        if envelope.sequence <= position:
            delivery.confirm()
            return 0
        if held is not None and held.envelope.id != envelope.id:
            delivery.reject(
                f"{envelope.stream} has two messages of number {envelope.sequence}: {held.envelope.id} and "
                f"{envelope.id}; the first is kept"
            )
            return 0
        # Delivered again while it waits: only the newer delivery can still be confirmed.
        waiting.held[envelope.sequence] = delivery
        effects = self._let_through(envelope.stream, waiting, position, effect)
        if len(waiting.held) > self._window:
            missing = self._positions.position(envelope.stream) + 1
            raise GapStays(
                f"message {missing} of {envelope.stream} is missing while {len(waiting.held)} after it wait, and the "
                f"window is {self._window}; consume from the beginning under another name, or start at the oldest kept"
            )
        return effects

    def _position(self, delivery: Delivery) -> int:
        """The number of the last message that had its effect; 0 before the first."""
        envelope = delivery.envelope
        if self._start is Start.OLDEST_KEPT and not self._positions.knows(envelope.stream):
            self._positions.advance(envelope.stream, envelope.sequence - 1, _nothing)
        return self._positions.position(envelope.stream)

    def _let_through(self, stream: str, waiting: _Waiting, position: int, effect: Callable[[Delivery], None]) -> int:
        effects = 0
        while (delivery := waiting.held.get(position + 1)) is not None:
            name = delivery.envelope.id
            is_new = name not in waiting.recent
            self._positions.advance(stream, position + 1, partial(effect, delivery) if is_new else _nothing)
            position += 1
            effects += is_new
            del waiting.held[position]
            waiting.recent[name] = None
            if len(waiting.recent) > self._window:
                waiting.recent.popitem(last=False)
            delivery.confirm()
        return effects


def _nothing() -> None:
    """The effect of a message that had its effect before."""
