"""In what order the training data come: pass after pass without an end, cut into epochs.

Pass p over the data, from 1, has the order that the stream ``tolaria/order`` of p draws, and ends with a short batch
where the batch size does not divide the data. With N batches an epoch, epoch e takes batches (e - 1) N to e N - 1 of
this endless row, counted from 0: it may begin and end in the middle of a pass, or span several.

The position is thus a function of run key, settings and epoch number alone. Nothing of it has to be saved; a rollback
does not rewind it, as it rewinds no epoch; a fork under another run key goes on at the same place of that key's order,
and one with another N or batch size where a run that had them from its planting would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from domain.settings import TrainingSettings
from engine.randomness import stream
from engine.trainers.data import Part


@final
@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples that an epoch takes of one pass: from place ``start`` of the pass's order up to ``stop``."""

    number: int
    """Of the pass, from 1."""
    start: int
    stop: int


def stretches(epoch: int, samples: int, training: TrainingSettings) -> Iterator[Stretch]:
    """What epoch ``epoch``, from 1, takes of each pass over ``samples`` samples; one whole pass if nothing is set."""
    size = training.batch_size
    whole = -(-samples // size)
    wanted = training.batches_per_epoch or whole
    first, last = (epoch - 1) * wanted, epoch * wanted
    while first < last:
        number, batch = divmod(first, whole)
        taken = min(whole - batch, last - first)
        yield Stretch(number + 1, batch * size, min((batch + taken) * size, samples))
        first += taken


@lru_cache(maxsize=1)
def _order(run_key: int, number: int, samples: int) -> Tensor:
    """The order of a pass. The last one is kept: drawing it for each of many short epochs would cost more than they do."""
    return torch.from_numpy(stream(run_key, "tolaria/order", number).permutation(samples))


@final
@dataclass(frozen=True, slots=True)
class Samples:
    """A part of the data as tensors."""

    inputs: Tensor
    """Shape (samples, features)."""
    labels: Tensor
    """Shape (samples,)."""

    @classmethod
    def of(cls, part: Part) -> Samples:
        """A copy of ``part``."""
        return cls(torch.tensor(part.inputs), torch.tensor(part.labels))

    def batches(self, epoch: int, run_key: int, training: TrainingSettings) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of each batch of epoch ``epoch``, in order."""
        for stretch in stretches(epoch, len(self.labels), training):
            taken = _order(run_key, stretch.number, len(self.labels))
            if stretch.stop - stretch.start < len(self.labels):
                taken = taken[stretch.start : stretch.stop]
            yield from zip(
                torch.split(self.inputs[taken], training.batch_size),
                torch.split(self.labels[taken], training.batch_size),
                strict=True,
            )
