"""Tamiyo as designed: emergency, housekeeping, then a plateau leads to a seed, a blueprint and a grafting strategy.

Source: Tamiyo v0.1a §3. Deterministic; drives the full lifecycle. Its parts, each in a module of its own, are also what
``composed`` is put together from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.blueprint_strategies import strategist
from domain.tamiyo.config import SELECTABLE, BlueprintSelectionStrategy, TamiyoConfig, hybrid_mix
from domain.tamiyo.grafting_choice import as_the_network_asks
from domain.tamiyo.growth import Makeup
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.plateau_trigger import alternatives_at_plateau, remembering_plateau, step_at_plateau
from domain.tamiyo.policy import Alternative, Observation, Randomness, Step
from domain.tamiyo.regrafting import as_the_network_turns


@final
@dataclass(frozen=True, slots=True)
class AsDesigned:
    """The design's heuristic controller.

    Raises ValueError for a patience under 1, and for a strategy, a mix or a way to choose seeds that does not exist.
    """

    profile: str = "full"
    patience: int | None = None
    """Epochs without improvement that make a plateau, at least 1; None for what the scenario says."""
    strategy: str | None = None
    """Blueprint selection strategy, such as ACCURACY; None for what the scenario says."""
    hybrid: str | None = None
    """What strategy HYBRID mixes, such as ACCURACY:0.6,SIZE:0.4; None for what the scenario says."""
    seeds: str | None = None
    """By what the seed is chosen, such as thompson; None for what the scenario says."""
    only: str | None = None
    """The name of the only blueprint that may be grown; None for any that the scenario's rules let through."""

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be at least 1 but is {self.patience}")
        known = [strategy.value for strategy in SELECTABLE]
        if self.strategy is not None and self.strategy not in known:
            raise ValueError(f"strategy must be one of {', '.join(known)} but is {self.strategy!r}")
        problems = TamiyoConfig(hybrid_weights=() if self.hybrid is None else hybrid_mix(self.hybrid)).validate()
        if problems:
            raise ValueError(problems[0])
        ways = [way.value for way in SeedSelection]
        if self.seeds is not None and self.seeds not in ways:
            raise ValueError(f"seeds must be one of {', '.join(ways)} but is {self.seeds!r}")

    def initial(self) -> TamiyoMemory:
        """Nothing seen yet."""
        return TamiyoMemory()

    def step(self, observation: Observation, memory: TamiyoMemory, random: Randomness) -> Step[TamiyoMemory]:
        """An emergency and nothing else; or housekeeping, and a germination when the trigger fires."""
        return step_at_plateau(self._seen(observation), memory, self._makeup(), random)

    def alternatives(self, observation: Observation, memory: TamiyoMemory) -> tuple[Alternative, ...]:
        """What it weighs where its trigger fires, best first: all blueprints that may be put into its seed.

        Nothing where it draws, as it does under strategy NONE and where the seed is not chosen by need.
        """
        return tuple(alternatives_at_plateau(self._seen(observation), memory, self._makeup()))

    def remembering(self, observation: Observation, memory: TamiyoMemory, *, germinated: bool) -> TamiyoMemory:
        """The memory after the boundary: the plateau starts over where something was germinated, and only there."""
        return remembering_plateau(self._seen(observation), memory, germinated=germinated)

    def _makeup(self) -> Makeup:
        return Makeup(strategist(self.only), as_the_network_asks, as_the_network_turns)

    def _seen(self, observation: Observation) -> Observation:
        """The observation under this policy's own settings where it has any."""
        own: dict[str, Any] = {}
        if self.patience is not None:
            own["plateau_patience"] = self.patience
        if self.strategy is not None:
            own["blueprint_selection_strategy"] = BlueprintSelectionStrategy(self.strategy)
        if self.hybrid is not None:
            own["hybrid_weights"] = hybrid_mix(self.hybrid)
        if self.seeds is not None:
            own["seed_selection"] = SeedSelection(self.seeds)
        if not own:
            return observation
        header = observation.state.started
        config = header.tamiyo_config.model_copy(update=own)
        state = replace(observation.state, header=header.model_copy(update={"tamiyo_config": config}))
        return replace(observation, state=state)
