"""A policy without one of its germinations: what that adaptation was worth is the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from domain.commands import Decision, Germinate, Wait
from domain.identifiers import SeedId
from domain.tamiyo.legal import carried_over, legal_actions, with_choice
from domain.tamiyo.policy import Observation, Randomness, Step, TamiyoPolicy


@final
@dataclass(frozen=True, slots=True)
class Without:
    """The same policy, but the germination of ``seed`` that it orders at ``epoch`` is replaced by a recorded wait.

    Everything else is as the wrapped policy has it, its memory too: it believes to have germinated (the plateau of
    ``as_designed`` starts over), or it would order the same again at the next boundary. What it orders later is its own
    answer to the run that came of it. Raises ValueError for a name that no seed has.
    """

    policy: TamiyoPolicy
    seed: str
    """LAYER.SEED."""
    epoch: int

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
        step = self.policy.step(observation, memory, random)
        decisions = tuple(step.decisions)
        place = next((number for number, decision in enumerate(decisions) if self._is_it(decision, observation)), None)
        if place is None:
            return step
        before = decisions[:place]
        commands = [decision.command for decision in before]
        waited = with_choice(self._wait(decisions[place]), legal_actions(observation.state, commands))
        after: list[Decision] = []
        for decision in decisions[place + 1 :]:
            legal = legal_actions(observation.state, [*commands, *(each.command for each in after)])
            # There is more to choose from than it thought; what is not legal now was not before either.
            after.append((carried_over(decision, legal) if decision.legal else None) or decision)
        return Step((*before, waited, *after), step.memory)

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
