"""What a policy may order, and the decision that carries an order with its reasons. Imperative: nothing has happened yet."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal, final

from pydantic import Field

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
class Considered(Value):
    """One option that a choice weighed."""

    option: str
    score: float
    note: str = ""
    """Why it was dropped, if it was; empty for one that stayed in the running."""


@final
class Draw(Value):
    """How much randomness a decision took."""

    stream: str
    count: int = Field(ge=1)


@final
class Decision(Value):
    """An order with everything that explains it."""

    command: Command
    reason: str = Field(min_length=1)
    confidence: float = Field(default=1.0, ge=0, le=1)
    urgency: float = Field(default=0.5, ge=0, le=1)
    considered: tuple[Considered, ...] = ()
    propensity: float = Field(default=1.0, gt=0, le=1)
    """Probability with which the policy takes this action in this state."""
    draws: tuple[Draw, ...] = ()
