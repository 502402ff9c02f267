"""Observations for policies: drawn reports and metrics, and states that come from running the real session on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from support.headers import small_header

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import (
    CheckpointSaved,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    EpochSealed,
    RunStarted,
    TestScored,
)
from domain.header import RunHeader
from domain.health import METRICS, LayerHealthReport, SeedProgress
from domain.identifiers import Epoch, SeedId
from domain.karn.no_invention import NoInvention
from domain.lifecycle import ADAPTING, Stage
from domain.run import RunState, evolve, rebuild
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.policy import Observation, TamiyoPolicy
from domain.urabrask.certificate import Examination
from domain.urza.catalogue import registrations
from domain.values import Column
from engine.session import Session
from engine.trainers.trainer import Trained

Script = Callable[[int, RunState], EpochMetrics]
Reporter = Callable[[RunState], tuple[LayerHealthReport, ...]]


def metrics(accuracy: float, loss: float | None = None) -> EpochMetrics:
    """An epoch of this validation accuracy; the loss is 1 - accuracy unless given."""
    loss = 1.0 - accuracy if loss is None else loss
    return EpochMetrics(train_loss=loss, train_accuracy=accuracy, validation_loss=loss, validation_accuracy=accuracy)


def header(config: TamiyoConfig | None = None, **changes: Any) -> RunHeader:
    """A small header with this Tamiyo configuration."""
    made = small_header(**{"epochs": 60, **changes})
    return made if config is None else made.model_copy(update={"tamiyo_config": config})


def report(
    layer: int, variance: Sequence[float], dead: Sequence[float] | None = None, **more: Any
) -> LayerHealthReport:
    """A report of a layer with these variances and dead ratios; every other metric is 0.5."""
    columns: dict[str, Any] = {name: Column([0.5] * len(variance)) for name in METRICS}
    columns["chunk_variance"] = Column(variance)
    columns["dead_node_ratio"] = Column([0.0] * len(variance) if dead is None else dead)
    columns["avg_inter_node_correlation"] = Column([0.0] * len(variance))
    return LayerHealthReport(layer=layer, **{**columns, **more})


def healthy(state: RunState) -> tuple[LayerHealthReport, ...]:
    """Reports of every layer, with plausible measurements of every blueprint in the host."""
    return tuple(
        report(layer.layer, [1.0 / (1 + index) for index in range(layer.seeds)], progress=_progress(state, layer.layer))
        for layer in state.started.layout
    )


def _progress(state: RunState, layer: int) -> tuple[SeedProgress, ...]:
    return tuple(
        SeedProgress(
            index=name.index,
            reconstruction_loss=0.1 if seed.stage is Stage.TRAINING else None,
            gradient_norm=0.5,
            latency_ms=0.01,
            memory_mb=0.01,
        )
        for name, seed in sorted(state.seeds.items(), key=lambda item: item[0])
        if name.layer == layer and (seed.stage in ADAPTING or seed.stage is Stage.FOSSILIZED)
    )


def planted(head: RunHeader | None = None) -> RunState:
    """A state at epoch 0 with the first library."""
    return rebuild([RunStarted(epoch=0, header=head or header()), *registrations()])


def at_epoch(state: RunState, epoch: int, *history: EpochMetrics) -> RunState:
    """The state at ``epoch``, its last epochs' metrics being ``history``."""
    return replace(state, epoch=epoch, recent=history or (metrics(0.5),))


def observe(state: RunState, reports: tuple[LayerHealthReport, ...] | None = None) -> Observation:
    """What a policy sees of a state."""
    return Observation(
        epoch=state.epoch,
        metrics=state.recent[-1],
        reports=healthy(state) if reports is None else reports,
        state=state,
    )


@dataclass
class ScriptedTrainer:
    """Trains nothing: metrics and reports come from a script."""

    script: Script
    reporter: Reporter = healthy
    faulty: frozenset[SeedId] = frozenset()
    saved: int = 0

    def plant(self, header: RunHeader) -> None:
        del header

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        return Trained(
            reports=self.reporter(state), metrics=self.script(epoch, state), parameters=100, weights_digest=""
        )

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        del epoch, events, state

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        digest = hashlib.sha256(f"{epoch}{controller}".encode()).hexdigest()
        return CheckpointSaved(epoch=epoch, checkpoint=digest, size=1)

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        return Examination(measures=(("dynamic.benchmark_accuracy", 0.9),))

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        return TestScored(epoch=epoch, accuracy=0.5, loss=1.0, occasion=occasion)


@dataclass
class MemorySink:
    """Keeps what a session seals."""

    events: list[DomainEvent] = field(default_factory=list)

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        self.events += events
        return EpochSealed(
            epoch=epoch, events=len(events), log_digest="", state_digest=state_digest, memory_digest=memory_digest
        )


