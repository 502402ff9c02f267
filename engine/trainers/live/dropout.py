"""Dropout in the host's hidden layers, from a generator of its own.

It comes last in a layer: after the ReLU and after the blueprints read and wrote. A silenced unit is then silent whatever
writes into it, the blueprint's share is as uncertain to the next layer as the host's, and one that learns alone
reconstructs what the layer gives, not the gaps in it; only what an earlier layer handed on has gaps. The mask has the
layer's shape, so it is the same whatever grows: two runs of one key that grow different things lose the same units.

It acts in every training pass, those of a trial with a frozen host included, so that training losses stay comparable
from one epoch to the next. Validation, telemetry and scoring run without it.

The generator starts anew in each epoch, so none has to be saved at a boundary.
Source: inverted dropout, Srivastava et al. 2014 §10: what is kept is scaled by 1 / (1 - share).
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from engine.trainers.live.grafts import generator


@final
class Dropout:
    """Silences a share of the units, drawn anew at every call; for one epoch."""

    def __init__(self, share: float, run_key: int, epoch: int) -> None:
        """``share`` in (0, 1) is silenced."""
        assert 0.0 < share < 1.0, f"dropout needs a share in (0, 1) but got {share}"
        self._share: Final = share
        self._scale: Final = 1.0 / (1.0 - share)
        self._generator: Final = generator(run_key, "tolaria/dropout", epoch)

    def __call__(self, units: Tensor) -> Tensor:
        """(B, units), some of them 0, the others scaled so that each keeps its mean."""
        # A third cheaper than bernoulli_, and torch's own dropout draws from the global generator.
        kept = torch.rand(units.shape, generator=self._generator).ge_(self._share)
        return units * kept.mul_(self._scale)
