"""Runs side by side: where their histories part, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import final

from domain.events import CheckpointSaved, DecisionMade, DomainEvent, EpochSealed, RunForked, RunStarted
from domain.values import Value
from engine.courses import headers_of
from engine.divergence import Divergence, compare
from engine.journal.journal import Journal
from engine.journal.seals import Head
from scenarios import specification
from scenarios.whatif.figures import Figures, figures


@final
class Beside(Value):
    """A run beside the first one."""

    run: str
    epochs_in_common: int
    """Whole epochs that are the same to the last byte; -1 where not even the planting is."""
    divergence: Divergence | None
    """The first thing that happened differently, and where in the first run; None if nothing did."""


@final
class Comparison(Value):
    """Runs side by side; the first is what the others are compared with."""

    figures: tuple[Figures, ...]
    beside: tuple[Beside, ...]
    """Each of the others."""
    pairing: str
    """What their sharing anything is worth, in a sentence."""


def compare_runs(journal: Journal, runs: Sequence[str]) -> Comparison:
    """Compare two runs or more. Raises JournalDamaged; each run must exist."""
    told = {run: journal.events(run) for run in runs}
    first, *others = runs
    beside = tuple(_beside(journal, first, other, told) for other in others)
    return Comparison(
        figures=tuple(figures(run, events, journal.notes(run), _target(events)) for run, events in told.items()),
        beside=beside,
        pairing=_pairing(beside, [headers_of(told[run])[0].run_key for run in runs]),
    )


def _beside(journal: Journal, first: str, other: str, told: dict[str, tuple[DomainEvent, ...]]) -> Beside:
    ours, theirs = journal.heads(first), journal.heads(other)
    common = [mine for mine, other_head in zip(ours, theirs, strict=False) if mine == other_head]
    last = common[-1] if common else Head(-1, 0, "")
    left, right = _happened(told[first]), _happened(told[other])
    return Beside(run=other, epochs_in_common=last.epoch, divergence=_first_difference(left, right, told[first]))


def _happened(events: Sequence[DomainEvent]) -> list[tuple[int, DomainEvent]]:
    """What happened, with positions: without what two runs of different policies could never have in common.

    That is who decides, the checkpoints, which hold what the policies remember, and the seals over all of it.
    """
    found: list[tuple[int, DomainEvent]] = []
    for position, event in enumerate(events, start=1):
        if isinstance(event, DecisionMade):
            found.append((position, event.model_copy(update={"policy": ""})))
        elif not isinstance(event, RunStarted | RunForked | CheckpointSaved | EpochSealed):
            found.append((position, event))
    return found


def _first_difference(
    left: Sequence[tuple[int, DomainEvent]],
    right: Sequence[tuple[int, DomainEvent]],
    events: Sequence[DomainEvent],
) -> Divergence | None:
    for mine, theirs in zip_longest(left, right):
        position = mine[0] if mine else len(events) + 1
        ours, others = [[] if side is None else [side[1]] for side in (mine, theirs)]
        found = compare(ours, others, position, ())
        if found is not None:
            past = events[: position - 1]
            return compare(ours, others, position, past)
    return None


def _target(events: Sequence[DomainEvent]) -> float | None:
    name = headers_of(events)[0].scenario
    return specification.load(name).target if name in specification.names() else None


def _pairing(beside: Sequence[Beside], keys: Sequence[int]) -> str:
    shared = min((entry.epochs_in_common for entry in beside), default=0)
    if shared > 0:
        return f"they share their past up to epoch {shared}: differences are those of a switch there, on one run key"
    if len(set(keys)) == 1:
        return "they share a run key and no past: one run each says little; evaluate compares over many keys"
    return "they share neither past nor run key: one run each says little; evaluate compares over many keys"
