"""Karn's loop over many runs: a generation runs, reports, invents, is judged, battles, is curated, and is sealed.

The loop does not know whether its runs and examinations happen or are recalled from a recording: a replay is this same
loop over ``recalled.py``. Every generation is one sealed epoch of the evolution's own stream of events.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, final

from domain.blueprint import ConfidenceLevel
from domain.events import (
    BlueprintCertified,
    BlueprintProposed,
    BlueprintRetired,
    DomainEvent,
    EvolutionStarted,
    FieldReportFiled,
    GenerationClosed,
    ProposalRefused,
    RunJoined,
)
from domain.evolution.header import EvolutionHeader, GenerationSummary
from domain.evolution.state import EvolutionState, evolve, rebuild
from domain.field_reports import FieldReport
from domain.identifiers import Epoch
from domain.karn.novelty import diversity
from domain.karn.policy import KarnObservation, KarnPolicy, Proposal
from domain.tamiyo.never_grow import NeverGrow
from domain.urabrask.crucible import judge
from domain.urabrask.risk import RiskModel
from domain.urza.battles import challenges
from domain.urza.commands import Certify, LibraryCommand, TrainRisk, decide
from domain.urza.curation import curate, newcomer
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord
from domain.values import Value
from engine.controllers import Controllers, PolicyFailed
from engine.inventing import Examiner, considered
from engine.randomness import BoundaryRandomness, stream_seed
from engine.sink import Sink

RUN_KEY_BITS: Final = 32
"""Of the run keys of generations: short enough to be read, too many to meet twice."""


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """A run of a generation that is over, and what it reported."""

    joined: RunJoined
    reports: tuple[FieldReport, ...]


class Field(Protocol):
    """Where a generation's runs come from."""

    def runs(self, generation: int, library: BlueprintLibrary) -> Sequence[Finished]:
        """Every run of a generation, planted with ``library``: by scenario, then by run key."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Ground:
    """What a breeding happens on."""

    field: Field
    crucible: Examiner
    risk: Callable[[int, Sequence[DomainEvent]], RiskModel | None]
    """The model that everything up to the end of a generation gives; None where that is too little."""
    worth: Callable[[BlueprintRecord], float]
    """Reward of a certified blueprint."""
    keep: Callable[[bytes], object] = lambda memory: None
    """Keeps what Karn remembers under its hash, which the seal holds."""


def run_keys(header: EvolutionHeader, generation: int, scenario: str) -> tuple[int, ...]:
    """The run keys of one scenario in one generation: new ones each time, so that no evidence is counted twice.

    The same library on the same run key is the same run again, to the last bit. Two evolutions of one key share them.
    """
    names = (f"evolution/runs/{scenario}/{number}" for number in range(header.runs_per_generation))
    return tuple(stream_seed(header.run_key, name, generation) % (1 << RUN_KEY_BITS) for name in names)


@final
class Breeding:
    """An evolution on its way, a generation at a time."""

    def __init__(self, karn: KarnPolicy, sink: Sink, ground: Ground) -> None:
        self._karn = karn
        self._controllers = Controllers(NeverGrow(), karn)
        self._sink = sink
        self._ground = ground
        self._past: list[DomainEvent] = []
        self._open: list[DomainEvent] = []
        self.memory: Value = self._controllers.initial().karn
        """What Karn remembers."""
        self.state = EvolutionState()

    def plant(self, header: EvolutionHeader, library: Iterable[DomainEvent]) -> None:
        """Generation 0: the header and the first library."""
        self._record(EvolutionStarted(epoch=0, header=header))
        for event in library:
            self._record(event)
        self._seal(0)

    def resume(self, events: Sequence[DomainEvent], memory: bytes) -> None:
        """Stand at the sealed end of ``events``. Raises PolicyFailed for what is no memory of this Karn."""
        try:
            self.memory = type(self.memory).model_validate_json(memory, strict=False)
        except ValueError as error:
            name = type(self._karn).__name__
            raise PolicyFailed(f"{name} cannot read what it remembered: its source changed") from error
        self._past = list(events)
        self.state = rebuild(events)

    def step(self) -> GenerationSummary:
        """One generation, sealed. Raises PolicyFailed; then nothing of it is recorded."""
        generation = self.state.generation + 1
        reports = self._run(generation)
        self._invent(Epoch(generation), reports)
        self._certify_founders(Epoch(generation))
        self._obey(generation, curate(self._library, self.state.evidence, generation, self.state.started.curation))
        model = self._ground.risk(generation, (*self._past, *self._open))
        if model is not None and model != self._library.risk_model:
            self._obey(generation, (TrainRisk(model=model),))
        summary = self._summary(generation)
        self._record(GenerationClosed(epoch=generation, summary=summary))
        self._seal(generation)
        return summary

    @property
    def unsealed(self) -> tuple[DomainEvent, ...]:
        """What has happened in the generation under way: something only where one was left half-way through."""
        return tuple(self._open)

    @property
    def _library(self) -> BlueprintLibrary:
        return self.state.library

    def _record(self, event: DomainEvent) -> None:
        self.state = evolve(self.state, event)
        self._open.append(event)

    def _obey(self, generation: int, commands: Iterable[LibraryCommand]) -> None:
        for command in commands:
            self._record(decide(self._library, command, generation))

    def _seal(self, generation: int) -> None:
        memory = self.memory.model_dump_json().encode()
        self._ground.keep(memory)
        digest = hashlib.sha256(memory).hexdigest()
        seal = self._sink.seal(generation, tuple(self._open), self.state.digest(), digest)
        self._past += [*self._open, seal]
        self._open.clear()
        self.state = evolve(self.state, seal)

    def _certify_founders(self, epoch: Epoch) -> None:
        """Judge whatever is offered and was never examined: what a library began with.

        After Karn's turn, as the rest of curation: its first generation knows of the founders what runs reported.
        """
        trial = self.state.started.trial
        for record in self._library.offered():
            if record.certificate is None:
                examination = self._ground.crucible.examine(epoch, record.graph, record.metadata.default_reads)
                founder = Proposal(graph=record.graph, metadata=record.metadata, reason="it was there from the start")
                certificate = judge(founder, examination, self._library, trial)
                self._obey(epoch, (Certify(blueprint_id=record.blueprint_id, certificate=certificate),))

    def _run(self, generation: int) -> tuple[FieldReport, ...]:
        """The generation's runs, all under the library as it stands; what they reported."""
        found: list[FieldReport] = []
        for finished in self._ground.field.runs(generation, self._library):
            self._record(finished.joined)
            for report in finished.reports:
                self._record(FieldReportFiled(epoch=generation, report=report))
                found.append(report)
        return tuple(found)

    # Karn's turn

    def _invent(self, epoch: Epoch, reports: tuple[FieldReport, ...]) -> None:
        """Ask Karn until it has proposed as many as wanted, or nothing; it sees the certificates of the ones before."""
        random = BoundaryRandomness(self.state.started.run_key, epoch)
        wanted, number = self.state.started.candidates_per_generation, 0
        layout = self.state.started.trial.layout
        while number < wanted:
            seen = KarnObservation(epoch=epoch, reports=reports, library=self._library, layout=layout)
            step = self._controllers.invent(seen, self.memory, random)
            self.memory, reports = step.memory, ()
            batch = step.proposals[: wanted - number]
            if not batch:
                return
            for proposal in batch:
                self._consider(epoch, number, proposal)
                number += 1

    def _consider(self, epoch: Epoch, number: int, proposal: Proposal) -> None:
        """Judge one proposal; what passes battles those that passed before it."""
        before = len(self._open)
        trial, crucible = self.state.started.trial, self._ground.crucible
        for event in considered(epoch, number, proposal, self._library, trial, crucible):
            self._record(event)
        for event in self._open[before:]:
            if isinstance(event, BlueprintCertified) and event.certificate.passed:
                record = self._library.record(event.blueprint_id)
                self._obey(epoch, tuple(challenges(self._library, record)))
                self._obey(epoch, newcomer(self._library.record(event.blueprint_id), self.state.started.curation))

    # Closing

    def _summary(self, generation: int) -> GenerationSummary:
        proposed = {event.blueprint_id for event in self._open if isinstance(event, BlueprintProposed)}
        judged = [event for event in self._open if isinstance(event, BlueprintCertified)]
        passed = [event for event in judged if event.certificate.passed and event.blueprint_id in proposed]
        moderate = [event for event in passed if event.certificate.conf_level is not ConfidenceLevel.SPECULATIVE]
        rewards = [self._ground.worth(self._library.record(event.blueprint_id)) for event in passed]
        offered = self._library.offered()
        measured = diversity(offered)
        return GenerationSummary(
            generation=generation,
            proposed=self._count(BlueprintProposed),
            refused=self._count(ProposalRefused),
            certified=len(passed),
            at_least_moderate=len(moderate),
            mean_reward=_mean(rewards),
            diversity=measured.unique,
            distance=measured.distance,
            library_size=len(offered),
            retired=self._count(BlueprintRetired),
            mean_test_accuracy=_mean([event.test_accuracy for event in self._open if isinstance(event, RunJoined)]),
        )

    def _count(self, kind: type[DomainEvent]) -> int:
        return sum(isinstance(event, kind) for event in self._open)


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan
