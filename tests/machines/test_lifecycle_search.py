"""Exhaustive search of the lifecycle: every state that one, two or three seeds can reach, by every order there is.

States are abstract: epochs count only by what is left of an embargo, and evidence is enumerated, not simulated. The
search drives the real ``decide``, ``evolve``, ``succumb`` and ``roll_back`` from each state with every command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest

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
    RollBack,
    Wait,
)
from domain.events import (
    AlphaChanged,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
)
from domain.faults import FaultKind
from domain.gates import Evidence, GateSettings
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import ADAPTING, PROFILES, Edge, Gate, LifecycleProfile, Stage
from domain.run import RunState
from domain.run import evolve as fold
from domain.seed import Boundary, Refusal, Seed, decide, evolve, roll_back, succumb
from tests.support.headers import small_header
from tests.support.lifecycle_rules import assert_legal, assert_step

METRICS = EpochMetrics(train_loss=0.5, train_accuracy=0.5, validation_loss=0.5, validation_accuracy=0.5)
NAME = SeedId(layer=0, index=0)
BLUEPRINT = BlueprintId("a" * 64)
LONG = 99
"""Epochs in a stage that satisfy every minimum."""


def orders(name: SeedId, strategies: tuple[GraftingStrategy, ...]) -> list[Command]:
    """Every command about one seed."""
    found: list[Command] = [Advance(seed=name, gate=gate) for gate in Gate]
    found += [Cull(seed=name), Cancel(seed=name), Recover(seed=name), Reset(seed=name)]
    for strategy in strategies:
        found.append(ChangeGrafting(seed=name, grafting=strategy))
        found.append(Germinate(seed=name, blueprint_id=BLUEPRINT, reads=Reads.BOTH, grafting=strategy))
    return found


def every_evidence() -> list[Evidence]:
    """Each thing that a gate looks at, once good enough and once not."""
    axes = product((0, LONG), (None, 0.1), (-0.1, 0.5), (0.5, 1.0), (True, False), (None, "no such blueprint"), (0, 1))
    return [
        Evidence(
            epochs_in_stage=age,
            reconstruction_loss=loss,
            effect=effect,
            stability=stability,
            trainable=trainable,
            blueprint_problem=problem,
            active_seeds=active,
            max_active_seeds=1,
        )
        for age, loss, effect, stability, trainable, problem, active in axes
    ]


def few_evidences(active: int, limit: int) -> list[Evidence]:
    """All gates open for a trainable and for a fixed-function blueprint, all closed, and no blueprint."""
    good = Evidence(
        epochs_in_stage=LONG, reconstruction_loss=0.1, effect=0.5, active_seeds=active, max_active_seeds=limit
    )
    return [
        good,
        replace(good, trainable=False),
        replace(good, epochs_in_stage=0, reconstruction_loss=None, effect=-0.1, stability=0.5),
        replace(good, blueprint_problem="no such blueprint"),
    ]


@dataclass
class Found:
    """What a search saw."""

    states: int = 0
    steps: int = 0
    refusals: set[str] = field(default_factory=set)
    edges: set[Edge] = field(default_factory=set)
    stages: set[Stage] = field(default_factory=set)
    arrows: dict[Any, set[Any]] = field(default_factory=dict)

    def assert_covers(self, profile: LifecycleProfile) -> None:
        """Every stage visited, every edge taken, and nothing beside them."""
        assert self.stages == set(profile.stages)
        assert self.edges == set(profile.edges), f"never taken: {set(profile.edges) - self.edges}"

    def come_to_rest(self, at_rest: set[Any]) -> set[Any]:
        """The states from which some state in ``at_rest`` can be reached."""
        back: dict[Any, set[Any]] = {}
        for source, targets in self.arrows.items():
            for target in targets:
                back.setdefault(target, set()).add(source)
        reached, frontier = set(at_rest), list(at_rest)
        while frontier:
            for source in back.get(frontier.pop(), set()) - reached:
                reached.add(source)
                frontier.append(source)
        return reached


def key_of(seed: Seed, epoch: int, faults_max: int) -> tuple[Any, ...]:
    """What a seed's future depends on, and nothing that grows without end."""
    adaptation = seed.adaptation
    fresh = seed.stage in ADAPTING and seed.faulted_at >= epoch - 1
    return (
        seed.stage.value,
        max(seed.embargoed_until - epoch, 0),
        seed.locked,
        min(seed.faults, faults_max) if seed.stage in ADAPTING else 0,
        fresh and epoch - seed.faulted_at,
        None if adaptation is None else (adaptation.alpha, adaptation.grafting.value, str(adaptation.outcome)),
    )


