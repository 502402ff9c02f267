"""Tamiyo as designed: emergency, housekeeping, then a plateau leads to a seed, a blueprint and a grafting strategy.

Source: Tamiyo v0.1a §3, in the order of the design's epoch. Deterministic; drives the full lifecycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from domain.commands import Considered, Decision, Germinate, Wait
from domain.tamiyo.blueprint_strategies import BlueprintChoice, choose_blueprint
from domain.tamiyo.candidates import Candidate, rank_candidates
from domain.tamiyo.emergency import emergency
from domain.tamiyo.grafting_choice import choose_grafting
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.memory import TamiyoMemory, remember
from domain.tamiyo.plateau import obstacles
from domain.tamiyo.policy import Observation, Randomness, Step


@final
@dataclass(frozen=True, slots=True)
class AsDesigned:
    """The design's heuristic controller."""

    profile: str = "full"

    def initial(self) -> TamiyoMemory:
        """Nothing seen yet."""
        return TamiyoMemory()

    def step(self, observation: Observation, memory: TamiyoMemory, random: Randomness) -> Step[TamiyoMemory]:
        """An emergency and nothing else; or housekeeping, and a germination when the trigger fires."""
        del random
        state = observation.state
        config = state.started.tamiyo_config
        memory = remember(memory, state, config)
        rollback = emergency(observation)
        if rollback:
            return Step(rollback, memory)
        decisions = housekeeping(observation)
        if not obstacles(memory.plateau, state, config, memory.failed_at):
            decision = _grow(observation, memory)
            decisions = (*decisions, decision)
            if isinstance(decision.command, Germinate):
                accuracy = observation.metrics.validation_accuracy
                memory = memory.model_copy(update={"plateau": memory.plateau.restarted(accuracy)})
        return Step(decisions, memory)


def _grow(observation: Observation, memory: TamiyoMemory) -> Decision:
    """The germination to order, in the neediest seed that a blueprint may be put into; else a recorded wait."""
    state = observation.state
    weights = state.started.tamiyo_config.health_weights
    candidates = rank_candidates(observation.reports, state, weights)
    seeds = tuple(candidate.considered for candidate in candidates)
    if not candidates:
        return Decision(command=Wait(), reason=f"{_plateau(memory)}, but no seed is free to germinate")
    refused: tuple[Considered, ...] = ()
    for candidate in candidates:
        choice = choose_blueprint(candidate.seed, state, memory)
        if choice.record is not None:
            return _germinate(observation, memory, candidate, choice, seeds)
        refused = refused or choice.considered
    return Decision(
        command=Wait(),
        reason=f"{_plateau(memory)}, but no blueprint may be put into any of {len(candidates)} seeds",
        considered=(*seeds, *refused),
    )


def _germinate(
    observation: Observation,
    memory: TamiyoMemory,
    candidate: Candidate,
    choice: BlueprintChoice,
    seeds: tuple[Considered, ...],
) -> Decision:
    state = observation.state
    config = state.started.tamiyo_config
    assert choice.record is not None
    layer = next((report for report in observation.reports if report.layer == candidate.seed.layer), None)
    grafting, why = choose_grafting(choice.record, state.recent, layer, config)
    surety = min(1.0, memory.plateau.epochs / config.plateau_patience)
    return Decision(
        command=Germinate(
            seed=candidate.seed, blueprint_id=choice.record.blueprint_id, reads=choice.reads, grafting=grafting
        ),
        reason=(
            f"{_plateau(memory)} at accuracy {observation.metrics.validation_accuracy:.3f} under "
            f"{config.acc_threshold:g}: seed {candidate.seed} is in greatest need ({candidate.need:.3f}); "
            f"{choice.record.name} scores {choice.score:.3f} for {config.blueprint_selection_strategy.value}; "
            f"{grafting.value}, {why}"
        ),
        confidence=surety,
        urgency=surety,
        considered=(*seeds, *choice.considered),
    )


def _plateau(memory: TamiyoMemory) -> str:
    return f"no improvement for {memory.plateau.epochs} epochs"
