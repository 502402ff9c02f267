"""The boundary of an epoch with 100,000 seeds: a whole ``Session.step`` over a trainer that only hands out reports.

So everything but training, compiling and writing is in it: folding the reports, faults, the policy (emergency,
housekeeping with its gates, plateau, candidate, blueprint), review, decide and evolve, the ramp, and the seal's digest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from measuring import figure, in_turns, say

import engine.session
from domain.blueprint import BlueprintGraph
from domain.commands import GraftingStrategy, Reads
from domain.events import (
    AlphaChanged,
    CheckpointSaved,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    SeedGerminated,
    StageChanged,
    TestScored,
)
from domain.gates import GateSettings
from domain.grafting import GraftingConfig
from domain.hardware import HardwareContext
from domain.header import Fingerprint, LayerLayout, PolicyReference, RunHeader
from domain.health import METRICS, LayerHealthReport, SeedProgress
from domain.identifiers import AdaptationId, Epoch, SeedId
from domain.karn.no_invention import NoInvention
from domain.lifecycle import Gate, Stage
from domain.run import RunState, evolve
from domain.safety import SafetyConfig
from domain.settings import HostSettings, TaskSettings, TrainingSettings
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.config import TamiyoConfig
from domain.urabrask.certificate import Examination
from domain.values import Column
from engine.session import Session
from engine.sink import Discard
from engine.trainers.trainer import Trained
from scenarios import composition

LIMIT = 0.100
ROUNDS = 15
LAYERS, SEEDS, CHUNK = 10, 10_000, 4
IN_FLIGHT = (0, 64, 1_000)
EPOCH = 20
STAGES = (
    Stage.LOADING,
    Stage.TRAINING,
    Stage.GRAFTING,
    Stage.STABILIZATION,
    Stage.EVALUATING,
    Stage.FINE_TUNING,
    Stage.ACTIVE,
)
METRICS_NOW = EpochMetrics(train_loss=0.5, train_accuracy=0.8, validation_loss=0.6, validation_accuracy=0.75)


def header() -> RunHeader:
    """Ten layers of 10,000 chunks of 4 units, a trigger that fires at every boundary, room for 2,000 adaptations."""
    nobody = PolicyReference(name="as_designed", source_digest="0" * 64)
    width = SEEDS * CHUNK
    return RunHeader(
        regrow="0",
        scenario="benchmark",
        run_key=1,
        profile="full",
        tamiyo=nobody,
        karn=nobody,
        fingerprint=Fingerprint(torch="none", python="3", cpu_capability="none", machine="none", threads=1),
        task=TaskSettings(name="digits"),
        host=HostSettings(hidden=(width,) * LAYERS, seeds_per_layer=SEEDS),
        layout=tuple(LayerLayout(layer=i, inputs=width, outputs=width, seeds=SEEDS) for i in range(LAYERS)),
        training=TrainingSettings(epochs=10_000, checkpoint_every=10_000),
        gates=GateSettings(),
        grafting=GraftingConfig(),
        tamiyo_config=TamiyoConfig(
            plateau_patience=1,
            warm_up_epochs=0,
            cool_down_epochs=0,
            reserve_epochs=0,
            max_consecutive_failures=1_000_000,
            allow_concurrent_adaptations=True,
            max_active_seeds=2 * max(IN_FLIGHT),
            reads_preference=Reads.CHUNK,
        ).checked(),
        safety=SafetyConfig(),
        hardware=HardwareContext(),
    )


class Reporter:
    """A trainer that trains nothing: it hands out reports that were drawn beforehand."""

    def __init__(self, reports: tuple[LayerHealthReport, ...]) -> None:
        self.trained = Trained(reports=reports, metrics=METRICS_NOW, parameters=1, weights_digest="0" * 64)

    def plant(self, header: RunHeader) -> None:
        """Nothing to plant."""

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        return self.trained

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Nothing obeys."""

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        return CheckpointSaved(epoch=epoch, checkpoint=f"{epoch:064}", size=0)

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        return Examination(measures=(("dynamic.benchmark_accuracy", 0.9),))

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        return TestScored(epoch=epoch, accuracy=0.7, loss=0.7, occasion=occasion)


def reports(in_flight: Sequence[tuple[SeedId, Stage]]) -> tuple[LayerHealthReport, ...]:
    random = np.random.Generator(np.random.PCG64(1))
    made = []
    for layer in range(LAYERS):
        columns: dict[str, Any] = {name: Column(random.random(SEEDS)) for name in METRICS}
        progress = tuple(
            SeedProgress(
                index=name.index,
                reconstruction_loss=float(random.random()) if stage is Stage.TRAINING else None,
                gradient_norm=float(random.random()),
                gradient_variance=float(random.random()) / 10,
                weight_drift=float(random.random()) / 10,
                latency_ms=0.001,
                memory_mb=0.001,
            )
            for name, stage in in_flight
            if name.layer == layer and stage is not Stage.LOADING
        )
        made.append(LayerHealthReport(layer=layer, **columns, progress=progress))
    return tuple(made)


