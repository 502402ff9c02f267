"""What chance decides in a simulated run. Each draw has a stream of its own, named by what it is for.

Noise comes from run key and epoch alone, never from what was grown: two policies under one key meet the same weather.
"""

from __future__ import annotations

from typing import Any, Final, final

import numpy as np

from domain.health import METRICS
from domain.identifiers import AdaptationId
from domain.values import Column
from engine.randomness import stream
from engine.trainers.simulated.dynamics import BLOCK, UNKNOWN, Dynamics, KeyEffect, Member, Residual

PLACES: Final = 64
"""Draws of progress that an adaptation has; then they come again."""
NO_RESIDUAL: Final = Residual(accuracy=0.0, loss=0.0, train_accuracy=0.0, train_loss=0.0)


@final
class Draws:
    """The draws of one run. Remembers what it drew, only to be quick: asking in another order gives the same."""

    def __init__(self, dynamics: Dynamics, run_key: int, member: int | None, planted_key: int | None = None) -> None:
        """``member`` fixes the ensemble member; None draws it from the key that the run was planted with.

        That key also decides the host and the data; ``run_key`` everything that comes epoch by epoch.
        """
        planted = run_key if planted_key is None else planted_key
        generator = stream(planted, "simulated/run")
        place, effect, offset = generator.random(3).tolist()
        count = len(dynamics.members)
        self.member: Final[Member] = dynamics.members[int(place * count) if member is None else member]
        self.effect: Final = _effect(self.member, planted, effect)
        self.test_offset: Final = _test_offset(dynamics, planted, offset)
        self._dynamics: Final = dynamics
        self._run_key: Final = run_key
        self._multipliers: Final = {entry.kind: entry.multipliers for entry in dynamics.multipliers}
        self._drawn: Final[dict[AdaptationId, float]] = {}
        self._blocks: Final[dict[int, tuple[Residual, ...]]] = {}
        self._places: Final[dict[AdaptationId, list[float]]] = {}
        self._health: Final[dict[tuple[int, int], dict[str, Column]]] = {}
        self._rows: Final = {entry.layer: np.array(entry.rows) for entry in dynamics.health}

    def multiplier(self, adaptation: AdaptationId, kind: str) -> float:
        """Factor on the kappa of one adaptation: how lucky its weights are."""
        known = self._drawn.get(adaptation)
        if known is None:
            sample = self._multipliers.get(kind) or self._multipliers.get(UNKNOWN, (1.0,))
            place = stream(self._run_key, f"simulated/graft/{adaptation}").random()
            known = self._drawn[adaptation] = sample[int(place * len(sample))]
        return known

    def residual(self, epoch: int) -> Residual:
        """What the epoch has beside the mean; blocks of epochs were recorded in a row."""
        number = epoch // BLOCK
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self._block(number)
        return block[epoch % BLOCK]

    def _block(self, number: int) -> tuple[Residual, ...]:
        known = self._dynamics.residuals
        if not known:
            return (NO_RESIDUAL,) * BLOCK
        chosen = known[int(stream(self._run_key, "simulated/noise", number).integers(len(known)))]
        return tuple(chosen[place % len(chosen)] for place in range(BLOCK))

    def test_residual(self, epoch: int) -> float:
        """What a test score has beside the run key's offset, in units of the noise scale."""
        known = self._dynamics.test_spread
        return known[int(stream(self._run_key, "simulated/test", epoch).integers(len(known)))] if known else 0.0

    def progress_row(self, epoch: int, adaptation: AdaptationId) -> float:
        """A place in [0, 1) among the recorded rows of progress."""
        known = self._places.get(adaptation)
        if known is None:
            drawn = stream(self._run_key, f"simulated/progress/{adaptation}").random(PLACES)
            known = self._places[adaptation] = drawn.tolist()
        return known[epoch % PLACES]

    def health(self, layer: int, seeds: int, epoch: int) -> dict[str, Column]:
        """Columns of a layer: typical ones of its seeds, the same for 16 epochs."""
        key = (layer, epoch // BLOCK)
        known = self._health.get(key)
        if known is None:
            known = self._health[key] = self._columns(layer, seeds, epoch // BLOCK)
        return known

    def _columns(self, layer: int, seeds: int, period: int) -> dict[str, Column]:
        rows = self._rows.get(layer, self._rows.get(0))
        if rows is None or not len(rows):
            return {name: Column(np.full(seeds, np.nan)) for name in METRICS}
        # A seed is of one kind all through a run, and wavers a little around it.
        mine = stream(self._run_key, f"simulated/health/{layer}").integers(len(rows), size=seeds)
        now = stream(self._run_key, f"simulated/health/{layer}", period + 1).integers(len(rows), size=seeds)
        chosen: Any = 0.8 * rows[mine] + 0.2 * rows[now]
        return {name: Column(chosen[:, place]) for place, name in enumerate(METRICS)}


def _effect(member: Member, run_key: int, place: float) -> KeyEffect:
    """The run key's own if it was fitted on, else one of those that were."""
    if not member.keys:
        return KeyEffect(run_key=run_key, level=0.0, haste=0.0)
    own = next((entry for entry in member.keys if entry.run_key == run_key), None)
    return own or member.keys[int(place * len(member.keys))]


def _test_offset(dynamics: Dynamics, run_key: int, place: float) -> float:
    known = dynamics.test_offsets
    if not known:
        return 0.0
    own = next((entry for entry in known if entry.run_key == run_key), None)
    return (own or known[int(place * len(known))]).offset
