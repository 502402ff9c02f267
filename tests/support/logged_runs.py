"""Scripted runs of a policy that tosses a coin at each boundary, for off-policy logs that can be reckoned by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.commands import Decision, Wait
from domain.events import DomainEvent
from domain.header import PolicyReference, RunHeader
from domain.karn.no_invention import NoInvention
from domain.karn.policy import KarnPolicy
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step, TamiyoPolicy
from domain.urza.catalogue import registrations
from engine.courses import Cast
from engine.evaluation.recorded.runs import RecordedRun, read_run
from engine.session import Session
from engine.sink import Tape
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer


@dataclass(frozen=True)
class Coin:
    """Germinates legal action ``action`` with probability ``chance``, (0, 1), wherever there is a choice.

    What falls is given, epoch by epoch; nothing where it is only asked for its odds.
    """

    chance: float
    falls: tuple[bool, ...] = ()
    action: int = 1
    keeps_house: bool = True
    profile: str = "full"

    def initial(self) -> NoMemory:
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        del random
        due = housekeeping(observation) if self.keeps_house else ()
        legal = legal_actions(observation.state)
        if len(legal) == 1:
            return Step(due, memory)
        falls = observation.epoch <= len(self.falls) and self.falls[observation.epoch - 1]
        number, chance = (self.action, self.chance) if falls else (0, 1 - self.chance)
        toss = Decision(
            command=legal.action(number) if number else Wait(),
            reason="as the coin fell",
            urgency=1.0,
            propensity=chance,
            legal=legal,
            odds=((0, 1 - self.chance), (self.action, self.chance)),
        )
        return Step((*due, toss), memory)


def taped(policy: TamiyoPolicy, *, name: str, curve: Curve | None = None, **settings: Any) -> list[DomainEvent]:
    """The events of a whole run under ``policy``, which is referred to by ``name``."""
    reference = PolicyReference(name=name, source_digest="0" * 64)
    made = small_header(**{"epochs": 2, **settings}).model_copy(update={"tamiyo": reference, "profile": policy.profile})
    tape = Tape()
    trainer = ScriptedTrainer(curve or Curve(accuracies=(0.25, 0.5)))
    Session(trainer, policy, NoInvention(), tape).run(made, registrations())
    return tape.events


def tossed(chance: float, *falls: bool, result: float, name: str = "", **settings: Any) -> RecordedRun:
    """A run of a coin as a log holds it; runs of one chance are of one policy."""
    events = taped(Coin(chance, falls), name=name or f"coin?chance={chance}", epochs=len(falls), **settings)
    return read_run(f"{chance} {falls}", events, result)


def beside(policy: TamiyoPolicy) -> Cast:
    """The policy for every header."""

    def cast(header: RunHeader) -> tuple[TamiyoPolicy, KarnPolicy]:
        del header
        return policy, NoInvention()

    return cast
