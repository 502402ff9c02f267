"""Going on with a recorded run: as it would have gone on after a crash, or on another course as a fork of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from domain.events import DomainEvent, RunForked
from domain.header import RunHeader
from domain.run import rebuild
from engine.controllers import PolicyFailed
from engine.courses import Course, Trainers, headers_of, take
from engine.journal.errors import BlobMissing, EpochConflict
from engine.journal.journal import Journal
from engine.journal.seals import Head
from engine.recording import JournalSink
from engine.replay import ComparingSink
from engine.session import EpochView, Session
from engine.sink import Relay, Sink
from engine.trainers.recorded import RecordedTrainer, WhatIfTrainer
from engine.trainers.simulated.dynamics import Dynamics
from engine.trainers.trainer import CheckpointMissing, Trainer
from scenarios import composition
from scenarios.runs import simulation, trainers
from scenarios.runs.amending import amended, check_course, check_stages, fork_event
from scenarios.runs.orders import StandingOrders
from scenarios.runs.starting import KEPT_AT, start_for_more
from scenarios.specification import BadInput

Watch = Callable[[EpochView], None]


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A fork that was looked at and can be tried."""

    parent: str
    at: Head
    """The last epoch in common."""
    recorded: Sequence[DomainEvent]
    """Everything that the parent recorded, what came after that epoch included."""
    header: RunHeader
    """In force from there on."""

    @property
    def past(self) -> Sequence[DomainEvent]:
        """What both have in common."""
        return self.recorded[: self.at.position]

    @property
    def differs(self) -> bool:
        """Whether the fork takes another course than its parent."""
        return self.header != headers_of(self.past)[-1]


def resume(journal: Journal, run_id: str, at: Head, watch: Watch) -> None:
    """Go on where ``run_id`` stopped without an ending, at the end of epoch ``at``, and record it to its end.

    Raises BadInput for a run that ended or whose policies changed, Diverged where training again gives something else
    than recorded, EpochConflict where another process records the same run.
    """
    events = journal.events(run_id, upto=at.position)
    state = rebuild(events)
    if state.ending is not None:
        raise BadInput(f"run {run_id} ended {state.ending.value}; fork it at an earlier epoch to go on differently")
    for changed in composition.changed_sources(state.started):
        raise BadInput(f"run {run_id} cannot be resumed: {changed}; fork it to go on with the policy as it is now")
    sink = JournalSink(journal, run_id, at, alone=True)
    try:
        session = standing(journal, run_id, events, run_id, sink, watch)
        while session.state.ending is None:
            session.step()
    except (BlobMissing, CheckpointMissing) as missing:
        if journal.head(run_id) == sink.head:
            raise
        # Who is faster drops the checkpoints that it needs no more.
        raise EpochConflict(
            f"another process records {run_id} too and is ahead of this one; leave it to that one, nothing is lost"
        ) from missing


def planned(journal: Journal, parent: str, at: Head, **differences: Any) -> Plan:
    """Look at a fork of ``parent`` at the end of epoch ``at``; ``differences`` are those that ``amended`` takes.

    Raises BadInput where the parent ended there, or where lifecycle, settings or trainer cannot take over.
    """
    recorded = journal.events(parent)
    past = recorded[: at.position]
    state = rebuild(past)
    if state.ending is not None:
        raise BadInput(f"--at {at.epoch}: run {parent} ended there, {state.ending.value}; fork it at an earlier epoch")
    header = amended(state.started, **differences)
    if header != state.started:
        check_course(state, header)
        check_stages(past, header)
    if header.trainer == "recorded" and _recording(journal, parent, recorded, at.epoch)[-1].epoch <= at.epoch:
        raise BadInput(
            f"--trainer recorded: {parent} holds nothing after epoch {at.epoch} that was trained under the settings "
            "in force there; fork it at another epoch"
        )
    return Plan(parent, at, recorded, header)


def fork(journal: Journal, plan: Plan, child: str, watch: Watch, dynamics: Dynamics | None = None) -> None:
    """Record the new run ``child`` as planned: its parent's past, then on under its own header.

    ``dynamics`` are those that its simulated trainer takes, if it has one.

    With the parent's own header it is the parent again, to the last byte. Raises BadInput where a policy cannot take
    over, Diverged where training again gives something else than recorded. A fork of which nothing was sealed leaves
    nothing behind.
    """
    journal.share_past(plan.parent, plan.at, child)
    try:
        for header in headers_of(plan.past):
            trainers.share_dynamics(header, journal.blobs(plan.parent), journal.blobs(child))
        if dynamics is not None:
            simulation.keep(journal, child, dynamics)
        session = _forked(journal, plan, child, watch)
        while session.state.ending is None:
            session.step()
    except BaseException:
        if journal.head(child) is None:
            journal.drop_blobs(child)
        raise


def _forked(journal: Journal, plan: Plan, child: str, watch: Watch) -> Session:
    """A session of the fork, which stands where its own course begins."""
    header, at = plan.header, plan.at
    trains = header.trainer == headers_of(plan.past)[-1].trainer
    session = standing(journal, plan.parent, plan.past, child, JournalSink(journal, child, at), watch, trains=trains)
    if trains and header.trainer == "live":
        _keep_boundary(journal, plan.parent, child, session)
    if plan.differs:
        forked = fork_event(plan.parent, at.digest, session.state, header)
        makes = _trainers(journal, child, lambda: _recording(journal, plan.parent, plan.recorded, at.epoch))
        try:
            take(session, forked, plan.past, composition.policies, makes)
        except PolicyFailed as failure:
            raise BadInput(f"{header.tamiyo.name} cannot take over at epoch {at.epoch}: {failure}") from failure
    return session


