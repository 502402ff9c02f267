"""A recorded run as off-policy evaluation reads it: each boundary's choice, its odds, and what others would have done.

A boundary is one decision: to wait, or one germination, out of the legal actions. What else was ordered there
(advances, culls and so on) is housekeeping: a policy that would have ordered otherwise had no chance of going on like
the recording, whatever it chose. What a veto or a refusal stopped counts as chosen; stopping it is the world's answer.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

from domain.commands import Command, Decision, Germinate, LegalActions, Odds, Wait
from domain.endings import RunEnding
from domain.events import CommandRefused, DecisionMade, DecisionVetoed, DomainEvent, RunEnded
from domain.header import Rule, RunHeader
from domain.karn.no_invention import NoInvention
from domain.karn.policy import KarnPolicy
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.policy import TamiyoPolicy
from engine.courses import header_of, headers_of
from engine.watching import Choice, Watched, watch

ENDINGS: Final = frozenset({RunEnding.COMPLETED, RunEnding.DIVERGED})
"""How a run ends whose policy answered at every boundary."""


class Unusable(ValueError):
    """A recorded run, or a policy asked about it, is nothing that a log can be made of. One sentence says why."""


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What one policy does at one boundary of a recording."""

    orders: tuple[Command, ...]
    """Its housekeeping, without what was vetoed or refused in the recording."""
    odds: Odds
    """Over the boundary's legal actions."""
    germinations: int = 0
    """How many it ordered at once; more than one is no single choice."""

    def chance(self, at: Boundary) -> float:
        """Probability, [0, 1], with which it would have gone on like the recording."""
        return dict(self.odds).get(at.chosen, 0.0) if self.orders == at.answer.orders else 0.0

    @property
    def germinating(self) -> float:
        """Probability, [0, 1], of any germination."""
        return min(math.fsum(chance for number, chance in self.odds if number), 1.0)


@final
@dataclass(frozen=True, slots=True)
class Boundary:
    """One recorded decision and what it was taken on."""

    epoch: int
    legal: LegalActions
    chosen: int
    """Number of the recorded choice among the legal actions."""
    answer: Answer
    """What the recorded policy did."""
    accuracy: float
    """On the validation set, [0, 1]; 0 where it was no number."""
    grown: int
    """Germinations so far."""
    growing: int
    """Seeds that hold an open adaptation."""

    @property
    def leaves_choice(self) -> bool:
        """Whether there was more than one legal action."""
        return len(self.legal) > 1


@final
@dataclass(frozen=True, slots=True, eq=False)
class RecordedRun:
    """One run of a log."""

    run: str
    header: RunHeader
    events: tuple[DomainEvent, ...]
    boundaries: tuple[Boundary, ...]
    """In order; epochs that panicked have none."""
    result: float
    """What the run is worth, given at its end."""

    @property
    def behaviour(self) -> str:
        """Hash of the policy that decided: equal ones, equal policies."""
        return self.header.tamiyo.digest

    @property
    def draws(self) -> bool:
        """Whether any choice was drawn from more than one possible action."""
        return any(len(at.answer.odds) > 1 for at in self.boundaries)

    @property
    def increments(self) -> tuple[float, ...]:
        """The result, told step by step: what validation accuracy gained up to the next boundary, the rest at the end.

        One a boundary; they sum to the result but for rounding. The first holds what was reached before it too.
        """
        if not self.boundaries:
            return ()
        reached = [at.accuracy for at in self.boundaries]
        gained = [after - before for before, after in pairwise(reached)]
        gained.append(self.result - reached[-1])
        return (gained[0] + reached[0], *gained[1:])


