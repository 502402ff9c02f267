"""The Seed aggregate and RunState's fold against the plain model of ``support/lifecycle_model.py``."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.catalogue import registrations
from domain.commands import (
    Advance,
    Cancel,
    ChangeGrafting,
    Command,
    Cull,
    Germinate,
    GraftingStrategy,
    Reads,
    Recover,
    Reset,
)
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    CheckpointSaved,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    FaultKind,
    FieldReportFiled,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RollbackSource,
    RunStarted,
    SeedFaulted,
)
from domain.gates import Evidence, GateSettings, StageWindow
from domain.health import LayerHealthReport, SeedProgress
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import PROFILES, Gate
from domain.run import RunState, evolve, rebuild, restore_point
from domain.seed import Boundary, Refusal, Seed, decide, roll_back, succumb
from domain.seed import evolve as evolve_seed
from domain.shapes import is_trainable
from tests.support import lifecycle_model as model
from tests.support.headers import QUICK, small_header

NAME = SeedId(layer=0, index=0)
SEEDS = (SeedId(layer=0, index=0), SeedId(layer=0, index=1), SeedId(layer=1, index=0))
NUMBERED = {event.metadata.name: event.blueprint_id for event in registrations()}
TRAINABLE = NUMBERED["residual_mlp"]
FIXED = (NUMBERED["soft_clamp"], NUMBERED["unit_rms"])
OFTEN = (TRAINABLE, NUMBERED["glu"], NUMBERED["se_gate"], NUMBERED["layer_norm"], *FIXED)
UNKNOWN = BlueprintId("f" * 64)
METRICS = EpochMetrics(train_loss=0.5, train_accuracy=0.5, validation_loss=0.5, validation_accuracy=0.5)

ages = st.sampled_from([0, 1, 2, 3, 8, 14])
shares = st.sampled_from([0.0, 0.5, 0.79, 0.8, 0.95, 1.0, math.nan])
strategies = st.sampled_from(list(GraftingStrategy))
seed_names = st.sampled_from(SEEDS)
accuracies = st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.52, 0.55, 0.75, 1.0, math.nan]) | st.floats(0.0, 1.0)


def expected(
    mine: model.Seed, command: Command, epoch: int, profile: str, facts: model.Facts, gates: GateSettings
) -> model.Seed | None:
    """The model's answer to a command."""
    match command:
        case Germinate():
            return model.germinate(mine, epoch, profile, facts, command.grafting.value)
        case Advance():
            return model.advance(mine, command.gate.value, epoch, profile, facts, gates)
        case Cull():
            return model.cull(mine, epoch, profile, facts, gates)
        case Cancel():
            return model.cancel(mine, profile)
        case Recover():
            return model.recover(mine, epoch, gates)
        case Reset():
            return model.reset(mine, profile)
        case ChangeGrafting():
            return model.change_ramp(mine, command.grafting.value, profile)
        case _:
            raise AssertionError(command)


def assert_agree(seed: Seed, mine: model.Seed) -> None:
    """Aggregate and model tell the same of a seed."""
    adaptation = seed.adaptation
    assert seed.stage.value == mine["stage"]
    assert (seed.attempts, seed.embargoed_until, seed.locked) == (mine["attempts"], mine["embargo"], mine["locked"])
    assert seed.faults == mine["faults"]
    assert (None if adaptation is None else adaptation.alpha) == mine["alpha"]
    assert (None if adaptation is None else adaptation.grafting.value) == mine["ramp"]


@st.composite
def seed_commands(draw: st.DrawFn, names: st.SearchStrategy[SeedId]) -> Command:
    """Any command to a seed, legal or not."""
    name = draw(names)
    kind = draw(st.sampled_from(["germinate", "advance", "advance", "advance", "end", "ramp"]))
    if kind == "germinate":
        return Germinate(
            seed=name,
            blueprint_id=draw(st.sampled_from([*OFTEN, UNKNOWN])),
            reads=Reads.BOTH,
            grafting=draw(strategies),
        )
    if kind == "advance":
        return Advance(seed=name, gate=draw(st.sampled_from(list(Gate))))
    if kind == "ramp":
        return ChangeGrafting(seed=name, grafting=draw(strategies))
    endings: list[Command] = [Cull(seed=name), Cancel(seed=name), Recover(seed=name), Reset(seed=name)]
    return draw(st.sampled_from(endings))