def standing(
    journal: Journal,
    run_id: str,
    events: Sequence[DomainEvent],
    into: str,
    then: Sink,
    watch: Watch,
    *,
    trains: bool = True,
) -> Session:
    """A session at the end of ``events`` of ``run_id``; what it trains on the way is compared with what was recorded.

    Checkpoints from here on are kept with the run ``into``, later epochs go to ``then``. Without ``trains`` another
    trainer will take over, so that nothing needs to be trained on the way. Raises BadInput, Diverged.
    """
    in_force = headers_of(events)[-1]
    simulates = trains and trainers.kind(in_force) == trainers.SIMULATED
    try:
        if trains and trainers.kind(in_force) == trainers.LIVE:
            return _trained_up_to(journal, run_id, events, into, then, watch)
        # What was simulated is simulated again. Else the trainer to come needs to know no more than the state of the
        # run, and a recording brings the session there.
        recorded = RecordedTrainer(events)
        course = Course(
            events,
            composition.policies,
            lambda header: (
                trainers.simulated(header, journal.blobs(into))
                if simulates and trainers.kind(header) == trainers.SIMULATED
                else recorded
            ),
        )
        session = course.session(Relay(ComparingSink(events), events[-1].epoch, then), watch=watch)
        course.follow(session, events[-1].epoch)
    except PolicyFailed as failure:
        raise BadInput(f"{run_id} cannot go on: {failure}") from failure
    if trains and not simulates:
        makes = _trainers(journal, into, lambda: _recording(journal, run_id, events, events[-1].epoch))
        session.hand_over(makes(in_force))
    return session


def _trained_up_to(
    journal: Journal, run_id: str, events: Sequence[DomainEvent], into: str, then: Sink, watch: Watch
) -> Session:
    """As ``standing``, trained from the newest place to start from."""
    last = events[-1].epoch
    obstacle = trainers.not_comparable(headers_of(events)[-1])
    if obstacle is not None:
        raise BadInput(f"{run_id} cannot be trained on here: {obstacle}")
    contents = start_for_more(journal, run_id, events)
    files, blobs = contents.files or {}, journal.blobs(into)
    for content in files.values():
        blobs.put(content)
    told = [event for event in events if contents.checkpoint is not None and event.epoch <= contents.epoch]
    course = Course(events, composition.policies, _trainers(journal, into, tuple), StandingOrders(journal, into))
    sink = Relay(ComparingSink(events, told), last, then)
    session = course.session(sink, contents.start(trainers.controllers_in(files)), watch=watch)
    course.follow(session, last)
    if into != run_id:  # a boundary kept for forks was only started from
        for digest in files.keys() - {saved.checkpoint for saved in session.state.checkpoints}:
            blobs.release(digest)
    return session


def _trainers(journal: Journal, run_id: str, recording: Callable[[], Sequence[DomainEvent]]) -> Trainers:
    """The trainer that a header names, with the blobs of ``run_id``; a recorded one gives back ``recording``."""

    def made(header: RunHeader) -> Trainer:
        if trainers.kind(header) == trainers.RECORDED:
            return WhatIfTrainer(recording())
        makes = trainers.live if trainers.kind(header) == trainers.LIVE else trainers.simulated
        return makes(header, journal.blobs(run_id))

    return made


def _recording(journal: Journal, run_id: str, events: Sequence[DomainEvent], at: int) -> Sequence[DomainEvent]:
    """What a recorded trainer gives back after epoch ``at`` of ``run_id``: a run that was trained, up to its next fork.

    Beyond a fork it was trained under other settings. Raises BadInput if that run is not in this journal.
    """
    forks = [event for event in events if isinstance(event, RunForked) and event.epoch <= at]
    last_trained = max((number for number, fork in enumerate(forks) if fork.header.trainer != "recorded"), default=-1)
    borrowed = forks[last_trained + 1 :]
    if borrowed:  # the run is itself one over a recording: that of the run that it left for it
        source = borrowed[0]
        if all(head.digest != source.parent_digest for head in journal.heads(source.parent)):
            raise BadInput(
                f"run {run_id} goes over the recording of {source.parent}, which is not in this journal; "
                "import that run first"
            )
        events, at = journal.events(source.parent), source.epoch - 1
    ends = next((event.epoch for event in events if isinstance(event, RunForked) and event.epoch > at), None)
    return [event for event in events if ends is None or event.epoch < ends]


def _keep_boundary(journal: Journal, parent: str, child: str, session: Session) -> None:
    """Keep this boundary with the parent, so that the next fork of it need not train its way here again."""
    name = f"{KEPT_AT}{session.state.epoch}"
    if name in journal.notes(parent):
        return
    ours, theirs = journal.blobs(child), journal.blobs(parent)
    digest = session.snapshot()
    for kept in {digest, *(saved.checkpoint for saved in session.state.checkpoints)}:
        theirs.put(ours.get(kept))
    journal.note(parent, name, json.dumps(digest))
