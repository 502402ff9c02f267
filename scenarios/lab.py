"""The Python face: the verbs of the command as methods with typed results. The command is a thin layer over this."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, final

from domain.events import DomainEvent, RunEnded, RunForked, RunStarted, TestScored
from domain.header import RunHeader
from domain.identifiers import SeedId
from domain.karn.policy import KarnPolicy
from domain.run import RunState, UnknownSlot, rebuild
from domain.tamiyo.policy import TamiyoPolicy
from engine.courses import headers_of
from engine.journal.archive import export_run, import_run
from engine.journal.journal import Journal
from engine.journal.seals import Head
from engine.ledger import Ledger
from engine.rebuilding import state_at
from engine.replay import Verification, verify
from engine.session import EpochView
from engine.trainers.simulated.dynamics import Dynamics
from scenarios import composition, specification
from scenarios.frames import frames, query
from scenarios.keys import cipher_key
from scenarios.runs import beginning, continuing, simulation
from scenarios.runs.history import HISTORY, concerns, expect_run
from scenarios.runs.names import run_name
from scenarios.runs.remote import Remote
from scenarios.runs.results import RunMetrics, RunResult, result_of
from scenarios.runs.retraining import retrain_elsewhere
from scenarios.specification import BadInput, Scenario
from scenarios.whatif import ledgers
from scenarios.whatif import simulated as imagining
from scenarios.whatif.comparing import Comparison, compare_runs
from scenarios.whatif.figures import CPU_SECONDS
from scenarios.whatif.question import Question
from scenarios.whatif.simulated import SimulatedEvaluation

if TYPE_CHECKING:
    import polars

    from scenarios.whatif.attribution import Attribution
    from scenarios.whatif.exact import Evaluation
    from scenarios.whatif.exploration import ExplorationAdvice
    from scenarios.whatif.off_policy import OffPolicyEvaluation

DEFAULT_JOURNAL: Final = "sqlite:///.regrow/journal.db"

STARTED_AT: Final = "started_at"
"""The note of a run that was recorded here, as against imported."""
PARENT: Final = "parent"
AT_EPOCH: Final = "at_epoch"
"""The notes of a fork: whose past it shares, and up to the end of which epoch."""


@final
@dataclass(frozen=True, slots=True)
class Moment:
    """A run rebuilt at one epoch."""

    run: str
    epoch: int
    digest: str
    """Of the log up to this epoch; at the last epoch the run's digest."""
    state: RunState
    parent: str | None = None
    """The run that it is a fork of."""
    at_epoch: int | None = None
    """The last epoch in common with it."""


