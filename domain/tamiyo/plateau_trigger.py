"""The design's trigger: emergency, housekeeping, then a plateau calls for the seed in greatest need.

Source: Tamiyo v0.1a §3, in the order of the design's epoch. When it calls is in ``plateau.obstacles``.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.commands import Considered, Decision, Germinate, Wait
from domain.tamiyo.candidates import Candidate, rank_candidates
from domain.tamiyo.emergency import emergency
from domain.tamiyo.growth import Makeup, Site, germinations
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.memory import TamiyoMemory, remember
from domain.tamiyo.plateau import obstacles
from domain.tamiyo.policy import Alternative, Observation, Step


def step_at_plateau(observation: Observation, memory: TamiyoMemory, makeup: Makeup) -> Step[TamiyoMemory]:
    """An emergency and nothing else; or housekeeping, and a germination when the trigger fires."""
    rollback = emergency(observation)
    if rollback:
        return Step(rollback, remembering_plateau(observation, memory, germinated=False))
    decisions = housekeeping(observation)
    growth = next(alternatives_at_plateau(observation, memory, makeup), None)
    if growth is not None:
        decisions = (*decisions, growth.decision)
    germinated = growth is not None and isinstance(growth.decision.command, Germinate)
    return Step(decisions, remembering_plateau(observation, memory, germinated=germinated))


def remembering_plateau(observation: Observation, memory: TamiyoMemory, *, germinated: bool) -> TamiyoMemory:
    """What is remembered after a boundary, ``memory`` being that from before: a germination starts the plateau over."""
    memory = remember(memory, observation.state, observation.state.started.tamiyo_config)
    if not germinated:
        return memory
    accuracy = observation.metrics.validation_accuracy
    return memory.model_copy(update={"plateau": memory.plateau.restarted(accuracy)})


def alternatives_at_plateau(observation: Observation, memory: TamiyoMemory, makeup: Makeup) -> Iterator[Alternative]:
    """What may be ordered where the trigger fires, best first; a recorded wait alone where nothing can be grown."""
    state = observation.state
    config = state.started.tamiyo_config
    memory = remember(memory, state, config)
    if not obstacles(memory.plateau, state, config, memory.failed_at):
        yield from germinations_at(
            rank_candidates(observation.reports, state, config.health_weights), observation, memory, makeup
        )


def germinations_at(
    candidates: tuple[Candidate, ...], observation: Observation, memory: TamiyoMemory, makeup: Makeup
) -> Iterator[Alternative]:
    """The germinations of the neediest candidate that a blueprint may be put into, best first; else a recorded wait.

    ``memory`` is that of this boundary.
    """
    seeds = tuple(candidate.considered for candidate in candidates)
    if not candidates:
        yield _wait(f"{_plateau(memory)}, but no seed is free to germinate")
        return
    refused: tuple[Considered, ...] = ()
    for candidate in candidates:
        site = _site(candidate, seeds, observation, memory)
        options = makeup.blueprints(site, observation.state, memory)
        if options.ranked:
            yield from germinations(site, options, makeup.grafting, observation)
            return
        refused = refused or options.considered
    reason = f"{_plateau(memory)}, but no blueprint may be put into any of {len(candidates)} seeds"
    yield _wait(reason, (*seeds, *refused))


def _site(candidate: Candidate, seeds: tuple[Considered, ...], observation: Observation, memory: TamiyoMemory) -> Site:
    config = observation.state.started.tamiyo_config
    surety = min(1.0, memory.plateau.epochs / config.plateau_patience)
    return Site(
        seed=candidate.seed,
        health=1.0 - candidate.need,
        reason=(
            f"{_plateau(memory)} at accuracy {observation.metrics.validation_accuracy:.3f} under "
            f"{config.acc_threshold:g}: seed {candidate.seed} is in greatest need ({candidate.need:.3f})"
        ),
        confidence=surety,
        urgency=surety,
        considered=seeds,
    )


def _wait(reason: str, considered: tuple[Considered, ...] = ()) -> Alternative:
    return Alternative(Decision(command=Wait(), reason=reason, considered=considered), 0.0)


def _plateau(memory: TamiyoMemory) -> str:
    return f"no improvement for {memory.plateau.epochs} epochs"
