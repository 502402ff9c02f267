"""Which seed to germinate: the free one in greatest need. Columnar: 100,000 seeds cost a few milliseconds.

Source: Tamiyo v0.1a §3.2 for the weights; the formula is in ``domain.health.need``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from domain.commands import Considered
from domain.health import HealthWeights, LayerHealthReport, need
from domain.identifiers import SeedId
from domain.run import RunState

CONSIDERED_MAX: Final = 5
"""Candidates that are kept and recorded, neediest first."""


@final
@dataclass(frozen=True, slots=True)
class Candidate:
    """A seed that could germinate, and how much it needs to."""

    seed: SeedId
    need: float
    """[0, 1]."""

    @property
    def considered(self) -> Considered:
        """The candidate as it is recorded."""
        return Considered(option=f"seed {self.seed}", score=self.need)


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
    found: list[Candidate] = []
    for _ in range(min(count, len(scores))):
        best = int(np.argmax(scores))  # the first of equals, so ties go by layer and seed
        if scores[best] == -np.inf:
            break
        position = int(np.searchsorted(starts, best, side="right")) - 1
        seed = SeedId(layer=layers[position].layer, index=best - int(starts[position]))
        found.append(Candidate(seed, float(scores[best])))
        scores[best] = -np.inf
    return tuple(found)


def choose_candidate(reports: Sequence[LayerHealthReport], state: RunState, weights: HealthWeights) -> Candidate | None:
    """The neediest seed that may germinate, or None when there is none."""
    return next(iter(rank_candidates(reports, state, weights, count=1)), None)
