"""The Python face: the verbs of the command as methods with typed results. The command is a thin layer over this."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    DecisionMade,
    DomainEvent,
    FieldReportFiled,
    GraftingChanged,
    RollbackOrdered,
    RunEnded,
    RunEnding,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
    TestScored,
)
from domain.header import RunHeader
from domain.identifiers import SeedId
from domain.karn.policy import KarnPolicy
from domain.run import RunState, UnknownSlot, rebuild
from domain.tamiyo.policy import TamiyoPolicy
from domain.values import Value
from engine.journal.archive import export_run, import_run
from engine.journal.journal import Journal
from engine.journal.seals import Head
from engine.recording import JournalSink
from engine.replay import Verification, header_of, verify
from engine.session import EpochView, PolicyFailed, Session
from scenarios import composition, specification
from scenarios.retraining import retrain_elsewhere
from scenarios.specification import BadInput, Scenario

DEFAULT_JOURNAL: Final = "sqlite:///.regrow/journal.db"

STARTED_AT: Final = "started_at"
"""The note of a run that was recorded here, as against imported."""


@final
class RunMetrics(Value):
    """How good a run's network was, on data that no policy saw."""

    test_accuracy: float | None = None
    """At the end, [0, 1]; None while the run has no ending."""
    test_accuracy_before_growth: float | None = None
    """At the first germination; None if nothing germinated."""
    validation_accuracy: float | None = None
    """Last epoch, [0, 1]."""
    parameters: int = 0
    outcomes: Mapping[str, int] = {}
    """Concluded adaptations by outcome."""


@final
class RunResult(Value):
    """A run in a line."""

    run: str
    scenario: str
    tamiyo: str
    key: int
    digest: str
    ending: str
    """COMPLETED, DIVERGED, POLICY_FAILED, or OPEN for a run that stopped without an ending."""
    epochs: int
    metrics: RunMetrics

    @property
    def ended_well(self) -> bool:
        """Whether every epoch was trained."""
        return self.ending == RunEnding.COMPLETED.value


@final
@dataclass(frozen=True, slots=True)
class Moment:
    """A run rebuilt at one epoch."""

    run: str
    epoch: int
    digest: str
    """Of the log up to this epoch; at the last epoch the run's digest."""
    state: RunState


