"""What a policy may order, and the decision that carries an order with its reasons. Imperative: nothing has happened yet."""

from __future__ import annotations

import math
from enum import Enum
from functools import cached_property
from typing import Annotated, Final, Literal, Self, final

from pydantic import Field, model_validator

from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Gate
from domain.values import Value


@final
class GraftingStrategy(Enum):
    """How alpha goes from 0 to 1; ``domain/grafting.py`` holds the rules."""

    FIXED_RAMP = "FIXED_RAMP"
    PERFORMANCE_LINKED = "PERFORMANCE_LINKED"
    DRIFT_CONTROLLED = "DRIFT_CONTROLLED"
    GRAD_NORM_GATED = "GRAD_NORM_GATED"


@final
class Reads(Enum):
    """What a grafted blueprint reads. It always writes its own chunk."""

    CHUNK = "CHUNK"
    LAYER = "LAYER"
    INPUT = "INPUT"
    BOTH = "BOTH"
    """The layer's input and its output, concatenated in this order."""


@final
class Germinate(Value):
    """Plant a blueprint in a dormant seed."""

    kind: Literal["germinate"] = "germinate"
    seed: SeedId
    blueprint_id: BlueprintId
    reads: Reads
    grafting: GraftingStrategy


@final
class Advance(Value):
    """Move a seed along the edge behind ``gate``, if the gate lets it."""

    kind: Literal["advance"] = "advance"
    seed: SeedId
    gate: Gate


@final
class Cull(Value):
    """Give up an adaptation whose gate failed."""

    kind: Literal["cull"] = "cull"
    seed: SeedId


@final
class Cancel(Value):
    """Take a germination back before it touches the host."""

    kind: Literal["cancel"] = "cancel"
    seed: SeedId


@final
class Recover(Value):
    """Bring a seed back from ERROR_RECOVERY to DORMANT."""

    kind: Literal["recover"] = "recover"
    seed: SeedId


@final
class Reset(Value):
    """Simplified profile only: make a fossilized seed DORMANT again."""

    kind: Literal["reset"] = "reset"
    seed: SeedId


@final
class ChangeGrafting(Value):
    """Ramp with another strategy from here on."""

    kind: Literal["change_grafting"] = "change_grafting"
    seed: SeedId
    grafting: GraftingStrategy


@final
class RollBack(Value):
    """Restore the last good checkpoint and conclude every open adaptation that is in the host."""

    kind: Literal["roll_back"] = "roll_back"
    seed: SeedId
    """The suspected culprit."""


@final
class Wait(Value):
    """Deliberately nothing. Recorded when waiting was a choice, above all a drawn one."""

    kind: Literal["wait"] = "wait"


Command = Annotated[
    Germinate | Advance | Cull | Cancel | Recover | Reset | ChangeGrafting | RollBack | Wait,
    Field(discriminator="kind"),
]


@final
class Plant(Value):
    """A blueprint with what it would read."""

    blueprint_id: BlueprintId
    reads: Reads


@final
class Plot(Value):
    """Slots that take the same blueprints: every plant in every seed, blended in by every grafting strategy."""

    seeds: tuple[SeedId, ...] = Field(min_length=1)
    plants: tuple[Plant, ...] = Field(min_length=1)
    graftings: tuple[GraftingStrategy, ...] = Field(min_length=1)

    def __len__(self) -> int:
        return len(self.seeds) * len(self.plants) * len(self.graftings)

    @cached_property
    def places(self) -> dict[tuple[int, int], int]:
        """Where each seed is among ``seeds``, by its layer and index. Made once: there may be 10,000."""
        return {(seed.layer, seed.index): place for place, seed in enumerate(self.seeds)}