def placed(count: int) -> list[tuple[SeedId, Stage]]:
    """``count`` seeds over all layers, and where each of them is."""
    step = LAYERS * SEEDS // max(count, 1)
    return [
        (SeedId(layer=at // SEEDS, index=at % SEEDS), STAGES[number % len(STAGES)])
        for number, at in enumerate(range(0, count * step, step))
    ]


def with_in_flight(state: RunState, in_flight: Sequence[tuple[SeedId, Stage]]) -> RunState:
    """The state with these seeds under way since the last few epochs."""
    for epoch in range(1, EPOCH):
        state = evolve(state, EpochCompleted(epoch=epoch, metrics=METRICS_NOW, parameters=1, weights_digest="0" * 64))
    blueprint = state.library.by_name("residual_mlp").blueprint_id
    for number, (name, stage) in enumerate(in_flight):
        since = EPOCH - 1 - number % 4
        germinated = SeedGerminated(
            epoch=since,
            adaptation=AdaptationId(seed=name, attempt=1),
            blueprint_id=blueprint,
            reads=Reads.CHUNK,
            grafting=tuple(GraftingStrategy)[number % 4],
            validation_accuracy=0.74,
            validation_loss=0.6,
        )
        path = (Stage.GRAFTING, stage) if stage in STAGES[3:] else (stage,)
        moves = [
            StageChanged(
                epoch=since,
                seed=name,
                source=Stage.DORMANT,
                target=target,
                gate=Gate.COMMANDED,
                reason="placed",
                validation_accuracy=0.74,
            )
            for target in path
        ]
        alpha = 1.0 if stage in STAGES[3:] else 0.4 if stage is Stage.GRAFTING else 0.0
        blend = AlphaChanged(epoch=since, seed=name, alpha=alpha, steps=5.0 * alpha, reason="placed")
        for event in (germinated, *moves, blend):
            state = evolve(state, event)
    return state


class Boundary:
    """A session that stands right before a boundary, as often as it is asked to."""

    def __init__(self, count: int) -> None:
        in_flight = placed(count)
        self.events = 0
        self.session = Session(Reporter(reports(in_flight)), AsDesigned(), NoInvention(), Discard(), watch=self.see)
        self.session.plant(header(), composition.first_library())
        self.before = with_in_flight(self.session.state, in_flight)

    def see(self, view: Any) -> None:
        self.events, self.kinds = len(view.events), sorted({event.TOPIC for event in view.events})

    def pass_(self) -> None:
        self.session.state = self.before
        self.session.step()


@contextmanager
def shares(found: dict[str, float]) -> Any:
    """While this is open, CPU seconds of the parts of a boundary are added to ``found``."""

    def timed(name: str, work: Any) -> Any:
        def measured(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return work(*given, **named)
            finally:
                found[name] = found.get(name, 0.0) + time.process_time() - began

        return measured

    with ExitStack() as stack:
        for name, owner, attribute in (
            ("policy", AsDesigned, "step"),
            ("carrying out the decisions", Session, "_carry_out"),
            ("reports folded", Session, "_report"),
            ("ramp", engine.session, "ramp"),
            ("digest of the state", RunState, "digest"),
        ):
            stack.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        yield


def main() -> None:
    """Print the figures."""
    say(f"boundary: CPU time of a whole boundary with {LAYERS * SEEDS:,} seeds, median of {ROUNDS}, sealing included")
    boundaries = {count: Boundary(count) for count in IN_FLIGHT}
    turns: dict[str, Any] = {str(count): boundary.pass_ for count, boundary in boundaries.items()}
    turns["again"] = boundaries[IN_FLIGHT[1]].pass_
    costs = in_turns(turns, ROUNDS)
    for count, boundary in boundaries.items():
        cost = statistics.median(costs[str(count)])
        what = f"{count:,} seeds in flight, {boundary.events} events"
        figure(what, f"{cost * 1e3:.1f} ms", f"{LIMIT * 1e3:.0f} ms", met=cost <= LIMIT)
        parts: dict[str, float] = {}
        with shares(parts):
            boundary.pass_()
        for name, part in parts.items():
            figure(f"    {name}", f"{part * 1e3:.1f} ms")
    null = statistics.median(costs["again"]) / statistics.median(costs[str(IN_FLIGHT[1])]) - 1
    figure(f"the same boundary with {IN_FLIGHT[1]} in flight twice: resolution", f"{null:+.1%}")
