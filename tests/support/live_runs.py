"""Runs of the live trainer driven by hand: headers, states and events without a policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from domain.blueprint import BlueprintGraph
from domain.commands import GraftingStrategy, Reads
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    BlueprintRegistered,
    DomainEvent,
    EpochCompleted,
    RunForked,
    RunStarted,
    SeedGerminated,
    StageChanged,
)
from domain.gates import GateSettings
from domain.grafting import GraftingConfig
from domain.hardware import HardwareContext
from domain.header import PolicyReference, RunHeader, layout_of
from domain.identifiers import AdaptationId, Epoch, SeedId
from domain.lifecycle import Gate, Outcome, Stage
from domain.run import RunState, evolve
from domain.safety import SafetyConfig
from domain.settings import HostSettings, TaskSettings, TrainingSettings
from domain.tamiyo.config import TamiyoConfig
from domain.urza.catalogue import registrations
from engine.trainers.live.fingerprint import fingerprint
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import MemoryStore
from engine.trainers.trainer import Trained
from scenarios.tasks import spirals

NOBODY = PolicyReference(name="by-hand", source_digest="00" * 32)


def header(
    task: TaskSettings,
    features: int,
    *,
    hidden: tuple[int, ...] = (8,),
    seeds: int = 2,
    key: int = 1,
    dropout: float = 0.0,
    **training: Any,
) -> RunHeader:
    """A header of the full profile; ``training`` are fields of TrainingSettings."""
    host = HostSettings(hidden=hidden, seeds_per_layer=seeds, dropout=dropout)
    return RunHeader(
        regrow="0",
        scenario="by-hand",
        run_key=key,
        profile="full",
        tamiyo=NOBODY,
        karn=NOBODY,
        fingerprint=fingerprint(1),
        task=task,
        host=host,
        layout=layout_of(host, features),
        training=TrainingSettings(**{"epochs": 1000, **training}),
        gates=GateSettings(),
        grafting=GraftingConfig(),
        tamiyo_config=TamiyoConfig(),
        safety=SafetyConfig(),
        hardware=HardwareContext(),
    )


def amended(
    header: RunHeader,
    *,
    run_key: int | None = None,
    dropout: float | None = None,
    hardware: HardwareContext | None = None,
    **training: Any,
) -> RunHeader:
    """``header`` with what is given in its place; ``training`` are fields of TrainingSettings."""
    share = header.host.dropout if dropout is None else dropout
    return header.model_copy(
        update={
            "run_key": header.run_key if run_key is None else run_key,
            "hardware": hardware or header.hardware,
            "host": header.host.model_copy(update={"dropout": share}),
            "training": TrainingSettings(**{**dict(header.training), **training}),
        }
    )


class HandRun:
    """A live run whose decisions are taken by the caller, boundary by boundary."""

    def __init__(self, trainer: LiveTrainer, header: RunHeader, library: tuple[BlueprintRegistered, ...] = ()) -> None:
        self.trainer = trainer
        self.state = RunState()
        self.events: list[DomainEvent] = []
        """What was recorded, in order."""
        self.trained: Trained | None = None
        trainer.plant(header)
        for event in (RunStarted(epoch=0, header=header), *(library or registrations())):
            self.record(event)

    def record(self, *events: DomainEvent) -> None:
        """Fold events into the state."""
        for event in events:
            self.state = evolve(self.state, event)
            self.events.append(event)

    def fork(self, header: RunHeader) -> None:
        """Go on under another header."""
        self.trainer.amend(header)
        self.record(RunForked(epoch=self.state.epoch + 1, parent="by-hand", parent_digest="00" * 32, header=header))

    def train(self, epochs: int = 1) -> Trained:
        """Train; nothing is decided at these boundaries."""
        for _ in range(epochs):
            epoch = Epoch(self.state.epoch + 1)
            self.trained = trained = self.trainer.train(epoch, self.state)
            completed = EpochCompleted(
                epoch=epoch,
                metrics=trained.metrics,
                parameters=trained.parameters,
                weights_digest=trained.weights_digest,
            )
            self.record(completed, *trained.faults)
        return trained

    def act(self, *events: DomainEvent) -> None:
        """Record events at this boundary and have the trainer obey them."""
        self.record(*events)
        self.trainer.obey(Epoch(self.state.epoch), events, self.state)

    def germinate(self, seed: SeedId, graph: BlueprintGraph | str, reads: Reads = Reads.BOTH) -> None:
        """Plant a blueprint of the library in a seed; it ends up LOADING."""
        name = (
            graph
            if isinstance(graph, str)
            else next(record.name for record in self.state.library.records.values() if record.graph == graph)
        )
        record = self.state.library.by_name(name)
        attempt = self.state.seed(seed).attempts + 1
        germinated = SeedGerminated(
            epoch=self.state.epoch,
            adaptation=AdaptationId(seed=seed, attempt=attempt),
            blueprint_id=record.blueprint_id,
            reads=reads,
            grafting=GraftingStrategy.FIXED_RAMP,
            validation_accuracy=0.5,
            validation_loss=1.0,
        )
        self.act(germinated, self.moved(seed, Stage.LOADING))

    def moved(self, seed: SeedId, target: Stage) -> StageChanged:
        """A stage change, whether or not the lifecycle would allow it."""
        return StageChanged(
            epoch=self.state.epoch,
            seed=seed,
            source=self.state.seed(seed).stage,
            target=target,
            gate=Gate.COMMANDED,
            reason="by hand",
            validation_accuracy=0.5,
        )

    def blend(self, seed: SeedId, alpha: float) -> None:
        """Set a seed's alpha."""
        self.act(AlphaChanged(epoch=self.state.epoch, seed=seed, alpha=alpha, steps=0.0, reason="by hand"))

    def move(self, seed: SeedId, target: Stage) -> None:
        """Put a seed into a stage; a move to FOSSILIZED or DORMANT concludes its adaptation."""
        adaptation = self.state.seed(seed).adaptation
        events: list[DomainEvent] = [self.moved(seed, target)]
        if target in {Stage.FOSSILIZED, Stage.DORMANT} and adaptation is not None:
            events.append(
                AdaptationConcluded(
                    epoch=self.state.epoch,
                    adaptation=AdaptationId(seed=seed, attempt=adaptation.attempt),
                    outcome=Outcome.FOSSILIZED if target is Stage.FOSSILIZED else Outcome.CULLED,
                    reason="by hand",
                )
            )
        self.act(*events)

    def keep(self, *checkpoints: Any) -> None:
        """Have the state keep exactly these checkpoints."""
        self.state = replace(self.state, checkpoints=checkpoints)


SEED = SeedId(layer=0, index=0)
TASK = TaskSettings(name="spirals", samples=160, noise=0.02)


def spiral_run(*, store: MemoryStore | None = None, hidden: tuple[int, ...] = (6,), **settings: Any) -> HandRun:
    trainer = LiveTrainer(spirals.load, MemoryStore() if store is None else store)
    return HandRun(trainer, header(TASK, 2, hidden=hidden, **{"batch_size": 32, **settings}))


def grown_run(stage: Stage, *, alpha: float = 1.0, **settings: Any) -> HandRun:
    """A run with a residual MLP that has learnt a little and was put into ``stage``."""
    run = spiral_run(**settings)
    run.train(2)
    run.germinate(SEED, "residual_mlp")
    run.train()
    run.move(SEED, Stage.GRAFTING)
    run.blend(SEED, alpha)
    run.train()
    run.move(SEED, stage)
    return run


def weights_of(run: HandRun) -> dict[str, Tensor]:
    return {
        name: value.clone() for name, value in run.trainer.network.tensors().items() if name[:4] in {"host", "graf"}
    }


def differ(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    return any(not torch.equal(value, after[name]) for name, value in before.items() if name.startswith(prefix))
