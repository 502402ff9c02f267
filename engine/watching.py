"""A policy that watches a recorded run without deciding: what it would have ordered, and what it remembers afterwards.

The recorded decisions are carried out over the recorded reports, epoch by epoch, while the watching policy is shown
each boundary. That is how a policy that takes over at a fork knows the past, and how its probability of each recorded
choice is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from domain.commands import Command, Decision, Germinate, LegalActions, Odds, Wait
from domain.events import BlueprintProposed, BlueprintRegistered, DecisionMade, DomainEvent, RunForked, RunStarted
from domain.header import RunHeader
from domain.karn.policy import KarnObservation, KarnPolicy, KarnStep, Proposal
from domain.tamiyo.legal import legal_actions, with_choice
from domain.tamiyo.policy import Observation, Randomness, Step, TamiyoPolicy
from domain.tamiyo.softened import remembered
from domain.urza.provenance import planted_library
from domain.values import Value
from engine.controllers import Controllers, PolicyFailed
from engine.memories import Memories
from engine.outside import Recalled
from engine.randomness import BoundaryRandomness
from engine.session import Session
from engine.sink import Discard
from engine.trainers.recorded import RecordedTrainer

Under = RunHeader | Callable[[RunHeader], RunHeader] | None


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
    """As the watching policy saw it, under its own header."""
    recorded_profile: str
    """The lifecycle that the recorded policy decided under."""
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


def watch(events: Sequence[DomainEvent], tamiyo: TamiyoPolicy, karn: KarnPolicy, header: Under = None) -> Past:
    """Show a recording to policies that do not decide; ``header`` is the one that they think they run under.

    It can be given as a function of the recorded one in force; by default it is that one.

    Raises PolicyFailed.
    """
    reciting = _Reciting(events, Controllers(tamiyo, karn), tamiyo, header)
    recites = _RecitingKarn(events, reciting, karn)
    session = Session(RecordedTrainer(events), reciting, recites, Discard(), outside=Recalled(events))
    forks = {event.epoch: event for event in events if isinstance(event, RunForked)}
    started = events[0]
    assert isinstance(started, RunStarted), "a run opens with its header"
    session.plant(started.header, planted_library(events))
    while session.state.ending is None and session.state.epoch < events[-1].epoch:
        forked = forks.get(session.state.epoch + 1)
        if forked is not None:
            both = Memories(session.memories.tamiyo, session.memories.karn)
            session.fork(forked, reciting, recites, both, session.saved)
        try:
            session.step()
        except _Unbearable as unbearable:
            raise unbearable.failure from unbearable
    return Past(tuple(reciting.boundaries), session.memories, session.saved)


class _Unbearable(BaseException):
    """A watching policy failed. No Exception: the session would take it for its own policy's failure, and end."""

    def __init__(self, failure: PolicyFailed) -> None:
        super().__init__(str(failure))
        self.failure = failure


@final
class _Reciting:
    """Decides what was decided, and lets another policy watch."""

    def __init__(
        self,
        events: Sequence[DomainEvent],
        controllers: Controllers,
        watching: TamiyoPolicy,
        header: Under,
    ) -> None:
        self._decisions: defaultdict[int, list[Decision]] = defaultdict(list)
        for event in events:
            if isinstance(event, DecisionMade):
                self._decisions[event.epoch].append(event.decision)
        self._watching = watching
        self.controllers = controllers
        self._header = header
        self.boundaries: list[Watched] = []
        self.key = header.run_key if isinstance(header, RunHeader) else None
        """The run key of the header that both think they run under, where it is given."""
        self.profile = watching.profile

    def initial(self) -> Any:
        return self._watching.initial()

    def step(self, observation: Observation, memory: Value, random: Randomness) -> Step[Any]:
        in_force = observation.state.started
        header = self._header(in_force) if callable(self._header) else self._header or in_force
        seen = observation
        if header is not in_force:
            seen = replace(observation, state=replace(observation.state, header=header))
            random = BoundaryRandomness(header.run_key, observation.epoch)
        try:
            step = self.controllers.decide(seen, memory, random)
        except PolicyFailed as failure:
            raise _Unbearable(failure) from failure
        recorded = tuple(self._decisions[observation.epoch])
        self.boundaries.append(Watched(observation.epoch, seen, in_force.profile, recorded, step.decisions))
        # What it remembers is what was done, not what it would have done.
        germinated = any(isinstance(decision.command, Germinate) for decision in recorded)
        return Step(recorded, remembered(self._watching, step, seen, memory, germinated=germinated))


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
        self._key = reciting.key

    def initial(self) -> Any:
        return self._karn.initial()

    def step(self, observation: KarnObservation, memory: Value, random: Randomness) -> KarnStep[Any]:
        if self._key is not None:
            random = BoundaryRandomness(self._key, observation.epoch)
        try:
            step = self._reciting.controllers.invent(observation, memory, random)
        except PolicyFailed as failure:
            raise _Unbearable(failure) from failure
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
