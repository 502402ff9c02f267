"""From a seed that a trigger wants grown to the germination that is ordered: what the parts of a policy hand each other.

A policy that germinates by rule is a trigger (``plateau_trigger``, ``health_trigger``) and a ``Makeup``: how it chooses a
blueprint for the seed (``blueprint_strategies``, ``selector``) and how that is blended in (``grafting_choice``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from domain.commands import Considered, Decision, Germinate, GraftingStrategy, Reads
from domain.identifiers import SeedId
from domain.run import RunState
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.policy import Alternative, Observation
from domain.urza.record import BlueprintRecord


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


Blueprints = Callable[[Site, RunState, TamiyoMemory], Options]
"""How a blueprint is chosen."""

Grafting = Callable[[BlueprintRecord, Site, Observation], tuple[GraftingStrategy, str]]
"""How it is blended in, and how that is put in a reason: with the words that join it, or nothing."""


@final
@dataclass(frozen=True, slots=True)
class Makeup:
    """What of a policy is not its trigger."""

    blueprints: Blueprints
    grafting: Grafting


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
