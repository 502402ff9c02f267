"""The baseline that grows whenever it can: how much of a policy's gain is growth as such."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from domain.commands import Decision, Germinate
from domain.identifiers import BlueprintId, SeedId
from domain.run import RunState
from domain.tamiyo.blueprint_terms import reads_of
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.legal import fitting
from domain.tamiyo.plateau import places_free
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from domain.urza.record import BlueprintRecord


@final
@dataclass(frozen=True, slots=True)
class AlwaysGrow:
    """Germinates in every free seed while places are free, in order, with the blueprint that was used least."""

    profile: str = "full"

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """Housekeeping, then a germination for every free place."""
        del random
        places = places_free(observation.state)
        return Step((*housekeeping(observation), *germinations_in_turn(observation.state, places)), memory)


def germinations_in_turn(state: RunState, count: int) -> tuple[Decision, ...]:
    """At most ``count`` germinations while places are free: seeds in order, each with the blueprint that was used least."""
    places = places_free(state)
    count = min(count, places)
    carried = (seed.adaptation for seed in state.seeds.values() if seed.adaptation)
    uses = Counter(adaptation.blueprint_id for adaptation in carried if adaptation.outcome is None)
    grown: list[Decision] = []
    for seed in state.germinable_seeds() if count else ():
        if len(grown) == count:
            break
        record = least_used(seed, state, uses)
        if record is not None:
            grown.append(_germinate(seed, record, state, places))
            uses[record.blueprint_id] += 1
    return tuple(grown)


def least_used(seed: SeedId, state: RunState, uses: Mapping[BlueprintId, int]) -> BlueprintRecord | None:
    """The offered blueprint that fits the slot and was used least, the lower number of equals; None if none fits.

    ``uses`` are those that no field report tells of yet.
    """
    return min(
        fitting(seed, state),
        key=lambda record: (record.statistics.uses + uses.get(record.blueprint_id, 0), record.number),
        default=None,
    )


def _germinate(seed: SeedId, record: BlueprintRecord, state: RunState, places: int) -> Decision:
    config = state.started.tamiyo_config
    return Decision(
        command=Germinate(
            seed=seed,
            blueprint_id=record.blueprint_id,
            reads=reads_of(record, config),
            grafting=config.default_grafting_strategy,
        ),
        reason=f"seed {seed} is free, {places} places are; {record.name} was tried to an end {record.statistics.uses} times",
        urgency=1.0,
    )
