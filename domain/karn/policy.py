"""What a Karn policy is: ``initial()`` and one pure step from field reports to proposed blueprints.

To add a policy: a final class in a file of its own here, a line in ``scenarios/composition.py``, and a subclass of
``KarnPolicyContract`` in ``tests/contracts``. Outside the project a class in any file will do; name it
``path/to/file.py:Class`` on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

from pydantic import Field

from domain.blueprint import BlueprintGraph, BlueprintMetadata
from domain.commands import Considered, Draw
from domain.field_reports import FieldReport
from domain.header import LayerLayout
from domain.identifiers import BlueprintId
from domain.tamiyo.policy import Randomness
from domain.urza.library import BlueprintLibrary
from domain.values import Value

Memory = TypeVar("Memory", bound=Value)


@final
class Proposal(Value):
    """A blueprint that Karn would like in the library, with everything that explains it."""

    graph: BlueprintGraph
    metadata: BlueprintMetadata
    parent_id: BlueprintId | None = None
    mutation: str | None = None
    """Which operator made it from its parent."""
    reason: str = Field(min_length=1)
    considered: tuple[Considered, ...] = ()
    propensity: float = Field(default=1.0, gt=0, le=1)
    """Probability of the draw that made it. What is then chosen among several drafts is not in it."""
    draws: tuple[Draw, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class KarnObservation:
    """What Karn sees at a boundary. Nothing of the test set is in here."""

    epoch: int
    reports: tuple[FieldReport, ...]
    """Field reports filed at this boundary, in order."""
    library: BlueprintLibrary
    """With these reports already in its statistics, and the certificates of what was proposed before."""
    layout: tuple[LayerLayout, ...] = ()
    """The slots that a blueprint should fit."""


@final
@dataclass(frozen=True, slots=True)
class KarnStep(Generic[Memory]):
    """What Karn answers: proposals in the order they are to be tried, perhaps none, and what it remembers."""

    proposals: tuple[Proposal, ...]
    memory: Memory


class KarnPolicy(Protocol):
    """An architect. Pure: equal observation, memory and streams give equal proposals and memory."""

    def initial(self) -> Any:
        """What it remembers before the first epoch: a ``Value``, so that it can be saved and restored."""
        ...

    def step(self, observation: KarnObservation, memory: Any, random: Randomness) -> KarnStep[Any]:
        """Propose at the end of an epoch."""
        ...
