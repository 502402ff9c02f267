"""A generation's runs: ordinary live runs in the same journal, each recorded once however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from domain.events import DomainEvent, FieldReportFiled, RunJoined
from domain.evolution.header import EvolutionHeader
from domain.header import RunHeader
from domain.urza.library import BlueprintLibrary
from domain.urza.succession import succession
from engine.evaluation.sweep import JobFailed
from engine.innovation.breeding import Finished, run_keys
from engine.journal.journal import Journal
from scenarios import composition
from scenarios.lab import Lab
from scenarios.runs.beginning import Plan
from scenarios.runs.once import record_once
from scenarios.runs.results import RunResult
from scenarios.specification import NoAnswer
from scenarios.whatif.sweeping import swept


@final
@dataclass(frozen=True, slots=True)
class RunJob:
    """A run to record."""

    name: str
    journal: str
    """Address of the journal."""
    header: RunHeader
    library: tuple[DomainEvent, ...]
    """What it is planted with."""


def perform(job: RunJob) -> RunResult:
    """Record a run, or find it recorded."""
    with Lab(job.journal) as lab:
        return record_once(lab, Plan(job.header, *composition.policies(job.header), None, job.library))


@final
class LiveField:
    """Records the runs of each generation of one evolution."""

    def __init__(
        self, lab: Lab, header: EvolutionHeader, *, workers: int, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        self._lab = lab
        self._header = header
        self._workers = workers
        self._progress = progress

    def runs(self, generation: int, library: BlueprintLibrary) -> Sequence[Finished]:
        """Every run of a generation, by scenario, then by run key. Raises NoAnswer if one gives no run."""
        planted = succession(library)
        jobs = [
            RunJob(f"generation {generation}, {run.scenario}, key {key}", self._lab.address, header, planted)
            for run in self._header.runs
            for key in run_keys(self._header, generation, run.scenario)
            for header in (run.model_copy(update={"run_key": key}),)
        ]
        found = []
        for job, result in swept(jobs, perform, on="local", workers=self._workers, progress=self._tell):
            if isinstance(result, JobFailed):
                raise NoAnswer(f"{result}; the generations that were sealed stay recorded")
            found.append(_finished(self._lab.journal, generation, job, result))
        return found

    def _tell(self, job: RunJob, result: RunResult | JobFailed) -> None:
        if isinstance(result, RunResult):
            self._progress(f"{job.name}: test accuracy {result.metrics.test_accuracy}, {result.run}")


def _finished(journal: Journal, generation: int, job: RunJob, result: RunResult) -> Finished:
    """The run with what it reported."""
    topics = frozenset(journal.codec.topics(FieldReportFiled))
    filed = journal.select(result.run, lambda topic, body: topic in topics)
    accuracy = result.metrics.test_accuracy
    joined = RunJoined(
        epoch=generation,
        run=result.run,
        digest=result.digest,
        run_key=job.header.run_key,
        scenario=job.header.scenario,
        test_accuracy=float("nan") if accuracy is None else accuracy,
    )
    return Finished(joined, tuple(event.report for event in filed if isinstance(event, FieldReportFiled)))
