"""The baseline that grows nothing: what the host does by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step


@final
@dataclass(frozen=True, slots=True)
class NeverGrow:
    """Never germinates. After a fork it still brings open adaptations to their end."""

    profile: str = "full"

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """Housekeeping alone."""
        del random
        return Step(housekeeping(observation), memory)
