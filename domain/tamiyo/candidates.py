"""Which seed to germinate: the free one in greatest need. Columnar: 100,000 seeds cost a few milliseconds.

Source: Tamiyo v0.1a §3.2 for the weights; the formula is in ``domain.health.need``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from domain.commands import Considered
from domain.header import Rule
from domain.health import HealthWeights, LayerHealthReport, need, strain
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.seed import Seed

CONSIDERED_MAX: Final = 5
"""Candidates that are kept and recorded, neediest first."""
VETOED_MAX: Final = 64
"""Seeds that may not germinate that are recorded, by seed."""


@final
@dataclass(frozen=True, slots=True)
class Candidate:
    """A seed that could germinate, and how much it needs to."""

    seed: SeedId
    need: float
    """[0, 1]."""
    note: str = ""
    """What the need is made of; before rule R9 nothing."""

    @property
    def considered(self) -> Considered:
        """The candidate as it is recorded."""
        return Considered(option=f"seed {self.seed}", score=self.need, note=self.note)


def rank_candidates(
    reports: Sequence[LayerHealthReport], state: RunState, weights: HealthWeights, count: int = CONSIDERED_MAX
) -> tuple[Candidate, ...]:
    """The ``count`` neediest seeds that may germinate at this boundary; equal needs by layer, then by seed."""
    layers = sorted(reports, key=lambda report: report.layer)
    if not layers:
        return ()
    scores = np.concatenate([need(report, weights).values for report in layers])
    starts = np.cumsum([0, *(report.seeds for report in layers)])
    offset = {report.layer: int(start) for report, start in zip(layers, starts, strict=False)}
    taken = [
        offset[name.layer] + name.index
        for name, seed in state.seeds.items()
        if name.layer in offset and not seed.may_germinate(state.epoch)
    ]
    scores[taken] = -np.inf
    explained = Rule.CHOICES_EXPLAINED in state.started.rules
    found: list[Candidate] = []
    for _ in range(min(count, len(scores))):
        best = int(np.argmax(scores))  # the first of equals, so ties go by layer and seed
        if scores[best] == -np.inf:
            break
        position = int(np.searchsorted(starts, best, side="right")) - 1
        seed = SeedId(layer=layers[position].layer, index=best - int(starts[position]))
        note = _made_of(layers[position], seed.index, weights) if explained else ""
        found.append(Candidate(seed, float(scores[best]), note))
        scores[best] = -np.inf
    return tuple(found)


def _made_of(report: LayerHealthReport, index: int, weights: HealthWeights) -> str:
    relative, dead, correlation = (float(column[index]) for column in strain(report))
    return (
        f"{weights.variance_weight:g} x stagnation {1.0 - relative:.3f} + {weights.dead_node_weight:g} x dead {dead:.3f} "
        f"+ {weights.correlation_weight:g} x correlation {correlation:.3f}"
    )


def vetoed_seeds(state: RunState) -> tuple[Considered, ...]:
    """The seeds that may not germinate at this boundary, each with the rule that says so; none before rule R9."""
    if Rule.CHOICES_EXPLAINED not in state.started.rules:
        return ()
    names = sorted(name for name, seed in state.seeds.items() if not seed.may_germinate(state.epoch))
    return tuple(
        Considered(option=f"seed {name}", score=0.0, note=_veto(state.seed(name))) for name in names[:VETOED_MAX]
    )


def _veto(seed: Seed) -> str:
    if seed.stage is not Stage.DORMANT:
        return f"is {seed.stage.value}"
    return "is locked after a rollback" if seed.locked else f"is under embargo until epoch {seed.embargoed_until}"
