"""Tamiyo as implemented: ``health < 0.7 -> add_seed``, every epoch, on the five-stage lifecycle.

Source: the assessed code's ``MockTamiyoClient``, ``BlueprintSelector`` and the limits of its trainer; the rules are in
``health_trigger`` and ``selector``. Nothing is evaluated, culled or fossilized: it never ordered that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.tamiyo.grafting_choice import by_fixed_ramp
from domain.tamiyo.growth import Makeup
from domain.tamiyo.health_trigger import alternatives_on_health, decisions_on_health
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.policy import Alternative, NoMemory, Observation, Randomness, Step
from domain.tamiyo.selector import by_selector

_MAKEUP: Final = Makeup(by_selector, by_fixed_ramp)
_NOTHING: Final = TamiyoMemory()


@final
@dataclass(frozen=True, slots=True)
class AsImplemented:
    """The assessed heuristic and its trainer's limits."""

    profile: str = "simplified"

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """Housekeeping, then at most two germinations in the layers of the unhealthiest signals."""
        return Step(decisions_on_health(observation, _NOTHING, _MAKEUP, random), memory)

    def alternatives(self, observation: Observation, memory: NoMemory) -> tuple[Alternative, ...]:
        """The blueprints that it weighs for its first germination, best first."""
        del memory
        return tuple(alternatives_on_health(observation, _NOTHING, _MAKEUP))

    def remembering(self, observation: Observation, memory: NoMemory, *, germinated: bool) -> NoMemory:
        """Nothing, whatever was ordered."""
        del observation, germinated
        return memory
