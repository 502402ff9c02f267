"""A policy that watches a recorded run without deciding: what it would have ordered, and what it remembers afterwards.

The recorded decisions are carried out over the recorded reports, epoch by epoch, while the watching policy is shown
each boundary. That is how a policy that takes over at a fork knows the past, and how its probability of each recorded
choice is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from domain.commands import Command, Decision, Germinate, LegalActions, Odds, Wait
from domain.events import BlueprintProposed, BlueprintRegistered, DecisionMade, DomainEvent, RunForked, RunStarted
from domain.header import RunHeader
from domain.karn.policy import KarnObservation, KarnPolicy, KarnStep, Proposal
from domain.tamiyo.legal import legal_actions, with_choice
from domain.tamiyo.policy import Observation, Randomness, Step, TamiyoPolicy
from domain.values import Value
from engine.controllers import Controllers, PolicyFailed
from engine.memories import Memories
from engine.randomness import BoundaryRandomness
from engine.session import Session
from engine.sink import Discard
from engine.trainers.recorded import RecordedTrainer


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen at a boundary: to wait, or which germination, of which legal actions, with which odds."""

    legal: LegalActions
    odds: Odds
    command: Germinate | Wait
    orders: int = 1
    """Germinations ordered at this boundary; a choice of more than one is judged by its first."""

    @property
    def is_forced(self) -> bool:
        """Whether there was nothing else to choose."""
        return len(self.legal) == 1

    def chance_of(self, command: Command) -> float:
        """Probability with which ``command`` would have been chosen here."""
        number = self.legal.index(command)
        return 0.0 if number is None else dict(self.odds).get(number, 0.0)


@final
@dataclass(frozen=True, slots=True)
class Watched:
    """One boundary of a recording: what was decided, and what the watching policy would have."""

    epoch: int
    seen: Observation
    recorded: tuple[Decision, ...]
    chosen: tuple[Decision, ...]

    @property
    def recorded_choice(self) -> Choice:
        """The recorded growth decision."""
        return choice_of(self.recorded, self.seen)

    @property
    def choice(self) -> Choice:
        """The growth decision of the policy that watches."""
        return choice_of(self.chosen, self.seen)


@final
@dataclass(frozen=True, slots=True)
class Past:
    """A recording as the watching policies know it."""

    boundaries: tuple[Watched, ...]
    memories: Memories
    """What they remember after it."""
    saved: Mapping[str, Memories]
    """What they remembered at each checkpoint that is kept, by its hash."""


def choice_of(decisions: Sequence[Decision], seen: Observation) -> Choice:
    """The growth decision among those of a boundary; where there is none, waiting was it."""
    growth = [decision for decision in decisions if isinstance(decision.command, Germinate)]
    waits = [decision for decision in decisions if isinstance(decision.command, Wait)]
    for decision in (*growth[:1], *waits[:1]):
        full = decision if decision.legal is not None else with_choice(decision, legal_actions(seen.state))
        command = full.command
        if full.legal is not None and isinstance(command, Germinate | Wait):
            return Choice(full.legal, full.odds, command, max(len(growth), 1))
    # Silence, or an order that is not legal, which comes to nothing.
    return Choice(legal_actions(seen.state), ((0, 1.0),), Wait())


def watch(
    events: Sequence[DomainEvent], tamiyo: TamiyoPolicy, karn: KarnPolicy, header: RunHeader | None = None
) -> Past:
    """Show a recording to policies that do not decide; ``header`` is the one that they think they run under.

    Raises PolicyFailed.
    """
    reciting = _Reciting(events, Controllers(tamiyo, karn), tamiyo, header)
    session = Session(RecordedTrainer(events), reciting, _RecitingKarn(events, reciting, karn), Discard())
    forks = {event.epoch: event for event in events if isinstance(event, RunForked)}
    started = events[0]
    assert isinstance(started, RunStarted), "a run opens with its header"
    session.plant(started.header, [event for event in events if event.epoch == 0 and _is_of_the_library(event)])
    while session.state.ending is None and session.state.epoch < events[-1].epoch:
        forked = forks.get(session.state.epoch + 1)
        if forked is not None:
            both = Memories(session.memories.tamiyo, session.memories.karn)
            session.fork(forked, reciting, _RecitingKarn(events, reciting, karn), both, session.saved)
        session.step()
        if reciting.failure is not None:
            raise reciting.failure
    return Past(tuple(reciting.boundaries), session.memories, session.saved)


def _is_of_the_library(event: DomainEvent) -> bool:
    return event.TOPIC.startswith("blueprint-")


@final
class _Reciting:
    """Decides what was decided, and lets another policy watch."""

    def __init__(
        self,
        events: Sequence[DomainEvent],
        controllers: Controllers,
        watching: TamiyoPolicy,
        header: RunHeader | None,
    ) -> None:
        self._decisions: defaultdict[int, list[Decision]] = defaultdict(list)
        for event in events:
            if isinstance(event, DecisionMade):
                self._decisions[event.epoch].append(event.decision)
        self._watching = watching
        self.controllers = controllers
        self.header = header
        self.boundaries: list[Watched] = []
        self.failure: PolicyFailed | None = None
        """How one of the watching policies failed. The session takes it for its own policy's failure, and would end."""
        self.profile = watching.profile

    def initial(self) -> Any:
        return self._watching.initial()

    def step(self, observation: Observation, memory: Value, random: Randomness) -> Step[Any]:
        seen = observation
        if self.header is not None:
            seen = replace(observation, state=replace(observation.state, header=self.header))
            random = BoundaryRandomness(self.header.run_key, observation.epoch)
        try:
            step = self.controllers.decide(seen, memory, random)
        except PolicyFailed as failure:
            self.failure = failure
            raise
        recorded = tuple(self._decisions[observation.epoch])
        self.boundaries.append(Watched(observation.epoch, seen, recorded, step.decisions))
        return Step(recorded, step.memory)


@final
class _RecitingKarn:
    """Proposes what was proposed and registered, and lets another architect watch."""

    def __init__(self, events: Sequence[DomainEvent], reciting: _Reciting, karn: KarnPolicy) -> None:
        self._proposals: defaultdict[int, list[Proposal]] = defaultdict(list)
        proposed: BlueprintProposed | None = None
        for event in events:
            if isinstance(event, BlueprintProposed):
                proposed = event
            elif isinstance(event, BlueprintRegistered) and proposed is not None:
                self._proposals[event.epoch].append(_proposal(proposed, event))
                proposed = None
        self._reciting = reciting
        self._karn = karn

    def initial(self) -> Any:
        return self._karn.initial()

    def step(self, observation: KarnObservation, memory: Value, random: Randomness) -> KarnStep[Any]:
        if self._reciting.header is not None:
            random = BoundaryRandomness(self._reciting.header.run_key, observation.epoch)
        try:
            step = self._reciting.controllers.invent(observation, memory, random)
        except PolicyFailed as failure:
            self._reciting.failure = failure
            raise
        return KarnStep(tuple(self._proposals[observation.epoch]), step.memory)


def _proposal(proposed: BlueprintProposed, registered: BlueprintRegistered) -> Proposal:
    return Proposal(
        graph=registered.graph,
        metadata=registered.metadata,
        parent_id=registered.parent_id,
        mutation=registered.mutation,
        reason=proposed.reason,
        propensity=proposed.propensity,
        draws=proposed.draws,
    )
