"""Forks and resumed sessions over generated runs: same course, same bytes; another course, another run that verifies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.endings import RunEnding
from domain.events import DomainEvent, EpochCompleted, EpochSealed, LayerHealthReported, RollbackOrdered, RunForked
from domain.header import PolicyReference, RunHeader
from domain.identifiers import SeedId
from domain.karn.no_invention import NoInvention
from domain.run import rebuild
from domain.safety import SafetyConfig
from domain.tamiyo.policy import Observation, Randomness, Step
from domain.urza.catalogue import registrations
from domain.values import Value
from engine.checkers import check
from engine.courses import Course, Start, take
from engine.replay import ComparingSink, replay, same_state
from engine.session import Session
from engine.sink import Relay, Sink, Tape
from engine.trainers.recorded import RecordedTrainer, WhatIfTrainer
from engine.watching import watch
from tests.support.chaotic_policy import ChaoticTamiyo, Tally
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LENIENT = SafetyConfig.model_validate(
    {"fail_safe_mode": False, "max_consecutive_failures": 1000, "allow_risky": True}, strict=False
)


@final
class Diary(Value):
    """What a diarist remembers."""

    author: str
    seen: tuple[int, ...] = ()
    inner: Tally = Tally()


@final
@dataclass(frozen=True, slots=True)
class Diarist:
    """Chaos that writes down each boundary that it is shown."""

    author: str
    chaos: ChaoticTamiyo

    @property
    def profile(self) -> str:
        return self.chaos.profile

    def initial(self) -> Diary:
        return Diary(author=self.author)

    def step(self, observation: Observation, memory: Diary, random: Randomness) -> Step[Diary]:
        assert memory.author == self.author, "a policy was handed the memory of another"
        step = self.chaos.step(observation, memory.inner, random)
        seen = (*memory.seen, observation.epoch)
        return Step(step.decisions, Diary(author=self.author, seen=seen, inner=step.memory))


def cast(header: RunHeader) -> tuple[Any, Any]:
    """The policy that a header names: the one recorded, or another that orders more and makes more mischief."""
    if header.tamiyo.name == "test":
        return Diarist("test", ChaoticTamiyo(profile=header.profile, mischief=0.2)), NoInvention()
    chaos = ChaoticTamiyo(profile=header.profile, mischief=0.4, orders_max=9, rollbacks=0.3)
    return Diarist("another", chaos), NoInvention()


headers = st.builds(
    small_header,
    profile=st.sampled_from(["full", "simplified"]),
    epochs=st.integers(4, 18),
    run_key=st.integers(0, 2**40),
    max_active_seeds=st.integers(1, 3),
    checkpoint_every=st.integers(1, 7),
    checkpoints_kept=st.integers(1, 3),
    safety=st.sampled_from([SafetyConfig(), LENIENT]),
)
RESETTING = small_header(
    profile="simplified",
    epochs=4,
    run_key=0,
    max_active_seeds=1,
    checkpoint_every=1,
    checkpoints_kept=2,
    safety=LENIENT,
)
"""Under this one a fossil is reset, after which a rollback may go back to before it."""
panics = st.dictionaries(st.integers(1, 18), st.just("loss is not finite"), max_size=3)
curves = st.builds(
    Curve,
    accuracies=st.lists(st.floats(0.2, 1.0), min_size=1, max_size=6).map(tuple),
    reconstruction=st.sampled_from([(0.1,), (0.9, 0.1)]),
    panics=panics,
)


def recorded(header: RunHeader, curve: Curve) -> list[DomainEvent]:
    kept = Tape()
    Session(ScriptedTrainer(curve), *cast(header), kept).run(header, registrations())
    return kept.events


def upto(events: Sequence[DomainEvent], epoch: int) -> list[DomainEvent]:
    return [event for event in events if event.epoch <= epoch]


def told(events: Sequence[DomainEvent]) -> list[tuple[str, str]]:
    return [(event.TOPIC, event.model_dump_json()) for event in events]


def standing(past: Sequence[DomainEvent], trainer: Any, then: Sink) -> Session:
    """A session that trained ``past`` again and stands at its end."""
    course = Course(past, cast, lambda header: trainer)
    session = course.session(Relay(ComparingSink(past), past[-1].epoch, then))
    course.follow(session, past[-1].epoch)
    return session


def forked(past: Sequence[DomainEvent], header: RunHeader, trainer: Any) -> list[DomainEvent]:
    """``past``, and then on under ``header``."""
    kept = Tape()
    session = standing(past, trainer, kept)
    event = RunForked(epoch=past[-1].epoch + 1, parent="parent", parent_digest="ab" * 32, header=header)
    take(session, event, past, cast, lambda header: trainer)
    while session.state.ending is None:
        session.step()
    return [*past, *kept.events]


def another(header: RunHeader) -> RunHeader:
    named = PolicyReference(name="another", source_digest="1" * 64)
    training = header.training.model_copy(update={"checkpoint_every": 2, "epochs": header.epochs + 3})
    return header.model_copy(update={"tamiyo": named, "run_key": 5, "training": training})


@SLOW
@given(header=headers, curve=curves, pick=st.integers(0, 99))
def test_on_the_same_course_any_epoch_leads_to_the_same_bytes(header: RunHeader, curve: Curve, pick: int) -> None:
    events = recorded(header, curve)
    past = upto(events, pick % events[-1].epoch)
    kept = Tape()
    session = standing(past, ScriptedTrainer(curve), kept)
    while session.state.ending is None:
        session.step()
    assert told([*past, *kept.events]) == told(events)


@SLOW
@given(header=headers, curve=curves, pick=st.integers(0, 99))
@example(header=RESETTING, curve=Curve(accuracies=(1.0,), panics={5: "loss is not finite"}), pick=0)
def test_a_fork_keeps_its_past_and_verifies_alone(header: RunHeader, curve: Curve, pick: int) -> None:
    events = recorded(header, curve)
    past = upto(events, pick % events[-1].epoch)
    child = forked(past, another(header), ScriptedTrainer(curve))

    assert told(child[: len(past)]) == told(past)
    assert same_state(child) is None
    divergence = replay(child, RecordedTrainer(child), cast)
    assert divergence is None, divergence.line
    assert check(child) == []


@SLOW
@given(header=headers, curve=curves, pick=st.integers(0, 99), cut=st.integers(0, 99), back=st.integers(0, 99))
def test_a_fork_cut_anywhere_goes_on_to_the_same_bytes(
    header: RunHeader, curve: Curve, pick: int, cut: int, back: int
) -> None:
    """From the planting and from any checkpoint that is still kept, those from before the fork included."""
    events = recorded(header, curve)
    past = upto(events, pick % events[-1].epoch)
    trainer = ScriptedTrainer(curve)
    child = forked(past, another(header), trainer)
    known = upto(child, past[-1].epoch + 1 + cut % (child[-1].epoch - past[-1].epoch))
    starts: list[Start | None] = [None]
    for saved in rebuild(known).checkpoints:
        state = rebuild(upto(known, saved.epoch))
        controllers = {kept.checkpoint: trainer.restore(kept.checkpoint, state) for kept in state.checkpoints}
        if saved.epoch:
            starts.append(Start(saved.epoch, saved.checkpoint, controllers))
    start = starts[back % len(starts)]
    before = [] if start is None else upto(known, start.epoch)
    kept = Tape()
    course = Course(known, cast, lambda header: trainer)
    session = course.session(Relay(ComparingSink(known, before), known[-1].epoch, kept), start)
    course.follow(session, known[-1].epoch)
    while session.state.ending is None:
        session.step()
    assert told([*known, *kept.events]) == told(child)


@SLOW
@given(header=headers, curve=curves, pick=st.integers(0, 99))
def test_who_takes_over_remembers_the_past_as_it_would_have_lived_it(
    header: RunHeader, curve: Curve, pick: int
) -> None:
    """The model: a diary has every boundary since, and a rollback takes it back to the checkpoint's."""
    events = recorded(header, curve)
    past = upto(events, pick % events[-1].epoch)
    tamiyo, karn = cast(another(header))
    known = watch(past, tamiyo, karn, another(header))
    diary: tuple[int, ...] = ()
    at_epoch = {0: diary}
    for event in past:
        if isinstance(event, EpochCompleted):
            diary = (*diary, event.epoch)
        if isinstance(event, RollbackOrdered):
            diary = at_epoch[event.checkpoint_epoch]
        at_epoch[event.epoch] = diary

    assert isinstance(known.memories.tamiyo, Diary)
    assert known.memories.tamiyo.seen == diary
    assert [seen.epoch for seen in known.boundaries] == [e.epoch for e in past if isinstance(e, EpochCompleted)]
    for saved in rebuild(past).checkpoints:
        remembered = known.saved[saved.checkpoint].tamiyo
        assert isinstance(remembered, Diary)
        assert remembered.seen == at_epoch[saved.epoch]


