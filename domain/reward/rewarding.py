"""What rewards are worked out of, kept as it happens: a fold of reports, metrics, decisions and earlier rewards."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from statistics import median
from typing import Any, Final, final

from domain.analysis.figures import LayerFigures, figures, mean_of
from domain.analysis.model_graph import global_metrics
from domain.analysis.problems import is_problematic
from domain.commands import Germinate, GraftingStrategy, Reads
from domain.events.deciding import DecisionMade
from domain.events.event import DomainEvent
from domain.events.growing import AdaptationRewarded, GraftingChanged, SeedFaulted, SeedGerminated
from domain.events.running import EpochCompleted, LayerHealthReported, PanicRaised
from domain.header import RunHeader
from domain.health import LayerHealthReport
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.reward.weights import FIRST_WEIGHTS, RESTING, WEIGHTED, Weights, learned
from domain.reward.worth import RewardComponent
from domain.values import changed

REMEMBERED: Final = 50
"""Rewards that consistency looks back on. Source: D9."""


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """How the network is, by the last report of each layer. Every float is finite."""

    health: float
    """Mean of the layers', [0, 1]."""
    latency_ms: float
    """Of all layers together, ms a sample."""
    cache_hit_rate: float
    """Mean of the layers', [0, 1]."""
    gradient_health: float
    """1 / (1 + mean gradient norm), [0, 1]."""
    training_stability: float
    """As in ``global_metrics``, [0, 1]."""
    gradient_stability: float
    """1 / (1 + mean gradient variance), [0, 1]."""
    problematic: tuple[int, ...]
    """Layers that are a problem by that report alone."""


@final
@dataclass(frozen=True)
class Baseline:
    """What an adaptation is compared with."""

    accuracy: float
    """On the validation set, [0, 1]: the median of the last epochs where there are enough, else the germination's own."""
    parameters: float
    """Of the host and every blueprint in it; as the accuracy."""
    condition: Condition
    """At germination: layers are measured seldom, so that a median of them would be one measurement anyway."""

    @cached_property
    def text(self) -> str:
        """JSON of it. Made once."""
        return _json(astuple(self))


@final
@dataclass(frozen=True)  # no slots: see ``changed``
class Opened:
    """An adaptation that has no reward yet, and what was decided and measured about it."""

    adaptation: AdaptationId
    blueprint_id: BlueprintId
    reads: Reads
    grafting: GraftingStrategy
    """The latest."""
    confidence: float
    urgency: float
    germinated_at: int
    accuracy: float
    """On the validation set at germination, [0, 1]."""
    baseline: Baseline
    reached: tuple[float, ...] = ()
    """Accuracy at the end of each horizon that has passed."""
    highest: float = 0.0
    """Largest accuracy since germination."""
    fall: float = 0.0
    """How far the accuracy ever fell from the highest before, [0, 1]."""
    epochs: int = 0
    faults: int = 0
    """Of its seed, since germination."""
    faulty_epochs: int = 0
    """Epochs with one."""

    def after(self, epoch: int, accuracy: float, horizons: tuple[tuple[str, int], ...]) -> Opened:
        """One epoch later."""
        passed = sum(epoch - self.germinated_at >= length for _, length in horizons)
        highest = max(self.highest, accuracy)
        return changed(
            self,
            reached=self.reached + (accuracy,) * (passed - len(self.reached)),
            highest=highest,
            fall=max(self.fall, highest - accuracy),
            epochs=self.epochs + 1,
        )

    @property
    def text(self) -> str:
        """JSON of every field, in order."""
        ordered = [str(self.adaptation), self.blueprint_id, self.reads.value, self.grafting.value]
        begun = _json([*ordered, self.confidence, self.urgency, self.germinated_at, self.accuracy])
        since = _json([self.reached, self.highest, self.fall, self.epochs, self.faults, self.faulty_epochs])
        return f"{begun[:-1]},{self.baseline.text},{since[1:]}"


