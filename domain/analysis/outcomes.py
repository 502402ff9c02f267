"""Decisions beside what came of them: one ``DecisionOutcome`` a rewarded adaptation, as a fold of a run's events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, final

from domain.commands import Germinate
from domain.events import AdaptationRewarded, DecisionMade, DomainEvent, SeedGerminated
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.reward.worth import MultiMetricReward, RewardComponent
from domain.values import Value


@final
class DecisionOutcome(Value):
    """A decision to germinate, and the reward of the adaptation that it began."""

    adaptation: AdaptationId
    blueprint_id: BlueprintId
    germinated_at: int
    confidence: float
    urgency: float
    reward: MultiMetricReward

    @property
    def components(self) -> dict[RewardComponent, float]:
        """The reward's seven components by name."""
        return dict(self.reward.components)


@final
class Outcomes:
    """Decisions waiting for their reward, event after event."""

    def __init__(self) -> None:
        self._asked: tuple[SeedId, float, float] | None = None
        self._opened: dict[AdaptationId, tuple[int, float, float]] = {}

    def after(self, event: DomainEvent) -> DecisionOutcome | None:
        """Take one more event; the decision that it rewards, if it does."""
        match event:
            case DecisionMade():
                decision = event.decision
                if isinstance(decision.command, Germinate):
                    self._asked = (decision.command.seed, decision.confidence, decision.urgency)
            case SeedGerminated():
                if self._asked is not None and self._asked[0] == event.adaptation.seed:
                    self._opened[event.adaptation] = (event.epoch, *self._asked[1:])
            case AdaptationRewarded():
                return self._rewarded(event)
            case _:
                pass
        return None

    def _rewarded(self, event: AdaptationRewarded) -> DecisionOutcome | None:
        opened = self._opened.pop(event.adaptation, None)
        if opened is None:
            return None
        germinated_at, confidence, urgency = opened
        return DecisionOutcome(
            adaptation=event.adaptation,
            blueprint_id=event.blueprint_id,
            germinated_at=germinated_at,
            confidence=confidence,
            urgency=urgency,
            reward=event.reward,
        )

    def memory(self) -> Any:
        """What is waiting, as JSON."""
        asked = None if self._asked is None else [str(self._asked[0]), *self._asked[1:]]
        return [asked, [[str(name.seed), name.attempt, *held] for name, held in self._opened.items()]]

    @classmethod
    def remembered(cls, memory: Any) -> Self:
        """Go on with what ``memory`` gave."""
        found, (asked, opened) = cls(), memory
        found._asked = None if asked is None else (SeedId.parse(asked[0]), asked[1], asked[2])
        for seed, attempt, epoch, confidence, urgency in opened:
            name = AdaptationId(seed=SeedId.parse(seed), attempt=attempt)
            found._opened[name] = (epoch, confidence, urgency)
        return found


def decision_outcomes(events: Iterable[DomainEvent]) -> tuple[DecisionOutcome, ...]:
    """Every rewarded decision of a run, in order of the rewards."""
    outcomes = Outcomes()
    return tuple(found for event in events if (found := outcomes.after(event)) is not None)
