"""What a trainer is: the thing that trains an epoch, reports on it and obeys what was decided.

Three implementations share it: ``live`` (torch), ``simulated`` (fitted dynamics), ``recorded`` (yields what a journal holds).
The session never asks which one it has.
"""

from __future__ import annotations

import math
from typing import Protocol, final

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import CheckpointSaved, DecisionDiverged, DomainEvent, EpochMetrics, SeedFaulted, TestScored
from domain.header import RunHeader
from domain.health import LayerHealthReport
from domain.identifiers import Epoch
from domain.run import RunState
from domain.urabrask.certificate import Examination
from domain.values import Value


class CheckpointMissing(LookupError):
    """The store has no checkpoint of that content hash."""


class CheckpointDamaged(ValueError):
    """The bytes are not the checkpoint that was saved, or not one that fits this host."""


class CannotObey(Exception):
    """A trainer that cannot train on after this boundary. The run ends there, with ``event`` for what was decided at it.

    ``event`` is None where nothing that was decided is to blame.
    """

    def __init__(self, event: DecisionDiverged | None, reason: str) -> None:
        super().__init__(reason)
        self.event = event


@final
class Trained(Value):
    """What one epoch of training gave."""

    reports: tuple[LayerHealthReport, ...]
    metrics: EpochMetrics
    parameters: int
    weights_digest: str
    faults: tuple[SeedFaulted, ...] = ()
    panic: str | None = None
    """Why the trainer's watchdog calls for a rollback, or None."""

    @classmethod
    def panicking(
        cls, reason: str, *, reports: tuple[LayerHealthReport, ...] = (), faults: tuple[SeedFaulted, ...] = ()
    ) -> Trained:
        """An epoch that the watchdog stopped: there are no metrics worth having."""
        nothing = EpochMetrics(
            train_loss=math.nan, train_accuracy=math.nan, validation_loss=math.nan, validation_accuracy=math.nan
        )
        return cls(reports=reports, metrics=nothing, parameters=0, weights_digest="", faults=faults, panic=reason)


class Trainer(Protocol):
    """Trains, reports, obeys. Deterministic: equal headers and equal orders give equal bits."""

    def plant(self, header: RunHeader) -> None:
        """Build host, optimizer and data from the header alone. Called once, before anything else."""
        ...

    def amend(self, header: RunHeader) -> None:
        """From the next epoch on, train under ``header``: a fork. Task, host and layout are those it was planted with.

        Called between two epochs, or after the planting and before a restore.
        """
        ...

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        """Train and validate epoch ``epoch`` with the blueprints as they stand in ``state``."""
        ...

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Carry out this boundary's events in their order: a rollback first, else stage and alpha changes.

        ``state`` already contains ``events``. A blueprint that cannot be compiled is reported as a fault of the
        next epoch, not raised here. Checkpoints that ``state`` no longer keeps may be dropped. Raises CannotObey
        where nothing can come after what was decided.
        """
        ...

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        """Save everything needed to continue from this boundary; ``controller`` is the policies' memory as JSON."""
        ...

    def restore(self, digest: str, state: RunState) -> str:
        """Become, freshly planted, the trainer that saved ``digest``; ``state`` is the run at that boundary.

        Gives the controller's memory that was saved with it. Raises CheckpointMissing or CheckpointDamaged.
        """
        ...

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """Put a candidate through the crucible's benchmark and its robustness trials. Leaves no trace in the host.

        Whatever a candidate does (not a number, no convergence, a shape that does not fit) is a failed stage, never
        raised.
        """
        ...

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        """Score the test set with the network as it stands."""
        ...