def one_seeds_steps(
    seed: Seed, epoch: int, profile: LifecycleProfile, gates: GateSettings, found: Found
) -> Iterator[tuple[Seed, tuple[DomainEvent, ...]]]:
    """Everything that can happen to one seed at one boundary, as the seed after it and the events that told it."""

    def grown(events: tuple[DomainEvent, ...]) -> tuple[Seed, tuple[DomainEvent, ...]]:
        after = seed
        for event in events:
            after = evolve(after, event)
        return after, events

    def boundary(evidence: Evidence) -> Boundary:
        return Boundary(epoch=epoch, profile=profile, gates=gates, metrics=METRICS, evidence=evidence, task="search")

    calm = boundary(Evidence(epochs_in_stage=0))
    yield grown(succumb(seed, calm))
    if seed.stage in ADAPTING:
        yield grown((SeedFaulted(epoch=epoch, seed=NAME, kind=FaultKind.SHAPE),))
    if seed.stage is Stage.GRAFTING:
        assert seed.adaptation is not None
        for alpha in (a for a in (0.5, 1.0) if a >= seed.adaptation.alpha):
            yield grown((AlphaChanged(epoch=epoch, seed=NAME, alpha=alpha, steps=0.0, reason="ramp"),))
    try:
        yield grown(roll_back(seed, "emergency", calm))
    except Refusal as refusal:
        found.refusals.add(refusal.rule)
    alpha = 0.0 if seed.adaptation is None else seed.adaptation.alpha
    strategies = (GraftingStrategy.FIXED_RAMP, GraftingStrategy.DRIFT_CONTROLLED)
    commands = [*orders(NAME, strategies), RollBack(seed=NAME), Wait()]
    for evidence in every_evidence():
        at = boundary(replace(evidence, alpha=alpha))
        for command in commands:
            try:
                events = decide(seed, command, at)
            except Refusal as refusal:
                assert refusal.reason
                found.refusals.add(refusal.rule)
                continue
            assert events, f"{command} neither refused nor told anything"
            _assert_gate_asked(command, evidence, alpha)
            yield grown(events)


def _assert_gate_asked(command: Command, evidence: Evidence, alpha: float) -> None:
    """What was let through had what its gate asks for, in the words of design §6."""
    if isinstance(command, Germinate):
        assert evidence.blueprint_problem is None
    if not isinstance(command, Advance):
        return
    aged = evidence.epochs_in_stage == LONG
    good = evidence.effect > 0 and evidence.stability >= 0.8
    wanted = {
        Gate.PROMOTION: evidence.active_seeds < evidence.max_active_seeds,
        Gate.BLUEPRINT_LOADED: evidence.blueprint_problem is None and evidence.trainable,
        Gate.FIXED_FUNCTION_LOADED: evidence.blueprint_problem is None and not evidence.trainable,
        Gate.LOADED_BLEND: evidence.blueprint_problem is None,
        Gate.RECONSTRUCTION: aged and evidence.reconstruction_loss is not None,
        Gate.ALPHA_REACHED: aged and alpha == 1.0,
        Gate.SETTLED: aged,
        Gate.POSITIVE_EFFECT: aged and good and evidence.trainable,
        Gate.FIXED_FUNCTION_EFFECT: aged and good and not evidence.trainable,
        Gate.TOTAL_IMPROVEMENT: aged and evidence.effect > 0,
        Gate.HELD: aged and alpha == 1.0 and evidence.stability >= 0.95,
        Gate.COMMANDED: True,
    }
    assert wanted[command.gate], f"{command.gate} opened on {evidence}"