@final
@dataclass(frozen=True)
class Passed:
    """An epoch that a baseline may be taken of."""

    accuracy: float
    """On the validation set, [0, 1].

    One that is no number counts as 0, and so does an epoch in which training failed: nothing was answered right.
    """
    parameters: int
    """Of the host and every blueprint in it."""

    @cached_property
    def text(self) -> str:
        """JSON of it. Made once."""
        return _json([self.accuracy, self.parameters])


@final
@dataclass(frozen=True)
class Past:
    """A decision that was rewarded."""

    layer: int
    blueprint_id: BlueprintId
    confidence: float
    urgency: float
    total: float

    @cached_property
    def text(self) -> str:
        """JSON of it. Made once."""
        return _json(list(vars(self).values()))


@final
@dataclass(frozen=True)  # no slots: see ``changed``
class Rewarding:
    """Weights as they have learned, the epochs that baselines are taken of, open adaptations, rewards so far."""

    weights: Weights = FIRST_WEIGHTS
    """Of the six weighted components, in the order of ``WEIGHTED``; at least 0, sum 1."""
    steps: Weights = RESTING
    """The last step that each weight took."""
    epochs: tuple[Passed, ...] = ()
    """The last epochs, oldest first; as many as the baseline is taken of."""
    opened: tuple[Opened, ...] = ()
    """In order of germination."""
    past: tuple[Past, ...] = ()
    """The last 50 rewards, oldest first."""
    asked: tuple[SeedId, float, float] | None = None
    """Seed, confidence and urgency of this boundary's last order to germinate."""
    reports: Mapping[int, LayerHealthReport] = field(default_factory=dict)
    """The last report of each layer. They are read at a germination and for a reward, never in between, so that whoever
    rebuilds a state may leave out those that others replace."""

    def after(self, event: DomainEvent, header: RunHeader) -> Rewarding:
        """With one more event in it; events that rewards are not worked out of change nothing."""
        case = _CASES.get(type(event))
        return self if case is None else case(self, event, header)

    def of(self, adaptation: AdaptationId) -> Opened | None:
        """The adaptation, if it is open; None for one that began before rewards were kept."""
        return next((found for found in self.opened if found.adaptation == adaptation), None)

    def condition(self, header: RunHeader) -> Condition:
        """How the network is now."""
        weights = header.tamiyo_config.health_weights
        return _condition([figures(self.reports[layer], weights) for layer in sorted(self.reports)])

    def weights_by_component(self) -> tuple[tuple[RewardComponent, float], ...]:
        """The weights with their names."""
        return tuple(zip(WEIGHTED, self.weights, strict=True))

    @property
    def text(self) -> str:
        """Canonical JSON, for the state's digest. Reports are in the log as they are; what is taken of them is in here."""
        asked = None if self.asked is None else [str(self.asked[0]), *self.asked[1:]]
        parts = [
            f"{_json([self.weights, self.steps])[:-1]},[{','.join([passed.text for passed in self.epochs])}]]",
            f"[{','.join([opened.text for opened in self.opened])}]",
            f"[{','.join([past.text for past in self.past])}]",
            _json(asked),
        ]
        return f"[{','.join(parts)}]"


_json: Final = json.JSONEncoder(separators=(",", ":")).encode

NOTHING_REWARDED: Final = Rewarding()


def _reported(it: Rewarding, event: LayerHealthReported, header: RunHeader) -> Rewarding:
    return changed(it, reports={**it.reports, event.report.layer: event.report})


def _completed(it: Rewarding, event: EpochCompleted, header: RunHeader) -> Rewarding:
    return _passed(it, event.epoch, _finite(event.metrics.validation_accuracy), event.parameters, header)


def _panicked(it: Rewarding, event: PanicRaised, header: RunHeader) -> Rewarding:
    return _passed(it, event.epoch, 0.0, it.epochs[-1].parameters if it.epochs else 0, header)


def _passed(it: Rewarding, epoch: int, accuracy: float, parameters: int, header: RunHeader) -> Rewarding:
    config = header.rewards
    return changed(
        it,
        epochs=(*it.epochs, Passed(accuracy, parameters))[-config.baseline_epochs :],
        opened=tuple(each.after(epoch, accuracy, config.horizons) for each in it.opened),
        asked=None,
    )


