"""A policy put together from parts of the design and parts of the implementation: the rungs of the ablation ladder.

Each factor is a field, its first value the design's, its second the implementation's:

- ``trigger``, ``plateau`` or ``health``: when something germinates and in which seed. With it go the emergency rollback
  (the plateau's; the implementation had none), the cool-downs (after a failure, or five epochs a layer), how many
  germinate at a boundary (one, or two), the choice of the seed (greatest need, or the unhealthiest layer's), and with
  what confidence and urgency it is ordered.
- ``gates``, ``full`` or ``simplified``: the lifecycle profile with its stages and gates, and, as the scenario's run
  settings go by the profile, which checks the shield makes of decisions.
- ``blueprints``, ``strategy`` or ``selector``: which blueprint. With it go the filters before the score (the strategy's:
  level, risk, hardware, penalty for having failed here) and the memory of failures.
- ``grafting``, ``chosen`` or ``fixed``: by which of the four strategies it is blended in, and whether that changes.

All the design's values make ``as_designed``, all the implementation's ``as_implemented``, decision for decision: they are
built from the same functions. A further factor is a further field whose default is the design's way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.tamiyo.blueprint_strategies import strategist
from domain.tamiyo.grafting_choice import as_the_network_asks, by_fixed_ramp
from domain.tamiyo.growth import Blueprints, Grafting, Makeup, Regrafting, never_regrafting
from domain.tamiyo.health_trigger import alternatives_on_health, decisions_on_health
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.plateau_trigger import alternatives_at_plateau, remembering_plateau, step_at_plateau
from domain.tamiyo.policy import Alternative, Observation, Randomness, Step
from domain.tamiyo.regrafting import as_the_network_turns
from domain.tamiyo.selector import by_selector

TRIGGERS: Final = ("plateau", "health")
GATES: Final = ("full", "simplified")
BLUEPRINTS: Final[dict[str, Blueprints]] = {"strategy": strategist(), "selector": by_selector}
GRAFTING: Final[dict[str, tuple[Grafting, Regrafting]]] = {
    "chosen": (as_the_network_asks, as_the_network_turns),
    "fixed": (by_fixed_ramp, never_regrafting),
}


@final
@dataclass(frozen=True, slots=True)
class Composed:
    """Each part as in the design, or as in the implementation. Raises ValueError for a value that no factor has."""

    trigger: str = "plateau"
    gates: str = "full"
    blueprints: str = "strategy"
    grafting: str = "chosen"

    def __post_init__(self) -> None:
        for factor, known in (
            ("trigger", TRIGGERS),
            ("gates", GATES),
            ("blueprints", tuple(BLUEPRINTS)),
            ("grafting", tuple(GRAFTING)),
        ):
            value = getattr(self, factor)
            if value not in known:
                raise ValueError(f"{factor} must be {' or '.join(known)} but is {value!r}")

    @property
    def profile(self) -> str:
        """The lifecycle profile: ``gates`` under its other name."""
        return self.gates

    def initial(self) -> TamiyoMemory:
        """Nothing seen yet."""
        return TamiyoMemory()

    def step(self, observation: Observation, memory: TamiyoMemory, random: Randomness) -> Step[TamiyoMemory]:
        """What the trigger asks for, with the blueprint and the grafting that the other parts choose."""
        if self.trigger == "plateau":
            return step_at_plateau(observation, memory, self._makeup, random)
        now = self.remembering(observation, memory, germinated=False)
        return Step(decisions_on_health(observation, now, self._makeup, random), now)

    def alternatives(self, observation: Observation, memory: TamiyoMemory) -> tuple[Alternative, ...]:
        """The blueprints that it weighs for its first germination, best first."""
        if self.trigger == "plateau":
            return tuple(alternatives_at_plateau(observation, memory, self._makeup))
        now = self.remembering(observation, memory, germinated=False)
        return tuple(alternatives_on_health(observation, now, self._makeup))

    def remembering(self, observation: Observation, memory: TamiyoMemory, *, germinated: bool) -> TamiyoMemory:
        """The memory after the boundary. Only the plateau's trigger starts its count over with a germination."""
        return remembering_plateau(observation, memory, germinated=germinated and self.trigger == "plateau")

    @property
    def _makeup(self) -> Makeup:
        return Makeup(BLUEPRINTS[self.blueprints], *GRAFTING[self.grafting])
