"""Whole runs under controllers that order anything: every invariant holds, replays agree, and runs end as they should."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.commands import Advance, Decision, Germinate, GraftingStrategy, Reads, RollBack, Wait
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    CommandRefused,
    DecisionMade,
    DomainEvent,
    EpochCompleted,
    FieldReportFiled,
    RollbackOrdered,
    RunEnded,
    StageChanged,
)
from domain.faults import FaultKind
from domain.header import RunHeader
from domain.identifiers import SeedId
from domain.karn.no_invention import NoInvention
from domain.lifecycle import Outcome, Stage
from domain.run import RunState, evolve, rebuild
from domain.safety import SafetyConfig
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from domain.urza.catalogue import registrations
from engine.checkers import check
from engine.replay import replay, same_state
from engine.session import EpochView, Session
from engine.sink import Tape
from engine.trainers.recorded import RecordedTrainer
from tests.support.chaotic_policy import BreakingTamiyo, ChaoticTamiyo
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

LENIENT = SafetyConfig.model_validate(
    {"fail_safe_mode": False, "max_consecutive_failures": 1000, "allow_risky": True}, strict=False
)
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def recorded(header: RunHeader, curve: Curve, tamiyo: Any) -> tuple[list[DomainEvent], list[EpochView]]:
    """A whole run, as it was sealed and as a bystander saw it."""
    tape = Tape()
    views: list[EpochView] = []
    session = Session(ScriptedTrainer(curve), tamiyo, NoInvention(), tape, watch=views.append)
    session.run(header, registrations())
    return tape.events, views


seed_ids = st.builds(SeedId, layer=st.integers(0, 1), index=st.integers(0, 1))
faults = st.tuples(seed_ids, st.sampled_from(list(FaultKind)), st.integers(1, 3))
accuracies = st.lists(
    st.sampled_from([0.3, 0.5, 0.6, 0.7, 0.9, 1.0, math.nan]) | st.floats(0, 1), min_size=1, max_size=6
)


@st.composite
def curves(draw: st.DrawFn, *, panics: bool = True) -> Curve:
    """Training that may go up, down, nowhere, wrong."""
    rising = draw(st.booleans())
    shape = [0.4 + 0.02 * epoch for epoch in range(25)] if rising else draw(accuracies)
    losses = draw(st.just([]) | st.lists(st.sampled_from([0.0, 0.5, 1.0, math.nan, math.inf]), max_size=4))
    return Curve(
        accuracies=tuple(shape),
        losses=tuple(losses),
        reconstruction=tuple(draw(st.lists(st.sampled_from([0.1, 0.9, math.nan]), min_size=1, max_size=3))),
        gradient_norms=tuple(draw(st.lists(st.sampled_from([0.0, 1.0, math.inf, math.nan]), min_size=1, max_size=3))),
        faults=draw(st.dictionaries(st.integers(1, 24), st.lists(faults, max_size=3).map(tuple), max_size=6)),
        panics=draw(st.dictionaries(st.integers(1, 24), st.just("loss is not finite"), max_size=3)) if panics else {},
    )


headers = st.builds(
    small_header,
    profile=st.sampled_from(["full", "simplified"]),
    epochs=st.integers(1, 24),
    run_key=st.integers(0, 2**40),
    max_active_seeds=st.integers(1, 3),
    checkpoint_every=st.integers(1, 7),
    checkpoints_kept=st.integers(1, 3),
    safety=st.sampled_from([SafetyConfig(), LENIENT]),
)
mischiefs = st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0])


@SLOW
@given(header=headers, curve=curves(), mischief=mischiefs)
def test_whatever_a_controller_orders_every_invariant_holds_and_the_run_replays(
    header: RunHeader, curve: Curve, mischief: float
) -> None:
    tamiyo = ChaoticTamiyo(profile=header.profile, mischief=mischief)
    events, _ = recorded(header, curve, tamiyo)
    assert check(events) == []
    assert same_state(events) is None
    divergence = replay(events, RecordedTrainer(events), lambda header: (tamiyo, NoInvention()))
    assert divergence is None, divergence.line


@SLOW
@given(header=headers, curve=curves(), mischief=mischiefs)
def test_folding_any_prefix_gives_the_state_that_was_seen_then(
    header: RunHeader, curve: Curve, mischief: float
) -> None:
    events, views = recorded(header, curve, ChaoticTamiyo(profile=header.profile, mischief=mischief))
    state, epochs = RunState(), [list(told) for _, told in groupby(events, key=lambda event: event.epoch)]
    assert len(epochs) == len(views)
    for told, view in zip(epochs, views, strict=True):
        for event in told:
            state = evolve(state, event)
        assert state.digest() == view.state.digest() == view.seal.state_digest
        assert tuple(told[:-1]) == view.events
    assert rebuild(events) == state


@SLOW
@given(header=headers, curve=curves(), mischief=mischiefs)
def test_two_runs_of_the_same_thing_have_equal_events(header: RunHeader, curve: Curve, mischief: float) -> None:
    tellings = [
        [event.model_dump_json() for event in recorded(header, curve, ChaoticTamiyo(header.profile, mischief))[0]]
        for _ in range(2)
    ]
    assert tellings[0] == tellings[1]


@SLOW
@given(header=headers, curve=curves(), mischief=mischiefs, pick=st.integers(0, 99))
def test_a_run_resumed_at_any_checkpoint_goes_on_to_the_same_events(
    header: RunHeader, curve: Curve, mischief: float, pick: int
) -> None:
    tamiyo = ChaoticTamiyo(profile=header.profile, mischief=mischief)
    whole, first, trainer = Tape(), Tape(), ScriptedTrainer(curve)
    views: list[EpochView] = []
    Session(trainer, tamiyo, NoInvention(), whole, watch=views.append).run(header, registrations())
    cuts = [view.state for view in views if view.state.checkpoints[-1].epoch == view.state.epoch]
    state = rebuild([event for event in whole.events if event.epoch <= cuts[pick % len(cuts)].epoch])
    if state.ending is not None:
        return
    resumed = Session(trainer, tamiyo, NoInvention(), first)
    resumed.resume(
        state,
        state.checkpoints[-1].checkpoint,
        {kept.checkpoint: trainer.restore(kept.checkpoint, state) for kept in state.checkpoints},
    )
    while resumed.state.ending is None:
        resumed.step()
    rest = [event for event in whole.events if event.epoch > state.epoch]
    assert [event.model_dump_json() for event in first.events] == [event.model_dump_json() for event in rest]


@SLOW
@given(header=headers, curve=curves(), mischief=mischiefs)
def test_every_reported_conclusion_has_exactly_one_field_report(
    header: RunHeader, curve: Curve, mischief: float
) -> None:
    events, views = recorded(header, curve, ChaoticTamiyo(profile=header.profile, mischief=mischief))
    concluded = [event for event in events if isinstance(event, AdaptationConcluded)]
    assert len({event.adaptation for event in concluded}) == len(concluded) == views[-1].state.conclusions
    owed = [event.adaptation for event in concluded if event.outcome is not Outcome.CANCELLED]
    assert owed == [event.report.adaptation for event in events if isinstance(event, FieldReportFiled)]


def breakdowns() -> dict[str, Callable[[Observation], Any]]:
    """Ways in which a policy breaks down."""

    def raising(observation: Observation) -> Any:
        raise ZeroDivisionError("it divided by zero")

    wait = Decision(command=Wait(), reason="junk beside it")
    return {
        "raises": raising,
        "nothing": lambda seen: None,
        "an object": lambda seen: object(),
        "a list": lambda seen: [wait],
        "no memory": lambda seen: Step((wait,), None),
        "memory of dicts": lambda seen: Step((wait,), {"a": 1}),
        "a command": lambda seen: Step((Wait(),), NoMemory()),  # type: ignore[arg-type]
        "no decisions": lambda seen: Step(None, NoMemory()),  # type: ignore[arg-type]
        "a number": lambda seen: Step(7, NoMemory()),  # type: ignore[arg-type]
        "objects": lambda seen: Step((object(), object()), NoMemory()),  # type: ignore[arg-type]
        "raises about an object": lambda seen: (_ for _ in ()).throw(ValueError(object())),
    }


@pytest.mark.parametrize("kind", breakdowns())
def test_a_policy_that_breaks_down_ends_the_run_and_nothing_of_its_step_is_done(kind: str) -> None:
    header, curve = small_header(epochs=8), Curve(accuracies=(0.5,))
    policy = BreakingTamiyo(at=4, instead=breakdowns()[kind])
    events, views = recorded(header, curve, policy)
    ended = [event for event in events if isinstance(event, RunEnded)]
    assert [(event.epoch, event.ending) for event in ended] == [(4, RunEnding.POLICY_FAILED)]
    assert "BreakingTamiyo" in ended[0].reason and "\n" not in ended[0].reason
    assert " at 0x" not in ended[0].reason, "an address in memory would not replay"
    assert not any(isinstance(event, DecisionMade) and event.epoch == 4 for event in events)
    assert views[-1].state.ending is RunEnding.POLICY_FAILED
    assert check(events) == []
    breaking = BreakingTamiyo(at=4, instead=breakdowns()[kind])
    again = replay(events, RecordedTrainer(events), lambda header: (breaking, NoInvention()))
    assert again is None


def test_decisions_that_can_be_told_only_once_are_carried_out_all_the_same() -> None:
    wait = Decision(command=Wait(), reason="from a generator")
    policy = BreakingTamiyo(at=1, instead=lambda seen: Step((d for d in (wait, wait)), NoMemory()))  # type: ignore[arg-type]
    events, views = recorded(small_header(epochs=2), Curve(), policy)
    assert views[-1].state.ending is RunEnding.COMPLETED
    assert sum(isinstance(event, DecisionMade) for event in events) == 4


def test_three_panics_in_a_row_end_the_run_diverged_and_two_do_not() -> None:
    def ending(*panics: int) -> tuple[RunEnding, int]:
        curve = Curve(panics=dict.fromkeys(panics, "loss is not finite"))
        events, views = recorded(small_header(epochs=8), curve, ChaoticTamiyo(mischief=0.0))
        assert check(events) == []
        ended = views[-1].state.ending
        assert ended is not None
        return ended, views[-1].state.epoch

    assert ending(3, 4, 6, 7) == (RunEnding.COMPLETED, 8)
    assert ending(3, 4, 5) == (RunEnding.DIVERGED, 5)
    assert ending(1, 2, 3) == (RunEnding.DIVERGED, 3)
    assert ending(6, 7, 8) == (RunEnding.DIVERGED, 8)


def test_a_panic_rolls_back_everything_in_the_host_and_locks_it() -> None:
    curve = Curve(accuracies=tuple(0.4 + 0.02 * epoch for epoch in range(25)), panics={12: "loss is not finite"})
    header = small_header(epochs=14, safety=LENIENT, max_active_seeds=3)
    events, views = recorded(header, curve, ChaoticTamiyo(mischief=0.0, orders_max=30))
    before, after = views[11].state, views[12].state
    assert before.active, "the script is to have seeds in the host by then"
    for name in before.active:
        assert after.seed(name).stage is Stage.DORMANT and after.seed(name).locked
    assert check(events) == []


def test_nothing_is_carried_out_after_a_rollback_until_the_next_boundary() -> None:
    name = SeedId(layer=0, index=0)
    blueprint = registrations()[0].blueprint_id

    def orders(seen: Observation) -> Step[NoMemory]:
        plant = Germinate(seed=name, blueprint_id=blueprint, reads=Reads.BOTH, grafting=GraftingStrategy.FIXED_RAMP)
        commands = [plant] if seen.epoch == 2 else [RollBack(seed=name), plant, RollBack(seed=name), Wait()]
        decisions = tuple(Decision(command=c, reason="ordered", urgency=0.85) for c in commands)  # type: ignore[arg-type]
        return Step(decisions, NoMemory())

    events, _ = recorded(small_header(epochs=3, safety=LENIENT), Curve(), BreakingTamiyo(at=2, instead=orders))
    if not any(isinstance(event, StageChanged) for event in events):
        pytest.fail(f"the germination was not carried out: {[e.TOPIC for e in events if e.epoch == 2]}")
    third = [event for event in events if event.epoch == 3]
    assert sum(isinstance(event, RollbackOrdered) for event in third) == 1
    refused = [event for event in third if isinstance(event, CommandRefused)]
    assert [(event.number, event.rule) for event in refused] == [(1, "rolled-back"), (2, "rolled-back")]
    assert check(events) == []


class FossilizeThenRollBack:
    """Grows one seed to a fossil and at that same boundary rolls another one back."""

    profile = "simplified"

    def initial(self) -> NoMemory:
        return NoMemory()

    def step(self, seen: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        first, second = SeedId(layer=0, index=0), SeedId(layer=1, index=0)
        wanted: list[Any] = []
        for name in (first, second):
            if seen.state.seed(name).stage is Stage.DORMANT:
                blueprint = registrations()[name.layer].blueprint_id
                ramp = GraftingStrategy.FIXED_RAMP
                wanted.append(Germinate(seed=name, blueprint_id=blueprint, reads=Reads.BOTH, grafting=ramp))
        for edge in seen.state.profile.edges_from(seen.state.seed(first).stage):
            if edge.gate.value in {"LOADED_BLEND", "COMMANDED"}:
                wanted.append(Advance(seed=first, gate=edge.gate))
        wanted += [RollBack(seed=second)] if seen.epoch >= 3 else []
        return Step(tuple(Decision(command=command, reason="planned", urgency=0.85) for command in wanted), memory)


def test_a_rollback_never_undoes_a_fossil_not_even_one_of_the_same_boundary() -> None:
    header = small_header(profile="simplified", epochs=5, checkpoint_every=100, safety=LENIENT)
    events, views = recorded(header, Curve(), FossilizeThenRollBack())
    assert any(view.state.seed(SeedId(layer=0, index=0)).stage is Stage.FOSSILIZED for view in views)
    assert any(isinstance(event, RollbackOrdered) for event in events)
    assert check(events) == []


def test_the_generated_runs_reach_far() -> None:
    """Guards the guards: sensible chaos on rising accuracy fossilizes, and mischief is refused."""
    curve = Curve(
        accuracies=tuple(0.4 + 0.02 * epoch for epoch in range(25)),
        faults={epoch: ((SeedId(layer=0, index=0), FaultKind.SHAPE, 3),) for epoch in (9, 15, 21)},
    )
    outcomes: set[Outcome] = set()
    stages: set[Stage] = set()
    rules: set[str] = set()
    for run_key in range(12):
        header = small_header(epochs=24, run_key=run_key, safety=LENIENT, max_active_seeds=3)
        tamiyo = ChaoticTamiyo(mischief=0.3, orders_max=12)
        events, _ = recorded(header, curve, tamiyo)
        assert check(events) == []
        outcomes |= {event.outcome for event in events if isinstance(event, AdaptationConcluded)}
        stages |= {event.target for event in events if isinstance(event, StageChanged)}
        rules |= {event.rule for event in events if isinstance(event, CommandRefused)}
    assert outcomes == set(Outcome)
    assert stages == set(Stage)
    assert {"no-such-edge", "gate-closed", "not-dormant", "rolled-back", "unknown"} <= rules
    assert any(isinstance(event, EpochCompleted) for event in events)
