"""The network as it stands: the host, the blueprints in its seeds, and the optimizer of those that learn.

What stands where follows from the run's state alone (``follow``); what the weights are is the trainer's own, and
comes and goes with snapshots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final, final

import torch
from torch import Tensor, nn

from domain.commands import Reads
from domain.faults import FaultKind
from domain.header import RunHeader
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import ON_TRIAL, Stage
from domain.run import RunState
from domain.seed import Seed
from domain.shapes import ShapeMismatch
from domain.urza.library import BlueprintLibrary, UnknownBlueprint
from engine.trainers.live.checkpoints import GraftRecord
from engine.trainers.live.grafts import IN_FORWARD, LOADED, Graft
from engine.trainers.live.host import build_host
from engine.trainers.live.kasmina import KasminaLayer, SeedColumns
from engine.trainers.live.optimizer import HOST, DynamicOptimizer, blueprint_rate, load_state, state_tensors
from engine.trainers.live.probes import LayerProbe
from engine.trainers.trainer import CheckpointDamaged

_LEARNING: Final = (Stage.TRAINING, Stage.GRAFTING, Stage.FINE_TUNING)
"""Stages in which a blueprint learns whatever the host does; STABILIZATION and EVALUATING hold it still."""


@final
class GrownNetwork:
    """Host, grafts and optimizer of one run."""

    def __init__(self, header: RunHeader, classes: int) -> None:
        self._header = header
        self.module: Final = build_host(header.layout, classes, header.run_key)
        self.layers: Final = tuple(layer for layer in self.module if isinstance(layer, KasminaLayer))
        self.probes: Final = tuple(LayerProbe(layer) for layer in self.layers)
        self.host: Final = {f"{HOST}/{name}": parameter for name, parameter in self.module.named_parameters()}
        self.optimizer: Final = DynamicOptimizer(header.training, self.host)
        self.loads = [0] * len(self.layers)
        """Blueprints compiled since the planting, a number a layer."""
        self.host_trains = True
        self._bare: Final = nn.Sequential(*(part for layer in self.layers for part in _parts(layer)), self.module[-1])

    def amend(self, header: RunHeader) -> None:
        """Grow and learn under ``header`` from now on, of the same layout. What stands here stays, moments included."""
        self._header = header
        self.optimizer.amend(header.training)
        for graft in self.grafts:
            if graft.isolation is not None:
                graft.isolation.optimizer.param_groups[0]["lr"] = blueprint_rate(header.training)

    @property
    def route(self) -> nn.Sequential:
        """(B, features) to logits (B, classes), as the layers are arranged now.

        While nothing grows the layers are not even asked: growing nothing is free.
        """
        return self._bare if all(layer.is_idle for layer in self.layers) else self.module

    @property
    def grafts(self) -> Iterator[Graft]:
        """Every compiled blueprint, by seed."""
        return (layer.grafts[index] for layer in self.layers for index in sorted(layer.grafts))

    @property
    def learns(self) -> bool:
        """Whether anything learns the task at present."""
        return self.host_trains or any(graft.stage in IN_FORWARD and _requires_grad(graft) for graft in self.grafts)

    @property
    def parameters(self) -> int:
        """Numbers learnt by the host and by every compiled blueprint; throw-away decoders do not count."""
        grafted = sum(parameter.numel() for graft in self.grafts for parameter in graft.parameters)
        return grafted + sum(parameter.numel() for parameter in self.host.values())

    def digest(self) -> str:
        """SHA-256 of the names, shapes and bytes of all weights, 64 hexadecimal digits."""
        found = hashlib.sha256()
        for name, weights in self._weights().items():
            found.update(f"{name}{tuple(weights.shape)}".encode())
            found.update(weights.detach().reshape(-1).numpy().data)
        return found.hexdigest()

    def _weights(self) -> dict[str, nn.Parameter]:
        named = dict(self.host)
        for graft in self.grafts:
            named |= _named(graft)
        return named

    # Following the run's state

    def load_missing(self, state: RunState) -> dict[SeedId, tuple[FaultKind, str]]:
        """Compile every blueprint that ``state`` has in the host and that is not there yet. Gives those that failed."""
        failures: dict[SeedId, tuple[FaultKind, str]] = {}
        for name in sorted(state.seeds):
            seed = state.seeds[name]
            adaptation = seed.adaptation
            if adaptation is None or seed.stage not in LOADED or self._current(seed) is not None:
                continue
            try:
                graft = self._compile(
                    AdaptationId(seed=name, attempt=adaptation.attempt),
                    adaptation.blueprint_id,
                    adaptation.reads,
                    state.library,
                )
            except ShapeMismatch as error:
                failures[name] = FaultKind.SHAPE, str(error)
            except (UnknownBlueprint, ValueError, RuntimeError) as error:
                failures[name] = FaultKind.LOAD_FAILURE, str(error)
            else:
                self.layers[name.layer].grafts[name.index] = graft
                self.loads[name.layer] += 1
        return failures

    def _compile(
        self, adaptation: AdaptationId, blueprint_id: BlueprintId, reads: Reads, library: BlueprintLibrary
    ) -> Graft:
        graph = library.record(blueprint_id).graph
        layout = self._header.layout[adaptation.seed.layer]
        return Graft(adaptation, blueprint_id, graph, reads, layout, self._header.run_key)

    def _current(self, seed: Seed) -> Graft | None:
        """The seed's graft, if the one that is there is of its present adaptation."""
        graft = self.layers[seed.seed_id.layer].grafts.get(seed.seed_id.index)
        adaptation = seed.adaptation
        return graft if graft and adaptation and graft.attempt == adaptation.attempt else None

    def follow(self, state: RunState) -> None:
        """Bring every graft, what trains, the optimizer and the layers' columns in step with ``state``."""
        training = self._header.training
        on_trial = any(seed.stage in ON_TRIAL for seed in state.seeds.values())
        self.host_trains = not (training.freeze_host_on_trial and on_trial)
        for graft in tuple(self.grafts):
            seed = state.seed(graft.seed)
            if self._current(seed) is None or seed.stage not in LOADED:
                del self.layers[graft.seed.layer].grafts[graft.seed.index]
            else:
                self._set(graft, seed)
        for parameter in self.host.values():
            parameter.requires_grad_(self.host_trains)
        self.optimizer.rebuild((graft.name, _named(graft)) for graft in self.grafts if self._is_optimized(graft))
        for layer in self.layers:
            layer.columns.follow(layer.layout.layer, state)
            layer.arrange()

    def _set(self, graft: Graft, seed: Seed) -> None:
        training = self._header.training
        assert seed.adaptation is not None, f"seed {seed.seed_id} has no adaptation"
        graft.stage, graft.alpha = seed.stage, seed.adaptation.alpha
        as_host = self.host_trains and (
            graft.stage is Stage.ACTIVE or (graft.stage is Stage.FOSSILIZED and not training.freeze_fossilized)
        )
        graft.train_if(graft.stage in _LEARNING or as_host)
        if graft.stage is Stage.TRAINING:
            self._isolate(graft)
        else:
            graft.isolation = None

    def _isolate(self, graft: Graft) -> None:
        graft.isolate(blueprint_rate(self._header.training), self._header.run_key)

    def _is_optimized(self, graft: Graft) -> bool:
        """Whether the optimizer keeps its moments: from the graft on, until it is gone or frozen for good."""
        frozen = graft.stage is Stage.FOSSILIZED and self._header.training.freeze_fossilized
        return graft.stage in IN_FORWARD and not frozen

    # Snapshots

    def records(self) -> tuple[GraftRecord, ...]:
        """The grafts without their tensors."""
        return tuple(
            GraftRecord(
                adaptation=AdaptationId(seed=graft.seed, attempt=graft.attempt),
                blueprint_id=graft.blueprint_id,
                reads=graft.reads,
                stage=graft.stage,
                alpha=graft.alpha,
                isolated=graft.isolation is not None,
            )
            for graft in self.grafts
        )

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that the future depends on, by name."""
        found: dict[str, Tensor] = dict(self._weights())
        found |= {f"optimizer/{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        for graft in self.grafts:
            names = (name for name, _ in graft.module.named_parameters())
            found |= _under(f"mean/{graft.name}/", dict(zip(names, graft.mean_weights, strict=True)))
            if graft.isolation is not None:
                moments = state_tensors(graft.isolation.optimizer, graft.isolation.parameters)
                found |= _under(f"decoder/{graft.name}/", dict(graft.isolation.decoder.named_parameters()))
                found |= _under(f"isolated/{graft.name}/", moments)
        for layer, probe in zip(self.layers, self.probes, strict=True):
            found[f"initial_norms/{layer.layout.layer}"] = torch.from_numpy(probe.initial_norms)
            found[f"health/{layer.layout.layer}"] = torch.from_numpy(probe.health)
            found |= _under(f"columns/{layer.layout.layer}/", _columns(layer.columns))
        return found

    def restore(
        self,
        records: tuple[GraftRecord, ...],
        manifest: tuple[str, ...],
        tensors: Mapping[str, Tensor],
        state: RunState,
    ) -> None:
        """Become the network that was saved, then follow ``state``. Raises CheckpointDamaged for what does not fit.

        Every fossil of ``state`` must have been saved: no run goes back to before its last fossil.
        """
        saved = {str(record.adaptation) for record in records}
        for graft in self.grafts:
            is_fossil = (
                state.seed(graft.seed).stage is Stage.FOSSILIZED and self._current(state.seed(graft.seed)) is graft
            )
            assert not is_fossil or graft.name in saved, (
                f"fossil {graft.name} is younger than the checkpoint to go back to"
            )
        for layer in self.layers:
            layer.grafts.clear()
        for record in records:
            self._regrow(record, state.library)
        if not saved.issuperset(manifest[1:]):
            raise CheckpointDamaged(f"the optimizer's manifest {manifest} names blueprints that were not saved with it")
        wanted = [graft for graft in self.grafts if graft.name in manifest]
        self.optimizer.rebuild((graft.name, _named(graft)) for graft in wanted)
        for key, target in self._restorable().items():
            _copy(key, target, tensors)
        self.optimizer.load(_below("optimizer/", tensors))
        for probe in self.probes:
            probe.resume()
        for graft in self.grafts:
            if graft.isolation is not None:
                own = _below(f"isolated/{graft.name}/", tensors)
                load_state(graft.isolation.optimizer, graft.isolation.parameters, own)
        self.follow(state)

    def _regrow(self, record: GraftRecord, library: BlueprintLibrary) -> None:
        try:
            graft = self._compile(record.adaptation, record.blueprint_id, record.reads, library)
        except (UnknownBlueprint, ShapeMismatch, IndexError) as error:
            raise CheckpointDamaged(f"the saved blueprint of {record.adaptation} cannot be built: {error}") from error
        graft.stage, graft.alpha = record.stage, record.alpha
        if record.isolated:
            self._isolate(graft)
        self.layers[graft.seed.layer].grafts[graft.seed.index] = graft

    def _restorable(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint must have: all but optimizers'."""
        return {
            name: tensor for name, tensor in self.tensors().items() if not name.startswith(("optimizer/", "isolated/"))
        }


def _parts(layer: KasminaLayer) -> list[nn.Module]:
    """The modules of the layer's host, unwrapped: a container more is a call more in every pass."""
    return list(layer.host) if isinstance(layer.host, nn.Sequential) else [layer.host]


def _requires_grad(graft: Graft) -> bool:
    return any(parameter.requires_grad for parameter in graft.parameters)


def _named(graft: Graft) -> dict[str, nn.Parameter]:
    return {f"graft/{graft.name}/{name}": parameter for name, parameter in graft.module.named_parameters()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _columns(columns: SeedColumns) -> dict[str, Tensor]:
    names = (*SeedColumns.INTEGERS, "alpha")
    return {name: torch.from_numpy(getattr(columns, name)) for name in names}


def _copy(name: str, target: Tensor, tensors: Mapping[str, Tensor]) -> None:
    if name not in tensors:
        raise CheckpointDamaged(f"the checkpoint lacks the tensor {name}; restore it from a copy")
    source = tensors[name]
    if source.shape != target.shape or source.dtype != target.dtype:
        raise CheckpointDamaged(
            f"tensor {name} has shape {tuple(source.shape)} in the checkpoint but {tuple(target.shape)} in this host"
        )
    with torch.no_grad():
        target.copy_(source)
