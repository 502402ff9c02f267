"""Tamiyo as a process of its own: hears every run on the bus, decides when a trainer asks, and says why.

It keeps nothing: what it knows of a run is the fold of what was announced, and what its policy remembers comes with each
request. So it can be killed at any moment and started again; it reads from the oldest message on and stands where it
stood. The assessed service's loop of 100 ms is an epoch boundary here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, final

from domain.events import (
    AdaptationConcluded,
    AdaptationRewarded,
    BreakerMoved,
    CommandRefused,
    ControllerSilent,
    DecisionVetoed,
    DomainEvent,
    EpochSealed,
    GrowthPaused,
    GrowthResumed,
    LayerHealthReported,
    PanicRaised,
    RecoveryTried,
    RollbackOrdered,
    RunEnded,
    RunStarted,
    SeedFaulted,
    StageChanged,
)
from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.lifecycle import Outcome
from domain.tamiyo.policy import Observation, TamiyoPolicy
from domain.tamiyo.review import review
from engine.controllers import Controllers, PolicyFailed
from engine.oona.bus import Bus, Delivery
from engine.oona.envelope import Envelope, EnvelopeRefused, event_of, value_of
from engine.oona.inbox import GapStays, Inbox
from engine.oona.topics import Topic
from engine.randomness import BoundaryRandomness
from engine.service.breakers import BUS, LIMITS, TRAINER, Breaker
from engine.service.following import Followed
from engine.service.guards import TROUBLE, Guards
from engine.service.messages import ANSWERED, ASKED, ORDERED, ControlBatch, DecisionRequest, answer, requests_of
from engine.service.recovery import NotRecovered, said
from engine.service.statistics import ServiceStatistics, Tally

Cast = Callable[[RunHeader], tuple[TamiyoPolicy, KarnPolicy] | str]
"""Gives the policies that a header names, or says why they cannot be had here as they were there."""

GAP_S: Final = 30.0
"""How long a message that others wait for may stay away. The bus keeps topics for different times, so the beginning of an
old run, or its telemetry, may be gone for ever."""
STATISTICS_S: Final = 60.0
"""Between two lines of statistics in the log. Source: domain reference D7."""
PRESSING_SHOWN: Final = 3
"""Signals that are logged with the decisions of a boundary."""
PAUSE_S: Final = 1.0
"""Before a bus that is away is tried again."""

LOGGED: Final = (
    StageChanged,
    AdaptationConcluded,
    DecisionVetoed,
    CommandRefused,
    SeedFaulted,
    PanicRaised,
    RollbackOrdered,
    GrowthPaused,
    GrowthResumed,
    ControllerSilent,
    BreakerMoved,
    RecoveryTried,
    RunEnded,
)
"""What is logged of a run, each under its topic with all its fields."""


@final
class TamiyoService:
    """Decides for every run on a bus. For one thread."""

    def __init__(self, bus: Bus, consumer: str, cast: Cast, guards: Guards) -> None:
        """``consumer`` is a name that nobody had on this bus before: it begins at the oldest message that is kept."""
        self._bus = bus
        self._cast = cast
        self._guards = guards
        self._log = guards.log
        self._inbox = Inbox()
        self._runs: dict[str, Followed] = {}
        self._casts: dict[str, tuple[TamiyoPolicy, KarnPolicy] | str] = {}
        self._trainers: dict[str, Breaker] = {}
        """A breaker a run: one that cannot be decided for does not stand in the way of the others."""
        self._lost: dict[str, str] = {}
        """Runs that cannot be followed, and why."""
        self._ended: set[str] = set()
        """Runs that were heard to their end. Of these and of lost ones nothing else is kept."""
        self._gaps: dict[str, float] = {}
        """Since when a run waits for a message that has not come."""
        self._answers: deque[Envelope] = deque()
        """What is to be sent, or could not be sent yet."""
        self._tally = Tally(guards.clock())
        self._said_at = guards.clock()
        self._subscription = bus.subscribe(tuple(Topic), consumer)

    def turn(self, seconds: float) -> bool:
        """Deal with the next message, if one comes within ``seconds``; whether one came. Nothing on the bus raises."""
        try:
            self._send()
            delivery = self._guards.call(BUS, partial(self._subscription.next, seconds), math.inf)
        except NotRecovered:
            self._guards.wait(PAUSE_S)
            delivery = None
        if delivery is not None:
            self._hear(delivery)
        for run in [run for run, since in self._gaps.items() if self._guards.clock() - since > GAP_S]:
            self._lose(run, f"a message of it is missing for {GAP_S:g} s, and what came after it waits")
            self._settle(run)
        self._tally.incidents += len(self._guards.incidents.take())
        if self._guards.clock() - self._said_at >= STATISTICS_S:
            self.say_statistics()
        return delivery is not None

    def ended(self, run: str) -> bool:
        """Whether a run was heard to its end, or is lost, and everything that was asked is answered."""
        return (run in self._ended or run in self._lost) and not self._answers

    def statistics(self) -> ServiceStatistics:
        """What was counted so far."""
        used = [breaker for breaker in self._guards.breakers.values() if breaker.counts.requests]
        return self._tally.statistics(self._guards.clock(), [*used, *self._trainers.values()])

    def say_statistics(self) -> None:
        """A line of statistics in the log, and one for everything in it that somebody should look at."""
        self._said_at = self._guards.clock()
        counted = self.statistics()
        self._log.say("tamiyo.statistics", **counted.model_dump(mode="json"))
        for warning in counted.warnings:
            self._log.say("tamiyo.warning", reason=warning)

    def close(self) -> None:
        """Stop listening."""
        self.say_statistics()
        self._subscription.close()

    # Hearing

    def _hear(self, delivery: Delivery) -> None:
        """Take a message in, in its turn. What cannot be read never gets a turn."""
        envelope = delivery.envelope
        try:
            if envelope.type in {ANSWERED, ORDERED} or envelope.subject in self._lost.keys() | self._ended:
                delivery.confirm()
                self._decline(envelope)
            else:
                _content(envelope)
                self._inbox.take(delivery, self._take_in)
        except EnvelopeRefused as refused:
            self._reject(delivery, str(refused))
        except GapStays as gap:
            delivery.confirm()
            self._lose(envelope.subject, str(gap))
        except TROUBLE as error:  # it comes again, and is known then
            self._log.say("bus.down", reason=said(error))
        self._settle(envelope.subject)
        self._send_if_possible()

    def _take_in(self, delivery: Delivery) -> None:
        """The effect of a message whose turn it is."""
        envelope = delivery.envelope
        run = self._runs.setdefault(envelope.subject, Followed(envelope.subject))
        content = _content(envelope)
        if isinstance(content, DecisionRequest):
            run.asked = (envelope, content)
        else:
            try:
                run.tell(content)
                self._note(run, content)
            except Exception as error:  # whatever a foreign run folds into, other runs are not to suffer
                self._lose(run.run, said(error))
                return
        if isinstance(content, EpochSealed) and run.state.ending is not None:
            self._ended.add(run.run)
        due = run.due()
        if due is not None:
            self._answers.append(answer(self._answered(run, due[1]), due[0]))

    def _decline(self, envelope: Envelope) -> None:
        """A trainer whose run cannot be followed need not wait to find out."""
        reason = self._lost.get(envelope.subject)
        if envelope.type == ASKED and reason is not None:
            epoch = value_of(envelope, DecisionRequest).epoch
            self._answers.append(answer(ControlBatch(epoch=epoch, declined=reason), envelope))

    def _reject(self, delivery: Delivery, reason: str) -> None:
        self._tally.rejected += 1
        self._log.say("message.rejected", id=delivery.envelope.id, type=delivery.envelope.type, reason=reason)
        try:
            delivery.reject(reason)
        except TROUBLE as error:  # it comes again, and is rejected then
            self._log.say("bus.down", reason=said(error))

    def _lose(self, run: str, reason: str) -> None:
        self._lost[run] = reason
        self._log.say("run.lost", run=run, reason=reason)

    def _settle(self, run: str) -> None:
        """After each message of a run: keep nothing of one that is over, and see whether one waits for a message."""
        if run in self._lost or run in self._ended:
            for kept in (self._runs, self._casts, self._trainers, self._gaps):
                kept.pop(run, None)
            for stream in (run, requests_of(run)):
                self._inbox.forget(stream)
        elif self._inbox.has_gap(run):
            self._gaps.setdefault(run, self._guards.clock())
        else:
            self._gaps.pop(run, None)

    def _note(self, run: Followed, event: DomainEvent) -> None:
        """Count and log what a run told."""
        tally = self._tally
        if isinstance(event, LayerHealthReported):
            began, before = self._guards.clock(), len(run.signals)
            found = run.judge(event.report)
            tally.signals += event.report.seeds
            tally.kept += len(run.signals) - before
            tally.reading_s += self._guards.clock() - began
            if found.health is not None:
                tally.health.add(found.health)
            if found.problems:
                tally.problems += 1
                rules = [problem.model_dump() for problem in found.problems]
                self._log.say("layer.problematic", run=run.run, epoch=event.epoch, layer=found.layer, problems=rules)
        elif isinstance(event, AdaptationConcluded):
            tally.fossils += event.outcome is Outcome.FOSSILIZED
        elif isinstance(event, AdaptationRewarded):
            tally.rewards.add(event.reward.total)
        elif isinstance(event, RunStarted):
            tally.runs += 1
            self._log.say(event.TOPIC, run=run.run, scenario=event.header.scenario, policy=event.header.tamiyo.name)
        if isinstance(event, LOGGED):
            self._log.say(event.TOPIC, run=run.run, **event.model_dump(mode="json"))

    # Deciding

    def _answered(self, run: Followed, asked: DecisionRequest) -> ControlBatch:
        """The answer to a request that has all it needs; a refusal where this service cannot give one."""
        began = self._guards.clock()
        breaker = self._trainers.setdefault(
            run.run, Breaker(f"{TRAINER} {run.run}", LIMITS[TRAINER], self._guards.incidents.moved)
        )
        try:
            batch = self._guards.recovery.call(
                TRAINER, lambda: breaker.call(lambda: self._decided(run, asked)), subject=run.run
            )
        except NotRecovered as failure:
            batch = ControlBatch(epoch=asked.epoch, declined=str(failure))
        self._tally.latency_ms.add(1000.0 * (self._guards.clock() - began))
        if not batch.memory:
            self._log.say("decision.none", run=run.run, epoch=asked.epoch, reason=batch.failed or batch.declined)
        return batch

    def _decided(self, run: Followed, asked: DecisionRequest) -> ControlBatch:
        header = run.state.started
        if run.run not in self._casts:
            self._casts[run.run] = self._cast(header)
        cast = self._casts[run.run]
        if isinstance(cast, str):
            return ControlBatch(epoch=asked.epoch, declined=cast)
        seen = run.observation(asked.epoch)
        memory = type(cast[0].initial()).model_validate_json(asked.memory, strict=False)
        try:
            step = Controllers(*cast).decide(seen, memory, BoundaryRandomness(header.run_key, asked.epoch))
        except PolicyFailed as failure:
            return ControlBatch(epoch=asked.epoch, failed=str(failure))
        batch = ControlBatch(epoch=asked.epoch, decisions=step.decisions, memory=step.memory.model_dump_json())
        self._judge(run, batch, seen)
        return batch

    def _judge(self, run: Followed, batch: ControlBatch, seen: Observation) -> None:
        """Log each decision with its reasons and with what the validations will say; the session has the last word."""
        pressing = run.pressing()
        if batch.decisions:
            self._log.say(
                "boundary.seen",
                run=run.run,
                epoch=batch.epoch,
                signals=len(pressing),
                most_pressing=[
                    {"seed": str(signal.seed_id), "priority": round(signal.priority, 3), "remarks": signal.remarks}
                    for signal in pressing[:PRESSING_SHOWN]
                ],
            )
        for number, decision in enumerate(batch.decisions):
            found = review(decision, seen.state, seen.reports)
            self._tally.judged(found)
            self._log.say(
                "decision.rejected" if found else "decision.reached",
                run=run.run,
                epoch=batch.epoch,
                number=number,
                command=decision.command.model_dump(mode="json"),
                reason=decision.reason,
                confidence=decision.confidence,
                urgency=decision.urgency,
                violations=[violation.model_dump() for violation in found],
            )

    # Answering

    def _send(self) -> None:
        """Every answer, in order. Raises NotRecovered; what was not sent waits for the next turn."""
        while self._answers:
            publish = partial(self._bus.publish, Topic.KASMINA_COMMANDS, self._answers[0])
            self._guards.call(BUS, publish, math.inf)
            self._answers.popleft()

    def _send_if_possible(self) -> None:
        try:
            self._send()
        except NotRecovered as failure:
            self._log.say("answer.waits", waiting=len(self._answers), reason=str(failure))


def _content(envelope: Envelope) -> DomainEvent | DecisionRequest:
    """What a message says that a run may have sent. Raises EnvelopeRefused."""
    run = envelope.subject
    if envelope.type == ASKED:
        if envelope.stream != requests_of(run):
            raise EnvelopeRefused(f"{envelope.id}: a request of {run} comes in its stream of requests")
        return value_of(envelope, DecisionRequest)
    if envelope.stream != run or envelope.id != f"{run}/{envelope.sequence}":
        raise EnvelopeRefused(f"{envelope.id}: event {envelope.sequence} of {run} is called {run}/{envelope.sequence}")
    return event_of(envelope)
