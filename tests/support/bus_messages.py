"""Messages for tests of the bus, and what collects their effects."""

from __future__ import annotations

from collections.abc import Iterable

from domain.events import PanicRaised
from engine.oona.bus import Delivery
from engine.oona.envelope import Envelope, event_envelope, event_of, name_of
from engine.oona.faults import MessageFault


def message(number: int, *, run: str = "run", epoch: int = 1, reason: str = "") -> Envelope:
    """Message ``number`` of a run, for topic EPOCHS."""
    event = PanicRaised(epoch=epoch, reason=reason or f"panic {number}")
    return event_envelope(event, run=run, position=number, source="tolaria")


class TheseFaults:
    """Befall the messages that they name, and no other."""

    def __init__(self, facts: Iterable[MessageFault]) -> None:
        self._facts = {(fact.message, fact.consumer): fact for fact in facts}

    def befalling(self, envelope: Envelope, consumer: str) -> MessageFault | None:
        return self._facts.get((name_of(envelope), consumer))


class Effects:
    """Remembers what had an effect, by stream and in order."""

    def __init__(self) -> None:
        self.had: dict[str, list[int]] = {}
        self.reasons: list[str] = []

    def __call__(self, delivery: Delivery) -> None:
        event = event_of(delivery.envelope)
        assert isinstance(event, PanicRaised)
        self.reasons.append(event.reason)
        self.had.setdefault(delivery.envelope.stream, []).append(delivery.envelope.sequence)
