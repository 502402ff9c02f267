"""The design's trigger: emergency, housekeeping, then a plateau calls for the seed in greatest need.

Source: Tamiyo v0.1a §3, in the order of the design's epoch. When it calls is in ``plateau.obstacles``. Which seed it calls
for the configuration may leave to one of the bandits of ``seed_selection``.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.commands import Considered, Decision, Germinate, Wait
from domain.header import Rule
from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.candidates import Candidate, rank_candidates, vetoed_seeds
from domain.tamiyo.config import BlueprintSelectionStrategy, TamiyoConfig
from domain.tamiyo.emergency import emergency
from domain.tamiyo.growth import Growth, Makeup, Site, germinations
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.memory import TamiyoMemory, remember
from domain.tamiyo.plateau import obstacles
from domain.tamiyo.policy import Alternative, Observation, Randomness, Step
from domain.tamiyo.seed_selection import chosen_by_bandit


def step_at_plateau(
    observation: Observation, memory: TamiyoMemory, makeup: Makeup, random: Randomness
) -> Step[TamiyoMemory]:
    """An emergency and nothing else; or housekeeping, and a germination when the trigger fires."""
    now = remembering_plateau(observation, memory, germinated=False)
    rollback = emergency(observation)
    if rollback:
        return Step(rollback, now)
    decisions = (*housekeeping(observation), *makeup.regrafting(observation))
    growth = _growth_at_plateau(observation, now, makeup, random)
    if growth is not None:
        decisions = (*decisions, growth)
    germinated = growth is not None and isinstance(growth.command, Germinate)
    return Step(decisions, _started_over(now, observation) if germinated else now)


def remembering_plateau(observation: Observation, memory: TamiyoMemory, *, germinated: bool) -> TamiyoMemory:
    """What is remembered after a boundary, ``memory`` being that from before: a germination starts the plateau over."""
    now = remember(memory, observation.state, observation.state.started.tamiyo_config)
    return _started_over(now, observation) if germinated else now


def _started_over(memory: TamiyoMemory, observation: Observation) -> TamiyoMemory:
    accuracy = observation.metrics.validation_accuracy
    return memory.model_copy(update={"plateau": memory.plateau.restarted(accuracy)})


def draws_its_growth(config: TamiyoConfig) -> bool:
    """Whether what germinates at a plateau is drawn, so that nothing weighed is the one thing that it would take."""
    none = config.blueprint_selection_strategy is BlueprintSelectionStrategy.NONE
    return none or config.seed_selection is not SeedSelection.NEED


def alternatives_at_plateau(observation: Observation, memory: TamiyoMemory, makeup: Makeup) -> Iterator[Alternative]:
    """What may be ordered where the trigger fires, best first; a recorded wait alone where nothing can be grown."""
    state = observation.state
    config = state.started.tamiyo_config
    memory = remember(memory, state, config)
    if not (draws_its_growth(config) or obstacles(memory.plateau, state, config, memory.failed_at)):
        yield from germinations_at(
            rank_candidates(observation.reports, state, config.health_weights), observation, memory, makeup
        )


def germinations_at(
    candidates: tuple[Candidate, ...], observation: Observation, memory: TamiyoMemory, makeup: Makeup
) -> Iterator[Alternative]:
    """The germinations of the neediest candidate that a blueprint may be put into, best first; else a recorded wait.

    ``memory`` is that of this boundary.
    """
    growth = _growth(candidates, observation, memory, makeup)
    if isinstance(growth, Growth):
        yield from germinations(growth.site, growth.options, makeup.grafting, observation)
    else:
        yield Alternative(growth, 0.0)


def _growth_at_plateau(
    observation: Observation, memory: TamiyoMemory, makeup: Makeup, random: Randomness
) -> Decision | None:
    """The germination that a plateau calls for, or a recorded wait; None where nothing calls. ``memory`` is this boundary's."""
    state = observation.state
    config = state.started.tamiyo_config
    if obstacles(memory.plateau, state, config, memory.failed_at):
        return None
    if config.seed_selection is not SeedSelection.NEED:
        return chosen_by_bandit(observation, memory, makeup, random, *_calls(observation, memory))
    candidates = rank_candidates(observation.reports, state, config.health_weights)
    growth = _growth(candidates, observation, memory, makeup)
    return growth.taken(makeup.grafting, observation, random) if isinstance(growth, Growth) else growth


def _growth(
    candidates: tuple[Candidate, ...], observation: Observation, memory: TamiyoMemory, makeup: Makeup
) -> Growth | Decision:
    """Where to grow and what could be put there: the neediest candidate that anything may be put into; else a wait."""
    vetoed = vetoed_seeds(observation.state)
    seeds = (*(candidate.considered for candidate in candidates), *vetoed)
    if not candidates:
        return _wait(f"{memory.plateau.said}, but no seed is free to germinate", vetoed)
    refused: tuple[Considered, ...] = ()
    for candidate in candidates:
        site = _site(candidate, seeds, observation, memory)
        options = makeup.blueprints(site, observation.state, memory)
        if options.ranked:
            return Growth(site, options)
        if Rule.CHOICES_EXPLAINED in observation.state.started.rules:
            refusal = Considered(option=f"seed {candidate.seed}", score=0.0, note="no blueprint may be put into it")
            seeds = (*seeds, refusal)
        refused = refused or options.considered
    reason = f"{memory.plateau.said}, but no blueprint may be put into any of {len(candidates)} seeds"
    return _wait(reason, (*seeds, *refused))


def _wait(reason: str, considered: tuple[Considered, ...]) -> Decision:
    return Decision(command=Wait(), reason=reason, considered=considered)


def _site(candidate: Candidate, seeds: tuple[Considered, ...], observation: Observation, memory: TamiyoMemory) -> Site:
    calls, surety = _calls(observation, memory)
    return Site(
        seed=candidate.seed,
        health=1.0 - candidate.need,
        reason=f"{calls}: seed {candidate.seed} is in greatest need ({candidate.need:.3f})",
        confidence=surety,
        urgency=surety,
        considered=seeds,
    )


def _calls(observation: Observation, memory: TamiyoMemory) -> tuple[str, float]:
    """What the trigger says, and how surely, [0, 1]."""
    config = observation.state.started.tamiyo_config
    accuracy = observation.metrics.validation_accuracy
    said = f"{memory.plateau.said} at accuracy {accuracy:.3f} under {config.acc_threshold:g}"
    return said, min(1.0, memory.plateau.epochs / config.plateau_patience)
