"""What an evolution has come to: a fold of its events, as a run's state is of a run's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import final

from domain.events import (
    BlueprintBattled,
    DomainEvent,
    EpochSealed,
    EvolutionStarted,
    FieldReportFiled,
    GenerationClosed,
    RunJoined,
)
from domain.evolution.header import EvolutionHeader, GenerationSummary
from domain.urza.curation import Evidence
from domain.urza.kpis import WINDOW, Bouts, Tally
from domain.urza.library import BlueprintLibrary
from domain.urza.library import evolve as evolve_library


@final
@dataclass(frozen=True, slots=True)
class EvolutionState:
    """Where an evolution stands."""

    header: EvolutionHeader | None = None
    generation: int = -1
    """The last one that is sealed; 0 is the planting, -1 nothing."""
    library: BlueprintLibrary = field(default_factory=BlueprintLibrary)
    evidence: Evidence = field(default_factory=Evidence)
    summaries: tuple[GenerationSummary, ...] = ()
    """Of generations 1, 2, …"""
    latency_budget_ms: float = 0.0
    """Of the run whose field reports follow."""

    @property
    def started(self) -> EvolutionHeader:
        """The header of an evolution that has begun."""
        assert self.header is not None, "an evolution opens with its header"
        return self.header

    @property
    def is_over(self) -> bool:
        """Whether every generation is sealed."""
        return self.generation >= self.started.generations

    def digest(self) -> str:
        """SHA-256 of the state, 64 hexadecimal digits."""
        seen = self.evidence
        parts = [
            self.header.quoted if self.header else "null",
            str(self.generation),
            self.library.text,
            json.dumps([[name, [entry.quoted for entry in seen.tallies[name]]] for name in sorted(seen.tallies)]),
            json.dumps([[name, bouts.fought, bouts.lost] for name, bouts in sorted(seen.bouts.items())]),
            json.dumps([summary.quoted for summary in self.summaries]),
        ]
        return hashlib.sha256(f"[{','.join(parts)}]".encode()).hexdigest()


def rebuild(events: Iterable[DomainEvent]) -> EvolutionState:
    """The state that ``events`` fold into."""
    state = EvolutionState()
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: EvolutionState, event: DomainEvent) -> EvolutionState:
    """The state after ``event``."""
    match event:
        case EvolutionStarted():
            return replace(state, header=event.header)
        case RunJoined():
            budgets = {header.scenario: header.hardware.latency_budget_ms for header in state.started.runs}
            return replace(state, latency_budget_ms=budgets[event.scenario])
        case GenerationClosed():
            return replace(state, summaries=(*state.summaries, event.summary))
        case EpochSealed():
            return replace(state, generation=event.epoch)
        case FieldReportFiled():
            state = replace(state, evidence=_with_report(state, event))
        case BlueprintBattled():
            state = replace(state, evidence=_with_battle(state, event))
    return replace(state, library=evolve_library(state.library, event))


def _with_report(state: EvolutionState, event: FieldReportFiled) -> Evidence:
    """The evidence with one more report, of the last ``WINDOW`` generations of use."""
    name = event.report.blueprint_id
    told = state.evidence.of(name)
    if not told or told[-1].generation != event.epoch:
        told = (*told, Tally(generation=event.epoch))[-WINDOW:]
    tally = told[-1].after(event.report, state.latency_budget_ms)
    return replace(state.evidence, tallies={**state.evidence.tallies, name: (*told[:-1], tally)})


def _with_battle(state: EvolutionState, event: BlueprintBattled) -> Evidence:
    """The evidence with one more battle of the older of the two."""
    number = {name: state.library.record(name).number for name in (event.blueprint_id, event.opponent_id)}
    older = min(number, key=number.__getitem__)
    is_lost = event.result < 0.5 if older == event.blueprint_id else event.result > 0.5
    known = state.evidence.bouts.get(older, Bouts())
    return replace(state.evidence, bouts={**state.evidence.bouts, older: Bouts(known.fought + 1, known.lost + is_lost)})
