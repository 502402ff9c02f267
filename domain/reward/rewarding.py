"""What rewards are worked out of, kept as it happens: a fold of decisions, metrics and earlier rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.events.event import DomainEvent


@final
@dataclass(frozen=True)
class Rewarding:
    """Weights as they have adapted, open decisions, baselines."""

    def after(self, event: DomainEvent) -> Rewarding:
        """With one more event in it: a decision, an epoch, a conclusion or a reward."""
        del event
        return self

    @property
    def text(self) -> str:
        """Canonical JSON, for the state's digest."""
        return "{}"


NOTHING_REWARDED: Final = Rewarding()
