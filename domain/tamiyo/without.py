"""A policy with one germination for sure, or without it: what that adaptation was worth is the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from domain.commands import Command, Decision, Germinate, GraftingStrategy, Reads, Wait
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.tamiyo.legal import carried_over, legal_actions, with_choice
from domain.tamiyo.policy import Observation, Randomness, Step, TamiyoPolicy
from domain.tamiyo.softened import remembered, still_legal


@final
@dataclass(frozen=True, slots=True)
class With:
    """The same policy, but at ``epoch`` it orders one given germination, whatever it would have ordered there.

    That takes the place of what it orders for this seed, else of its first germination, else it comes last. Everything
    else is as the wrapped policy has it, and it knows that something germinated. Where the seed is not free, or lifecycle
    or checks refuse the germination, as they may refuse any, nothing germinates in its place. ``Without`` around it is the same run
    without this one order. Raises ValueError for a name that no seed, no reading and no grafting strategy has.
    """

    policy: TamiyoPolicy
    seed: str
    """LAYER.SEED."""
    epoch: int
    blueprint: int
    """Its number in the library, from 1."""
    reads: str
    """A value of ``Reads``."""
    grafting: str
    """A value of ``GraftingStrategy``."""

    def __post_init__(self) -> None:
        SeedId.parse(self.seed)
        Reads(self.reads)
        GraftingStrategy(self.grafting)

    @property
    def profile(self) -> str:
        """The wrapped policy's."""
        return self.policy.profile

    def initial(self) -> Any:
        """What the wrapped policy remembers."""
        return self.policy.initial()

    def step(self, observation: Observation, memory: Any, random: Randomness) -> Step[Any]:
        """The wrapped policy's step; at that epoch with that germination. Raises UnknownBlueprint there."""
        step = self.policy.step(observation, memory, random)
        if observation.epoch != self.epoch:
            return step
        decisions = tuple(step.decisions)
        place = self._place(decisions)
        before, after = decisions[:place], decisions[place + 1 :]
        commands = [decision.command for decision in before]
        order = self._ordered(observation, decisions[place : place + 1], commands)
        rest = still_legal(after, [*commands, *(decision.command for decision in order)], observation)
        remembers = step.memory
        if _grows(order) and not _grows(decisions):
            remembers = remembered(self.policy, step, observation, memory, germinated=True)
        return Step((*before, *order, *rest), remembers)

    def _place(self, decisions: Sequence[Decision]) -> int:
        """Where it goes: in place of the seed's own germination, of the first one, of a recorded wait, or at the end."""
        orders = [(number, decision.command) for number, decision in enumerate(decisions)]
        grown = [(number, command) for number, command in orders if isinstance(command, Germinate)]
        own = [number for number, command in grown if command.seed == SeedId.parse(self.seed)]
        waits = [number for number, command in orders if isinstance(command, Wait)]
        return next(iter([*own, *(number for number, _ in grown), *waits]), len(decisions))

    def _ordered(
        self, observation: Observation, instead_of: Sequence[Decision], before: Sequence[Command]
    ) -> tuple[Decision, ...]:
        """The germination, with the draws that led to what it replaces. Those need odds, so what has none waits for them."""
        state, seed = observation.state, SeedId.parse(self.seed)
        blueprint = state.library.by_number(self.blueprint).blueprint_id
        command = Germinate(
            seed=seed, blueprint_id=blueprint, reads=Reads(self.reads), grafting=GraftingStrategy(self.grafting)
        )
        if any(decision.command == command for decision in instead_of):
            return tuple(instead_of)
        said = "; ".join(decision.reason for decision in instead_of) or "nothing"
        reason = f"with the germination of seed {self.seed} at epoch {self.epoch}, in place of: {said}"
        draws = tuple(draw for decision in instead_of for draw in decision.draws)
        legal = legal_actions(state, before)
        order = Decision(command=command, reason=reason, urgency=1.0)
        if legal.index(command) is not None:
            return (with_choice(order.model_copy(update={"draws": draws}), legal),)
        orders = (order,) if state.germinable(seed) else ()  # it may be legal all the same: a queue has room
        waits = Decision(command=Wait(), reason=f"{reason}, which is no choice here", draws=draws)
        return orders if orders and not draws else (*orders, with_choice(waits, legal))


@final
@dataclass(frozen=True, slots=True)
class Without:
    """The same policy, but for one germination, which is replaced by a recorded wait: that of ``seed`` at ``epoch``.

    Everything else is as the wrapped policy has it, its memory too: it believes to have germinated (the plateau of
    ``as_designed`` starts over), or it would order the same again at the next boundary. What it orders later is its own
    answer to the run that came of it; with ``never`` the seed is shown to it as locked from then on, so that it stays
    out for good. Raises ValueError for a name that no seed has.
    """

    policy: TamiyoPolicy
    seed: str
    """LAYER.SEED."""
    epoch: int
    never: bool = False

    def __post_init__(self) -> None:
        SeedId.parse(self.seed)

    @property
    def profile(self) -> str:
        """The wrapped policy's."""
        return self.policy.profile

    def initial(self) -> Any:
        """What the wrapped policy remembers."""
        return self.policy.initial()

    def step(self, observation: Observation, memory: Any, random: Randomness) -> Step[Any]:
        """The wrapped policy's step; at that epoch without that germination."""
        if self.never and observation.epoch > self.epoch:
            return self._locked_out(observation, memory, random)
        step = self.policy.step(observation, memory, random)
        decisions = tuple(step.decisions)
        place = next((number for number, decision in enumerate(decisions) if self._is_it(decision, observation)), None)
        if place is None:
            return step
        before = decisions[:place]
        commands = [decision.command for decision in before]
        waited = with_choice(self._wait(decisions[place]), legal_actions(observation.state, commands))
        # There is more to choose from than it thought; what is not legal now was not before either.
        return Step((*before, waited, *_anew(decisions[place + 1 :], commands, observation)), step.memory)

    def _locked_out(self, observation: Observation, memory: Any, random: Randomness) -> Step[Any]:
        """The wrapped policy's step where the seed, if it is dormant, is locked."""
        state, name = observation.state, SeedId.parse(self.seed)
        seed = state.seed(name)
        if seed.stage is not Stage.DORMANT:
            return self.policy.step(observation, memory, random)
        locked = replace(state, seeds={**state.seeds, name: replace(seed, locked=True)})
        step = self.policy.step(replace(observation, state=locked), memory, random)
        return Step(_anew(tuple(step.decisions), (), observation), step.memory)

    def _is_it(self, decision: Decision, observation: Observation) -> bool:
        command = decision.command
        return (
            isinstance(command, Germinate)
            and observation.epoch == self.epoch
            and command.seed == SeedId.parse(self.seed)
        )

    def _wait(self, instead_of: Decision) -> Decision:
        return Decision(
            command=Wait(),
            reason=f"without the germination of seed {self.seed} at epoch {self.epoch}: {instead_of.reason}",
            considered=instead_of.considered,
            draws=instead_of.draws,
        )


def _anew(decisions: Sequence[Decision], ordered: Sequence[Command], observation: Observation) -> tuple[Decision, ...]:
    """The decisions after ``ordered``, with odds over what is legal in fact."""
    before, found = list(ordered), []
    for decision in decisions:
        legal = legal_actions(observation.state, before)
        found.append((carried_over(decision, legal) if decision.legal else None) or decision)
        before.append(decision.command)
    return tuple(found)


def _grows(decisions: Sequence[Decision]) -> bool:
    """Whether something germinates."""
    return any(isinstance(decision.command, Germinate) for decision in decisions)
