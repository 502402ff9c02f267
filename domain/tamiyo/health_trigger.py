"""The implementation's trigger: ``health < 0.7 -> add_seed``, every epoch, within the limits of its trainer.

Source: the assessed code's ``MockTamiyoClient`` and the limits of its trainer. For every health signal under 0.7 it
proposes to add a seed to that layer, with confidence 0.8 and urgency 1 - health; its trainer carries out only what has
confidence above 0.7 and urgency above 0.6 (so health under 0.4), at most two an epoch, one layer every five epochs.
Its layer names came from Python's per-process string hash; here the layer of the signal is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from domain.commands import Considered, Decision
from domain.header import Rule
from domain.health import HealthSignal, health_signals
from domain.run import RunState
from domain.tamiyo.candidates import CONSIDERED_MAX, vetoed_seeds
from domain.tamiyo.growth import Growth, Makeup, Site, germinations
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.policy import Alternative, Observation, Randomness

HEALTH_MAX: Final = 0.7
CONFIDENCE: Final = 0.8
CONFIDENCE_MIN: Final = 0.7
URGENCY_MIN: Final = 0.6
COOLDOWN_EPOCHS: Final = 5
ADAPTATIONS_PER_EPOCH_MAX: Final = 2


def decisions_on_health(
    observation: Observation, memory: TamiyoMemory, makeup: Makeup, random: Randomness
) -> tuple[Decision, ...]:
    """Housekeeping, then at most two germinations in the layers of the unhealthiest signals."""
    grown: list[Decision] = []
    for growth in islice(_called(observation, memory, makeup), ADAPTATIONS_PER_EPOCH_MAX):
        before = [decision.command for decision in grown]
        grown.append(growth.taken(makeup.grafting, observation, random, before))
    return (*housekeeping(observation), *makeup.regrafting(observation), *grown)


def alternatives_on_health(observation: Observation, memory: TamiyoMemory, makeup: Makeup) -> Iterator[Alternative]:
    """What may be ordered as the first germination, best first; nothing where it is drawn."""
    growth = next(_called(observation, memory, makeup), None)
    if growth is not None and not growth.options.alike:
        yield from germinations(growth.site, growth.options, makeup.grafting, observation)


def _called(observation: Observation, memory: TamiyoMemory, makeup: Makeup) -> Iterator[Growth]:
    """The germinations of each layer that calls for one and can have one, unhealthiest layer first; none while paused."""
    for signals in () if observation.state.paused else _signals_by_layer(observation):
        site = _site(signals, observation.state)
        options = makeup.blueprints(site, observation.state, memory) if site else None
        if site and options and options.ranked:
            yield Growth(site, options)


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


def _site(signals: Sequence[HealthSignal], state: RunState) -> Site | None:
    """The seed that a layer's unhealthiest signal calls for, or None."""
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
    return Site(
        seed=seed,
        health=worst.health_score,
        reason=f"layer {layer} reports health {worst.health_score:.3f} under {HEALTH_MAX:g}: add seed {seed}",
        confidence=CONFIDENCE,
        urgency=urgency,
        considered=_weighed(signals, state),
    )


def _weighed(signals: Sequence[HealthSignal], state: RunState) -> tuple[Considered, ...]:
    """The unhealthiest seeds of the layer, and which of all may not germinate; nothing before rule R9."""
    if Rule.CHOICES_EXPLAINED not in state.started.rules:
        return ()
    free = [signal for signal in signals if state.germinable(signal.seed_id)][:CONSIDERED_MAX]
    unwell = (
        Considered(option=f"seed {signal.seed_id}", score=1.0 - signal.health_score, note="1 - health")
        for signal in free
    )
    return (*unwell, *vetoed_seeds(state))