@final
class LegalActions(Value):
    """The mask of a choice: to wait, which is action 0, or one of the germinations.

    Those are counted plot by plot, in it seed by seed, then plant by plant, then grafting by grafting.
    """

    plots: tuple[Plot, ...] = ()

    def __len__(self) -> int:
        return 1 + sum(len(plot) for plot in self.plots)

    def index(self, command: Command) -> int | None:
        """The number of an action; None for what is not among them."""
        if not isinstance(command, Germinate):
            return 0 if isinstance(command, Wait) else None
        first, plant = 1, Plant(blueprint_id=command.blueprint_id, reads=command.reads)
        for plot in self.plots:
            place = plot.places.get((command.seed.layer, command.seed.index))
            if place is not None and plant in plot.plants and command.grafting in plot.graftings:
                row = place * len(plot.plants) + plot.plants.index(plant)
                return first + row * len(plot.graftings) + plot.graftings.index(command.grafting)
            first += len(plot)
        return None

    def action(self, index: int) -> Germinate | Wait:
        """Action number ``index``. Raises IndexError."""
        left = index - 1
        for plot in self.plots if index else ():
            if 0 <= left < len(plot):
                row, grafting = divmod(left, len(plot.graftings))
                seed, plant = divmod(row, len(plot.plants))
                chosen = plot.plants[plant]
                return Germinate(
                    seed=plot.seeds[seed],
                    blueprint_id=chosen.blueprint_id,
                    reads=chosen.reads,
                    grafting=plot.graftings[grafting],
                )
            left -= len(plot)
        if index:
            raise IndexError(f"there are {len(self)} legal actions but number {index} was asked for")
        return Wait()


Odds = tuple[tuple[int, float], ...]
"""A distribution over legal actions: numbers in ascending order with their probabilities, all others having none."""

ODDS_TOLERANCE: Final = 1e-9
"""How far from 1 the sum of probabilities may be: rounding, not carelessness."""


@final
class Considered(Value):
    """One option that a choice weighed."""

    option: str
    score: float
    note: str = ""
    """What the score is made of, or which rule vetoed the option; before rule R9 the latter alone."""


@final
class Draw(Value):
    """How much randomness a decision took."""

    stream: str
    count: int = Field(ge=1)


@final
class Decision(Value):
    """An order with everything that explains it.

    Raises ValueError (pydantic's) for odds that are no distribution over ``legal``, or that the order contradicts.
    """

    command: Command
    reason: str = Field(min_length=1)
    confidence: float = Field(default=1.0, ge=0, le=1)
    urgency: float = Field(default=0.5, ge=0, le=1)
    considered: tuple[Considered, ...] = ()
    propensity: float = Field(default=1.0, gt=0, le=1)
    """Probability with which the policy takes this action in this state."""
    draws: tuple[Draw, ...] = ()
    legal: LegalActions | None = Field(default=None, exclude_if=lambda legal: legal is None)
    """What could be chosen instead. None where nothing could: the order is forced, or it is not legal and is refused.

    A policy that draws gives its own; of one that does not, the session fills in what it could have chosen.
    """
    odds: Odds = Field(default=(), exclude_if=lambda odds: not odds)
    """The whole distribution that the order was taken from; empty where ``legal`` is None."""

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        wrong = odds_problem(self)
        if wrong is not None:
            raise ValueError(wrong)
        return self


def odds_problem(decision: Decision) -> str | None:
    """Why the odds of a decision are no distribution over its legal actions, or None."""
    legal, odds = decision.legal, decision.odds
    if legal is None:
        return "odds need the legal actions that they are over" if odds else None
    numbers, count = [number for number, _ in odds], len(legal)
    if numbers != sorted(set(numbers)) or not all(0 <= number < count for number in numbers):
        return f"odds must name legal actions 0 to {count - 1} in ascending order, each once"
    if not all(math.isfinite(chance) and 0 < chance <= 1 for _, chance in odds):
        return "every probability in odds must be above 0 and at most 1; leave out what has none"
    total = math.fsum(chance for _, chance in odds)
    if abs(total - 1) > ODDS_TOLERANCE:
        return f"odds sum to {total!r} but must sum to 1 (give or take {ODDS_TOLERANCE:g})"
    chosen = legal.index(decision.command)
    chance = dict(odds).get(-1 if chosen is None else chosen)
    if chance is None:
        return f"the order {decision.command.kind!r} has no probability in odds"
    if chance != decision.propensity:
        return f"propensity {decision.propensity!r} is not what odds give the order: {chance!r}"
    return None
