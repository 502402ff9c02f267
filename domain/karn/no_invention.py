"""The Karn that invents nothing: the library stays as it was planted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from domain.karn.policy import KarnObservation, KarnStep
from domain.tamiyo.policy import NoMemory, Randomness


@final
@dataclass(frozen=True, slots=True)
class NoInvention:
    """Proposes nothing, ever."""

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: KarnObservation, memory: NoMemory, random: Randomness) -> KarnStep[NoMemory]:
        """No proposal."""
        del observation, random
        return KarnStep((), memory)
