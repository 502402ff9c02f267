"""What may befall a message between its publisher and a consumer: facts, drawn from a stream, the same each time.

A fault is drawn for one message and one consumer alone, so it is the same whatever else travels, in whatever order.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol, final

from pydantic import Field

from domain.values import Value
from engine.oona.envelope import Envelope, name_of
from engine.randomness import stream

LATER_MAX: Final = 3
"""The furthest that a seeded fault moves a message, in priorities of its epoch."""


@final
class FaultKind(Enum):
    """What befell a message."""

    DELAYED = "delayed"
    """It came later, with others before it that were published after it."""
    LOST = "lost"
    """It did not come; the bus saw no confirmation and delivered it later."""
    DUPLICATED = "duplicated"
    """It came, and came again later."""
    REORDERED = "reordered"
    """It came before what was published before it."""


@final
class MessageFault(Value):
    """One thing that befell one message on its way to one consumer."""

    message: str
    """Source and id of the message."""
    consumer: str
    kind: FaultKind
    later: int = Field(ge=0)
    """Priorities that the late copy comes after its time, within the epoch; how far a reordered one comes early."""
    epochs: int = Field(default=0, ge=0)
    """Epochs that the late copy comes after its time."""


class Faults(Protocol):
    """Says what befalls a message."""

    def befalling(self, envelope: Envelope, consumer: str) -> MessageFault | None:
        """What befalls this message on its way to ``consumer``; the same answer whenever it is asked."""
        ...


@final
class NoFaults:
    """Everything comes once, at its time."""

    def befalling(self, envelope: Envelope, consumer: str) -> MessageFault | None:
        """Nothing."""
        del envelope, consumer
        return None


@final
class SeededFaults:
    """Draws from the stream ``oona/faults/CONSUMER/SOURCE/ID`` of a run key, at the message's epoch."""

    def __init__(self, run_key: int, shares: Mapping[FaultKind, float], *, epochs_max: int = 0) -> None:
        """``shares`` in [0, 1] of messages that each kind befalls; ``epochs_max`` is how late one may come in epochs."""
        assert all(share >= 0 for share in shares.values()), f"a share of messages is below 0: {shares}"
        assert sum(shares.values()) <= 1, f"shares of messages sum to more than 1: {shares}"
        self._run_key = run_key
        self._shares: Final = tuple((kind, shares.get(kind, 0.0)) for kind in FaultKind)
        self._epochs_max = epochs_max

    def befalling(self, envelope: Envelope, consumer: str) -> MessageFault | None:
        """Draws one kind at most."""
        message = name_of(envelope)
        drawn = stream(self._run_key, f"oona/faults/{consumer}/{message}", envelope.epoch)
        chance, later, epochs = (
            drawn.random(),
            drawn.integers(1, LATER_MAX + 1),
            drawn.integers(0, self._epochs_max + 1),
        )
        for kind, share in self._shares:
            if chance < share:
                return MessageFault(message=message, consumer=consumer, kind=kind, later=int(later), epochs=int(epochs))
            chance -= share
        return None
