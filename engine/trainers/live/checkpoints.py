"""Checkpoints: the trainer's whole state as bytes under their own SHA-256.

The form is one safetensors file whose metadata hold a canonical JSON document under the key ``regrow``: weights,
moments and columns are tensors, everything else is in the document. Equal states give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import safetensors.torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from domain.commands import Reads
from domain.identifiers import AdaptationId, BlueprintId
from domain.lifecycle import Stage
from domain.values import Value
from engine.journal.errors import BlobDamaged, BlobMissing
from engine.trainers.stores import CheckpointStore
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing

FORMAT: Final = 1
_KEY: Final = "regrow"
_LENGTH_BYTES: Final = 8
"""A safetensors file begins with the length of its JSON header, little-endian."""


@final
class GraftRecord(Value):
    """A compiled blueprint: enough to compile it again before its weights are loaded."""

    adaptation: AdaptationId
    blueprint_id: BlueprintId
    reads: Reads
    stage: Stage
    alpha: float = Field(ge=0, le=1)
    isolated: bool
    """Whether it learns alone; its decoder and their optimizer are then among the tensors."""


@final
class Structure(Value):
    """Everything of a trainer that is no tensor."""

    format: int = FORMAT
    epoch: int = Field(ge=0)
    controller: str
    """The policies' memory, JSON, as it was handed over."""
    passes: int = Field(ge=0)
    """Forward passes since the planting."""
    loads: tuple[int, ...]
    """Blueprints compiled since the planting, a number a layer."""
    losses: tuple[float, ...]
    """The watchdog's history."""
    anomalies: int = Field(ge=0)
    """The watchdog's anomalies in a row."""
    manifest: tuple[str, ...]
    """Groups of the optimizer, in order."""
    grafts: tuple[GraftRecord, ...]


@final
@dataclass(frozen=True, slots=True)
class Snapshot:
    """A trainer at a boundary."""

    structure: Structure
    tensors: Mapping[str, Tensor]


def pack(snapshot: Snapshot) -> bytes:
    """The snapshot as bytes, equal for equal snapshots."""
    document = json.loads(snapshot.structure.model_dump_json())
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    tensors = {name: tensor.detach().contiguous() for name, tensor in sorted(snapshot.tensors.items())}
    return safetensors.torch.save(tensors, metadata={_KEY: text})


def unpack(content: bytes, name: str = "given") -> Snapshot:
    """The snapshot in ``content``; ``name`` is for the message. Raises CheckpointDamaged."""
    try:
        length = int.from_bytes(content[:_LENGTH_BYTES], "little")
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
        text = header["__metadata__"][_KEY]
        found = json.loads(text)["format"]
        if found != FORMAT:
            raise CheckpointDamaged(
                f"checkpoint {name} has format {found} but this version reads {FORMAT}; use the one that wrote it"
            )
        return Snapshot(Structure.model_validate_json(text), safetensors.torch.load(content))
    except (
        SafetensorError,
        ValidationError,
        LookupError,
        TypeError,
        UnicodeDecodeError,
        json.JSONDecodeError,
    ) as error:
        raise CheckpointDamaged(
            f"checkpoint {name} cannot be read ({len(content)} bytes: {_first_line(error)}); restore it from a copy"
        ) from error


def load(store: CheckpointStore, digest: str) -> Snapshot:
    """The checkpoint under ``digest``. Raises CheckpointMissing, or CheckpointDamaged if its bytes are not those saved."""
    try:
        content = store.get(digest)
    except (KeyError, BlobMissing) as error:
        raise CheckpointMissing(
            f"checkpoint {digest} is missing; restore it from a copy or train the run again"
        ) from error
    except BlobDamaged as error:
        raise CheckpointDamaged(f"checkpoint {digest} is damaged: {_first_line(error)}") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise CheckpointDamaged(
            f"checkpoint {digest} is damaged: its {len(content)} bytes have SHA-256 {actual}; restore it from a copy"
        )
    return unpack(content, digest)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