@pytest.mark.parametrize("unlock", [False, True], ids=["locked", "unlocked"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_state_one_seed_can_reach_is_legal_and_every_edge_is_taken(
    profile: LifecycleProfile, unlock: bool
) -> None:
    gates = GateSettings(faults_max=2, embargo_epochs=2, unlock_after_rollback=unlock)
    found, start = Found(), (Seed(seed_id=NAME), 10)
    waiting, seen = deque([start]), {key_of(*start, gates.faults_max)}
    while waiting:
        seed, epoch = waiting.popleft()
        here = key_of(seed, epoch, gates.faults_max)
        found.states += 1
        found.stages.add(seed.stage)
        arrows = found.arrows.setdefault(here, set())
        steps = [(seed, epoch + 1)]
        for after, events in one_seeds_steps(seed, epoch, profile, gates, found):
            found.edges.update(assert_step(seed, events, after, epoch, profile))
            found.steps += 1
            steps.append((after, epoch))
        for after, when in steps:
            assert_legal(after, when, profile, gates.embargo_epochs)
            there = key_of(after, when, gates.faults_max)
            arrows.add(there)
            if there not in seen:
                seen.add(there)
                waiting.append((after, when))
    found.assert_covers(profile)
    at_rest = {key for key in seen if key[0] in {"DORMANT", "FOSSILIZED"}}
    assert found.come_to_rest(at_rest) == seen, "a seed that can neither succeed nor be given up"
    assert any(key[2] for key in seen) != unlock, "locked exactly where rolled-back seeds are not unlocked"
    assert {"no-such-edge", "gate-closed", "not-dormant", "embargoed", "blueprint"} <= found.refusals


def world_key(state: RunState, names: tuple[SeedId, ...], faults_max: int) -> tuple[Any, ...]:
    """Seeds are alike, so worlds that differ by exchanging them are one; the queue's order is part of each."""
    queue = state.queue
    keys = [
        (key_of(state.seed(name), state.epoch, faults_max), queue.index(name) if name in queue else -1)
        for name in names
    ]
    return tuple(sorted(keys, key=repr))


def told(state: RunState, events: tuple[DomainEvent, ...]) -> RunState:
    """The fold of some more events."""
    for event in events:
        state = fold(state, event)
    return state


def world_steps(
    state: RunState, names: tuple[SeedId, ...], limit: int, refusals: set[str]
) -> Iterator[tuple[RunState, dict[SeedId, list[DomainEvent]]]]:
    """Everything that can happen to some seeds at one boundary."""
    evidences = few_evidences(len(state.active), limit)
    gates, profile, epoch = state.started.gates, state.profile, state.epoch

    def boundary(evidence: Evidence) -> Boundary:
        return Boundary(epoch=epoch, profile=profile, gates=gates, metrics=METRICS, evidence=evidence, task="search")

    def of(name: SeedId, *events: DomainEvent) -> tuple[RunState, dict[SeedId, list[DomainEvent]]]:
        return told(state, events), {name: list(events)}

    for name in names:
        seed = state.seed(name)
        alpha = 0.0 if seed.adaptation is None else seed.adaptation.alpha
        if seed.stage in ADAPTING:
            fault = SeedFaulted(epoch=epoch, seed=name, kind=FaultKind.NON_FINITE)
            yield of(name, fault, *succumb(evolve(seed, fault), boundary(evidences[0])))
        if seed.stage is Stage.GRAFTING:
            yield of(name, AlphaChanged(epoch=epoch, seed=name, alpha=1.0, steps=1.0, reason="ramp"))
        if seed.adaptation is not None and seed.adaptation.outcome is None:
            yield _rolled_back(state, name, boundary(evidences[0]))
        for evidence in evidences:
            at = boundary(replace(evidence, alpha=alpha))
            for command in orders(name, (GraftingStrategy.FIXED_RAMP,)):
                try:
                    yield of(name, *decide(seed, command, at))
                except Refusal as refusal:
                    refusals.add(refusal.rule)


def _rolled_back(state: RunState, culprit: SeedId, at: Boundary) -> tuple[RunState, dict[SeedId, list[DomainEvent]]]:
    """A rollback concludes the culprit and everything that is in the host."""
    events: dict[SeedId, list[DomainEvent]] = {}
    for name, seed in state.seeds.items():
        if name == culprit or seed.stage in ADAPTING or seed.stage is Stage.ERROR_RECOVERY:
            events[name] = list(roll_back(seed, "emergency", at))
    return told(state, tuple(event for mine in events.values() for event in mine)), events


def assert_world(state: RunState, names: tuple[SeedId, ...], limit: int) -> None:
    """What holds of all seeds together."""
    stages = {name: state.seed(name).stage for name in names}
    for name in names:
        assert_legal(state.seed(name), state.epoch, state.profile, state.started.gates.embargo_epochs)
    assert len(set(state.queue)) == len(state.queue)
    assert set(state.queue) == {name for name in names if stages[name] is Stage.GERMINATING}
    assert set(state.active) == {name for name in names if stages[name] in ADAPTING}
    if any(edge.gate is Gate.PROMOTION for edge in state.profile.edges):
        assert len(state.active) <= limit


@pytest.mark.parametrize(("seeds", "limit"), [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_state_up_to_three_seeds_can_reach_together_is_legal(
    profile: LifecycleProfile, seeds: int, limit: int
) -> None:
    gates = GateSettings(faults_max=1, embargo_epochs=1)
    header = small_header(profile=profile.name, layers=1, seeds=seeds, gates=gates, max_active_seeds=limit)
    names = tuple(SeedId(layer=0, index=index) for index in range(seeds))
    start = fold(fold(RunState(), RunStarted(epoch=0, header=header)), _completed(10))
    found = Found()
    waiting, seen = deque([start]), {world_key(start, names, gates.faults_max)}
    crowd = 0
    while waiting:
        state = waiting.popleft()
        found.states += 1
        found.stages.update(state.seed(name).stage for name in names)
        crowd = max(crowd, len(state.active))
        later = [fold(state, _completed(state.epoch + 1))]
        for after, events in world_steps(state, names, limit, found.refusals):
            concluded = 0
            for name, mine in events.items():
                before, now = state.seed(name), after.seed(name)
                taken = assert_step(before, mine, now, state.epoch, profile)
                found.edges.update(taken)
                concluded += sum(edge.outcome is not None for edge in taken)
            untouched = set(names) - set(events)
            assert all(after.seed(name) == state.seed(name) for name in untouched)
            assert after.conclusions == state.conclusions + concluded
            found.steps += 1
            later.append(after)
        for after in later:
            key = world_key(after, names, gates.faults_max)
            if key not in seen:
                seen.add(key)
                assert_world(after, names, limit)
                waiting.append(replace(after, last_germinations=(), recent=after.recent[-1:]))
    found.assert_covers(profile)
    if profile.name == "full":
        assert crowd == limit


def _completed(epoch: int) -> EpochCompleted:
    return EpochCompleted(epoch=epoch, metrics=METRICS, parameters=1, weights_digest="")


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_profile_names_at_most_one_edge_behind_a_gate_and_no_stage_it_does_not_have(
    profile: LifecycleProfile,
) -> None:
    behind = [(edge.source, edge.gate) for edge in profile.edges]
    assert len(behind) == len(set(behind))
    assert {stage for edge in profile.edges for stage in (edge.source, edge.target)} == set(profile.stages)
    assert profile.edge(Stage.DORMANT, Gate.GERMINATION) is not None


def test_a_locked_seed_never_germinates_again_whatever_the_epoch() -> None:
    seed = Seed(seed_id=NAME, locked=True, attempts=1)
    profile, gates = PROFILES["full"], GateSettings()
    evidence = Evidence(epochs_in_stage=LONG)
    for epoch in (0, 1, 10_000):
        at = Boundary(epoch=epoch, profile=profile, gates=gates, metrics=METRICS, evidence=evidence, task="search")
        for command in orders(NAME, tuple(GraftingStrategy)):
            with pytest.raises(Refusal):
                decide(seed, command, at)
        assert succumb(seed, at) == ()


def test_an_embargo_is_over_at_exactly_its_epoch() -> None:
    seed = Seed(seed_id=NAME, embargoed_until=15, attempts=1)
    command = Germinate(seed=NAME, blueprint_id=BLUEPRINT, reads=Reads.BOTH, grafting=GraftingStrategy.FIXED_RAMP)
    at = Boundary(
        epoch=14,
        profile=PROFILES["full"],
        gates=GateSettings(),
        metrics=METRICS,
        evidence=Evidence(epochs_in_stage=4),
        task="search",
    )
    with pytest.raises(Refusal, match="under embargo until epoch 15"):
        decide(seed, command, at)
    germinated, moved = decide(seed, command, replace(at, epoch=15))
    assert isinstance(germinated, SeedGerminated)
    assert evolve(evolve(seed, germinated), moved).stage is Stage.GERMINATING
