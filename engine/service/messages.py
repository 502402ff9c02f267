"""What a trainer process and a service say to each other over Oona beside the events of a run.

Equal runs say equal things: nothing here depends on a clock or on chance.
"""

from __future__ import annotations

from typing import Final, Self, final

from pydantic import Field, model_validator

from domain.commands import Decision
from domain.values import Value
from engine.oona.envelope import Envelope, value_envelope

ASKED: Final = "decision-requested.v1"
ANSWERED: Final = "decisions-reached.v1"
ORDERED: Final = "growth-ordered.v1"


@final
class DecisionRequest(Value):
    """A trainer's request: Tamiyo, decide at the end of this epoch."""

    epoch: int = Field(ge=1)
    position: int = Field(ge=1)
    """The last event of the run that Tamiyo has to know: the state that it decides in is the fold up to it."""
    memory: str
    """What it remembers at this boundary, as JSON."""


@final
class ControlBatch(Value):
    """A controller's answer: the commands of one boundary, all of them or none.

    Source: ``KasminaControlCommand`` and ``BatchCommand``, domain reference C3 and C8; a decision is a command with its
    reasons. Exactly one of ``memory``, ``failed`` and ``declined`` is given.
    """

    epoch: int = Field(ge=1)
    decisions: tuple[Decision, ...] = ()
    memory: str = ""
    """What the policy remembers from here on, as JSON."""
    failed: str = ""
    """How the policy failed: what ends the run in one process ends it in two."""
    declined: str = ""
    """Why this service does not decide for this run: no such policy here, or another version of it."""

    @model_validator(mode="after")
    def _is_one_answer(self) -> Self:
        given = [name for name in ("memory", "failed", "declined") if getattr(self, name)]
        if len(given) != 1 or (self.decisions and not self.memory):
            raise ValueError(f"a batch holds decisions with a memory, a failure or a refusal; this one has {given}")
        return self


def requests_of(run: str) -> str:
    """The stream of a run's requests: one of its own, since they are no events of the run."""
    return f"{run}/requests"


def request(asked: DecisionRequest, run: str, number: int) -> Envelope:
    """Request number ``number`` of a run, counted from 1."""
    return value_envelope(
        asked,
        kind=ASKED,
        name=f"{run}/request/{number}",
        source="tolaria",
        run=run,
        stream=requests_of(run),
        sequence=number,
        epoch=asked.epoch,
    )


def answer(batch: ControlBatch, asked: Envelope) -> Envelope:
    """The answer to a request, which it names: whoever answers twice sends the same."""
    return value_envelope(
        batch,
        kind=ANSWERED,
        name=f"{asked.id}/answer",
        source="tamiyo",
        run=asked.subject,
        stream=f"{asked.subject}/answers",
        sequence=asked.sequence,
        epoch=batch.epoch,
        causation=asked.id,
    )


def order(body: Value, run: str, mark: str) -> Envelope:
    """Somebody's order to pause or to resume the growth of a run; ``mark`` tells it from every other order."""
    name = f"{run}/order/{mark}"
    return value_envelope(body, kind=ORDERED, name=name, source="operator", run=run, stream=name, sequence=1, epoch=0)
