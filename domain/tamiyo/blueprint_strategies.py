"""Which blueprint to graft into a slot: filters first, then the score of the configured strategy.

Source: Tamiyo v0.1a §3.3 and appendix A; the formulas are our domain reference's (D4). To add a strategy: a score in
``_SCORES`` and its name in ``config.SELECTABLE``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

from domain.blueprint import ConfidenceLevel
from domain.commands import Considered, GraftingStrategy, Reads
from domain.identifiers import BlueprintId, SeedId
from domain.run import RunState
from domain.safety import check_hardware
from domain.shapes import parameter_count
from domain.tamiyo.config import SELECTABLE, BlueprintSelectionStrategy, RiskLevel, TamiyoConfig
from domain.tamiyo.growth import Blueprints, Option, Options, Site
from domain.tamiyo.memory import PENALTY_BARRED, TamiyoMemory
from domain.tamiyo.review import deployment
from domain.urza.record import BlueprintRecord

PRIOR_USES: Final = 2.0
"""How many uses an estimate weighs as much as, against what field reports measured."""


@final
@dataclass(frozen=True, slots=True)
class BlueprintChoice:
    """The blueprint chosen for a slot, if any, and every blueprint looked at, best first, dropped ones last."""

    record: BlueprintRecord | None
    reads: Reads
    score: float
    considered: tuple[Considered, ...]
    ranked: tuple[tuple[BlueprintRecord, float], ...]
    """Every blueprint that may be put there with its score, best first."""


def reads_of(record: BlueprintRecord, config: TamiyoConfig) -> Reads:
    """What the blueprint would read: the configured preference, else its own."""
    return config.reads_preference or record.metadata.default_reads


def allowed_levels(state: RunState) -> tuple[ConfidenceLevel, ...]:
    """Confidence levels that both the risk tolerance and the shield allow."""
    header = state.started
    allowed = header.safety.allowed_conf_levels
    return tuple(level for level in header.tamiyo_config.risk_tolerance.allowed_levels if level in allowed)


def objection(record: BlueprintRecord, seed: SeedId, state: RunState, memory: TamiyoMemory) -> str | None:
    """Why the blueprint may not be considered for the slot, or None."""
    header = state.started
    config, safety = header.tamiyo_config, header.safety
    if record.level not in allowed_levels(state):
        return f"level {record.level.value} is not allowed"
    if record.metadata.risky and not (safety.allow_risky or config.risk_tolerance is RiskLevel.HIGH):
        return f"is risky and risk tolerance is {config.risk_tolerance.value}"
    reads = reads_of(record, config)
    problem = state.problem(seed, record.blueprint_id, reads)  # archived, rolled back, failed, or of the wrong shape
    if problem is not None:
        return problem
    hardware = check_hardware(deployment(state, record, seed, reads, GraftingStrategy.FIXED_RAMP))
    if hardware:
        return hardware[0].detail
    penalty = memory.penalty(seed, record.blueprint_id)
    return f"failed here, penalty {penalty:.1f}" if penalty >= PENALTY_BARRED else None


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """What a blueprint scores in every respect, each in [0, 1], 1 best."""

    accuracy: float
    stability: float
    risk: float
    size: float


def expected_gain(record: BlueprintRecord) -> float:
    """Gain in accuracy to expect, [-1, 1]: the estimate, moved by what field reports measured."""
    estimate, statistics = record.metadata.estimates.past_accuracy_gain_estimate, record.statistics
    return (PRIOR_USES * estimate + statistics.measured * statistics.mean_gain) / (PRIOR_USES + statistics.measured)


def expected_failure(record: BlueprintRecord) -> float:
    """Chance of failing, [0, 1]: the risk score, moved by how many adaptations failed."""
    statistics = record.statistics
    failures = statistics.culled + statistics.rolled_back
    return (PRIOR_USES * record.metadata.urabrask.risk_score + failures) / (PRIOR_USES + statistics.uses)


def terms(records: Sequence[BlueprintRecord], seed: SeedId, state: RunState) -> dict[BlueprintId, Terms]:
    """Each record's terms, normalised by the largest among ``records``. All of them must fit the slot."""
    config, layer = state.started.tamiyo_config, state.layer(seed.layer)
    chunk = layer.chunk_width(seed.index)
    sizes = {
        record.blueprint_id: parameter_count(
            record.graph, read=layer.read_width(reads_of(record, config), seed.index), chunk=chunk
        )
        for record in records
    }
    gain_max = max((expected_gain(record) for record in records), default=0.0)
    variance_max = max((record.statistics.mean_gradient_variance for record in records), default=0.0)
    size_max = max(sizes.values(), default=0)
    return {
        record.blueprint_id: Terms(
            accuracy=max(expected_gain(record), 0.0) / gain_max if gain_max > 0 else 0.0,
            stability=_stability(record, variance_max),
            risk=1.0 - expected_failure(record),
            size=1.0 - sizes[record.blueprint_id] / size_max if size_max else 1.0,
        )
        for record in records
    }


