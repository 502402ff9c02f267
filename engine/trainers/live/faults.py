"""Counting what goes wrong in a blueprint, batch by batch."""

from __future__ import annotations

from collections import Counter
from typing import Final, final

from domain.events import SeedFaulted
from domain.faults import FaultKind
from domain.identifiers import SeedId

GRADIENT_NORM_MAX: Final = 1e3
"""L2 norm above which a blueprint's gradient counts as exploding and its step is skipped."""


@final
class FaultTally:
    """Faults of one seed in one epoch: for each kind how many, and how many in a row at most."""

    __slots__ = ("_counts", "_details", "_longest", "_runs", "total")

    def __init__(self) -> None:
        self._runs: dict[FaultKind, int] = {}
        self._longest: dict[FaultKind, int] = {}
        self._details: dict[FaultKind, str] = {}
        self._counts: Counter[FaultKind] = Counter()
        self.total = 0
        """Faults of every kind in this epoch."""

    def failed(self, kind: FaultKind, detail: str) -> None:
        """Count one; ``detail`` says what happened, the first one is kept."""
        self.total += 1
        self._counts[kind] += 1
        self._runs[kind] = self._runs.get(kind, 0) + 1
        self._longest[kind] = max(self._longest.get(kind, 0), self._runs[kind])
        self._details.setdefault(kind, detail)

    def held(self, *kinds: FaultKind) -> None:
        """Nothing of these kinds happened this time: their next fault is the first in a row again."""
        if self._runs:
            for kind in kinds:
                self._runs[kind] = 0

    def events(self, epoch: int, seed: SeedId, batches: int | None = None) -> tuple[SeedFaulted, ...]:
        """One event a kind that happened, its ``count`` the longest run of faults in a row.

        With the number of the epoch's ``batches`` they tell how often it happened, too.
        """
        return tuple(
            SeedFaulted(
                epoch=epoch,
                seed=seed,
                kind=kind,
                count=self._longest[kind],
                detail=self._details[kind],
                rate=None if batches is None else self._counts[kind] / batches,
            )
            for kind in FaultKind
            if kind in self._longest
        )
