"""From a seed that a trigger wants grown to the germination that is ordered: what the parts of a policy hand each other.

A policy that germinates by rule is a trigger (``plateau_trigger``, ``health_trigger``) and a ``Makeup``: how it chooses a
blueprint for the seed (``blueprint_strategies``, ``selector``) and how that is blended in (``grafting_choice``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from domain.commands import Command, Considered, Decision, Germinate, GraftingStrategy, LegalActions, Reads
from domain.identifiers import SeedId
from domain.run import RunState
from domain.tamiyo.legal import Numbering, legal_actions
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.policy import Alternative, Observation, Randomness
from domain.urza.record import BlueprintRecord

BLUEPRINT_STREAM: Final = "tamiyo/blueprint-selection"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A seed that a trigger wants grown, and what the trigger says for it."""

    seed: SeedId
    health: float
    """1 - need, [0, 1]."""
    reason: str
    confidence: float
    """[0, 1]."""
    urgency: float
    """[0, 1]."""
    considered: tuple[Considered, ...] = ()
    """The seeds that were weighed, if any were."""


@final
@dataclass(frozen=True, slots=True)
class Option:
    """A blueprint that may be put into a site."""

    record: BlueprintRecord
    reads: Reads
    score: float
    said: str
    """How its choice is put, with the words that join it to the trigger's reason."""


@final
@dataclass(frozen=True, slots=True)
class Options:
    """Everything that may be put into a site, best first, and all that was looked at."""

    ranked: tuple[Option, ...]
    considered: tuple[Considered, ...]
    alike: bool = False
    """Whether none is better than another, so that one is drawn."""


Blueprints = Callable[[Site, RunState, TamiyoMemory], Options]
"""How a blueprint is chosen."""

Grafting = Callable[[BlueprintRecord, Site, Observation], tuple[GraftingStrategy, str]]
"""How it is blended in, and how that is put in a reason: with the words that join it, or nothing."""


Regrafting = Callable[[Observation], Iterable[Decision]]
"""Which seeds are to be blended in otherwise than they are."""


def never_regrafting(observation: Observation) -> tuple[Decision, ...]:
    """Once chosen, a grafting strategy stays."""
    del observation
    return ()


@final
@dataclass(frozen=True, slots=True)
class Makeup:
    """What of a policy is not its trigger."""

    blueprints: Blueprints
    grafting: Grafting
    regrafting: Regrafting = never_regrafting


def germinations(site: Site, options: Options, grafting: Grafting, observation: Observation) -> Iterator[Alternative]:
    """A germination for every option, best first."""
    for option in options.ranked:
        strategy, why = grafting(option.record, site, observation)
        decision = Decision(
            command=Germinate(
                seed=site.seed, blueprint_id=option.record.blueprint_id, reads=option.reads, grafting=strategy
            ),
            reason=f"{site.reason}{option.said}{why}",
            confidence=site.confidence,
            urgency=site.urgency,
            considered=(*site.considered, *options.considered),
        )
        yield Alternative(decision, option.score)


@final
@dataclass(frozen=True, slots=True)
class Growth:
    """A germination that a trigger calls for: where, and what may be put there, at least one blueprint."""

    site: Site
    options: Options

    def taken(
        self, grafting: Grafting, observation: Observation, random: Randomness, before: Sequence[Command] = ()
    ) -> Decision:
        """The best of the germinations; one of them drawn where they are alike. ``before`` are this boundary's orders."""
        weighed = germinations(self.site, self.options, grafting, observation)
        if not self.options.alike:
            return next(weighed).decision
        decisions = tuple(each.decision for each in weighed)
        return drawn_alike(decisions, legal_actions(observation.state, before), random, BLUEPRINT_STREAM)


def drawn_alike(decisions: Sequence[Decision], legal: LegalActions, random: Randomness, stream: str) -> Decision:
    """One of the germinations, all alike, with the odds; the first where one is not legal, which is no choice."""
    numbering = Numbering(legal)
    numbered = [(numbering.of(decision.command), decision) for decision in decisions]
    weighed = {number: decision for number, decision in numbered if number is not None}
    if len(weighed) < len(decisions):
        return decisions[0]
    numbers = sorted(weighed)
    chance = 1.0 / len(numbers)
    design = weighed[numbers[int(random.generator(stream).integers(len(numbers)))]]
    return design.model_copy(
        update={
            "reason": f"{design.reason}; the blueprint was drawn from {len(numbers)} alike",
            "propensity": chance,
            "draws": (random.drawn(stream, 1),),
            "legal": legal,
            "odds": tuple((each, chance) for each in numbers),
        }
    )