def _faulted(it: Rewarding, event: SeedFaulted, header: RunHeader) -> Rewarding:
    def after(each: Opened) -> Opened:
        if each.adaptation.seed != event.seed:
            return each
        return changed(each, faults=each.faults + event.count, faulty_epochs=each.faulty_epochs + 1)

    return changed(it, opened=tuple(map(after, it.opened)))


def _regrafted(it: Rewarding, event: GraftingChanged, header: RunHeader) -> Rewarding:
    def after(each: Opened) -> Opened:
        return changed(each, grafting=event.target) if each.adaptation.seed == event.seed else each

    return changed(it, opened=tuple(map(after, it.opened)))


def _decided(it: Rewarding, event: DecisionMade, header: RunHeader) -> Rewarding:
    decision = event.decision
    if not isinstance(decision.command, Germinate):
        return it
    return changed(it, asked=(decision.command.seed, decision.confidence, decision.urgency))


def _germinated(it: Rewarding, event: SeedGerminated, header: RunHeader) -> Rewarding:
    """What was just ordered has begun. Without an order or an epoch before it there is nothing to compare it with."""
    if it.asked is None or it.asked[0] != event.adaptation.seed or not it.epochs:
        return it
    accuracy = _finite(event.validation_accuracy)
    opened = Opened(
        adaptation=event.adaptation,
        blueprint_id=event.blueprint_id,
        reads=event.reads,
        grafting=event.grafting,
        confidence=it.asked[1],
        urgency=it.asked[2],
        germinated_at=event.epoch,
        accuracy=accuracy,
        baseline=_baseline(it, header),
        highest=accuracy,
    )
    return changed(it, opened=(*it.opened, opened), asked=None)


def _baseline(it: Rewarding, header: RunHeader) -> Baseline:
    """The median of the configured number of epochs where there are so many, else the last epoch as it is.

    A median of fewer would lie far behind a network that is still learning fast, and reward whoever grew it early.
    """
    accuracy, parameters = it.epochs[-1].accuracy, float(it.epochs[-1].parameters)
    if len(it.epochs) >= header.rewards.baseline_epochs:
        accuracy = median(each.accuracy for each in it.epochs)
        parameters = float(median(each.parameters for each in it.epochs))
    return Baseline(accuracy, parameters, it.condition(header))


def _condition(layers: Sequence[LayerFigures]) -> Condition:
    said = global_metrics(layers)
    variance = mean_of([told.gradient_variance for told in layers])
    return Condition(
        health=said["overall_health"],
        latency_ms=math.fsum(_finite(told.latency_ms) for told in layers),
        cache_hit_rate=said["system_efficiency"],
        gradient_health=said["gradient_health"],
        training_stability=said["training_stability"],
        gradient_stability=1.0 if variance is None else 1.0 / (1.0 + max(variance, 0.0)),
        problematic=tuple(told.layer for told in layers if is_problematic(told)),
    )


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else 0.0


def _rewarded(it: Rewarding, event: AdaptationRewarded, header: RunHeader) -> Rewarding:
    """The adaptation is done with, and the weights learn from it."""
    weights, steps = learned(it.weights, it.steps, event.reward, header.rewards)
    opened = it.of(event.adaptation)
    assert opened is not None, f"adaptation {event.adaptation} was rewarded but is not open"
    past = Past(event.adaptation.seed.layer, event.blueprint_id, opened.confidence, opened.urgency, event.reward.total)
    return changed(
        it,
        weights=weights,
        steps=steps,
        opened=tuple(each for each in it.opened if each is not opened),
        past=(*it.past, past)[-REMEMBERED:],
    )


_CASES: Final[Mapping[type[DomainEvent], Callable[[Rewarding, Any, RunHeader], Rewarding]]] = {
    LayerHealthReported: _reported,
    EpochCompleted: _completed,
    PanicRaised: _panicked,
    SeedFaulted: _faulted,
    GraftingChanged: _regrafted,
    DecisionMade: _decided,
    SeedGerminated: _germinated,
    AdaptationRewarded: _rewarded,
}