def _stability(record: BlueprintRecord, variance_max: float) -> float:
    """The estimate alone until gradients were measured; then its mean with 1 - their normalised variance."""
    estimate, statistics = record.metadata.estimates.stability_estimate, record.statistics
    if not statistics.measured or variance_max <= 0:
        return estimate
    return (estimate + 1.0 - statistics.mean_gradient_variance / variance_max) / 2


_Strategy = BlueprintSelectionStrategy
_SCORES: Final[dict[BlueprintSelectionStrategy, Callable[[Terms], float]]] = {
    _Strategy.PERFORMANCE: lambda t: (t.accuracy + t.stability + t.risk) / 3,
    _Strategy.STABILITY: lambda t: t.stability,
    _Strategy.ACCURACY: lambda t: t.accuracy,
    _Strategy.RISK: lambda t: (t.risk + t.stability) / 2,
    _Strategy.SIZE: lambda t: t.size,
}
assert set(_SCORES) == set(SELECTABLE), "config promises strategies that are not here"


def choose_blueprint(seed: SeedId, state: RunState, memory: TamiyoMemory, only: str | None = None) -> BlueprintChoice:
    """The best blueprint for the slot under the configured strategy; equal scores go to the lower number.

    RISK takes only blueprints of level HIGH. A blueprint that failed in this slot is scored down by its penalty.
    ``only`` is the name of the only one that may be chosen, None for any.
    """
    config = state.started.tamiyo_config
    strategy = config.blueprint_selection_strategy
    dropped: list[Considered] = []
    kept: list[BlueprintRecord] = []
    for record in state.library.records.values():
        reason = objection(record, seed, state, memory)
        if reason is None and strategy is _Strategy.RISK and record.level is not ConfidenceLevel.HIGH:
            reason = f"level {record.level.value}, and strategy RISK takes only HIGH"
        if reason is None and only not in {None, record.name}:
            reason = f"only {only} is to be grown"
        if reason is None:
            kept.append(record)
        else:
            dropped.append(Considered(option=record.name, score=0.0, note=reason))
    scored = terms(kept, seed, state)
    scores = {
        record.blueprint_id: _SCORES[strategy](scored[record.blueprint_id]) - memory.penalty(seed, record.blueprint_id)
        for record in kept
    }
    kept.sort(key=lambda record: (-scores[record.blueprint_id], record.number))
    considered = tuple(Considered(option=record.name, score=scores[record.blueprint_id]) for record in kept)
    best = kept[0] if kept else None
    return BlueprintChoice(
        record=best,
        reads=reads_of(best, config) if best else Reads.BOTH,
        score=scores[best.blueprint_id] if best else -math.inf,
        considered=(*considered, *dropped),
        ranked=tuple((record, scores[record.blueprint_id]) for record in kept),
    )


def strategist(only: str | None = None) -> Blueprints:
    """The design's way to choose a blueprint; ``only`` as for ``choose_blueprint``."""

    def by_strategy(site: Site, state: RunState, memory: TamiyoMemory) -> Options:
        config = state.started.tamiyo_config
        choice = choose_blueprint(site.seed, state, memory, only)
        strategy = config.blueprint_selection_strategy.value
        ranked = tuple(
            Option(record, reads_of(record, config), score, f"; {record.name} scores {score:.3f} for {strategy}")
            for record, score in choice.ranked
        )
        return Options(ranked, choice.considered)

    return by_strategy
