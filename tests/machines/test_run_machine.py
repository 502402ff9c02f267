"""RunState's fold, and the evidence it gives, against the plain model of ``support/lifecycle_model.py``."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.commands import (
    Advance,
    Cancel,
    Command,
    Cull,
    Germinate,
    GraftingStrategy,
    Reads,
    Recover,
    Reset,
)
from domain.events import (
    AlphaChanged,
    CheckpointSaved,
    DomainEvent,
    EpochCompleted,
    FieldReportFiled,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RollbackSource,
    RunStarted,
    SeedFaulted,
)
from domain.faults import FaultKind
from domain.gates import StageWindow
from domain.health import LayerHealthReport, SeedProgress
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import PROFILES, Gate
from domain.rollback import restore_point
from domain.run import RunState, evolve, rebuild
from domain.seed import Refusal, decide, roll_back, succumb
from domain.shapes import is_trainable
from domain.urza.catalogue import registrations
from tests.support import lifecycle_model as model
from tests.support.headers import QUICK, small_header
from tests.support.lifecycle_orders import (
    FIXED,
    MACHINE,
    METRICS,
    OFTEN,
    SEEDS,
    UNKNOWN,
    accuracies,
    assert_agree,
    expected,
    seed_commands,
    seed_names,
)


class RunMachine(RuleBasedStateMachine):
    """Three seeds of one run, with evidence that comes out of the recorded reports and epochs."""

    @initialize(
        profile=st.sampled_from(sorted(PROFILES)), limit=st.integers(1, 2), unlock=st.booleans(), kept=st.integers(1, 3)
    )
    def plant(self, profile: str, limit: int, unlock: bool, kept: int) -> None:
        self.profile, self.limit = profile, limit
        self.gates = QUICK.model_copy(
            update={"unlock_after_rollback": unlock, "evaluating": StageWindow(min_epochs=2, max_epochs=3)}
        )
        header = small_header(
            profile=profile, gates=self.gates, max_active_seeds=limit, checkpoints_kept=kept, epochs=1000
        )
        self.events: list[DomainEvent] = []
        self.state = RunState()
        self.mine = {name: model.untouched() for name in SEEDS}
        self.since = dict.fromkeys(SEEDS, 0)
        self.planted: dict[SeedId, BlueprintId] = {}
        self.baseline: dict[SeedId, float] = {}
        self.measured: dict[SeedId, list[SeedProgress]] = {name: [] for name in SEEDS}
        self.progress: dict[SeedId, SeedProgress] = {}
        self.history: list[tuple[int, float]] = []
        self.queue: list[SeedId] = []
        self.disgraced: set[BlueprintId | None] = set()
        self.failures = 0
        self.epoch = 0
        self._tell(RunStarted(epoch=0, header=header))
        for event in registrations():
            self._tell(event)
        self._tell(CheckpointSaved(epoch=0, checkpoint="c0", size=1))
        self.train([0.5] * 6, 0.5)

    def _tell(self, *events: DomainEvent) -> None:
        for event in events:
            self.state = evolve(self.state, event)
            self.events.append(event)

    @rule(
        measured=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.6, math.nan]), min_size=6, max_size=6), accuracy=accuracies
    )
    def train(self, measured: list[float], accuracy: float) -> None:
        """An epoch: reports, then metrics."""
        self.epoch += 1
        self._report(measured)
        metrics = METRICS.model_copy(update={"validation_accuracy": accuracy})
        self._tell(EpochCompleted(epoch=self.epoch, metrics=metrics, parameters=9, weights_digest="w"))
        self.history.append((self.epoch, accuracy))
        self._succumb()

    def _report(self, measured: list[float]) -> None:
        carrying = [name for name in SEEDS if self._carries(name)]
        for layer in (0, 1):
            entries = []
            for name in (name for name in carrying if name.layer == layer):
                loss, latency = measured[2 * layer + name.index], measured[2 + 2 * layer + name.index]
                entry = SeedProgress(
                    index=name.index, reconstruction_loss=loss, latency_ms=latency, gradient_variance=loss
                )
                entries.append(entry)
                self.progress[name] = entry
                if self.mine[name]["stage"] in {"EVALUATING", "FINE_TUNING"}:
                    self.measured[name].append(entry)
            report = LayerHealthReport.silent(layer, 2).model_copy(update={"progress": tuple(entries)})
            self._tell(LayerHealthReported(epoch=self.epoch, report=report))
        self.progress = {name: entry for name, entry in self.progress.items() if name in carrying}

    def _carries(self, name: SeedId) -> bool:
        return self.mine[name]["stage"] in {*model.IN_HOST[self.profile], "FOSSILIZED"}

    def _succumb(self) -> None:
        for name in self.state.active:
            self._tell(*succumb(self.state.seed(name), self.state.boundary(name)))
        for name in SEEDS:
            self._moved(name, model.succumb(self.mine[name], self.profile, self.gates))

    def _moved(self, name: SeedId, after: model.Seed) -> None:
        before, self.mine[name] = self.mine[name], after
        if before["stage"] == after["stage"]:
            return
        self.since[name] = self.epoch
        if after["stage"] == "GRAFTING":
            self.baseline[name] = self.history[-1][1]
        if before["stage"] == "GERMINATING":
            self.queue.remove(name)
        if after["stage"] == "GERMINATING":
            self.queue.append(name)
        if len(after["ended"]) > len(before["ended"]):
            outcome = after["ended"][-1]
            self.failures = {"FOSSILIZED": 0, "CANCELLED": self.failures}.get(outcome, self.failures + 1)

    @rule(name=seed_names, count=st.integers(1, 2))
    def fail(self, name: SeedId, count: int) -> None:
        """A fault of the coming epoch, reported in it."""
        if self.mine[name]["stage"] in model.IN_HOST[self.profile]:
            self._tell(SeedFaulted(epoch=self.epoch, seed=name, kind=FaultKind.SHAPE, count=count))
            self.mine[name] = model.fault(self.mine[name], self.epoch, count)
            self._succumb()

    def _facts(self, name: SeedId, planted: BlueprintId | None = None) -> model.Facts:
        mine = self.mine[name]
        blueprint = planted or self.planted.get(name)
        since = [accuracy for epoch, accuracy in self.history if epoch > self.since[name]]
        effect, stability = model.effect_and_stability(since, self.baseline.get(name, 0.0))
        entry = self.progress.get(name)
        return {
            "age": self.epoch - self.since[name],
            "loss": entry.reconstruction_loss if entry else None,
            "alpha": mine["alpha"] or 0.0,
            "effect": effect,
            "stability": stability,
            "trainable": blueprint not in FIXED,
            "problem": "no" if blueprint == UNKNOWN or blueprint in self.disgraced else None,
            "active": sum(self.mine[other]["stage"] in model.IN_HOST[self.profile] for other in SEEDS),
            "limit": self.limit,
        }

    @rule(command=seed_commands(seed_names))
    def order(self, command: Command) -> None:
        self._order(command)

    @rule(name=seed_names, pick=st.integers(0, 9), blueprint=st.sampled_from(OFTEN))
    def push(self, name: SeedId, pick: int, blueprint: BlueprintId) -> None:
        """Toward the next stage, whether it may go there or not yet."""
        ways = [gate for (stage, gate) in model.FORWARD[self.profile] if stage == self.mine[name]["stage"]]
        if ways:
            self._order(Advance(seed=name, gate=Gate(ways[pick % len(ways)])))
        else:
            ramp = GraftingStrategy.FIXED_RAMP
            self._order(Germinate(seed=name, blueprint_id=blueprint, reads=Reads.BOTH, grafting=ramp))

    @rule(name=seed_names, how=st.sampled_from([Cull, Cancel, Recover, Reset]))
    def give_up(self, name: SeedId, how: type[Any]) -> None:
        """In every way there is, legal or not."""
        self._order(how(seed=name))

    def _order(self, command: Any) -> None:
        name = command.seed
        at = self.state.boundary(name)
        planted = command.blueprint_id if isinstance(command, Germinate) else None
        facts = self._facts(name, planted)
        if isinstance(command, Germinate):
            at = at.planting(self.state.problem(name, command.blueprint_id, command.reads))
        wanted = expected(self.mine[name], command, self.epoch, self.profile, facts, self.gates)
        before = self.state.digest()
        try:
            events = decide(self.state.seed(name), command, at)
        except Refusal as refusal:
            assert wanted is None, f"the model allows {command} but: {refusal}"
            assert refusal.reason and self.state.digest() == before
            return
        assert wanted is not None, f"the model refuses {command} but: {events}"
        if isinstance(command, Germinate):
            self.planted[name] = command.blueprint_id
            self.baseline[name] = self.history[-1][1]
            self.measured[name] = []
        self._check_report(name, events)
        self._tell(*events)
        self._moved(name, wanted)

    def _check_report(self, name: SeedId, events: tuple[DomainEvent, ...]) -> None:
        for event in events:
            if isinstance(event, FieldReportFiled):
                metrics, entries = event.report.eval_metrics, self.measured[name]
                latencies = [entry.latency_ms for entry in entries]
                variances = [entry.gradient_variance for entry in entries]
                assert event.report.blueprint_id == self.planted[name]
                if not any(math.isnan(number) for number in [*latencies, *variances]):
                    assert metrics.max_latency_ms == max(latencies, default=0.0)
                    assert metrics.gradient_norm_variance == sum(variances) / max(len(variances), 1)

    @rule(name=seed_names, alpha=st.sampled_from([0.5, 1.0]))
    def blend(self, name: SeedId, alpha: float) -> None:
        if self.mine[name]["stage"] == "GRAFTING":
            alpha = max(alpha, self.mine[name]["alpha"])
            self._tell(AlphaChanged(epoch=self.epoch, seed=name, alpha=alpha, steps=1.0, reason="ramp"))
            self.mine[name] = {**self.mine[name], "alpha": alpha}

    @rule()
    def save(self) -> None:
        self._tell(CheckpointSaved(epoch=self.epoch, checkpoint=f"c{self.epoch}", size=1))

    @rule(culprit=st.none() | seed_names)
    def emergency(self, culprit: SeedId | None) -> None:
        """By the trainer's watchdog in an epoch of its own, or about a culprit."""
        if culprit is not None and self.mine[culprit]["stage"] in {"DORMANT", "FOSSILIZED"}:
            return
        if culprit is None:
            self.epoch += 1
            self._tell(PanicRaised(epoch=self.epoch, reason="loss is not finite"))
        target = restore_point(self.state, culprit)
        assert target in self.state.checkpoints
        self._tell(
            RollbackOrdered(
                epoch=self.epoch,
                source=RollbackSource.TAMIYO if culprit else RollbackSource.TOLARIA,
                reason="emergency",
                culprit=culprit,
                checkpoint_epoch=target.epoch,
                checkpoint=target.checkpoint,
            )
        )
        self.progress = {}
        for name in SEEDS:
            stage = self.mine[name]["stage"]
            if name == culprit or stage in {*model.IN_HOST[self.profile], "ERROR_RECOVERY"}:
                self._tell(*roll_back(self.state.seed(name), "emergency", self.state.boundary(name)))
                after = model.roll_back(self.mine[name], self.epoch, self.profile, self.gates)
                assert after is not None
                self._moved(name, after)
                self.disgraced.add(self.planted[name])

    @invariant()
    def model_and_state_agree(self) -> None:
        if not self.events:
            return
        for name in SEEDS:
            assert_agree(self.state.seed(name), self.mine[name])
            assert self.state.seed(name).since == self.since[name]
        assert self.state.epoch == self.epoch
        assert list(self.state.queue) == self.queue
        assert list(self.state.active) == [n for n in SEEDS if self.mine[n]["stage"] in model.IN_HOST[self.profile]]
        assert self.state.conclusions == sum(len(mine["ended"]) for mine in self.mine.values())
        assert self.state.consecutive_failures == self.failures
        if self.profile == "full":
            assert len(self.state.active) <= self.limit

    def teardown(self) -> None:
        assert rebuild(self.events).digest() == self.state.digest()


TestRun = RunMachine.TestCase
TestRun.settings = MACHINE


def test_the_machines_blueprints_are_what_they_are_called() -> None:
    graphs = {event.blueprint_id: event.graph for event in registrations()}
    assert [is_trainable(graphs[name]) for name in OFTEN] == [True, True, True, True, False, False]
    assert UNKNOWN not in graphs