@final
class Lab:
    """A journal and what can be done with it. Use as a context manager."""

    def __init__(self, journal: str = DEFAULT_JOURNAL) -> None:
        self.journal = Journal.open(journal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.close()

    def run(
        self,
        scenario: str | Scenario,
        *,
        tamiyo: str | None = None,
        karn: str | None = None,
        key: int = 0,
        overrides: Mapping[str, Any] | None = None,
        watch: Callable[[EpochView], None] = lambda view: None,
    ) -> RunResult:
        """Record a live run of a scenario, by name with ``overrides`` (dotted key to value) or as it is given.

        Raises BadInput before anything is recorded; a policy that fails later ends the run instead.
        """
        if isinstance(scenario, str):
            scenario = specification.load(scenario, overrides)
        from engine.trainers.live.fingerprint import fingerprint
        from engine.trainers.live.tolaria import LiveTrainer

        header, tamiyo_policy, karn_policy = composition.header(
            scenario, key, tamiyo, karn, fingerprint(scenario.training.threads)
        )
        trainer_data = composition.data(header)
        label = hashlib.sha256(header.model_dump_json().encode()).hexdigest()[:6]
        run_id = self.journal.new_run_id(f"{scenario.name}-{_plain(header.tamiyo.name)}-{key}-{label}")
        self.journal.note(run_id, "host", socket.gethostname())
        self.journal.note(run_id, STARTED_AT, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        trainer = LiveTrainer(trainer_data, self.journal.blobs(run_id))
        try:
            session = Session(trainer, tamiyo_policy, karn_policy, JournalSink(self.journal, run_id), watch=watch)
        except PolicyFailed as failure:
            raise BadInput(str(failure)) from failure
        began = time.process_time()
        session.run(header, composition.first_library())
        self.journal.note(run_id, "cpu_seconds", f"{time.process_time() - began:.3f}")
        return self.result(run_id)

    def result(self, run_id: str) -> RunResult:
        """A recorded run in a line. Raises RunMissing."""
        return _result(run_id, self.head(run_id).digest, self.journal.events(run_id))

    def results(self) -> list[RunResult]:
        """Every recorded run, oldest first, from the last epoch of each alone: accuracies of open runs are left out."""
        found = []
        for summary in self.journal.summaries(RunEnded, TestScored):
            started = summary.first
            assert isinstance(started, RunStarted), f"{summary.run_id} does not open with its header"
            ended = summary.latest.get(RunEnded)
            scored = summary.latest.get(TestScored)
            found.append(
                RunResult(
                    run=summary.run_id,
                    scenario=started.header.scenario,
                    tamiyo=started.header.tamiyo.name,
                    key=started.header.run_key,
                    digest=summary.head.digest,
                    ending=ended.ending.value if isinstance(ended, RunEnded) else "OPEN",
                    epochs=summary.head.epoch,
                    metrics=RunMetrics(test_accuracy=scored.accuracy if isinstance(scored, TestScored) else None),
                )
            )
        return found

    def head(self, run_id: str) -> Head:
        """Where the run stands. Raises RunMissing."""
        # Where nothing is sealed, verifying says that there is no such run, or what is wrong with it.
        return self.journal.head(run_id) or self.journal.verify(run_id)[-1]

    def show(self, run_id: str, at: int | None = None) -> Moment:
        """Rebuild a run at the end of epoch ``at``, by default its last. Raises RunMissing, BadInput, JournalDamaged."""
        last = self.head(run_id)
        epoch = last.epoch if at is None else at
        if not 0 <= epoch <= last.epoch:
            raise BadInput(f"--at {epoch}: run {run_id} has epochs 0 to {last.epoch}")
        head = next(head for head in self.journal.heads(run_id) if head.epoch == epoch)
        state = rebuild(self.journal.events(run_id, upto=head.position))
        return Moment(run=run_id, epoch=epoch, digest=head.digest, state=state)

    def events(
        self, run_id: str, *, topic: str | None = None, first: int | None = None, last: int | None = None
    ) -> Iterator[tuple[int, DomainEvent]]:
        """Positions and events of a run, of one topic if it is given, of epochs ``first`` to ``last``. Raises RunMissing."""
        self.head(run_id)
        for position, event in enumerate(self.journal.events(run_id), start=1):
            if topic is not None and topic != event.TOPIC:
                continue
            if (first is None or event.epoch >= first) and (last is None or event.epoch <= last):
                yield position, event

    def history(self, run_id: str, upto: int, only: SeedId | None = None) -> list[DomainEvent]:
        """What happened to the seeds, or to one of them, up to the end of epoch ``upto``: decisions, moves, endings."""
        return [event for _, event in self.events(run_id, last=upto) if only is None or concerns(event, only)]

    def seed_named(self, state: RunState, name: str) -> SeedId:
        """The seed that a person calls ``LAYER.SEED``. Raises BadInput."""
        try:
            seed = SeedId.parse(name)
            state.seed(seed)
        except (ValueError, UnknownSlot) as error:
            raise BadInput(f"--seed {name}: {error}") from error
        return seed

    def last_reason(self, run_id: str) -> str:
        """Why the run ended; empty for one that did not."""
        found = self.journal.last(run_id, RunEnded)
        return found[1].reason if found else ""

    def verify(self, run_id: str, *, retrain: bool = False, first_epoch: int = 0) -> Verification:
        """Climb the rungs; rung 4 trains the run again in a new process, from the last kept checkpoint that is not
        after ``first_epoch``.

        Raises JournalDamaged, RunMissing, BadInput; BlobMissing and BlobDamaged for a kept checkpoint that is not whole.
        """
        again = partial(retrain_elsewhere, self.journal.blobs(run_id), first_epoch) if retrain else None
        reached = verify(self.journal, run_id, _policies_here, again)
        self.check_checkpoints(run_id)
        started = self.journal.events(run_id, upto=1)
        return reached.model_copy(update={"remarks": composition.changed_sources(header_of(started))})

    def check_checkpoints(self, run_id: str) -> None:
        """Read every checkpoint that the run keeps. An imported run brings none. Raises BlobMissing, BlobDamaged."""
        self.head(run_id)
        if STARTED_AT in self.journal.notes(run_id):
            for saved in rebuild(self.journal.events(run_id)).checkpoints:
                self.journal.blobs(run_id).get(saved.checkpoint)

    def export(self, run_id: str, path: Path) -> None:
        """Write a run as CloudEvents, one a line."""
        export_run(self.journal, run_id, path)

    def import_(self, path: Path) -> str:
        """Verify an exported run and record it; returns its id. Raises JournalDamaged for anything altered."""
        return import_run(path, self.journal)


def _policies_here(header: RunHeader) -> tuple[TamiyoPolicy, KarnPolicy] | str:
    """The policies that a run names, or why they cannot be had on this machine."""
    try:
        return composition.policies(header)
    except BadInput as missing:
        return str(missing)


def concerns(event: DomainEvent, seed: SeedId) -> bool:
    """Whether an event is about ``seed``."""
    match event:
        case DecisionMade():
            return getattr(event.decision.command, "seed", None) == seed
        case SeedGerminated() | AdaptationConcluded():
            return event.adaptation.seed == seed
        case FieldReportFiled():
            return event.report.adaptation.seed == seed
        case RollbackOrdered():
            return event.culprit == seed
        case StageChanged() | AlphaChanged() | GraftingChanged() | SeedFaulted():
            return event.seed == seed
        case _:
            return False


def _result(run_id: str, digest: str, events: Sequence[DomainEvent]) -> RunResult:
    state = rebuild(events)
    scores = [event for event in events if isinstance(event, TestScored)]
    at_the_end = [score.accuracy for score in scores if score.occasion == "ending"]
    at_germination = [score.accuracy for score in scores if score.occasion == "germination"]
    outcomes: dict[str, int] = {}
    for event in events:
        if isinstance(event, AdaptationConcluded):
            outcomes[event.outcome.value] = outcomes.get(event.outcome.value, 0) + 1
    return RunResult(
        run=run_id,
        scenario=state.started.scenario,
        tamiyo=state.started.tamiyo.name,
        key=state.started.run_key,
        digest=digest,
        ending=state.ending.value if state.ending else "OPEN",
        epochs=state.epoch,
        metrics=RunMetrics(
            test_accuracy=at_the_end[-1] if at_the_end else None,
            test_accuracy_before_growth=at_germination[0] if at_germination else None,
            validation_accuracy=state.recent[-1].validation_accuracy if state.recent else None,
            parameters=state.parameters,
            outcomes=outcomes,
        ),
    )


def _plain(name: str) -> str:
    """A policy's name as part of a run id: the class alone, plain characters only."""
    return "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in name.rpartition(":")[2])
