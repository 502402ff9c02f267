"""What a blueprint is worth in every respect that a selection strategy can look at.

Source: our domain reference (D4), which the design's strategies name and give no formula for. Estimates come from
Urabrask and the catalogue; what field reports measured moves them, as ``expectations`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from domain.blueprint import Op
from domain.commands import Reads
from domain.identifiers import BlueprintId, SeedId
from domain.run import RunState
from domain.shapes import flops, parameter_count
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.expectations import PRIOR_USES, Expectation, expectations
from domain.urza.catalogue import JOULES_PER_FLOP, SAMPLES_PER_SECOND
from domain.urza.record import BlueprintRecord


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """What a blueprint scores in every respect, each in [0, 1], 1 best."""

    accuracy: float
    """Expected gain over the largest."""
    stability: float
    risk: float
    """1 - expected chance of failing."""
    size: float
    """1 - parameters in the slot over the most."""
    novelty: float
    """Mean of how unlike the others it is and how little it was tried."""
    cost: float
    """1 - energy a sample over the most; derived from operations in the slot where no estimate is known."""
    power: float
    """1 - watts over the most; derived from the energy where no estimate is known."""
    hardware: float
    """1 - latency on the declared hardware over the longest; by operations alone where its speed is unknown."""
    safety: float
    """Mean of 1 - expected share of rollbacks and 1 - drift, of which the estimate of instability stands in."""


def reads_of(record: BlueprintRecord, config: TamiyoConfig) -> Reads:
    """What the blueprint would read: the configured preference, else its own."""
    return config.reads_preference or record.metadata.default_reads


def terms(records: Sequence[BlueprintRecord], seed: SeedId, state: RunState) -> dict[BlueprintId, Terms]:
    """Each record's terms, normalised by the largest among ``records``. All of them must fit the slot."""
    config, layer = state.started.tamiyo_config, state.layer(seed.layer)
    chunk = layer.chunk_width(seed.index)
    reads = [layer.read_width(reads_of(record, config), seed.index) for record in records]
    slots = list(zip(records, reads, strict=True))
    sizes = [parameter_count(record.graph, read=read, chunk=chunk) for record, read in slots]
    operations = [flops(record.graph, read=read, chunk=chunk) for record, read in slots]
    hardware = state.started.hardware
    timed = hardware.compute_capacity_tflops > 0
    known = expectations(state.library)
    expected = [known[record.blueprint_id] for record in records]
    gain_max = max((each.gain for each in expected), default=0.0)
    variance_max = max((each.gradient_variance or 0.0 for each in expected), default=0.0)
    stability = [_stability(record, each, variance_max) for record, each in zip(records, expected, strict=True)]
    size = _less(sizes)
    cost = _less([_joules(record, count) for record, count in zip(records, operations, strict=True)])
    power = _less([_watts(record, count) for record, count in zip(records, operations, strict=True)])
    latency = _less([hardware.latency_ms(count) for count in operations] if timed else operations)
    rarity = _rarity(records)
    return {
        record.blueprint_id: Terms(
            accuracy=max(expected[at].gain, 0.0) / gain_max if gain_max > 0 else 0.0,
            stability=stability[at],
            risk=1.0 - expected[at].failure,
            size=size[at],
            novelty=(max(rarity[at], record.metadata.karn.novelty_score) + _untried(record)) / 2,
            cost=cost[at],
            power=power[at],
            hardware=latency[at],
            safety=(1.0 - expected[at].rollback + stability[at]) / 2,
        )
        for at, record in enumerate(records)
    }


def _less(values: Sequence[float]) -> list[float]:
    """1 - each over the largest: 1 for nothing at all, and for all where nothing is above 0."""
    largest = max(values, default=0)
    return [1.0 - value / largest if largest else 1.0 for value in values]


def _stability(record: BlueprintRecord, expected: Expectation, variance_max: float) -> float:
    """The estimate alone until gradients were measured; then its mean with 1 - their normalised variance."""
    estimate, variance = record.metadata.estimates.stability_estimate, expected.gradient_variance
    if variance is None or variance_max <= 0:
        return estimate
    return (estimate + 1.0 - variance / variance_max) / 2


def _joules(record: BlueprintRecord, operations: int) -> float:
    """Energy a sample, J."""
    return record.metadata.estimates.energy_estimate_joules or operations * JOULES_PER_FLOP


def _watts(record: BlueprintRecord, operations: int) -> float:
    """Power while it runs, W."""
    return record.metadata.estimates.power_estimate_watts or _joules(record, operations) * SAMPLES_PER_SECOND


def _untried(record: BlueprintRecord) -> float:
    """1 for one that was never used, falling with its uses."""
    return PRIOR_USES / (PRIOR_USES + record.statistics.uses)


def _rarity(records: Sequence[BlueprintRecord]) -> list[float]:
    """How unlike the others each is, [0, 1]: the mean share of them that lack an operation of its own."""
    kinds = [operations_of(record) for record in records]
    holders = {kind: sum(kind in held for held in kinds) for kind in Op}
    return [
        sum(1.0 - holders[kind] / len(records) for kind in Op if kind in held) / max(len(held), 1) for held in kinds
    ]


def operations_of(record: BlueprintRecord) -> frozenset[Op]:
    """The kinds of operation that its graph is made of."""
    return frozenset(node.op for node in record.graph.nodes)