def read_run(run: str, events: Sequence[DomainEvent], result: float) -> RecordedRun:
    """A whole live run as a log holds it; ``result`` is what it is worth, such as its final test accuracy.

    Raises Unusable for a run that did not end or whose policy failed, a fork (it shares its past with another run), a run from before rule R5
    (no odds), one that trained nothing, and one that ordered several germinations at one boundary.
    """
    if not events:
        raise Unusable("holds no events")
    header = header_of(events)
    endings = [event.ending for event in events if isinstance(event, RunEnded)]
    if len(headers_of(events)) > 1:
        raise Unusable("forks share their past with other runs; a log takes whole ones")
    if header.trainer != "live":
        raise Unusable(f"was not recorded live but by trainer {header.trainer.partition(':')[0]}")
    if not endings:
        raise Unusable("stopped without an ending; resume it")
    if endings[-1] not in ENDINGS:
        raise Unusable(f"ended {endings[-1].value}: its policy has no answer for the last boundary")
    if Rule.LEGAL_ACTIONS_RECORDED not in header.rules:
        raise Unusable("recorded before rule R5: it holds no odds")
    if not math.isfinite(result):
        raise Unusable(f"has the result {result}, which is no number")
    bystander = NeverGrow(header.profile)
    voided = _voided(events)
    seen = watch(events, bystander, NoInvention()).boundaries
    boundaries = tuple(_boundary(watched, voided[watched.epoch]) for watched in seen)
    several = next((at for at in boundaries if at.answer.germinations > 1), None)
    if several is not None:
        raise Unusable(
            f"ordered {several.answer.germinations} germinations at epoch {several.epoch}, more than one choice"
        )
    return RecordedRun(run, header, tuple(events), boundaries, result)


def answers(run: RecordedRun, tamiyo: TamiyoPolicy, karn: KarnPolicy) -> tuple[Answer, ...]:
    """What ``tamiyo`` would have done at every boundary of the run, shown the recorded past and remembering it.

    Raises Unusable for a policy of another lifecycle profile, PolicyFailed for one that cannot bear the recording.
    """
    if tamiyo.profile != run.header.profile:
        raise Unusable(
            f"it drives the {tamiyo.profile} lifecycle but the log was recorded under the {run.header.profile} one"
        )
    voided = _voided(run.events)
    watched = watch(run.events, tamiyo, karn).boundaries
    return tuple(_answer(at.chosen, at.choice, voided[at.epoch]) for at in watched)


def named(command: Command) -> str:
    """An action in a few words."""
    if isinstance(command, Germinate):
        return f"germinate {command.seed} with {command.blueprint_id[:8]} by {command.grafting.value}"
    return command.kind


def _boundary(watched: Watched, voided: Sequence[Command]) -> Boundary:
    choice = watched.recorded_choice
    chosen = choice.legal.index(choice.command)
    assert chosen is not None, f"a choice is one of its legal actions: {choice.command}"
    state, accuracy = watched.seen.state, watched.seen.metrics.validation_accuracy
    return Boundary(
        epoch=watched.epoch,
        legal=choice.legal,
        chosen=chosen,
        answer=_answer(watched.recorded, choice, voided),
        accuracy=accuracy if math.isfinite(accuracy) else 0.0,
        grown=sum(seed.attempts for seed in state.seeds.values()),
        growing=len(state.active),
    )


def _answer(decisions: Sequence[Decision], choice: Choice, voided: Sequence[Command]) -> Answer:
    commands = [decision.command for decision in decisions]
    orders = tuple(each for each in commands if not isinstance(each, Germinate | Wait) and each not in voided)
    germinations = sum(isinstance(each, Germinate) for each in commands)
    return Answer(orders, choice.odds, germinations)


def _voided(events: Sequence[DomainEvent]) -> defaultdict[int, list[Command]]:
    """What came to nothing, by epoch."""
    stopped = {(event.epoch, event.number) for event in events if isinstance(event, DecisionVetoed | CommandRefused)}
    found: defaultdict[int, list[Command]] = defaultdict(list)
    for event in events:
        if isinstance(event, DecisionMade) and (event.epoch, event.number) in stopped:
            found[event.epoch].append(event.decision.command)
    return found