@final
class Lab:
    """A journal and what can be done with it. Use as a context manager."""

    def __init__(self, journal: str = DEFAULT_JOURNAL) -> None:
        self.address = journal
        """Where the journal is, so that other processes can open it too."""
        self.journal = Journal.open(journal, key=cipher_key())

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
        dynamics: Dynamics | None = None,
        library: Sequence[DomainEvent] | None = None,
        watch: Callable[[EpochView], None] = lambda view: None,
        elsewhere: Remote | None = None,
    ) -> RunResult:
        """Record a run of a scenario, by name with ``overrides`` (dotted key to value) or as it is given.

        It is trained live, or simulated on ``dynamics``, planted with the scenario's library or with ``library``.
        Tamiyo decides here, or in a service ``elsewhere``: the run is the same.

        Raises BadInput before anything is recorded; a policy that fails later ends the run instead.
        """
        if isinstance(scenario, str):
            scenario = specification.load(scenario, overrides)
        return self.record(beginning.planned(scenario, key, tamiyo, karn, dynamics, library), watch, elsewhere)

    def record(
        self,
        plan: beginning.Plan,
        watch: Callable[[EpochView], None] = lambda view: None,
        elsewhere: Remote | None = None,
    ) -> RunResult:
        """Record a run as it is planned. Raises BadInput for a policy that cannot even begin."""
        self.journal.admit(plan.header)
        run_id = self._new_run(run_name(plan.header, library=plan.heirloom))
        began = time.process_time()
        beginning.run(self.journal, plan, run_id, watch, elsewhere)
        self.journal.note(run_id, CPU_SECONDS, f"{time.process_time() - began:.3f}")
        return self.result(run_id)

    def resume(self, run_id: str, *, watch: Callable[[EpochView], None] = lambda view: None) -> RunResult:
        """Go on with a run that stopped without an ending, from its newest checkpoint, and record it to its end.

        Epochs between the checkpoint and the last recorded one are trained again and compared. Raises RunMissing,
        BadInput for a run that ended, whose policies changed or that cannot be trained here, Diverged where training
        gives something else, EpochConflict where another process records it.
        """
        continuing.resume(self.journal, run_id, self.head(run_id), watch)
        return self.result(run_id)

    def fork(
        self,
        run_id: str,
        at: int,
        *,
        tamiyo: str | None = None,
        karn: str | None = None,
        trainer: str | None = None,
        key: int | None = None,
        overrides: Mapping[str, Any] | None = None,
        dynamics: Dynamics | None = None,
        watch: Callable[[EpochView], None] = lambda view: None,
    ) -> RunResult:
        """A new run with the past of ``run_id`` up to the end of epoch ``at``, and what is given from there on.

        Another ``key`` draws new randomness from there on; the data stay. With nothing given it is the same run again.
        ``trainer`` is live, recorded (which trains nothing) or simulated, on ``dynamics``.
        Raises RunMissing, BadInput, Diverged where training again on the way gives something else than recorded.
        """
        head = self.head_at(run_id, at)
        trainer = simulation.trainer_named(trainer, dynamics)
        plan = continuing.planned(
            self.journal, run_id, head, tamiyo=tamiyo, karn=karn, trainer=trainer, key=key, overrides=overrides
        )
        self.journal.admit(plan.header)
        child = self._new_run(run_name(plan.header, at))
        self.journal.note(child, PARENT, run_id)
        self.journal.note(child, AT_EPOCH, str(at))
        began = time.process_time()
        continuing.fork(self.journal, plan, child, watch, dynamics)
        self.journal.note(child, CPU_SECONDS, f"{time.process_time() - began:.3f}")
        return self.result(child)

    def compare(self, runs: Sequence[str]) -> Comparison:
        """Runs side by side; the first is what the others stand beside. Raises RunMissing, BadInput for fewer than two."""
        if len(set(runs)) != len(runs) or len(runs) < 2:
            raise BadInput(f"compare {' '.join(runs)}: name two runs or more, each once")
        for run_id in runs:
            self.head(run_id)
        return compare_runs(self.journal, runs)

    def evaluate(
        self,
        question: Question,
        *,
        on: str = "local",
        workers: int = 2,
        race: bool = False,
        controls: bool = False,
        progress: Callable[[str], None] = lambda line: None,
    ) -> Evaluation:
        """Answer a question exactly, by training whatever of it is not recorded yet.

        ``on`` is local, ray or ray=ADDRESS. Raises BadInput for a question without an answer.
        """
        from scenarios.whatif.exact import Sweeper, evaluate  # which needs a Lab itself, in each worker

        sweeper = Sweeper(self.address, on=on, workers=workers, progress=progress)
        return evaluate(question, sweeper, race=race, controls=controls)

    def fit(self, scenario: Scenario, out: Path) -> tuple[Dynamics, int]:
        """Fit simulated dynamics to the live runs of a scenario and write them to a file; gives them and how many runs.

        Raises BadInput for too few runs or a file that cannot be written.
        """
        dynamics, count = imagining.fit_scenario(self.journal, scenario)
        simulation.write(dynamics, out)
        return dynamics, count

    def evaluate_simulated(self, question: Question, dynamics: Path | None = None) -> SimulatedEvaluation:
        """Answer a question on the dynamics of a file, or on those fitted to this journal's runs. Raises BadInput."""
        given = None if dynamics is None else simulation.dynamics_in(dynamics)
        return imagining.evaluate_simulated(self.journal, question, given)

    def evaluate_off_policy(self, question: Question) -> OffPolicyEvaluation:
        """Answer a question from this journal's runs alone, as far as they chose alike. Raises BadInput."""
        from scenarios.whatif.off_policy import off_policy_evaluation

        return off_policy_evaluation(self, question)

    def exploration(self, run_id: str, tamiyo: str, epsilon: float, effective: float = 50.0) -> ExplorationAdvice:
        """How many runs under a run's policy, softened by ``epsilon``, give ``effective`` ones of the policy ``tamiyo``.

        Raises RunMissing, BadInput.
        """
        from scenarios.whatif.exploration import exploration_advice

        head = self.head(run_id)
        events = self.journal.events(run_id, upto=head.position)
        return exploration_advice(run_id, events, tamiyo, epsilon, effective=effective)

    def frames(self, names: Sequence[str] | None = None) -> dict[str, polars.DataFrame]:
        """The views of projections/README.md as frames, all or those that are named. Raises UnknownView."""
        return frames(self.journal, names)

    def query(self, sql: str) -> polars.DataFrame:
        """One SELECT over the views. Raises BadQuery."""
        return query(self.journal, sql)

    def ledger(self, run_id: str, tamiyo: str) -> Ledger:
        """What the policy ``tamiyo`` would have chosen at each boundary of a run. Raises RunMissing, BadInput.

        It goes on past the first difference, where it is forced; ``up_to_boundary`` leaves that out.
        """
        head = self.head(run_id)
        return ledgers.of_run(run_id, self.journal.events(run_id, upto=head.position), tamiyo)

    def attribute(self, run_id: str, seed: str, **how: Any) -> Attribution:
        """What a germination of ``seed`` (LAYER.SEED) was worth; ``how`` is what ``attribution.attribute`` takes.

        Raises RunMissing, and BadInput for what cannot be asked or has no answer.
        """
        from scenarios.whatif.attribution import attribute  # which is built on this class

        return attribute(self, run_id, seed, **how)

    def _new_run(self, base: str) -> str:
        """Take the name of a run to be, and note where and when it began."""
        run_id = self.journal.new_run_id(base)
        self.journal.note(run_id, "host", socket.gethostname())
        self.journal.note(run_id, STARTED_AT, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        return run_id

    def result(self, run_id: str) -> RunResult:
        """A recorded run in a line. Raises RunMissing."""
        found = result_of(run_id, self.head(run_id).digest, self.journal.events(run_id))
        notes = self.journal.notes(run_id)
        if PARENT in notes:  # a fork on the same course says so nowhere else
            found = found.model_copy(update={"parent": notes[PARENT], "at_epoch": int(notes[AT_EPOCH])})
        return found

    def results(self) -> list[RunResult]:
        """Every recorded run, oldest first, from the last epoch of each alone: accuracies of open runs are left out."""
        found = []
        for summary in self.journal.summaries(RunEnded, TestScored):
            started = summary.first
            if not isinstance(started, RunStarted):
                continue  # an evolution
            ended = summary.latest.get(RunEnded)
            notes = self.journal.notes(summary.run_id)
            forked = self.journal.last(summary.run_id, RunForked) if PARENT in notes else None
            header = forked[1].header if forked else started.header
            scored = summary.latest.get(TestScored)
            found.append(
                RunResult(
                    run=summary.run_id,
                    scenario=header.scenario,
                    tamiyo=header.tamiyo.name,
                    key=header.run_key,
                    digest=summary.head.digest,
                    ending=ended.ending.value if isinstance(ended, RunEnded) else "OPEN",
                    epochs=summary.head.epoch,
                    metrics=RunMetrics(test_accuracy=scored.accuracy if isinstance(scored, TestScored) else None),
                    parent=notes.get(PARENT),
                    at_epoch=int(notes[AT_EPOCH]) if PARENT in notes else None,
                )
            )
        return found

    def head(self, run_id: str) -> Head:
        """Where the run stands. Raises RunMissing, BadInput for an evolution, which is no run."""
        expect_run(self.journal, run_id)
        # Where nothing is sealed, verifying says that there is no such run, or what is wrong with it.
        return self.journal.head(run_id) or self.journal.verify(run_id)[-1]

    def head_at(self, run_id: str, at: int | None) -> Head:
        """Where the run stood at the end of epoch ``at``, by default its last. Raises RunMissing, BadInput."""
        last = self.head(run_id)
        if at is None or at == last.epoch:
            return last
        if not 0 <= at <= last.epoch:
            raise BadInput(f"--at {at}: run {run_id} has epochs 0 to {last.epoch}")
        return next(head for head in self.journal.heads(run_id) if head.epoch == at)

    def show(self, run_id: str, at: int | None = None) -> Moment:
        """Rebuild a run at the end of epoch ``at``, by default its last. Raises RunMissing, BadInput, JournalDamaged."""
        head = self.head_at(run_id, at)
        state = state_at(self.journal, run_id, head.position)
        notes = self.journal.notes(run_id)
        at_epoch = int(notes[AT_EPOCH]) if PARENT in notes else None
        return Moment(run_id, head.epoch, head.digest, state, notes.get(PARENT), at_epoch)

    def events(
        self, run_id: str, *, topic: str | None = None, first: int | None = None, last: int | None = None
    ) -> Iterator[tuple[int, DomainEvent]]:
        """Positions and events of a run, of one topic if it is given, of epochs ``first`` to ``last``. Raises RunMissing."""
        if self.journal.head(run_id) is None:
            self.journal.verify(run_id)  # which says that there is none, or what is wrong with it
        for position, event in enumerate(self.journal.events(run_id), start=1):
            if topic is not None and topic != event.TOPIC:
                continue
            if (first is None or event.epoch >= first) and (last is None or event.epoch <= last):
                yield position, event

    def history(self, run_id: str, upto: int, only: SeedId | None = None) -> list[DomainEvent]:
        """What happened to the seeds, or to one of them, up to the end of epoch ``upto``: decisions, moves, endings."""
        head = self.head_at(run_id, upto)
        topics = {topic for kind in HISTORY for topic in self.journal.codec.topics(kind)}
        told = self.journal.select(run_id, lambda topic, body: topic in topics, head.position)
        return [event for event in told if only is None or concerns(event, only)]

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
        expect_run(self.journal, run_id)
        again = partial(retrain_elsewhere, self.journal.blobs(run_id), first_epoch) if retrain else None
        reached = verify(self.journal, run_id, _policies_here, again)
        self.check_checkpoints(run_id)
        headers = headers_of(self.journal.events(run_id))
        remarks = dict.fromkeys(remark for header in headers for remark in composition.changed_sources(header))
        return reached.model_copy(update={"remarks": tuple(remarks)})

    def check_checkpoints(self, run_id: str) -> None:
        """Read every checkpoint that the run keeps. An imported run brings none. Raises BlobMissing, BlobDamaged."""
        self.head(run_id)
        state = rebuild(self.journal.events(run_id))
        if STARTED_AT in self.journal.notes(run_id) and state.started.trainer == "live":
            for saved in state.checkpoints:
                self.journal.blobs(run_id).get(saved.checkpoint)

    def export(self, run_id: str, path: Path, *, decrypt: bool = False) -> None:
        """Write a run as CloudEvents, one a line. Raises KeyRefused for an encrypted one unless ``decrypt`` says so."""
        export_run(self.journal, run_id, path, decrypt=decrypt)

    def import_(self, path: Path) -> str:
        """Verify an exported run and record it; returns its id. Raises JournalDamaged for anything altered."""
        run_id = import_run(path, self.journal)
        forked = self.journal.last(run_id, RunForked)
        if forked is not None:
            self.journal.note(run_id, PARENT, forked[1].parent)
            self.journal.note(run_id, AT_EPOCH, str(forked[1].epoch - 1))
        return run_id


def _policies_here(header: RunHeader) -> tuple[TamiyoPolicy, KarnPolicy] | str:
    """The policies that a run names, or why they cannot be had on this machine."""
    try:
        return composition.policies(header)
    except BadInput as missing:
        return str(missing)
