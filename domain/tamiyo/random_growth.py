"""The baseline that grows at random, with recorded propensities: what off-policy evaluation weighs others by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.commands import Decision, Germinate, GraftingStrategy, LegalActions, Odds, Wait
from domain.identifiers import SeedId
from domain.run import RunState
from domain.tamiyo.blueprint_terms import reads_of
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from domain.urza.record import BlueprintRecord

STREAM: Final = "tamiyo/random-growth"


@final
@dataclass(frozen=True, slots=True)
class RandomGrowth:
    """Germinates with ``probability`` an epoch, any pair of a free seed and a blueprint that fits it alike.

    It draws only where there is a choice: a place is free, and so is a seed that something fits. It blends in by the
    configured default, so its odds name no other grafting strategy.
    """

    probability: float = 0.05
    profile: str = "full"

    def __post_init__(self) -> None:
        """Raises ValueError for a probability that is not inside (0, 1)."""
        if not 0 < self.probability < 1:
            raise ValueError(f"probability must be above 0 and under 1 but is {self.probability}")

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """Housekeeping, then a germination or a wait, drawn."""
        decisions = housekeeping(observation)
        pairs = germinable_pairs(observation.state)
        if pairs:
            decisions = (*decisions, self._draw(pairs, observation.state, random))
        return Step(decisions, memory)

    def _draw(self, pairs: list[tuple[SeedId, BlueprintRecord]], state: RunState, random: Randomness) -> Decision:
        generator, legal = random.generator(STREAM), legal_actions(state)
        config = state.started.tamiyo_config
        odds = self._odds(legal, config.default_grafting_strategy, len(pairs))
        if generator.random() >= self.probability:
            return Decision(
                command=Wait(),
                reason=f"drew to wait, probability {1 - self.probability:g}, with {len(pairs)} choices",
                propensity=1 - self.probability,
                draws=(random.drawn(STREAM, 1),),
                legal=legal,
                odds=odds,
            )
        seed, record = pairs[int(generator.integers(len(pairs)))]
        return Decision(
            command=Germinate(
                seed=seed,
                blueprint_id=record.blueprint_id,
                reads=reads_of(record, config),
                grafting=config.default_grafting_strategy,
            ),
            reason=f"drew to grow, probability {self.probability:g}: {record.name} in seed {seed}, of {len(pairs)} choices",
            urgency=1.0,
            propensity=self.probability / len(pairs),
            draws=(random.drawn(STREAM, 2),),
            legal=legal,
            odds=odds,
        )

    def _odds(self, legal: LegalActions, grafting: GraftingStrategy, pairs: int) -> Odds:
        """To wait, and every pair alike. Rounding leaves their sum within 1e-15 of 1, however many there are."""
        odds = [(0, 1 - self.probability)]
        first = 1
        for plot in legal.plots:
            kinds = len(plot.graftings)
            start = first + plot.graftings.index(grafting)
            odds += [(number, self.probability / pairs) for number in range(start, first + len(plot), kinds)]
            first += len(plot)
        return tuple(odds)


def germinable_pairs(state: RunState) -> list[tuple[SeedId, BlueprintRecord]]:
    """Every free seed with every offered blueprint that fits it, by seed, then number; empty while no place is free."""
    records = state.library.records
    return [
        (seed, records[plant.blueprint_id])
        for plot in legal_actions(state).plots
        for seed in plot.seeds
        for plant in plot.plants
    ]
