"""Whom to make the next blueprint of: exploitation by reward, exploration by novelty, and what others care about.

Source: Karn v1.0 §5, the 20 best performers. Interest of Tamiyo (it is used and it lasts) and of Urabrask (there is
something to find out) add to the reward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from domain.blueprint import BlueprintGraph
from domain.commands import Considered
from domain.header import LayerLayout
from domain.karn.novelty import novelty
from domain.karn.reward_model import RewardWeights, certified_reward, reward
from domain.karn.surgery import Slot, fitted, host_slots, slots_of
from domain.shapes import is_trainable
from domain.urabrask.trials import SLOT
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

SHORTLIST: Final = 20
"""Best performers that are considered. Source: Karn v1.0 §5."""
EXPLOITATION: Final = 0.7
"""Share of draws that go by reward; the others go by novelty."""
EXOTIC_EXPLOITATION: Final = 0.4
TEMPERATURE: Final = 0.02
"""A difference in reward that makes e to one odds: two points of accuracy."""
INTEREST: Final = 0.02
"""Reward that full interest of Tamiyo's or of Urabrask's counts as."""


@final
@dataclass(frozen=True, slots=True)
class Parent:
    """An entry of the library that may have children, and how likely it is drawn."""

    record: BlueprintRecord
    slots: tuple[Slot, ...]
    """What its children are made for."""
    score: float
    odds: float

    @property
    def graph(self) -> BlueprintGraph:
        """What is changed."""
        return self.record.graph


def eligible(
    library: BlueprintLibrary, layout: tuple[LayerLayout, ...]
) -> tuple[tuple[BlueprintRecord, tuple[Slot, ...]], ...]:
    """What may have children, with the slots they are made for: offered, with something to learn, at home in this host.

    And in the crucible, which its children have to pass.
    """
    found = []
    for record in library.offered():
        reads = record.metadata.default_reads
        slots = slots_of(layout, reads)
        tried = fitted(record.graph, host_slots((SLOT,), reads))
        if tried and is_trainable(record.graph) and fitted(record.graph, host_slots(layout, reads) or slots):
            found.append((record, slots))
    return tuple(found)


def parents(
    library: BlueprintLibrary, layout: tuple[LayerLayout, ...], weights: RewardWeights, *, exotic: bool
) -> tuple[Parent, ...]:
    """The shortlist with its odds, best first; empty where nothing may have children."""
    scored = sorted(
        ((_worth(record, weights), record, slots) for record, slots in eligible(library, layout)),
        key=lambda entry: (-entry[0], entry[1].number),
    )[:SHORTLIST]
    if not scored:
        return ()
    records = [record for _, record, _ in scored]
    by_reward = _shares([math.exp((score - scored[0][0]) / TEMPERATURE) for score, _, _ in scored])
    by_novelty = _shares([_isolation(record, records) for record in records])
    share = EXOTIC_EXPLOITATION if exotic else EXPLOITATION
    odds = [share * one + (1 - share) * other for one, other in zip(by_reward, by_novelty, strict=True)]
    return tuple(
        Parent(record, slots, score, chance) for (score, record, slots), chance in zip(scored, odds, strict=True)
    )


def _worth(record: BlueprintRecord, weights: RewardWeights) -> float:
    """Half what the field says, half what the crucible says: neither of them sees everything that is on offer."""
    interests = record.statistics.tamiyo_interest + record.metadata.urabrask.urabrask_interest
    return (reward(record, weights) + certified_reward(record)) / 2 + INTEREST * interests


def _isolation(record: BlueprintRecord, among: Sequence[BlueprintRecord]) -> float:
    return novelty(record.graph, (other.graph for other in among if other.number != record.number)) + 0.01


def _shares(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def drawn(candidates: Sequence[Parent], generator: np.random.Generator) -> Parent:
    """One of them by its odds; draws one number."""
    left = float(generator.random())
    for candidate in candidates[:-1]:
        left -= candidate.odds
        if left < 0:
            return candidate
    return candidates[-1]


def shown(candidates: Sequence[Parent], most: int = 5) -> tuple[Considered, ...]:
    """The first of them, for a record of what was weighed."""
    return tuple(
        Considered(option=f"parent {candidate.record.name}", score=candidate.score) for candidate in candidates[:most]
    )
