"""Runs of nothing but decisions and their rewards, as many as statistics need."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from domain.commands import Decision, Germinate, GraftingStrategy, Reads
from domain.events import AdaptationRewarded, DecisionMade, DomainEvent, SeedGerminated
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.reward.worth import MultiMetricReward, RewardComponent, TemporalImpact

PLANTED = BlueprintId("ab" * 32)


def rewarded_run(
    count: int = 30,
    *,
    confidence: Callable[[int], float] = lambda number: (number % 10) / 10,
    accuracy: Callable[[int], float] = lambda number: (number % 10) / 20 - 0.2 + (number % 3) / 50,
) -> tuple[DomainEvent, ...]:
    """``count`` germinations of one seed, each rewarded in the epoch after; by default the surer, the more accurate."""
    return tuple(event for number in range(count) for event in _one(number, confidence(number), accuracy(number)))


def _one(number: int, confidence: float, accuracy: float) -> Iterator[DomainEvent]:
    seed = SeedId(layer=number % 2, index=0)
    adaptation = AdaptationId(seed=seed, attempt=number + 1)
    graft = GraftingStrategy.FIXED_RAMP
    order = Germinate(seed=seed, blueprint_id=PLANTED, reads=Reads.LAYER, grafting=graft)
    epoch = 2 * number + 1
    yield DecisionMade(epoch=epoch, number=0, decision=Decision(command=order, reason="test", confidence=confidence))
    yield SeedGerminated(
        epoch=epoch,
        adaptation=adaptation,
        blueprint_id=PLANTED,
        reads=Reads.LAYER,
        grafting=graft,
        validation_accuracy=0.5,
        validation_loss=1.0,
    )
    yield AdaptationRewarded(
        epoch=epoch + 1, adaptation=adaptation, blueprint_id=PLANTED, reward=reward_of(accuracy, total=accuracy)
    )


def reward_of(accuracy: float, *, total: float, speed: float = -0.5, stability: float = 0.2) -> MultiMetricReward:
    """A reward that says this and nothing else of interest."""
    said = dict.fromkeys(RewardComponent, 0.0) | {
        RewardComponent.ACCURACY: accuracy,
        RewardComponent.SPEED: speed,
        RewardComponent.STABILITY: stability,
    }
    weighted = [name for name in RewardComponent if name is not RewardComponent.CONSISTENCY]
    horizons = (("immediate", 1), ("short", 5), ("medium", 10), ("long", 20))
    return MultiMetricReward(
        components=tuple(said.items()),
        weights=tuple((name, 1 / len(weighted)) for name in weighted),
        impacts=tuple(
            TemporalImpact(horizon=name, epochs=epochs, impact=0.0, measured=False) for name, epochs in horizons
        ),
        penalty=0.0,
        risk=0.0,
        total=total,
    )
