"""What nobody could deal with: kept with the reason, so that it stops nothing and a person can look at it."""

from __future__ import annotations

from typing import Final, Self, final

from domain.values import Value

DELIVERIES_MAX: Final = 10
"""How often a message is delivered to a consumer that puts it back or dies of it. A restart costs a delivery, too."""

KEPT_BYTES_MAX: Final = 100_000
"""Of a payload: enough to see what it was."""


@final
class DeadLetter(Value):
    """A message that was taken out of a consumer's way."""

    subject: str
    """Where it was published."""
    consumer: str
    """Whose way it was in."""
    reason: str
    payload: str
    """As text, up to 100,000 bytes; bytes that are no UTF-8 as ``\\xff``."""

    @classmethod
    def of(cls, content: bytes, *, subject: str, consumer: str, reason: str) -> Self:
        """The dead letter of a message whose payload was ``content``."""
        payload = content[:KEPT_BYTES_MAX].decode(errors="backslashreplace")
        return cls(subject=subject, consumer=consumer, reason=reason, payload=payload)