@SLOW
@given(header=headers, curve=curves, pick=st.integers(0, 99))
def test_over_a_recording_a_run_is_a_prefix_of_it_and_the_boundary(header: RunHeader, curve: Curve, pick: int) -> None:
    events = recorded(header, curve)
    past = upto(events, pick % events[-1].epoch)
    named = PolicyReference(name="another", source_digest="1" * 64)
    for tamiyo in (header.tamiyo, named):
        over = header.model_copy(update={"trainer": "recorded", "tamiyo": tamiyo})
        child = forked(past, over, WhatIfTrainer(events))

        assert check(child) == []
        assert replay(child, RecordedTrainer(child), cast) is None
        assert reports(child) == reports(upto(events, child[-1].epoch))
        if tamiyo is header.tamiyo:
            assert [type(event) for event in child if not isinstance(event, RunForked)] == [type(e) for e in events]
        elif rebuild(child).ending is not RunEnding.LEFT_RECORDING:
            assert child[-1].epoch == events[-1].epoch


def reports(events: Sequence[DomainEvent]) -> list[tuple[str, str]]:
    return told([event for event in events if isinstance(event, LayerHealthReported | EpochCompleted)])


def test_the_generated_forks_reach_far() -> None:
    """Guards the guards: some forks roll back to before they were taken, and some boundaries are left."""
    curve = Curve(accuracies=tuple(0.4 + 0.02 * epoch for epoch in range(20)))
    back = left = 0
    for run_key in range(10):
        header = small_header(epochs=16, run_key=run_key, safety=LENIENT, max_active_seeds=3, checkpoint_every=4)
        events = recorded(header, curve)
        past = upto(events, 9)
        child = forked(past, another(header), ScriptedTrainer(curve))
        back += any(isinstance(e, RollbackOrdered) and e.checkpoint_epoch <= 9 < e.epoch for e in child)
        over = another(header).model_copy(update={"trainer": "recorded", "training": header.training})
        left += rebuild(forked(past, over, WhatIfTrainer(events))).ending is RunEnding.LEFT_RECORDING
    assert back >= 2
    assert left >= 5
    assert SeedId(layer=0, index=0) in rebuild(child).seeds
    assert any(isinstance(event, EpochSealed) for event in child)
