"""What a Tamiyo policy is: ``initial()`` and one pure step.

To add a policy: a final class in a file of its own here, a line in ``scenarios/composition.py``, and a subclass of
``PolicyContract`` in ``tests/contracts``. Outside the project a class in any file will do; name it
``path/to/file.py:Class`` on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final, runtime_checkable

import numpy as np

from domain.commands import Decision, Draw
from domain.events import EpochMetrics
from domain.health import LayerHealthReport
from domain.run import RunState
from domain.values import Value

Memory = TypeVar("Memory", bound=Value)


@final
class NoMemory(Value):
    """What a policy remembers that remembers nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a policy sees at a boundary. Nothing of the test set is in here."""

    epoch: int
    metrics: EpochMetrics
    reports: tuple[LayerHealthReport, ...]
    """One a layer, by layer."""
    state: RunState
    """The fold of everything recorded so far, this epoch's reports included: seeds, library, header."""


@final
@dataclass(frozen=True, slots=True)
class Step(Generic[Memory]):
    """What a policy answers: decisions in the order they are to be carried out, and what it remembers."""

    decisions: tuple[Decision, ...]
    memory: Memory


@final
@dataclass(frozen=True, slots=True)
class Alternative:
    """A decision that a policy weighed, and how it scored."""

    decision: Decision
    score: float


class Randomness(Protocol):
    """Named random streams of one boundary. The same name gives the same numbers, whoever else draws."""

    def generator(self, stream: str) -> np.random.Generator:
        """The stream of this run key, epoch and name. Asking twice in one boundary continues it."""
        ...

    def drawn(self, stream: str, count: int) -> Draw:
        """A record that ``count`` numbers were taken from ``stream``; put it in the decision that used them."""
        ...


class TamiyoPolicy(Protocol):
    """A controller. Pure: equal observation, memory and streams give equal decisions and memory."""

    @property
    def profile(self) -> str:
        """The lifecycle profile that it drives: ``full`` or ``simplified``."""
        ...

    def initial(self) -> Any:
        """What it remembers before the first epoch: a ``Value``, so that it can be saved and restored."""
        ...

    def step(self, observation: Observation, memory: Any, random: Randomness) -> Step[Any]:
        """Decide at the end of an epoch."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """What a policy may offer beside its step, so that another can choose in its place. Pure, as the step is."""

    def alternatives(self, observation: Observation, memory: Any) -> tuple[Alternative, ...]:
        """What it weighs for its first growth decision, the one it takes first. Empty where it takes none."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """What a policy may offer whose memory depends on what it ordered, so that it can be told of another order. Pure."""

    def remembering(self, observation: Observation, memory: Any, *, germinated: bool) -> Any:
        """What it remembers after a boundary at which something was germinated or not, ``memory`` being that from before."""
        ...