class SeedMachine(RuleBasedStateMachine):
    """One seed under any evidence."""

    @initialize(profile=st.sampled_from(sorted(PROFILES)), unlock=st.booleans(), faults_max=st.integers(1, 3))
    def plant(self, profile: str, unlock: bool, faults_max: int) -> None:
        self.profile = profile
        self.gates = GateSettings(unlock_after_rollback=unlock, faults_max=faults_max, embargo_epochs=2)
        self.epoch = 1
        self.seed = Seed(seed_id=NAME)
        self.mine = model.untouched()
        self.concluded: list[str] = []
        self.reported: list[str] = []

    def _boundary(self, facts: model.Facts) -> Boundary:
        evidence = Evidence(
            epochs_in_stage=facts["age"],
            reconstruction_loss=facts["loss"],
            alpha=facts["alpha"],
            effect=facts["effect"],
            stability=facts["stability"],
            trainable=facts["trainable"],
            blueprint_problem=facts["problem"],
            active_seeds=facts["active"],
            max_active_seeds=facts["limit"],
        )
        profile = PROFILES[self.profile]
        return Boundary(
            epoch=self.epoch, profile=profile, gates=self.gates, metrics=METRICS, evidence=evidence, task="machine"
        )

    def _tell(self, events: tuple[DomainEvent, ...]) -> None:
        for event in events:
            self.seed = evolve_seed(self.seed, event)
            if isinstance(event, AdaptationConcluded):
                self.concluded.append(event.outcome.value)
            if isinstance(event, FieldReportFiled):
                self.reported.append(event.report.outcome.value)

    def _calm(self) -> Boundary:
        facts = {"age": 0, "loss": None, "alpha": 0.0, "effect": 0.0, "stability": 1.0}
        return self._boundary(facts | {"trainable": True, "problem": None, "active": 0, "limit": 1})

    @rule(
        command=seed_commands(st.just(NAME)),
        age=ages,
        loss=st.sampled_from([None, 0.0, 0.5, 0.51, math.nan, math.inf]),
        effect=st.sampled_from([-0.1, -0.0, 0.0, 1e-9, 0.01, 0.02, 0.5, math.nan]),
        stability=shares,
        trainable=st.booleans(),
        problem=st.sampled_from([None, None, None, "it does not fit"]),
        active=st.integers(0, 1),
    )
    def order(self, command: Command, **facts: Any) -> None:
        facts["alpha"] = self.mine["alpha"] or 0.0
        facts["limit"] = 1
        self._order(command, facts)

    @rule(age=st.just(14), pick=st.integers(0, 9), trainable=st.booleans())
    def go_forward(self, pick: int, **facts: Any) -> None:
        """Through an open gate, so that the far stages are reached often."""
        ways = [gate for (stage, gate) in model.FORWARD[self.profile] if stage == self.mine["stage"]]
        command: Command = Germinate(
            seed=NAME, blueprint_id=TRAINABLE, reads=Reads.BOTH, grafting=GraftingStrategy.FIXED_RAMP
        )
        if ways:
            command = Advance(seed=NAME, gate=Gate(ways[pick % len(ways)]))
        facts |= {"loss": 0.1, "effect": 0.5, "stability": 1.0, "problem": None, "active": 0, "limit": 1}
        self._order(command, facts | {"alpha": self.mine["alpha"] or 0.0})

    def _order(self, command: Command, facts: model.Facts) -> None:
        wanted = expected(self.mine, command, self.epoch, self.profile, facts, self.gates)
        before = self.seed
        try:
            events = decide(self.seed, command, self._boundary(facts))
        except Refusal as refusal:
            assert wanted is None, f"the model allows {command} but: {refusal}"
            assert refusal.rule and refusal.reason and "\n" not in refusal.reason
            assert self.seed is before
            return
        assert wanted is not None, f"the model refuses {command} but: {events}"
        self._tell(events)
        self.mine = wanted

    @precondition(lambda self: self.mine["stage"] in model.IN_HOST[self.profile])
    @rule(count=st.integers(1, 3))
    def fail(self, count: int) -> None:
        self._tell((SeedFaulted(epoch=self.epoch, seed=NAME, kind=FaultKind.NON_FINITE, count=count),))
        self.mine = model.fault(self.mine, self.epoch, count)
        self._tell(succumb(self.seed, self._calm()))
        self.mine = model.succumb(self.mine, self.profile, self.gates)

    @precondition(lambda self: self.mine["stage"] == "GRAFTING")
    @rule(alpha=st.sampled_from([0.25, 0.5, 1.0]))
    def blend(self, alpha: float) -> None:
        alpha = max(alpha, self.mine["alpha"])
        self._tell((AlphaChanged(epoch=self.epoch, seed=NAME, alpha=alpha, steps=1.0, reason="ramp"),))
        self.mine = {**self.mine, "alpha": alpha}

    @rule()
    def emergency(self) -> None:
        wanted = model.roll_back(self.mine, self.epoch, self.profile, self.gates)
        try:
            events = roll_back(self.seed, "emergency", self._calm())
        except Refusal as refusal:
            assert wanted is None and refusal.reason
            return
        assert wanted is not None
        self._tell(events)
        self.mine = wanted

    @rule(epochs=st.integers(1, 3))
    def wait(self, epochs: int) -> None:
        self.epoch += epochs

    @invariant()
    def model_and_aggregate_agree(self) -> None:
        assert_agree(self.seed, self.mine)
        assert self.seed.may_germinate(self.epoch) == (
            self.mine["stage"] == "DORMANT" and not self.mine["locked"] and self.epoch >= self.mine["embargo"]
        )

    @invariant()
    def every_adaptation_concludes_once_and_is_reported_once(self) -> None:
        assert self.concluded == self.mine["ended"]
        assert self.reported == [outcome for outcome in self.mine["ended"] if outcome != "CANCELLED"]
        still_open = self.mine["stage"] not in {"DORMANT", "FOSSILIZED"}
        assert len(self.concluded) + still_open == self.seed.attempts


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
        target = restore_point(self.state.checkpoints, self.state, self.state.seed(culprit) if culprit else None)
        assert target in self.state.checkpoints
        assert culprit is not None or target == self.state.checkpoints[-1]
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


MACHINE = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestSeed = SeedMachine.TestCase
TestSeed.settings = MACHINE
TestRun = RunMachine.TestCase
TestRun.settings = MACHINE


def test_the_machines_blueprints_are_what_they_are_called() -> None:
    graphs = {event.blueprint_id: event.graph for event in registrations()}
    assert [is_trainable(graphs[name]) for name in OFTEN] == [True, True, True, True, False, False]
    assert UNKNOWN not in graphs
