"""Tolaria: the live trainer. Trains the host and whatever grows in it, one epoch at a time, on torch.

Nothing random is left running between epochs: weights are drawn when something is built, the order of the data and
what dropout silences from streams of their own, at a place that the epoch's number gives. A checkpoint therefore needs
no generator and no sampler. Torch's global generator is never used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import (
    CheckpointSaved,
    DomainEvent,
    EpochMetrics,
    RollbackOrdered,
    SeedFaulted,
    TestScored,
)
from domain.faults import FaultKind
from domain.header import Rule, RunHeader
from domain.health import LayerHealthReport, SeedProgress
from domain.identifiers import Epoch, SeedId
from domain.run import RunState
from domain.urabrask.certificate import Examination
from domain.values import Column
from engine.trainers.data import TaskData, TaskLoader
from engine.trainers.live import crucible
from engine.trainers.live.checkpoints import Snapshot, Structure, load, pack
from engine.trainers.live.dropout import Dropout
from engine.trainers.live.fingerprint import settle
from engine.trainers.live.grafts import IN_FORWARD
from engine.trainers.live.kasmina import KasminaLayer, Watch
from engine.trainers.live.network import GrownNetwork
from engine.trainers.live.optimizer import DynamicOptimizer
from engine.trainers.live.order import Samples
from engine.trainers.live.probes import LayerProbe
from engine.trainers.live.telemetry import Telemetry
from engine.trainers.live.watchdog import Watchdog
from engine.trainers.stores import CheckpointStore
from engine.trainers.trainer import Trained

DIGEST_PARAMETERS_MAX: Final = 20_000
"""Parameters of a host whose weights are digested in every epoch."""
DIGEST_PERIOD: Final = 8
"""Epochs between two digests of the weights of a larger host."""
_Failures = Mapping[SeedId, tuple[FaultKind, str]]
"""Seeds whose blueprint could not be compiled, and why."""


def _fixed(header: RunHeader) -> tuple[object, ...]:
    """What a planted trainer can never change: task, host sizes, layout and threads."""
    return header.task, header.host.hidden, header.host.seeds_per_layer, header.layout, header.training.threads


@final
class _Planted:
    """What exists from the planting on."""

    def __init__(self, header: RunHeader, data: TaskData) -> None:
        if header.layout[0].inputs != data.features:
            raise ValueError(
                f"the layout expects {header.layout[0].inputs} features but task {header.task.name} has {data.features}"
            )
        self.header = header
        self.network: Final = GrownNetwork(header, data.classes)
        self.train: Final = Samples.of(data.train)
        self.validation: Final = Samples.of(data.validation)
        self.test: Final = Samples.of(data.test)
        self.watchdog = Watchdog()
        self.passes = 0
        """Forward passes since the planting, scoring left out."""
        self.passes_before = 0
        """The same at the beginning of this epoch."""
        self.classes: Final = data.classes
        self.quiet: Final[dict[int, tuple[dict[str, Column], LayerHealthReport]]] = {}
        """Of layers in which nothing grows, by number: the report last built and the columns it was built from."""
        self._is_large: Final = sum(entry.numel() for entry in self.network.host.values()) > DIGEST_PARAMETERS_MAX

    def amend(self, header: RunHeader) -> None:
        """Put ``header`` in force. The data stay those that were planted, whatever its run key."""
        planted, wanted = _fixed(self.header), _fixed(header)
        assert planted == wanted, f"a trainer planted with {planted} cannot be amended to {wanted}"
        self.header = header
        self.network.amend(header)
        self.quiet.clear()  # their latencies are those of the hardware before

    @property
    def is_governed(self) -> bool:
        """Whether rule R8 is in force."""
        return Rule.GOVERNED in self.header.rules

    def digest(self, epoch: int) -> str:
        """Digest of the weights; of a large host every eighth epoch, in between empty: it costs 2 % of an epoch."""
        return "" if self._is_large and epoch % DIGEST_PERIOD else self.network.digest()


@final
class LiveTrainer:
    """Implements ``Trainer`` on torch. ``data`` is the task's data or what loads it at the planting."""

    def __init__(self, data: TaskData | TaskLoader, store: CheckpointStore) -> None:
        self._data: Final = data
        self._store: Final = store
        self._saved: list[str] = []
        self._planted: _Planted | None = None

    @property
    def _here(self) -> _Planted:
        assert self._planted is not None, "the trainer must be planted first"
        return self._planted

    @property
    def network(self) -> GrownNetwork:
        """Host, grafts and optimizer; for tests and for the curious, not for policies."""
        return self._here.network

    def plant(self, header: RunHeader) -> None:
        """Build everything from the header. Raises ValueError if the data do not fit the layout."""
        settle(header.training.threads)
        data = self._data if isinstance(self._data, TaskData) else self._data(header.task, header.run_key)
        self._planted = _Planted(header, data)

    def amend(self, header: RunHeader) -> None:
        """Train under ``header`` from the next epoch on: its run key, training, dropout and hardware.

        The data, the host and the threads are those of the planting; asserts that ``header`` agrees.
        """
        self._here.amend(header)

    # Training

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        """Train and validate one epoch. Checkpoints that ``state``, by now recorded, no longer keeps are released."""
        here = self._here
        settle(here.header.training.threads)
        self._release(state)
        here.passes_before = here.passes
        failures = here.network.load_missing(state)
        here.network.follow(state)
        for graft in here.network.grafts:
            graft.begin()
        with torch.set_grad_enabled(here.network.learns):
            train_loss, train_accuracy, panic = self._train(epoch)
        if panic is not None:
            return Trained.panicking(panic, faults=self._faults(epoch, failures))
        with torch.no_grad():
            loss, accuracy, reports = self._validate(epoch, failures)
        here.watchdog, panic = here.watchdog.after(epoch, loss, math.log(here.classes) if here.is_governed else None)
        faults = self._faults(epoch, failures)
        if panic is not None:
            return Trained.panicking(panic, reports=reports, faults=faults)
        return Trained(
            reports=reports,
            metrics=EpochMetrics(
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                validation_loss=loss,
                validation_accuracy=accuracy,
            ),
            parameters=here.network.parameters,
            weights_digest=here.digest(epoch),
            faults=faults,
        )

    def _train(self, epoch: int) -> tuple[float, float, str | None]:
        """The epoch's training batches: mean loss and accuracy over the samples seen, and why it panicked, or None."""
        here = self._here
        header, network, optimizer = here.header, here.network, here.network.optimizer
        learning = [graft for graft in network.grafts if graft.stage in IN_FORWARD]
        dropout = Dropout(header.host.dropout, header.run_key, epoch) if header.host.dropout else None
        for layer in network.layers:
            layer.arrange(_learn_alone(layer), dropout)
        route = network.route
        total, right, seen = 0.0, 0, 0
        for number, (inputs, labels) in enumerate(here.train.batches(epoch, header.run_key, header.training)):
            logits = route(inputs)
            loss = functional.cross_entropy(logits, labels)
            here.passes += 1
            value = loss.item()
            if not math.isfinite(value):
                return value, math.nan, f"the training loss of epoch {epoch} is {value} in batch {number}"
            total += value * len(labels)
            right += int((logits.argmax(dim=1) == labels).sum())
            seen += len(labels)
            if loss.requires_grad:
                optimizer.clear()
                loss.backward()  # type: ignore[no-untyped-call]
                stepping = [graft for graft in learning if graft.accept_gradient(graft.parameters)]
                optimizer.step()
                for graft in stepping:
                    graft.stepped()
        return total / seen, right / seen, None

    def _validate(self, epoch: int, failures: _Failures) -> tuple[float, float, tuple[LayerHealthReport, ...]]:
        """Loss and accuracy on the validation data, and what the layers looked like meanwhile."""
        here = self._here
        unexplained: dict[SeedId, float | None] = {}
        pairs = tuple(zip(here.network.layers, here.network.probes, strict=True))
        telemetry = Telemetry(here.header, epoch)
        for layer, probe in pairs:
            due = probe if telemetry.measures_all or probe.is_due(epoch) else None
            layer.arrange(_inspect(layer, due, here.network.optimizer, unexplained, telemetry))
        loss, accuracy = self._assess(here.validation)
        here.passes += 1
        reports = tuple(self._report(layer, probe, unexplained, failures, telemetry) for layer, probe in pairs)
        for layer in here.network.layers:
            layer.arrange()
        return loss, accuracy, reports

    def _assess(self, samples: Samples) -> tuple[float, float]:
        """Loss in nats and accuracy of the network as it stands, in one batch: another batch shape is other bits."""
        logits = self._here.network.route(samples.inputs)
        right = (logits.argmax(dim=1) == samples.labels).sum()
        return float(functional.cross_entropy(logits, samples.labels)), int(right) / len(samples.labels)

    def _report(
        self,
        layer: KasminaLayer,
        probe: LayerProbe,
        unexplained: dict[SeedId, float | None],
        failures: _Failures,
        telemetry: Telemetry,
    ) -> LayerHealthReport:
        here = self._here
        number, columns = layer.layout.layer, probe.columns()
        if extras := telemetry.columns(number):
            columns = columns | extras
        is_quiet = not layer.grafts and all(name.layer != number for name in failures)
        known, last = here.quiet.pop(number, (None, None))
        if is_quiet and last is not None and known is columns:
            # The same bits as a report built anew, without validating its columns again.
            report = last.model_copy(update={"total_executions": here.passes})
        else:
            report = self._built_report(layer, columns, unexplained, failures)
        if is_quiet:
            here.quiet[number] = columns, report
        return report

    def _built_report(
        self,
        layer: KasminaLayer,
        columns: dict[str, Column],
        unexplained: dict[SeedId, float | None],
        failures: _Failures,
    ) -> LayerHealthReport:
        here = self._here
        hardware = here.header.hardware
        grafts = [layer.grafts[index] for index in sorted(layer.grafts)]
        work = layer.layout.flops + sum(graft.flops for graft in grafts if graft.stage in IN_FORWARD)
        counts = [0] * layer.layout.seeds
        for graft in grafts:
            counts[graft.seed.index] = graft.faults.total
        for name in failures:
            if name.layer == layer.layout.layer:
                counts[name.index] += 1
        progress: list[SeedProgress] = [
            graft.progress(hardware.latency_ms(graft.flops), unexplained.get(graft.seed)) for graft in grafts
        ]
        return LayerHealthReport(
            layer=layer.layout.layer,
            **columns,
            execution_latency_ms=hardware.latency_ms(work),
            cache_hit_rate=0.0 if here.network.loads[layer.layout.layer] else 1.0,
            total_executions=here.passes,
            error_counts=tuple(counts) if any(counts) else (),
            progress=tuple(progress),
        )

    def _faults(self, epoch: int, failures: _Failures) -> tuple[SeedFaulted, ...]:
        failed = [
            SeedFaulted(epoch=epoch, seed=seed, kind=kind, detail=detail) for seed, (kind, detail) in failures.items()
        ]
        here = self._here
        batches = here.passes - here.passes_before if here.is_governed else None
        for graft in here.network.grafts:
            failed += graft.faults.events(epoch, graft.seed, batches)
        return tuple(sorted(failed, key=lambda fault: fault.seed))

    # Obeying

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Roll back if that was ordered, then stand as ``state`` says. New blueprints are compiled by the next epoch.

        Raises CheckpointMissing or CheckpointDamaged when the checkpoint to go back to is not whole.
        """
        for event in events:
            if isinstance(event, RollbackOrdered):
                assert event.epoch == epoch, f"a rollback of epoch {event.epoch} at the end of epoch {epoch}"
                self._return_to(event.checkpoint, state)
        self._here.network.follow(state)

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        """Save everything needed to go on from this boundary."""
        content = pack(self.snapshot(epoch, controller))
        digest = self._store.put(content)
        if digest not in self._saved:
            self._saved.append(digest)
        return CheckpointSaved(epoch=epoch, checkpoint=digest, size=len(content))

    def snapshot(self, epoch: int, controller: str) -> Snapshot:
        """The trainer at this boundary, sharing memory with it."""
        here = self._here
        structure = Structure(
            epoch=epoch,
            controller=controller,
            passes=here.passes,
            loads=tuple(here.network.loads),
            losses=here.watchdog.history,
            anomalies=here.watchdog.anomalies,
            manifest=here.network.optimizer.manifest,
            grafts=here.network.records(),
        )
        return Snapshot(structure, here.network.tensors())

    def restore(self, digest: str, state: RunState) -> str:
        """Resume: become, freshly planted, the trainer that saved ``digest``; ``state`` is the run at that boundary.

        Gives the controller's memory that was saved with it. Raises CheckpointMissing or CheckpointDamaged.
        """
        structure = self._return_to(digest, state)
        self._here.passes = structure.passes
        self._here.network.loads = list(structure.loads)
        self._saved = [saved.checkpoint for saved in state.checkpoints]
        return structure.controller

    def _return_to(self, digest: str, state: RunState) -> Structure:
        here = self._here
        settle(here.header.training.threads)
        snapshot = load(self._store, digest)
        structure = snapshot.structure
        here.network.restore(structure.grafts, structure.manifest, snapshot.tensors, state)
        here.watchdog = Watchdog(structure.losses, structure.anomalies)
        return structure

    def _release(self, state: RunState) -> None:
        kept = {saved.checkpoint for saved in state.checkpoints}
        for digest in self._saved:
            if digest not in kept:
                self._store.release(digest)
        self._saved = [digest for digest in self._saved if digest in kept]

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """Urabrask's trial of the candidate, the same at any epoch of any run. Leaves no trace in the host."""
        del epoch
        return crucible.examine(candidate, reads, self._here.header.hardware)

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        """Score the test set. Leaves no trace in anything that a policy sees."""
        settle(self._here.header.training.threads)
        with torch.no_grad():
            loss, accuracy = self._assess(self._here.test)
        return TestScored(epoch=epoch, accuracy=accuracy, loss=loss, occasion=occasion)


def _learn_alone(layer: KasminaLayer) -> Watch | None:
    """What shows each training pass to those of the layer who learn alone; None where there are none."""
    alone = [layer.grafts[index] for index in sorted(layer.grafts) if layer.grafts[index].isolation is not None]

    def watch(inputs: Tensor, outputs: Tensor, given: Tensor) -> None:
        del given
        for graft in alone:
            graft.learn_alone(inputs, outputs)

    return watch if alone else None


def _inspect(
    layer: KasminaLayer,
    probe: LayerProbe | None,
    optimizer: DynamicOptimizer,
    unexplained: dict[SeedId, float | None],
    telemetry: Telemetry,
) -> Watch | None:
    """What shows the validation pass to the layer's probe, if it is due, to telemetry and to those who learn alone."""
    is_told = telemetry.wants(layer.layout)
    alone = [graft for graft in layer.grafts.values() if graft.isolation is not None]

    def watch(inputs: Tensor, outputs: Tensor, given: Tensor) -> None:
        if probe is not None:
            probe.measure(given, optimizer)
        if is_told:
            telemetry.look(layer.layout, given)
        for graft in alone:
            unexplained[graft.seed] = graft.unexplained(inputs, outputs)

    return watch if alone or is_told or probe is not None else None
