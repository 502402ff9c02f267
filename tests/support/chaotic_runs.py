"""Runs under a controller that orders anything: vetoes, refusals, faults, rollbacks and panics, all in one history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from domain.events import DomainEvent
from domain.faults import FaultKind
from domain.identifiers import SeedId
from domain.karn.no_invention import NoInvention
from domain.safety import SafetyConfig
from domain.tamiyo.policy import Observation, Randomness, Step
from domain.urza.catalogue import registrations
from engine.session import Session
from engine.sink import Tape
from tests.support.chaotic_policy import ChaoticTamiyo, Tally
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

LENIENT = SafetyConfig.model_validate(
    {"fail_safe_mode": False, "max_consecutive_failures": 1000, "allow_risky": True}, strict=False
)


@final
@dataclass(frozen=True, slots=True)
class Unweighed:
    """Chaos that does not say it drew: orders at random that come without legal actions and odds."""

    chaos: ChaoticTamiyo

    @property
    def profile(self) -> str:
        return self.chaos.profile

    def initial(self) -> Tally:
        return self.chaos.initial()

    def step(self, observation: Observation, memory: Tally, random: Randomness) -> Step[Tally]:
        step = self.chaos.step(observation, memory, random)
        return Step(tuple(decision.model_copy(update={"draws": ()}) for decision in step.decisions), step.memory)


def chaotic_run(key: int, *, epochs: int = 24, mischief: float = 0.3, profile: str = "full") -> tuple[DomainEvent, ...]:
    """A run of ``epochs`` epochs on 2 layers of 2 seeds, different for each ``key``."""
    seeds = [SeedId(layer=layer, index=index) for layer in (0, 1) for index in (0, 1)]
    faults = {epoch: ((seeds[epoch % 4], FaultKind.NON_FINITE, 3),) for epoch in range(5 + key % 3, epochs, 6)}
    curve = Curve(
        accuracies=tuple(0.4 + 0.02 * epoch for epoch in range(epochs)) + ((math.nan,) if key % 2 else ()),
        reconstruction=(0.1, 0.9),
        health=(0.5, 0.25, math.nan),
        faults=faults,
        panics={11 + key % 4: "loss is not finite"},
    )
    header = small_header(profile=profile, epochs=epochs, run_key=key, max_active_seeds=3, safety=LENIENT)
    kept = Tape()
    tamiyo = Unweighed(ChaoticTamiyo(profile=profile, mischief=mischief))
    Session(ScriptedTrainer(curve), tamiyo, NoInvention(), kept).run(header, registrations())
    return tuple(kept.events)
