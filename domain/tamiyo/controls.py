"""Control arms: the design with one of its choices taken away. What remains of its gain was not that choice's.

``never_grow`` is one more. Each is told apart from the design by a single thing: when it germinates, or what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.commands import Decision, Germinate, LegalActions, Wait
from domain.tamiyo.always_grow import germinations_in_turn
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.blueprint_strategies import strategist
from domain.tamiyo.candidates import rank_candidates
from domain.tamiyo.emergency import emergency
from domain.tamiyo.grafting_choice import as_the_network_asks
from domain.tamiyo.growth import Makeup, drawn_alike
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.plateau_trigger import draws_its_growth, germinations_at, remembering_plateau
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from domain.tamiyo.regrafting import as_the_network_turns

TIME_STREAM: Final = "tamiyo/random-time"
BLUEPRINT_STREAM: Final = "tamiyo/random-blueprint"

_DESIGN: Final = Makeup(strategist(), as_the_network_asks, as_the_network_turns)


@final
@dataclass(frozen=True, slots=True)
class FixedSchedule:
    """Germinates at given epochs, whatever the network needs: in the first free seed, with the blueprint used least.

    At an epoch of the schedule at which no place is free, or nothing fits, it records that it waits.
    Raises ValueError for epochs that are not numbers.
    """

    epochs: str = "20-50-80"
    """Epochs of the schedule with dashes between them."""
    profile: str = "full"

    def __post_init__(self) -> None:
        if not all(part.isdecimal() for part in self.epochs.split("-")):
            raise ValueError(
                f"epochs must be numbers with dashes between them, such as 20-50-80, but is {self.epochs!r}"
            )

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """Housekeeping, and at the epochs of the schedule a germination."""
        del random
        decisions = housekeeping(observation)
        if observation.epoch not in map(int, self.epochs.split("-")):
            return Step(decisions, memory)
        grown = germinations_in_turn(observation.state, 1)
        waited = Decision(command=Wait(), reason=f"epoch {observation.epoch} is due, but nothing can be grown")
        return Step((*decisions, *(grown or (waited,))), memory)


@final
@dataclass(frozen=True, slots=True)
class RandomTime:
    """The design's seed, blueprint and grafting, but as often as it is told and at random times.

    Germinates with probability n / m, n being the germinations left of ``germinations`` (from the run's start) and m the
    boundaries left to choose from: up to the last at which the scenario's reserve allows a germination, less those that
    the adaptations to come will hold their places for. So it germinates as often as it is told, if places are free, and
    any time is alike. The emergency rule is the design's; plateau, accuracy threshold and cool-down do not count.
    Raises ValueError for a number under 0.
    """

    germinations: int = 1
    """How many in a run, at least 0: as many as the run that it is a control of had."""
    profile: str = "full"

    def __post_init__(self) -> None:
        if self.germinations < 0:
            raise ValueError(f"germinations must be at least 0 but is {self.germinations}")

    def initial(self) -> TamiyoMemory:
        """Nothing seen yet."""
        return TamiyoMemory()

    def step(self, observation: Observation, memory: TamiyoMemory, random: Randomness) -> Step[TamiyoMemory]:
        """An emergency and nothing else; or housekeeping, and where there is a choice a germination or a wait, drawn."""
        memory = remembering_plateau(observation, memory, germinated=False)
        rollback = emergency(observation)
        if rollback:
            return Step(rollback, memory)
        decisions = (*housekeeping(observation), *_DESIGN.regrafting(observation))
        legal, chance = legal_actions(observation.state), self._chance(observation)
        if chance > 0 and len(legal) > 1:
            decisions = (*decisions, _now_or_later(chance, legal, observation, memory, random))
        return Step(decisions, memory)

    def _chance(self, observation: Observation) -> float:
        """The probability to germinate at this boundary, [0, 1]."""
        state, header = observation.state, observation.state.started
        config = header.tamiyo_config
        left = self.germinations - sum(seed.attempts for seed in state.seeds.values())
        boundaries = header.epochs - config.reserve_epochs - observation.epoch + 1
        if left <= 0 or boundaries <= 0 or observation.epoch < config.warm_up_epochs:
            return 0.0
        held = (left - 1) * max(config.reserve_epochs - 1, 0) // config.max_active_seeds
        return min(1.0, left / max(boundaries - held, 1))


def _now_or_later(
    chance: float, legal: LegalActions, observation: Observation, memory: TamiyoMemory, random: Randomness
) -> Decision:
    """The design's germination with probability ``chance``, else a wait."""
    weights = observation.state.started.tamiyo_config.health_weights
    candidates = rank_candidates(observation.reports, observation.state, weights)
    design = next(germinations_at(candidates, observation, memory, _DESIGN)).decision
    number = legal.index(design.command)
    if not number:  # a wait of the design's own, which is forced
        return design
    if chance == 1.0:
        return _sure(design, "germinates while there is time")
    odds = ((0, 1.0 - chance), (number, chance))
    grows = random.generator(TIME_STREAM).random() < chance
    drawn = {"legal": legal, "odds": odds, "draws": (random.drawn(TIME_STREAM, 1),)}
    if grows:
        grown = _sure(design, f"drew to grow, probability {chance:g}")
        return grown.model_copy(update={**drawn, "propensity": chance})
    waited = Decision(command=Wait(), reason=f"drew to wait, probability {1.0 - chance:g}")
    return waited.model_copy(update={**drawn, "propensity": 1.0 - chance})


def _sure(design: Decision, why: str) -> Decision:
    """The design's decision as one that does not rest on a plateau."""
    return design.model_copy(update={"reason": f"{why}: {design.reason}", "confidence": 1.0, "urgency": 1.0})


@final
@dataclass(frozen=True, slots=True)
class RandomBlueprint:
    """The design's trigger and seed, but the blueprint drawn: any that its filters let into that seed, all alike.

    Each is blended in as the design would blend it in.
    """

    profile: str = "full"

    def initial(self) -> TamiyoMemory:
        """Nothing seen yet."""
        return TamiyoMemory()

    def step(self, observation: Observation, memory: TamiyoMemory, random: Randomness) -> Step[TamiyoMemory]:
        """The design's step with another blueprint in its germination."""
        if draws_its_growth(observation.state.started.tamiyo_config):
            return AsDesigned(strategy="NONE").step(observation, memory, random)
        step = AsDesigned().step(observation, memory, random)
        weighed = [each.decision for each in AsDesigned().alternatives(observation, memory)]
        grown = [decision for decision in weighed if isinstance(decision.command, Germinate)]
        if not grown or not any(isinstance(decision.command, Germinate) for decision in step.decisions):
            return step
        drawn = drawn_alike(grown, legal_actions(observation.state), random, BLUEPRINT_STREAM)
        decisions = (drawn if isinstance(each.command, Germinate) else each for each in step.decisions)
        return Step(tuple(decisions), step.memory)

    def remembering(self, observation: Observation, memory: TamiyoMemory, *, germinated: bool) -> TamiyoMemory:
        """The design's."""
        return AsDesigned().remembering(observation, memory, germinated=germinated)
