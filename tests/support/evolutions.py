"""A small evolution that trains nothing: scripted runs, a scripted crucible, a Karn that widens whatever it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.blueprint import BlueprintGraph, BlueprintMetadata, blueprint_id
from domain.commands import Reads
from domain.events import DomainEvent, RunJoined
from domain.evolution.header import EvolutionHeader
from domain.field_reports import FieldReport
from domain.identifiers import BlueprintId, Epoch
from domain.karn.policy import KarnObservation, KarnStep, Proposal
from domain.lifecycle import Outcome
from domain.tamiyo.policy import Randomness
from domain.urabrask.certificate import CrucibleStage, Examination
from domain.urza.catalogue import residual_mlp
from domain.urza.kpis import CurationConfig
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord
from domain.values import Value
from engine.innovation.breeding import Finished, Ground, run_keys
from tests.support.headers import small_header
from tests.support.library_events import report

STREAM = "karn/test"


def evolution_header(
    *, generations: int = 3, candidates: int = 3, curation: CurationConfig | None = None
) -> EvolutionHeader:
    """Two runs of one scenario in each generation."""
    run = small_header()
    return EvolutionHeader(
        regrow="0",
        runs=(run,),
        run_key=5,
        generations=generations,
        runs_per_generation=2,
        candidates_per_generation=candidates,
        karn=run.karn,
        curation=curation or CurationConfig(),
    )


class Widths(Value):
    """How often it was asked, and the widths proposed so far."""

    asked: int = 0
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class WideningKarn:
    """Proposes residual MLPs of widths that it draws: two a step, now and then one that is known already."""

    def initial(self) -> Widths:
        return Widths()

    def step(self, observation: KarnObservation, memory: Widths, random: Randomness) -> KarnStep[Widths]:
        parent = observation.library.by_name("residual_mlp")
        drawn = random.generator(STREAM).integers(2, 30, size=2).tolist()
        proposals = tuple(
            Proposal(
                graph=residual_mlp(width),
                metadata=BlueprintMetadata(name=f"mlp_{width}"),
                parent_id=parent.blueprint_id,
                mutation="increase_layer_width",
                reason=f"{len(observation.reports)} reports",
                draws=(random.drawn(STREAM, 2),),
            )
            for width in drawn
        )
        return KarnStep(proposals, Widths(asked=memory.asked + 1, widths=(*memory.widths, *drawn)))


@dataclass
class ScriptedGround:
    """Runs that report on the newest blueprint offered, and a crucible whose gain grows with the width."""

    header: EvolutionHeader
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    """By generation; FOSSILIZED where it says nothing."""
    kept: list[bytes] = field(default_factory=list)
    planted: list[int] = field(default_factory=list)
    """Size of the library of each generation's runs."""

    def ground(self) -> Ground:
        return Ground(field=self, crucible=self, risk=no_risk, worth=gain_of, keep=self.kept.append)

    def runs(self, generation: int, library: BlueprintLibrary) -> Sequence[Finished]:
        self.planted.append(len(library))
        newest = library.offered()[-1].blueprint_id
        return [
            Finished(
                RunJoined(
                    epoch=generation,
                    run=f"run-{key}",
                    digest="0" * 64,
                    run_key=key,
                    scenario="test",
                    test_accuracy=0.5 + generation / 10,
                ),
                (self._report(newest, generation),),
            )
            for key in run_keys(self.header, generation, "test")
        ]

    def _report(self, blueprint: BlueprintId, generation: int) -> FieldReport:
        return report(blueprint, self.outcomes.get(generation, Outcome.FOSSILIZED), after=0.6).report

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        score = int(blueprint_id(candidate)[:4], 16) / 0xFFFF
        measures = (
            ("dynamic.benchmark_accuracy", 0.7 + 0.3 * score),
            ("dynamic.gain", 0.3 * score),
            ("robustness.accuracy_on_corrupted_data", 0.8),
            ("robustness.adversarial_attack_success_rate", 0.1),
        )
        if score < 0.1:
            return Examination(measures=measures, failed_stage=CrucibleStage.DYNAMIC, reason="it learned nothing")
        return Examination(measures=measures)


def no_risk(generation: int, events: Sequence[DomainEvent]) -> None:
    """No model: the prior stays."""


def gain_of(record: BlueprintRecord) -> float:
    """The gain that the crucible measured."""
    assert record.certificate is not None
    return dict(record.certificate.wep)["dynamic.gain"]
