"""What things are called. Integers that must not be mixed get their own type."""

from __future__ import annotations

from typing import NewType, final

from pydantic import Field

from domain.values import Value

RunKey = NewType("RunKey", int)
"""The number that all of a run's randomness comes from. Never called a seed."""

Epoch = NewType("Epoch", int)
"""Virtual time. 0 is the planting, before any training; the first trained epoch is 1. Never rewound."""

RunId = NewType("RunId", str)
"""Names a run inside a journal. Not part of any event, so that equal runs have equal bytes."""

BlueprintId = NewType("BlueprintId", str)
"""SHA-256 of the blueprint's canonical graph, 64 hexadecimal digits."""


@final
class SeedId(Value):
    """A growable slot: the ``index``-th chunk of the ``layer``-th KasminaLayer, both counted from 0."""

    layer: int = Field(ge=0)
    index: int = Field(ge=0)

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"

    # Seeds are the keys of every table of a run; the general comparison of records costs ten times as much.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeedId) and self.layer == other.layer and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.layer, self.index))

    def __lt__(self, other: SeedId) -> bool:
        return (self.layer, self.index) < (other.layer, other.index)

    @classmethod
    def parse(cls, text: str) -> SeedId:
        """``"1.0"`` is seed 0 of layer 1. Raises ValueError for anything else."""
        layer, dot, index = text.partition(".")
        if not (dot and layer.isdecimal() and index.isdecimal()):
            raise ValueError(f"a seed is named LAYER.SEED, such as 0.1, but got {text!r}")
        return cls(layer=int(layer), index=int(index))


@final
class AdaptationId(Value):
    """One germination of one seed: the ``attempt``-th, counted from 1."""

    seed: SeedId
    attempt: int = Field(ge=1)

    def __str__(self) -> str:
        return f"{self.seed}#{self.attempt}"
