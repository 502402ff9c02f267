"""Who battles whom for Elo scores, and who wins: candidates of one evolution share their trial. Source: Urza v1.0 §2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.urza.commands import Battle
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

OPPONENTS: Final = 3
"""Battles that a newly certified blueprint fights."""
DRAW: Final = 0.005
"""Difference in accuracy on the trial under which nobody wins: half a point."""
MEASURE: Final = "dynamic.benchmark_accuracy"
"""What decides, in [0, 1]. Both were measured on the same benchmark, so it says the same as the gain on it."""


def challenges(library: BlueprintLibrary, challenger: BlueprintRecord) -> Iterator[Battle]:
    """The battles of a newly certified blueprint: with those of the nearest scores that were measured, by number."""
    own = _measured(challenger)
    if own is None:
        return
    score = challenger.metadata.urabrask.elo_score
    rivals = [record for record in library.offered() if record.number != challenger.number]
    nearest = sorted(rivals, key=lambda record: (abs(record.metadata.urabrask.elo_score - score), -record.number))
    met = [(record, theirs) for record in nearest if (theirs := _measured(record)) is not None]
    for record, theirs in met[:OPPONENTS]:
        result = 0.5 if abs(own - theirs) < DRAW else float(own > theirs)
        yield Battle(blueprint_id=challenger.blueprint_id, opponent_id=record.blueprint_id, result=result)


def _measured(record: BlueprintRecord) -> float | None:
    """What the crucible's benchmark gave, or None for one that did not pass it."""
    if record.certificate is None or not record.certificate.passed:
        return None
    return dict(record.certificate.wep).get(MEASURE)
