"""Tamiyo as implemented: ``health < 0.7 -> add_seed``, every epoch, on the five-stage lifecycle.

Source: the assessed code's ``MockTamiyoClient`` and the limits of its trainer. For every health signal under 0.7 it
proposes to add a seed to that layer, with confidence 0.8 and urgency 1 - health; its trainer carries out only what has
confidence above 0.7 and urgency above 0.6 (so health under 0.4), at most two an epoch, one layer every five epochs.
Its layer names came from Python's per-process string hash; here the layer of the signal is meant. Nothing is evaluated,
culled or fossilized: it never ordered that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from domain.blueprint_record import BlueprintRecord
from domain.commands import Considered, Decision, Germinate, GraftingStrategy
from domain.health import HealthSignal, health_signals
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.shapes import memory_mb
from domain.tamiyo.blueprint_strategies import reads_of
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step

HEALTH_MAX: Final = 0.7
CONFIDENCE: Final = 0.8
CONFIDENCE_MIN: Final = 0.7
URGENCY_MIN: Final = 0.6
COOLDOWN_EPOCHS: Final = 5
ADAPTATIONS_PER_EPOCH_MAX: Final = 2


@final
@dataclass(frozen=True, slots=True)
class AsImplemented:
    """The assessed heuristic and its trainer's limits."""

    profile: str = "simplified"

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """Housekeeping, then at most two germinations in the layers of the unhealthiest signals."""
        del random
        state = observation.state
        decisions = list(housekeeping(observation))
        limit = len(decisions) + ADAPTATIONS_PER_EPOCH_MAX
        for signals in _signals_by_layer(observation):
            if len(decisions) == limit:
                break
            decision = _add_seed(signals, state)
            if decision is not None:
                decisions.append(decision)
        return Step(tuple(decisions), memory)


def _signals_by_layer(observation: Observation) -> list[tuple[HealthSignal, ...]]:
    """Each layer's signals, unhealthiest first; layers by their unhealthiest, then by number."""
    weights = observation.state.started.tamiyo_config.health_weights
    layers = [
        tuple(
            sorted(
                health_signals(report, observation.epoch, weights),
                key=lambda signal: (signal.health_score, signal.seed_id),
            )
        )
        for report in observation.reports
        if report.seeds
    ]
    return sorted(layers, key=lambda signals: (signals[0].health_score, signals[0].seed_id))


def _add_seed(signals: Sequence[HealthSignal], state: RunState) -> Decision | None:
    """The germination that a layer's unhealthiest signal leads to, or None."""
    worst = signals[0]
    urgency = 1.0 - worst.health_score
    if not (worst.health_score < HEALTH_MAX and CONFIDENCE > CONFIDENCE_MIN and urgency > URGENCY_MIN):
        return None
    layer = worst.seed_id.layer
    last = max((epoch for seed, epoch in state.last_germinations if seed.layer == layer), default=None)
    if last is not None and state.epoch - last < COOLDOWN_EPOCHS:
        return None
    seed = next((signal.seed_id for signal in signals if state.germinable(signal.seed_id)), None)
    if seed is None:
        return None
    scores = _scores(seed, worst.health_score, state)
    if not scores:
        return None
    best = min(scores, key=lambda record_id: (-scores[record_id], state.library.record(record_id).number))
    record = state.library.record(best)
    return Decision(
        command=Germinate(
            seed=seed,
            blueprint_id=best,
            reads=reads_of(record, state.started.tamiyo_config),
            grafting=GraftingStrategy.FIXED_RAMP,
        ),
        reason=(
            f"layer {layer} reports health {worst.health_score:.3f} under {HEALTH_MAX:g}: add seed {seed} with "
            f"{record.name}, which scores {scores[best]:.2f}"
        ),
        confidence=CONFIDENCE,
        urgency=urgency,
        considered=tuple(
            Considered(option=state.library.record(record_id).name, score=score) for record_id, score in scores.items()
        ),
    )


def _scores(seed: SeedId, health: float, state: RunState) -> dict[BlueprintId, float]:
    """Selector score of every offered blueprint that fits the slot, by number."""
    config = state.started.tamiyo_config
    present = {
        grown.adaptation.blueprint_id
        for grown in state.seeds.values()
        if grown.adaptation is not None and grown.stage in {Stage.LOADING, Stage.ACTIVE, Stage.FOSSILIZED}
    }
    return {
        record.blueprint_id: _score(record, seed, health, state, present=record.blueprint_id in present)
        for record in state.library.offered()
        if state.problem(seed, record.blueprint_id, reads_of(record, config)) is None
    }


def _score(record: BlueprintRecord, seed: SeedId, health: float, state: RunState, *, present: bool) -> float:
    """The assessed ``BlueprintSelector``'s score.

    10 accuracy gain + 5 stability gain - 5 risk - 0.01 a MB - 0.1 a ms, + 2 where health is under 0.3 and the
    blueprint promises stability, - 10 where it is present already. Stability gain is the estimate less a half, which
    is what is estimated of nothing; its speed gain has no counterpart here and counts as 0, like latency, which at
    this size is microseconds.
    """
    layer = state.layer(seed.layer)
    reads = reads_of(record, state.started.tamiyo_config)
    size = memory_mb(record.graph, read=layer.read_width(reads, seed.index), chunk=layer.chunk_width(seed.index))
    estimates = record.metadata.estimates
    stability_gain = estimates.stability_estimate - 0.5
    bonus = 2.0 if health < 0.3 and stability_gain > 0.01 else 0.0
    return (
        10.0 * estimates.past_accuracy_gain_estimate
        + 5.0 * stability_gain
        - 5.0 * record.metadata.urabrask.risk_score
        - 0.01 * size
        + bonus
        - (10.0 if present else 0.0)
    )
