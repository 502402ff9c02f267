"""KasminaLayer: a host layer, cut into chunks that can grow.

Without a live blueprint the forward pass gives the host's own tensor. Several live blueprints in one layer all read
what the layer gave *before* any of them wrote, so their order means nothing; the next layer reads what they wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from domain.commands import GraftingStrategy
from domain.header import LayerLayout
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from engine.trainers.live.grafts import IN_FORWARD, Graft

STAGES: Final = tuple(Stage)
"""The code of a stage is its place here."""
STRATEGIES: Final = tuple(GraftingStrategy)
"""The code of a grafting strategy is its place here; -1 is none."""
Watch = Callable[[Tensor, Tensor, Tensor], None]
"""Is shown a pass, detached: the layer's input, its ungrafted and its grafted output, both before any dropout."""


@final
class SeedColumns:
    """State of a layer's seeds, struct of arrays, shape (seeds,). Source: Kasmina v0.1a §2.2."""

    INTEGERS: Final = ("lifecycle_state", "blueprint_id", "epochs_in_state", "grafting_strategy", "faults")

    def __init__(self, seeds: int) -> None:
        self.lifecycle_state: NDArray[np.int64] = np.zeros(seeds, np.int64)
        """Place in ``STAGES``."""
        self.blueprint_id: NDArray[np.int64] = np.zeros(seeds, np.int64)
        """Number in the library; 0 is none."""
        self.epochs_in_state: NDArray[np.int64] = np.zeros(seeds, np.int64)
        """Epochs since the seed entered its stage; of a seed that never germinated, since the planting."""
        self.grafting_strategy: NDArray[np.int64] = np.full(seeds, -1, np.int64)
        """Place in ``STRATEGIES``; -1 is none."""
        self.faults: NDArray[np.int64] = np.zeros(seeds, np.int64)
        """Consecutive faults."""
        self.alpha: NDArray[np.float64] = np.zeros(seeds)
        """Blend, [0, 1]."""

    def follow(self, layer: int, state: RunState) -> None:
        """Copy what ``state`` says of the layer's seeds."""
        self.epochs_in_state[:] = state.epoch
        for name, seed in state.seeds.items():
            if name.layer != layer:
                continue
            at, adaptation = name.index, seed.adaptation
            self.lifecycle_state[at] = STAGES.index(seed.stage)
            self.epochs_in_state[at] = state.epoch - seed.since
            self.faults[at] = seed.faults
            self.alpha[at] = 0.0 if adaptation is None else adaptation.alpha
            known = adaptation is not None and adaptation.blueprint_id in state.library
            self.blueprint_id[at] = state.library.record(adaptation.blueprint_id).number if adaptation and known else 0
            self.grafting_strategy[at] = -1 if adaptation is None else STRATEGIES.index(adaptation.grafting)


@final
class KasminaLayer(nn.Module):
    """Wraps ``host``, any module from (B, inputs) to (B, outputs), and blends blueprints into chunks of what it gives."""

    def __init__(self, host: nn.Module, layout: LayerLayout) -> None:
        super().__init__()
        self.host = host
        self.layout: Final = layout
        self.columns: Final = SeedColumns(layout.seeds)
        self.grafts: dict[int, Graft] = {}
        """Compiled blueprints by the seed's index, in the forward pass or not."""
        self._writing: tuple[Graft, ...] = ()
        self._watch: Watch | None = None
        self._dropout: Callable[[Tensor], Tensor] | None = None

    def arrange(self, watch: Watch | None = None, dropout: Callable[[Tensor], Tensor] | None = None) -> None:
        """Work out who writes in the next passes, show each of them to ``watch`` and hand on what ``dropout`` leaves."""
        if self.is_idle and watch is None and dropout is None and not self.grafts:
            return  # nothing to change, and setting an attribute of a torch module costs microseconds
        ordered = [self.grafts[index] for index in sorted(self.grafts)]
        self._writing = tuple(graft for graft in ordered if graft.stage in IN_FORWARD and graft.alpha > 0.0)
        self._watch = watch
        self._dropout = dropout

    @property
    def is_idle(self) -> bool:
        """Whether a pass is the host's alone."""
        return not self._writing and self._watch is None and self._dropout is None

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        outputs: Tensor = self.host(inputs)
        grafted = self._grafted(inputs, outputs) if self._writing else outputs
        if self._watch is not None:
            self._watch(inputs.detach(), outputs.detach(), grafted.detach())
        return grafted if self._dropout is None else self._dropout(grafted)

    def _grafted(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        pieces: list[Tensor] = []
        reached = 0
        for graft in self._writing:
            written = graft.write(inputs, outputs)
            if written is None:
                continue
            if graft.start > reached:
                pieces.append(outputs[:, reached : graft.start])
            pieces.append(written)
            reached = graft.stop
        if not pieces:
            return outputs
        if reached < self.layout.outputs:
            pieces.append(outputs[:, reached:])
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def seed_id(self, index: int) -> SeedId:
        """The name of seed ``index`` of this layer."""
        return SeedId(layer=self.layout.layer, index=index)
