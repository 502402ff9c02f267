"""One row a rewarded adaptation: its seven components, their weights, its four horizons, what they came to."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from domain.analysis.outcomes import Outcomes
from domain.events import AdaptationRewarded, BlueprintRegistered, DecisionMade, DomainEvent, RunEnded, SeedGerminated
from domain.reward.weights import WEIGHTED
from domain.reward.worth import RewardComponent
from projections.grafts import BlueprintNames
from projections.view import (
    ATTEMPT,
    EPOCH,
    LAYER,
    RUN,
    SEED,
    Cases,
    Described,
    Schema,
    Table,
    flag,
    integer,
    real,
    text,
)

_HORIZONS: Final = ("immediate", "short", "medium", "long")


def _components() -> dict[str, Described]:
    return {
        name.value.lower(): real(
            f"How it did in {name.value.lower()}, "
            f"{'[-0.5, 0.5]' if name is RewardComponent.CONSISTENCY else '[-1, 1]'}."
        )
        for name in RewardComponent
    }


def _weights() -> dict[str, Described]:
    return {f"{name.value.lower()}_weight": real("What that weighed then, [0, 1].") for name in WEIGHTED}


def _impacts() -> dict[str, Described]:
    found = {}
    for name in _HORIZONS:
        found[f"{name}_epochs"] = integer(f"Length of the {name} horizon, epochs from the germination on.")
        found[f"{name}_impact"] = real("What it did to accuracy within it, scaled, [-1, 1].")
        found[f"{name}_measured"] = flag("Whether that was measured, or expected at the decision.")
    return found


@final
class AdaptationRewards:
    """One row a rewarded adaptation."""

    NAME: ClassVar[str] = "adaptation_rewards"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the reward."),
        "epoch": EPOCH,
        "adaptation": text("LAYER.SEED#ATTEMPT, such as 0.1#2."),
        "layer": LAYER,
        "seed": SEED,
        "attempt": ATTEMPT,
        "blueprint": text("What the library calls the blueprint; null if it was never registered."),
        "blueprint_id": text("SHA-256 of its graph."),
        "germinated_at": integer("Epoch at whose end it began."),
        "confidence": real("Of the decision, [0, 1]."),
        "urgency": real("Of the decision, [0, 1]."),
        **_components(),
        **_weights(),
        **_impacts(),
        "penalty": real("For a lack of safety or stability, at most 0."),
        "risk": real("How rash the decision was, [0, 1]."),
        "total": real("The reward, [-5, 5]."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            BlueprintRegistered: self._registered,
            DecisionMade: self._took,
            SeedGerminated: self._took,
            AdaptationRewarded: self._took,
            RunEnded: self._ended,
        }
        self._names: Final = BlueprintNames()
        self._outcomes: dict[str, Outcomes] = {}

    def memory(self) -> Any:
        """Names of blueprints, and the decisions that wait for their reward."""
        return [self._names.memory(), {run: outcomes.memory() for run, outcomes in self._outcomes.items()}]

    def remember(self, memory: Any) -> None:
        """Names of blueprints, and the decisions that wait for their reward."""
        names, outcomes = memory
        self._names.remember(names)
        self._outcomes = {run: Outcomes.remembered(held) for run, held in outcomes.items()}

    def _registered(self, run: str, position: int, event: BlueprintRegistered) -> None:
        self._names.registered(run, event)

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._names.forget(run)
        self._outcomes.pop(run, None)

    def _took(self, run: str, position: int, event: DomainEvent) -> None:
        found = self._outcomes.setdefault(run, Outcomes()).after(event)
        if found is None:
            return
        reward, seed = found.reward, found.adaptation.seed
        weights = dict(reward.weights)
        self.store.finished.append(
            (
                *(run, position, event.epoch, str(found.adaptation), seed.layer, seed.index, found.adaptation.attempt),
                *(self._names.name(run, found.blueprint_id), found.blueprint_id),
                *(found.germinated_at, found.confidence, found.urgency),
                *(found.components[name] for name in RewardComponent),
                *(weights[name] for name in WEIGHTED),
                *(value for each in reward.impacts for value in (each.epochs, each.impact, each.measured)),
                *(reward.penalty, reward.risk, reward.total),
            )
        )
