"""What Tamiyo as designed remembers between boundaries. Source: Tamiyo v0.1a §7.2.

Metric history, queue, embargoes and blueprint statistics are not here: they are in ``RunState``, which policies see.
"""

from __future__ import annotations

from typing import Final, final

from pydantic import Field

from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.performance import Performance, performances_after, samples_of
from domain.tamiyo.plateau import Plateau
from domain.values import Value

PENALTY_ON_FAILURE: Final = 2.0
PENALTY_KEPT: Final = 0.9
"""Share of a penalty that survives an epoch. The successor halves it, but then the embargo alone outlasts it."""
PENALTY_FORGOTTEN: Final = 0.1
PENALTY_BARRED: Final = 3.0
"""From here on a blueprint is not considered for the slot."""


@final
class OpenAdaptation(Value):
    """An adaptation that had not concluded at the last boundary."""

    seed: SeedId
    attempt: int = Field(ge=1)
    blueprint_id: BlueprintId
    embargoed_until: int
    """The seed's embargo then: a failure is told by its having moved."""


@final
class Penalty(Value):
    """A blueprint that failed in a slot, so that it is not tried there again at once."""

    seed: SeedId
    blueprint_id: BlueprintId
    points: float = Field(ge=0)


@final
class SeedPerformance(Value):
    """What growing a seed has come to so far."""

    seed: SeedId
    performance: Performance


@final
class TamiyoMemory(Value):
    """Plateau counter, open adaptations, and what failed where."""

    plateau: Plateau = Plateau()
    open_adaptations: tuple[OpenAdaptation, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    """In order of seed and blueprint."""
    failed_at: int | None = None
    """Epoch at which a failure was last noticed."""
    performances: tuple[SeedPerformance, ...] = Field(default=(), exclude_if=lambda entries: not entries)
    """What growing each seed has come to, by seed; kept where seeds are chosen by it."""

    def penalty(self, seed: SeedId, blueprint: BlueprintId) -> float:
        """Points against this blueprint in this slot, 0 when it never failed there."""
        return sum(entry.points for entry in self.penalties if (entry.seed, entry.blueprint_id) == (seed, blueprint))


def remember(memory: TamiyoMemory, state: RunState, config: TamiyoConfig) -> TamiyoMemory:
    """The memory after an epoch: the plateau moved on, conclusions since the last boundary noticed."""
    accuracy = state.recent[-1].validation_accuracy
    concluded = [entry for entry in memory.open_adaptations if not _is_open(entry, state)]
    failed = [entry for entry in concluded if _has_failed(entry, state)]
    plateau = memory.plateau.after(accuracy, config.min_improvement_delta, config.plateau_reference)
    return TamiyoMemory(
        plateau=plateau.restarted(accuracy) if concluded else plateau,
        open_adaptations=_open_adaptations(memory, state),
        penalties=_penalties(memory, failed),
        failed_at=state.epoch if failed else memory.failed_at,
        performances=() if config.seed_selection is SeedSelection.NEED else _performances(memory, state),
    )


def _performances(memory: TamiyoMemory, state: RunState) -> tuple[SeedPerformance, ...]:
    known = {entry.seed: entry.performance for entry in memory.performances}
    after = performances_after(known, ((seed.seed_id, sample) for seed, sample in samples_of(state)))
    return tuple(SeedPerformance(seed=seed, performance=after[seed]) for seed in sorted(after))


def _is_open(entry: OpenAdaptation, state: RunState) -> bool:
    adaptation = state.seed(entry.seed).adaptation
    return adaptation is not None and adaptation.attempt == entry.attempt and adaptation.outcome is None


def _has_failed(entry: OpenAdaptation, state: RunState) -> bool:
    """Culled or rolled back: a cancellation leaves neither embargo nor lock behind, a success a fossil."""
    seed = state.seed(entry.seed)
    marked = seed.locked or seed.embargoed_until != entry.embargoed_until
    return marked and seed.stage is not Stage.FOSSILIZED


def _open_adaptations(memory: TamiyoMemory, state: RunState) -> tuple[OpenAdaptation, ...]:
    """Those of the state, by seed. One that was remembered stays as it is: there may be a thousand of them."""
    known = {entry.seed: entry for entry in memory.open_adaptations}
    found = []
    for name in sorted(state.seeds, key=lambda name: (name.layer, name.index)):
        seed, entry = state.seeds[name], known.get(name)
        adaptation = seed.adaptation
        if adaptation is None or adaptation.outcome is not None:
            continue
        now = (adaptation.attempt, adaptation.blueprint_id, seed.embargoed_until)
        if entry is None or (entry.attempt, entry.blueprint_id, entry.embargoed_until) != now:
            entry = OpenAdaptation(
                seed=name,
                attempt=adaptation.attempt,
                blueprint_id=adaptation.blueprint_id,
                embargoed_until=seed.embargoed_until,
            )
        found.append(entry)
    return tuple(found)


def _penalties(memory: TamiyoMemory, failed: list[OpenAdaptation]) -> tuple[Penalty, ...]:
    points = {(entry.seed, entry.blueprint_id): entry.points * PENALTY_KEPT for entry in memory.penalties}
    for entry in failed:
        key = (entry.seed, entry.blueprint_id)
        points[key] = points.get(key, 0.0) + PENALTY_ON_FAILURE
    return tuple(
        Penalty(seed=seed, blueprint_id=blueprint, points=points[seed, blueprint])
        for seed, blueprint in sorted(points, key=lambda key: (key[0].layer, key[0].index, key[1]))
        if points[seed, blueprint] >= PENALTY_FORGOTTEN
    )
