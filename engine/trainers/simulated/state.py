"""What a simulated network is between two epochs: a handful of numbers in place of weights; its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from pydantic import Field, ValidationError

from domain.identifiers import AdaptationId
from domain.values import Value
from engine.trainers.trainer import CheckpointDamaged

FORMAT: Final = 1


@final
class Learnt(Value):
    """How far one graft has learnt, in units of its kappa."""

    adaptation: AdaptationId
    share: float = 0.0


@final
class Imagined(Value):
    """A simulated network at a boundary."""

    host_epochs: int = Field(default=0, ge=0)
    """Epochs in which the host trained."""
    drawn_at: int = Field(default=0, ge=0)
    """The last of them: its noise stays while the host is frozen."""
    stirred_at: int = Field(default=0, ge=0)
    """The last epoch since then in which a graft learnt on trial; 0 for none."""
    learnt: tuple[Learnt, ...] = ()
    adopted_at: int = Field(default=0, ge=0)
    """The epoch after which it took over from another trainer; 0 if it was planted."""
    shift: float = 0.0
    """Added to the logit of the host's level, so that a network that was taken over goes on from its accuracy."""


@final
class SimulatedCheckpoint(Value):
    """Everything a simulated trainer needs to go on from a boundary."""

    format: int = FORMAT
    epoch: int = Field(ge=0)
    dynamics: str
    """Digest of the dynamics."""
    controller: str
    """The policies' memory, JSON, as it was handed over."""
    network: Imagined


def unpack(content: bytes, digest: str, dynamics: str) -> SimulatedCheckpoint:
    """The checkpoint in ``content``. Raises CheckpointDamaged for anything else, or one of other dynamics."""
    try:
        found = SimulatedCheckpoint.model_validate_json(content, strict=False)
    except ValidationError as error:
        raise CheckpointDamaged(
            f"checkpoint {digest} is not one of a simulated trainer ({error.errors()[0]['msg']}); restore it from a copy"
        ) from error
    if found.format != FORMAT:
        raise CheckpointDamaged(f"checkpoint {digest} has format {found.format} but this version reads {FORMAT}")
    if found.dynamics != dynamics:
        raise CheckpointDamaged(
            f"checkpoint {digest} was made under the dynamics {found.dynamics[:12]}, not {dynamics[:12]}; load those"
        )
    return found


def controllers_in(files: Mapping[str, bytes], dynamics: str) -> Mapping[str, str]:
    """The controllers' memory in each checkpoint, as JSON, by content hash. Raises CheckpointDamaged."""
    return {digest: unpack(content, digest, dynamics).controller for digest, content in files.items()}
