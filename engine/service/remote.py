"""Tamiyo in another process, as a session sees it: a policy like any other, whose step is a question over the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from domain.tamiyo.policy import Observation, Randomness, Step, TamiyoPolicy
from domain.values import Value
from engine.controllers import ControllerIsSilent, PolicyFailed
from engine.service.line import Line
from engine.service.messages import ControlBatch
from engine.service.recovery import NotRecovered


@final
class RemoteTamiyo:
    """Stands in for ``policy``: profile and first memory are its own, decisions come from a service that runs it too.

    The session's own checks are made as ever: a service cannot order what the policy itself could not.
    """

    def __init__(self, policy: TamiyoPolicy, line: Line, clock: Callable[[], float], patience_s: float) -> None:
        self._policy = policy
        self._line = line
        self._clock = clock
        self._patience_s = patience_s

    @property
    def profile(self) -> str:
        """The policy's own."""
        return self._policy.profile

    def initial(self) -> Any:
        """The policy's own."""
        return self._policy.initial()

    def step(self, observation: Observation, memory: Value, random: Randomness) -> Step[Any]:
        """The service's answer. Raises ControllerIsSilent where there is none, PolicyFailed where it is that."""
        del random  # the service draws from the same streams
        kind, began = type(memory), self._clock()

        def read(batch: ControlBatch) -> tuple[ControlBatch, Value | None]:
            return batch, kind.model_validate_json(batch.memory, strict=False) if batch.memory else None

        try:
            batch, remembered = self._line.ask(
                observation.epoch, memory.model_dump_json(), read, began + self._patience_s
            )
        except NotRecovered as silence:
            raise ControllerIsSilent(str(silence), self._waited_ms(began)) from silence
        if batch.failed:
            raise PolicyFailed(batch.failed)
        if remembered is None:
            raise ControllerIsSilent(f"the service declined: {batch.declined}", self._waited_ms(began))
        return Step(batch.decisions, remembered)

    def _waited_ms(self, began: float) -> float:
        return round(1000.0 * (self._clock() - began), 3)
