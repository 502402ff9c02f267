"""Recording evolutions: plan one, and go on with it to its end."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import final

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import DomainEvent, EpochSealed, EvolutionStarted
from domain.evolution.header import EvolutionHeader
from domain.identifiers import Epoch
from domain.karn.reward_model import certified_reward
from domain.urabrask.certificate import Examination
from domain.urabrask.prior import PRIOR
from domain.urabrask.risk import RiskModel
from domain.urza.kpis import CurationConfig
from domain.urza.provenance import planted_library, provenance_head
from engine.controllers import PolicyFailed
from engine.innovation.breeding import Breeding, Ground
from engine.journal.journal import Journal
from engine.recording import JournalSink
from scenarios import composition
from scenarios.evolving.field import LiveField
from scenarios.evolving.recorded import EvolutionResult, result, summary_line
from scenarios.lab import Lab
from scenarios.runs import trainers
from scenarios.runs.names import plain
from scenarios.runs.once import namesakes
from scenarios.specification import BadInput, Scenario
from scenarios.whatif.figures import CPU_SECONDS


@final
@dataclass(frozen=True, slots=True)
class EvolutionPlan:
    """An evolution that was looked at and can be tried."""

    header: EvolutionHeader
    library: tuple[DomainEvent, ...]
    """What it begins with."""

    @property
    def name(self) -> str:
        """What it is called; namesakes get a number."""
        text = self.header.model_dump_json() + provenance_head(self.library)
        label = hashlib.sha256(text.encode()).hexdigest()[:6]
        scenarios = "-".join(self.header.scenarios)
        return f"evolution-{scenarios}-{plain(self.header.karn.name)}-{self.header.run_key}-{label}"[:120]


def planned(
    scenarios: Sequence[Scenario],
    *,
    key: int,
    generations: int,
    runs: int,
    candidates: int,
    karn: str,
    tamiyo: str | None = None,
    curation: CurationConfig | None = None,
) -> EvolutionPlan:
    """Look at an evolution over some scenarios. Raises BadInput.

    Its runs invent nothing themselves unless their scenario says so. All begin with the first scenario's library.
    """
    names = [scenario.name for scenario in scenarios]
    if not names or len(set(names)) != len(names):
        raise BadInput(f"evolve {' '.join(names)}: name one scenario or more, each once")
    headers = []
    for scenario in scenarios:
        here = trainers.fingerprint(scenario.training.threads)
        header, _, _ = composition.header(scenario, 0, tamiyo, None, here)
        composition.data(header)
        headers.append(header)
    _, reference = composition.karn(karn)
    made = EvolutionHeader(
        regrow=version("regrow"),
        runs=tuple(headers),
        run_key=key,
        generations=generations,
        runs_per_generation=runs,
        candidates_per_generation=candidates,
        karn=reference,
        curation=curation or CurationConfig(),
    )
    return EvolutionPlan(made, composition.library(scenarios[0].library))


def evolve(
    lab: Lab, plan: EvolutionPlan, *, workers: int = 2, progress: Callable[[str], None] = lambda line: None
) -> EvolutionResult:
    """Record an evolution to its end: the recorded one, gone on with where it was cut off, else a new one.

    Raises BadInput for a Karn that fails or does not know its memory any more, NoAnswer for a run that could not be
    recorded, EpochConflict where another process records the same evolution. Sealed generations stay recorded.
    """
    for header in plan.header.runs:
        lab.journal.admit(header)
    known = next((name for name in namesakes(lab.journal, plan.name) if _is_as_planned(lab.journal, name, plan)), None)
    name = known or lab.journal.new_run_id(plan.name)
    try:
        breeding = _breeding(lab, plan.header, name, workers, progress)
        if known is None:
            breeding.plant(plan.header, plan.library)
        else:
            events = lab.journal.events(name)
            seal = events[-1]
            assert isinstance(seal, EpochSealed), f"{name} ends in a seal"
            breeding.resume(events, lab.journal.blobs(name).get(seal.memory_digest))
        earlier, began = float(lab.journal.notes(name).get(CPU_SECONDS, 0)), _cpu_seconds()
        while not breeding.state.is_over:
            progress(summary_line(breeding.step()))
            lab.journal.note(name, CPU_SECONDS, f"{earlier + _cpu_seconds() - began:.3f}")
    except PolicyFailed as failure:
        raise BadInput(f"{name} cannot go on: {failure}") from failure
    return result(lab.journal, name)


def _cpu_seconds() -> float:
    """CPU time of this process and of the workers that it has outlived, s."""
    return sum(os.times()[:4])


def _is_as_planned(journal: Journal, name: str, plan: EvolutionPlan) -> bool:
    planting = journal.events(name, upto=journal.heads(name)[0].position)
    started = planting[0]
    same_library = provenance_head(planted_library(planting)) == provenance_head(plan.library)
    return isinstance(started, EvolutionStarted) and started.header == plan.header and same_library


def _breeding(lab: Lab, header: EvolutionHeader, name: str, workers: int, progress: Callable[[str], None]) -> Breeding:
    policy, _ = composition.karn(header.karn.name)
    ground = Ground(
        field=LiveField(lab, header, workers=workers, progress=progress),
        crucible=LiveCrucible(header),
        risk=_risk,
        worth=certified_reward,
        keep=lab.journal.blobs(name).put,
    )
    return Breeding(policy, JournalSink(lab.journal, name, alone=True), ground)


@final
class LiveCrucible:
    """Urabrask's crucible on torch, which knows no run: the first scenario's hardware is all it takes of one."""

    def __init__(self, header: EvolutionHeader) -> None:
        self._hardware = header.runs[0].hardware

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """As ``Trainer.examine``."""
        from engine.trainers.live.crucible import examine

        return examine(candidate, reads, self._hardware)


def _risk(generation: int, events: Sequence[DomainEvent]) -> RiskModel | None:
    """The model that everything so far gives; None for the prior."""
    from engine.innovation.risk_fitting import fitted, samples_of

    model = fitted(samples_of(events))
    return None if model == PRIOR else model
