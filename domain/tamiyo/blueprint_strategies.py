"""Which blueprint to graft into a slot: filters first, then the score of the configured strategy.

Source: Tamiyo v0.1a §3.3 and appendix A; the formulas are our domain reference's (D4). What a blueprint scores in each
respect is in ``blueprint_terms``. To add a strategy: a name in ``config.BlueprintSelectionStrategy`` and a score here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Final, final

from domain.blueprint import ConfidenceLevel
from domain.commands import Considered, Reads
from domain.header import Rule
from domain.identifiers import SeedId
from domain.run import RunState
from domain.tamiyo.blueprint_terms import Terms, reads_of, terms
from domain.tamiyo.config import EVEN_MIX, BlueprintSelectionStrategy, HybridMix, RiskLevel
from domain.tamiyo.growth import Blueprints, Option, Options, Site
from domain.tamiyo.memory import PENALTY_BARRED, TamiyoMemory
from domain.tamiyo.review import objections_to
from domain.tamiyo.shortlist import shortlist
from domain.urza.record import BlueprintRecord


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


def allowed_levels(state: RunState) -> tuple[ConfidenceLevel, ...]:
    """Confidence levels that both the risk tolerance and the shield allow."""
    header = state.started
    allowed = header.safety.allowed_conf_levels
    return tuple(level for level in header.tamiyo_config.risk_tolerance.allowed_levels if level in allowed)


def objection(record: BlueprintRecord, seed: SeedId, state: RunState) -> str | None:
    """Why the blueprint may not be put into the slot, or None."""
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
    violations = objections_to(record, seed, reads, state)
    return violations[0].detail if violations else None


_Strategy = BlueprintSelectionStrategy
_Score = Callable[[Terms], float]

_SCORES: Final[dict[BlueprintSelectionStrategy, tuple[_Score, tuple[str, ...]]]] = {
    _Strategy.NONE: (lambda t: 0.0, ()),
    _Strategy.PERFORMANCE: (lambda t: (t.accuracy + t.stability + t.risk) / 3, ("accuracy", "stability", "risk")),
    _Strategy.STABILITY: (lambda t: t.stability, ("stability",)),
    _Strategy.ACCURACY: (lambda t: t.accuracy, ("accuracy",)),
    _Strategy.RISK: (lambda t: (t.risk + t.stability) / 2, ("risk", "stability")),
    _Strategy.NOVELTY: (lambda t: t.novelty, ("novelty",)),
    _Strategy.OPTIMIZATION: (
        lambda t: (t.size + t.cost + t.power + (t.accuracy + t.stability + t.risk) / 3) / 4,
        ("size", "cost", "power", "accuracy", "stability", "risk"),
    ),
    _Strategy.SIZE: (lambda t: t.size, ("size",)),
    _Strategy.COST: (lambda t: t.cost, ("cost",)),
    _Strategy.POWER: (lambda t: t.power, ("power",)),
    _Strategy.HARDWARE: (lambda t: t.hardware, ("hardware",)),
    _Strategy.SAFETY: (lambda t: t.safety, ("safety",)),
}
"""The score of each strategy, [0, 1], and the terms that it is made of. HYBRID is a mix of the others."""
assert {*_SCORES, _Strategy.HYBRID} == set(_Strategy)


def scored_by(strategy: BlueprintSelectionStrategy, mix: HybridMix, found: Terms) -> tuple[float, str]:
    """What a blueprint of these terms scores, [0, 1], and what that is made of. ``mix`` is HYBRID's; empty for even."""
    if strategy is _Strategy.HYBRID:
        parts = [(weight, each, _SCORES[each][0](found)) for each, weight in mix or EVEN_MIX]
        total = math.fsum(weight for weight, _, _ in parts)
        said = " + ".join(f"{weight / total:.2f} x {each.value} {score:.3f}" for weight, each, score in parts)
        return math.fsum(weight * score for weight, _, score in parts) / total, said
    score, names = _SCORES[strategy]
    values = asdict(found)
    said = ", ".join(f"{name} {values[name]:.3f}" for name in names)
    return score(found), f"{strategy.value} of {said}" if said else "all alike"


@final
@dataclass(frozen=True, slots=True)
class _Sifted:
    """What the filters let through, and what they did not."""

    kept: tuple[BlueprintRecord, ...]
    dropped: tuple[Considered, ...]
    rotating: bool = False
    """Whether ``kept`` are those that failed here too often, of which the least penalised is to be tried again."""


def _sifted(seed: SeedId, state: RunState, memory: TamiyoMemory, only: str | None) -> _Sifted:
    config = state.started.tamiyo_config
    strategy = config.blueprint_selection_strategy
    kept: list[BlueprintRecord] = []
    barred: list[BlueprintRecord] = []
    dropped: list[tuple[BlueprintRecord, str]] = []
    for record in state.library.records.values():
        reason = objection(record, seed, state)
        penalty = memory.penalty(seed, record.blueprint_id)
        is_barred = reason is None and penalty >= PENALTY_BARRED
        if is_barred:
            reason = f"failed here, penalty {penalty:.1f}"
        if reason is None and strategy is _Strategy.RISK and record.level is not ConfidenceLevel.HIGH:
            reason = f"level {record.level.value}, and strategy RISK takes only HIGH"
        if reason is None and only not in {None, record.name}:
            reason = f"only {only} is to be grown"
        if reason is None:
            kept.append(record)
            continue
        dropped.append((record, reason))
        if is_barred and only in {None, record.name}:
            barred.append(record)
    if barred and not kept and config.when_all_penalised == "rotate":
        return _Sifted(tuple(barred), _vetoed(each for each in dropped if each[0] not in barred), rotating=True)
    # Under NONE a shortlist would be a bias.
    short = tuple(kept) if strategy is _Strategy.NONE else shortlist(kept, state.library, config)
    missed = ((record, "not on the shortlist") for record in kept if record not in short)
    return _Sifted(short, _vetoed((*dropped, *missed)))


def _vetoed(dropped: Iterable[tuple[BlueprintRecord, str]]) -> tuple[Considered, ...]:
    return tuple(Considered(option=record.name, score=0.0, note=reason) for record, reason in dropped)


def _rated(
    sifted: _Sifted, seed: SeedId, state: RunState, memory: TamiyoMemory
) -> list[tuple[BlueprintRecord, float, str]]:
    """What was let through with its score and what that is made of."""
    config = state.started.tamiyo_config
    strategy, mix = config.blueprint_selection_strategy, config.hybrid_weights
    found = terms(sifted.kept, seed, state)
    rated = []
    for record in sifted.kept:
        penalty = memory.penalty(seed, record.blueprint_id)
        if sifted.rotating:
            rated.append((record, -penalty, f"all are barred here, and this one has a penalty of {penalty:.1f}"))
            continue
        score, said = scored_by(strategy, mix, found[record.blueprint_id])
        if strategy is _Strategy.NONE:
            penalty = 0.0  # no bias, but for those that are barred
        rated.append((record, score - penalty, said if penalty == 0 else f"{said}, less a penalty of {penalty:.1f}"))
    return rated


def choose_blueprint(seed: SeedId, state: RunState, memory: TamiyoMemory, only: str | None = None) -> BlueprintChoice:
    """The best blueprint for the slot under the configured strategy; equal scores go to the lower number.

    RISK takes only blueprints of level HIGH. A blueprint that failed in this slot is scored down by its penalty; those
    that failed too often are barred, and where nothing else is left ``when_all_penalised`` says what comes of it. Under
    NONE all score 0 and none is better. ``only`` is the name of the only one that may be chosen, None for any.
    """
    config = state.started.tamiyo_config
    sifted = _sifted(seed, state, memory, only)
    ranked = sorted(_rated(sifted, seed, state, memory), key=lambda entry: (-entry[1], entry[0].number))
    explained = Rule.CHOICES_EXPLAINED in state.started.rules
    considered = tuple(
        Considered(option=record.name, score=score, note=note if explained else "") for record, score, note in ranked
    )
    best = ranked[0][0] if ranked else None
    return BlueprintChoice(
        record=best,
        reads=reads_of(best, config) if best else Reads.BOTH,
        score=ranked[0][1] if ranked else -math.inf,
        considered=(*considered, *sifted.dropped),
        ranked=tuple((record, score) for record, score, _ in ranked),
    )


def strategist(only: str | None = None) -> Blueprints:
    """The design's way to choose a blueprint; ``only`` as for ``choose_blueprint``."""

    def by_strategy(site: Site, state: RunState, memory: TamiyoMemory) -> Options:
        config = state.started.tamiyo_config
        choice = choose_blueprint(site.seed, state, memory, only)
        strategy = config.blueprint_selection_strategy
        ranked = tuple(
            Option(record, reads_of(record, config), score, f"; {record.name} scores {score:.3f} for {strategy.value}")
            for record, score in choice.ranked
        )
        return Options(ranked, choice.considered, alike=strategy is _Strategy.NONE)

    return by_strategy
