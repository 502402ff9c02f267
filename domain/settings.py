"""What a run is set to do: the task, the host, how it is trained. Scenario files are made of these."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final, Self, final

from pydantic import Field, model_validator

from domain.values import Value


@final
class TaskSettings(Value):
    """Which data. The split is fixed by the run key: train / validation / test."""

    name: str
    samples: int = Field(default=2000, ge=30, le=1_000_000)
    """Samples in all three parts together, where the task generates its data."""
    noise: float = Field(default=0.0, ge=0, le=10)
    """In the task's own unit; see the task."""
    validation_share: float = Field(default=0.25, gt=0, lt=0.5)
    test_share: float = Field(default=0.25, gt=0, lt=0.5)


@final
class HostSettings(Value):
    """A multilayer perceptron with ReLU; each hidden layer is wrapped by a KasminaLayer."""

    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(min_length=1, max_length=64)
    """Units of each hidden layer."""
    seeds_per_layer: int = Field(default=2, ge=1)
    """Chunks a hidden layer is cut into; must divide into layers at least that wide."""
    dropout: float = Field(default=0.0, ge=0, lt=1, exclude_if=lambda share: share == 0.0)
    """Share of each hidden layer's units that training silences, drawn anew in every batch."""

    @model_validator(mode="after")
    def _chunks_fit(self) -> Self:
        narrow = [width for width in self.hidden if width < self.seeds_per_layer]
        if narrow:
            raise ValueError(f"a layer of {narrow[0]} units cannot hold {self.seeds_per_layer} seeds")
        return self


@final
class TelemetryMode(Enum):
    """How much of the activations is told. Source: ADR-001 §3.1.3, its tiers."""

    PRODUCTION = "production"
    """The eight metrics of every seed, each layer measured in its turn."""
    SAMPLING = "sampling"
    """As in production, and mean, minimum and maximum of a share of the seeds, every seed in its turn."""
    DEBUG = "debug"
    """Everything of every seed, measured anew in every epoch."""


@final
class TelemetrySettings(Value):
    """What the layers tell of their activations beyond the metrics that Tamiyo needs."""

    mode: TelemetryMode = TelemetryMode.PRODUCTION
    sampling_rate: float = Field(default=0.1, gt=0, le=1)
    """Share of the seeds that is told of in an epoch in mode ``sampling``."""

    def samples(self, layer: int, index: int, epoch: int) -> bool:
        """Whether seed ``index`` of ``layer`` is told of in ``epoch``: one seed in ten at a rate of 0.1, in turn."""
        match self.mode:
            case TelemetryMode.PRODUCTION:
                return False
            case TelemetryMode.DEBUG:
                return True
            case TelemetryMode.SAMPLING:
                return (layer + index + epoch) % max(round(1 / self.sampling_rate), 1) == 0


PRODUCTION: Final = TelemetrySettings()


@final
class TrainingSettings(Value):
    """How Tolaria trains."""

    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0, le=10)
    """Adam's, for the host."""
    blueprint_learning_rate_factor: float = Field(default=2.0, gt=0, le=100)
    """A blueprint learns this many times faster than the host."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    freeze_host_on_trial: bool = True
    """Host held still from grafting to the decision, so that a gain belongs to the graft alone."""
    freeze_fossilized: bool = True
    """A fossilized blueprint's parameters never change again."""
    checkpoint_every: int = Field(default=5, ge=1)
    """Epochs between checkpoints; stage changes that matter to a rollback save one as well."""
    checkpoints_kept: int = Field(default=5, ge=1)
    threads: int = Field(default=1, ge=1, le=64)
    """torch threads; part of the fingerprint."""
    telemetry: TelemetrySettings = Field(default=PRODUCTION, exclude_if=lambda telemetry: telemetry == PRODUCTION)
    batches_per_epoch: int | None = Field(default=None, ge=1, exclude_if=lambda batches: batches is None)
    """Batches between two boundaries; the order of the data then runs on across them. None: the whole data, once."""
