"""The Seed aggregate against the plain model of ``support/lifecycle_model.py``."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.commands import (
    Advance,
    Command,
    Germinate,
    GraftingStrategy,
    Reads,
)
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    DomainEvent,
    FieldReportFiled,
    SeedFaulted,
)
from domain.faults import FaultKind
from domain.gates import Evidence, GateSettings
from domain.lifecycle import PROFILES, Gate
from domain.seed import Boundary, Refusal, Seed, decide, roll_back, succumb
from domain.seed import evolve as evolve_seed
from tests.support import lifecycle_model as model
from tests.support.lifecycle_orders import (
    MACHINE,
    METRICS,
    NAME,
    TRAINABLE,
    ages,
    assert_agree,
    expected,
    seed_commands,
    shares,
)


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


TestSeed = SeedMachine.TestCase
TestSeed.settings = MACHINE
