"""The baseline that grows at random, with recorded propensities: what off-policy evaluation weighs others by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.blueprint_record import BlueprintRecord
from domain.commands import Decision, Germinate, Wait
from domain.identifiers import SeedId
from domain.run import RunState
from domain.tamiyo.blueprint_strategies import reads_of
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.plateau import places_free
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step

STREAM: Final = "tamiyo/random-growth"


@final
@dataclass(frozen=True, slots=True)
class RandomGrowth:
    """Germinates with ``probability`` an epoch, any pair of a free seed and a blueprint that fits it alike.

    It draws only where there is a choice: a place is free, and so is a seed that something fits.
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
        generator = random.generator(STREAM)
        if generator.random() >= self.probability:
            return Decision(
                command=Wait(),
                reason=f"drew to wait, probability {1 - self.probability:g}, with {len(pairs)} choices",
                propensity=1 - self.probability,
                draws=(random.drawn(STREAM, 1),),
            )
        seed, record = pairs[int(generator.integers(len(pairs)))]
        config = state.started.tamiyo_config
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
        )


def germinable_pairs(state: RunState) -> list[tuple[SeedId, BlueprintRecord]]:
    """Every free seed with every offered blueprint that fits it, by seed, then number; empty while no place is free."""
    if not places_free(state):
        return []
    config = state.started.tamiyo_config
    fitting: dict[tuple[int, int], list[BlueprintRecord]] = {}
    pairs = []
    for seed in state.germinable_seeds():
        slot = (seed.layer, state.layer(seed.layer).chunk_width(seed.index))  # slots alike take the same blueprints
        if slot not in fitting:
            fitting[slot] = [
                record
                for record in state.library.offered()
                if state.problem(seed, record.blueprint_id, reads_of(record, config)) is None
            ]
        pairs += [(seed, record) for record in fitting[slot]]
    return pairs