def run(
    policy: TamiyoPolicy, head: RunHeader, script: Script, reporter: Reporter = healthy, epochs: int | None = None
) -> tuple[list[DomainEvent], RunState]:
    """Everything that happens when a policy drives the real session over a script."""
    sink = MemorySink()
    made = head.model_copy(update={"profile": policy.profile})
    session = Session(ScriptedTrainer(script, reporter), policy, NoInvention(), sink)
    session.plant(made, registrations())
    while session.state.ending is None and (epochs is None or session.state.epoch < epochs):
        session.step()
    return sink.events, session.state


_ACCURACY = st.one_of(st.floats(0, 1), st.just(float("nan")))
_LOSS = st.one_of(st.floats(0, 5), st.sampled_from([float("nan"), float("inf")]))
_METRIC = st.one_of(st.floats(0, 3), st.sampled_from([0.0, float("nan")]))


@st.composite
def drawn_reports(draw: st.DrawFn, state: RunState) -> tuple[LayerHealthReport, ...]:
    """Reports of every layer with any metrics, NaN among them, and any measurements of the blueprints in the host."""
    found = []
    for layer in state.started.layout:
        columns: dict[str, Any] = {
            name: Column(draw(st.lists(_METRIC, min_size=layer.seeds, max_size=layer.seeds))) for name in METRICS
        }
        progress = tuple(
            entry.model_copy(
                update={
                    "gradient_norm": draw(_METRIC),
                    "weight_drift": draw(_METRIC),
                    "reconstruction_loss": draw(st.one_of(st.none(), _METRIC)),
                }
            )
            for entry in _progress(state, layer.layer)
        )
        found.append(LayerHealthReport(layer=layer.layer, progress=progress, **columns))
    return tuple(found)


@st.composite
def drawn_metrics(draw: st.DrawFn) -> EpochMetrics:
    """Metrics of an epoch: mostly finite."""
    finite = draw(st.integers(0, 9)) > 0
    return EpochMetrics(
        train_loss=draw(st.floats(0, 5) if finite else _LOSS),
        train_accuracy=draw(st.floats(0, 1)),
        validation_loss=draw(st.floats(0, 5) if finite else _LOSS),
        validation_accuracy=draw(st.floats(0, 1) if finite else _ACCURACY),
    )


@st.composite
def histories(draw: st.DrawFn, policy: TamiyoPolicy, epochs_max: int = 25) -> list[Observation]:
    """What a policy sees in a run of drawn length, with drawn metrics and reports, that it drives itself."""
    config = TamiyoConfig(
        plateau_patience=draw(st.integers(1, 3)),
        warm_up_epochs=draw(st.integers(0, 3)),
        cool_down_epochs=draw(st.integers(0, 3)),
        reserve_epochs=0,
        max_active_seeds=(places := draw(st.integers(1, 3))),
        allow_concurrent_adaptations=places > 1,
        emergency_condition=draw(st.sampled_from(["either", "both"])),
        emergency_rollback_threshold=draw(st.sampled_from([0.05, 1.0])),
    )
    seen: list[Observation] = []
    watcher = _Watcher(policy, seen)
    trainer = ScriptedTrainer(lambda epoch, state: draw(drawn_metrics()), lambda state: draw(drawn_reports(state)))
    session = Session(trainer, watcher, NoInvention(), MemorySink())
    head = header(config, epochs=epochs_max, seeds=draw(st.integers(1, 3))).model_copy(
        update={"profile": policy.profile}
    )
    session.plant(head, registrations())
    for _ in range(draw(st.integers(1, epochs_max))):
        if session.state.ending is None:
            session.step()
    return seen


@dataclass
class _Watcher:
    """A policy that shows what another one sees."""

    policy: TamiyoPolicy
    seen: list[Observation]

    @property
    def profile(self) -> str:
        return self.policy.profile

    def initial(self) -> Any:
        return self.policy.initial()

    def step(self, observation: Observation, memory: Any, random: Any) -> Any:
        self.seen.append(observation)
        return self.policy.step(observation, memory, random)


def completed(state: RunState, *accuracies: float) -> RunState:
    """The state after further epochs of these validation accuracies."""
    for accuracy in accuracies:
        event = EpochCompleted(epoch=state.epoch + 1, metrics=metrics(accuracy), parameters=100, weights_digest="")
        state = evolve(state, event)
    return state


def np_columns(seeds: int, generator: np.random.Generator) -> dict[str, Any]:
    """Random columns of a report of ``seeds`` seeds."""
    return {name: Column(generator.random(seeds)) for name in METRICS}
