"""The two policies of a run and what they remember, asked in a way that lets nothing they do surprise a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from domain.commands import Command, Decision, odds_problem
from domain.header import Rule
from domain.karn.policy import KarnObservation, KarnPolicy, KarnStep, Proposal
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import Observation, Randomness, Step, TamiyoPolicy
from domain.values import Value
from engine.memories import Memories, memories_from
from engine.wording import portable, short


class ControllerIsSilent(Exception):
    """A controller elsewhere gave no answer in time. The boundary passes without one."""

    def __init__(self, reason: str, waited_ms: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.waited_ms = waited_ms


class PolicyFailed(Exception):
    """A policy raised, or returned something that is no decision."""


@final
class Controllers:
    """Tamiyo and Karn of a run."""

    def __init__(self, tamiyo: TamiyoPolicy, karn: KarnPolicy) -> None:
        self._tamiyo = tamiyo
        self._karn = karn

    def initial(self) -> Memories:
        """What they remember before the first epoch. Raises PolicyFailed."""
        return Memories(_remembered(self._tamiyo.initial), _remembered(self._karn.initial))

    def saved(self, controllers: Mapping[str, str]) -> dict[str, Memories]:
        """Memories saved as JSON, by the hash of the checkpoint that they were saved with.

        Raises PolicyFailed for a memory that is not of these policies.
        """
        found = {}
        for digest, text in controllers.items():
            try:
                found[digest] = memories_from(text, self._tamiyo, self._karn)
            except (ValueError, LookupError) as error:
                both = f"{_name(self._tamiyo)} and {_name(self._karn)}"
                raise PolicyFailed(
                    f"{both} cannot read what checkpoint {digest[:12]} says they remembered: their source changed"
                ) from error
        return found

    def decide(self, seen: Observation, memory: Value, random: Randomness) -> Step[Any]:
        """Tamiyo's step. Raises PolicyFailed for whatever is no step, remembers what cannot be saved, or has wrong odds."""
        try:
            step = self._tamiyo.step(seen, memory, random)
            # Read here: a policy may hand over an iterator, which can be read only once and may raise.
            decisions = tuple(step.decisions) if isinstance(step, Step) else ()
        except (ControllerIsSilent, PolicyFailed):
            raise  # of a controller elsewhere: nobody is there, or it failed there as it would here
        except (Exception, SystemExit) as error:
            raise PolicyFailed(
                f"{_name(self._tamiyo)} raised {type(error).__name__} at epoch {seen.epoch}: {portable(error)}"
            ) from error
        if not isinstance(step, Step):
            raise PolicyFailed(f"{_name(self._tamiyo)} returned {short(step)} at epoch {seen.epoch}, not a Step")
        _check_memory(self._tamiyo, step.memory, seen.epoch)
        before: list[Command] = []
        for decision in decisions:
            if not isinstance(decision, Decision):
                raise PolicyFailed(
                    f"{_name(self._tamiyo)} decided {short(decision)} at epoch {seen.epoch}, not a Decision"
                )
            self._check_odds(decision, seen, before)
            before.append(decision.command)
        return Step(decisions, step.memory)

    def _check_odds(self, decision: Decision, seen: Observation, before: Sequence[Command]) -> None:
        """Raises PolicyFailed unless a choice that was drawn says from what."""
        if Rule.LEGAL_ACTIONS_RECORDED not in seen.state.started.rules:
            return
        wrong = odds_problem(decision)  # once more: a copy may have been changed without being validated
        if wrong is None and decision.legal is None and (decision.draws or decision.propensity != 1.0):
            wrong = "a drawn decision needs its legal actions and their odds"
        if wrong is None and decision.legal is not None and decision.legal != legal_actions(seen.state, before):
            wrong = "its legal actions are not those of this boundary; domain/tamiyo/legal.py has them"
        if wrong is not None:
            raise PolicyFailed(f"{_name(self._tamiyo)} decided at epoch {seen.epoch} without sound odds: {wrong}")

    def invent(self, seen: KarnObservation, memory: Value, random: Randomness) -> KarnStep[Any]:
        """Karn's step. Raises PolicyFailed for whatever is no step of proposals."""
        try:
            step = self._karn.step(seen, memory, random)
            proposals = tuple(step.proposals) if isinstance(step, KarnStep) else ()
        except (Exception, SystemExit) as error:
            raise PolicyFailed(
                f"{_name(self._karn)} raised {type(error).__name__} at epoch {seen.epoch}: {portable(error)}"
            ) from error
        if not isinstance(step, KarnStep) or not all(isinstance(entry, Proposal) for entry in proposals):
            raise PolicyFailed(
                f"{_name(self._karn)} returned {short(step)} at epoch {seen.epoch}, not a KarnStep of Proposals"
            )
        for proposal in proposals:
            _check_proposal(self._karn, proposal, seen.epoch)
        _check_memory(self._karn, step.memory, seen.epoch)
        return KarnStep(proposals, step.memory)


def _remembered(initial: Callable[[], Any]) -> Value:
    try:
        memory = initial()
    except (Exception, SystemExit) as error:
        raise PolicyFailed(f"{initial.__qualname__} raised {type(error).__name__}: {portable(error)}") from error
    if not isinstance(memory, Value):
        raise PolicyFailed(f"{initial.__qualname__} returned {short(memory)}, not a Value")
    return memory


def _check_memory(policy: object, memory: object, epoch: int) -> None:
    """Raises PolicyFailed unless ``memory`` is a value that can be recorded."""
    if not isinstance(memory, Value):
        raise PolicyFailed(f"{_name(policy)} remembers {short(memory)} at epoch {epoch}, not a Value")
    try:
        memory.model_dump_json()
    except ValueError as error:
        wrong = f"what cannot be recorded at epoch {epoch}: {portable(error)}"
        raise PolicyFailed(f"{_name(policy)} remembers {wrong}") from error


def _check_proposal(policy: object, proposal: Proposal, epoch: int) -> None:
    """Raises PolicyFailed unless ``proposal`` reads back: a copy may have been changed without being validated."""
    try:
        Proposal.model_validate_json(proposal.model_dump_json(warnings=False), strict=False)
    except (ValueError, TypeError, AttributeError) as error:
        wrong = f"what cannot be recorded at epoch {epoch}: {portable(error)}"
        raise PolicyFailed(f"{_name(policy)} proposes {wrong}") from error


def _name(policy: object) -> str:
    return type(policy).__name__
