"""A controller that orders anything, legal or not, and one that breaks down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from domain.commands import (
    Advance,
    Cancel,
    ChangeGrafting,
    Command,
    Cull,
    Decision,
    Germinate,
    GraftingStrategy,
    LegalActions,
    Reads,
    Recover,
    Reset,
    RollBack,
    Wait,
)
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Gate, Stage
from domain.run import RunState
from domain.seed import forward_gate
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from domain.values import Value

STREAM: Final = "chaos"
AGAIN: Final = "chaos/again"
KEPT: Final = 0.9
"""Probability that a growth decision stays what it was to be."""
UNKNOWN_BLUEPRINT: Final = BlueprintId("f" * 64)


@final
class Tally(Value):
    """What chaos remembers: how much it has ordered."""

    orders: int = 0


@final
@dataclass(frozen=True, slots=True)
class ChaoticTamiyo:
    """Orders at random: now and then what makes sense, so that seeds get far, and else whatever there is."""

    profile: str = "full"
    mischief: float = 0.5
    """Share of orders that are drawn with no regard to the state, [0, 1]."""
    orders_max: int = 6
    """Most orders at one boundary."""
    rollbacks: float = 0.05
    """Share of senseless orders that roll back, [0, 1]."""

    def initial(self) -> Tally:
        """Nothing ordered yet."""
        return Tally()

    def step(self, observation: Observation, memory: Tally, random: Randomness) -> Step[Tally]:
        """Up to ``orders_max`` orders."""
        dice = random.generator(STREAM)
        decisions: list[Decision] = []
        for _ in range(int(dice.integers(0, self.orders_max + 1))):
            command = self._order(observation.state, dice)
            decision = Decision(
                command=command,
                reason="chaos",
                confidence=float(dice.choice([0.1, 1.0, 1.0, 1.0])),
                urgency=float(dice.choice([0.5, 0.85, 1.0])),
            )
            legal = legal_actions(observation.state, [earlier.command for earlier in decisions])
            decisions.append(_drawn_again(decision, legal, random))
        return Step(tuple(decisions), Tally(orders=memory.orders + len(decisions)))

    def _order(self, state: RunState, dice: np.random.Generator) -> Command:
        layers = state.started.layout
        layer = int(dice.integers(0, len(layers)))
        seed = SeedId(layer=layer, index=int(dice.integers(0, layers[layer].seeds)))
        if dice.random() >= self.mischief:
            return self._sensible(state, seed, dice)
        if dice.random() < 0.1:
            seed = SeedId(layer=int(dice.integers(0, 9)), index=int(dice.integers(0, 9)))
        if dice.random() < self.rollbacks:
            return RollBack(seed=seed)
        return _anything(state, seed, dice)

    def _sensible(self, state: RunState, seed: SeedId, dice: np.random.Generator) -> Command:
        stage = state.seed(seed).stage
        if stage is Stage.DORMANT:
            return _germination(state, seed, dice)
        if stage is Stage.ERROR_RECOVERY:
            return Recover(seed=seed)
        gate = forward_gate(state.seed(seed), state.boundary(seed))
        return Wait() if gate is None else Advance(seed=seed, gate=gate.gate)


def _drawn_again(decision: Decision, legal: LegalActions, random: Randomness) -> Decision:
    """A growth decision kept with probability ``KEPT``, else any legal action; odds are given what was to be ordered.

    Other orders are no choice among actions, and so are not said to be drawn.
    """
    number = legal.index(decision.command)
    if number is None:
        return decision
    dice, alike = random.generator(AGAIN), (1 - KEPT) / len(legal)
    odds = dict.fromkeys(range(len(legal)), alike) | {number: KEPT + alike}
    taken = number if dice.random() < KEPT else int(dice.integers(len(legal)))
    return Decision(
        command=legal.action(taken),
        reason=decision.reason,
        confidence=decision.confidence,
        urgency=decision.urgency,
        propensity=odds[taken],
        draws=(random.drawn(STREAM, 4), random.drawn(AGAIN, 2)),
        legal=legal,
        odds=tuple(odds.items()),
    )


def _pick(dice: np.random.Generator, options: list[Any]) -> Any:
    return options[int(dice.integers(0, len(options)))]


def _germination(state: RunState, seed: SeedId, dice: np.random.Generator) -> Germinate:
    offered = [record.blueprint_id for record in state.library.offered()]
    return Germinate(
        seed=seed,
        blueprint_id=_pick(dice, [*offered, UNKNOWN_BLUEPRINT]),
        reads=_pick(dice, list(Reads)),
        grafting=_pick(dice, list(GraftingStrategy)),
    )


def _anything(state: RunState, seed: SeedId, dice: np.random.Generator) -> Command:
    options: list[Callable[[], Command]] = [
        lambda: _germination(state, seed, dice),
        lambda: Advance(seed=seed, gate=_pick(dice, list(Gate))),
        lambda: Cull(seed=seed),
        lambda: Cancel(seed=seed),
        lambda: Recover(seed=seed),
        lambda: Reset(seed=seed),
        lambda: ChangeGrafting(seed=seed, grafting=_pick(dice, list(GraftingStrategy))),
        Wait,
    ]
    command: Command = _pick(dice, options)()
    return command


@final
@dataclass(frozen=True, slots=True)
class BreakingTamiyo:
    """Waits until ``at``, and then does what it is given to do instead of a step."""

    at: int
    instead: Callable[[Observation], Any]
    profile: str = "full"

    def initial(self) -> NoMemory:
        """Nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """A decision to wait, or the breakdown."""
        if observation.epoch >= self.at:
            broken: Step[NoMemory] = self.instead(observation)
            return broken
        return Step((Decision(command=Wait(), reason="not yet"),), memory)
