"""The simulated trainer by itself: what a boundary brings, what freezing and culling do, and what a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from domain.commands import Decision, Germinate, GraftingStrategy
from domain.events import (
    AdaptationConcluded,
    DomainEvent,
    EpochCompleted,
    RollbackOrdered,
    RollbackSource,
    StageChanged,
)
from domain.header import RunHeader
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Outcome, Stage
from domain.run import RunState, rebuild
from domain.shapes import parameter_count
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.blueprint_terms import reads_of
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from engine.session import EpochView
from engine.trainers.simulated.histories import history
from engine.trainers.simulated.state import controllers_in
from engine.trainers.simulated.stores import Deferred
from engine.trainers.simulated.trainer import SimulatedTrainer
from engine.trainers.stores import MemoryStore
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing
from scenarios import composition
from tests.support.headers import small_header
from tests.support.planted_dynamics import planted, simulated

PLACE = SeedId(layer=0, index=0)


@dataclass(frozen=True, slots=True)
class GrowOnce:
    """Germinates one blueprint in seed 0.0 at the end of epoch ``at``, and does the housekeeping."""

    blueprint: str
    at: int = 10
    profile: str = "full"

    def initial(self) -> NoMemory:
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        decisions = housekeeping(observation)
        if observation.epoch != self.at:
            return Step(decisions, memory)
        state = observation.state
        record = next(record for record in state.library.records.values() if record.name == self.blueprint)
        order = Germinate(
            seed=PLACE,
            blueprint_id=record.blueprint_id,
            reads=reads_of(record, state.started.tamiyo_config),
            grafting=GraftingStrategy.FIXED_RAMP,
        )
        return Step((*decisions, Decision(command=order, reason="planned", urgency=0.85)), memory)


def header(epochs: int = 40, run_key: int = 7) -> RunHeader:
    return small_header(epochs=epochs, run_key=run_key, layers=1)


def accuracies(events: list[DomainEvent]) -> dict[int, float]:
    return {event.epoch: event.metrics.validation_accuracy for event in events if isinstance(event, EpochCompleted)}


def outcomes(events: list[DomainEvent]) -> list[Outcome]:
    return [event.outcome for event in events if isinstance(event, AdaptationConcluded)]


def ending(events: list[DomainEvent]) -> float:
    told = history(events)
    assert told is not None
    return told.final_accuracy


@pytest.mark.parametrize("run_key", range(5))
def test_a_no_op_on_a_still_host_changes_nothing_and_is_culled(run_key: int) -> None:
    dynamics = planted(still_host=True)
    grown = simulated(dynamics, header(run_key=run_key), GrowOnce("no_op"))
    alone = simulated(dynamics, header(run_key=run_key), NeverGrow())
    assert outcomes(grown) == [Outcome.CULLED]
    assert ending(grown) == ending(alone)
    on_trial = {event.epoch for event in grown if isinstance(event, StageChanged) and event.target is Stage.GRAFTING}
    left = {event.epoch for event in grown if isinstance(event, AdaptationConcluded)}
    held = range(min(on_trial) + 1, max(left) + 1)
    differing = {epoch for epoch, value in accuracies(grown).items() if value != accuracies(alone)[epoch]}
    assert differing <= set(held), "the same weather before the trial and after it"
    assert {accuracies(grown)[epoch] for epoch in held} == {accuracies(grown)[min(on_trial)]}, "frozen is frozen"


def test_without_noise_a_no_op_on_a_still_host_gives_the_very_same_accuracies() -> None:
    dynamics = planted(still_host=True, noise=0.0)
    grown = simulated(dynamics, header(), GrowOnce("no_op"))
    assert accuracies(grown) == accuracies(simulated(dynamics, header(), NeverGrow()))


def test_an_essential_blueprint_lifts_the_run_and_fossilizes() -> None:
    dynamics = planted()
    grown = simulated(dynamics, header(), GrowOnce("residual_mlp"))
    assert outcomes(grown) == [Outcome.FOSSILIZED]
    assert ending(grown) - ending(simulated(dynamics, header(), NeverGrow())) > 0.2


def test_a_blueprint_of_negative_kappa_does_harm_and_is_culled() -> None:
    grown = simulated(planted({"unit_rms/CHUNK": -0.5}), header(), GrowOnce("unit_rms"))
    assert outcomes(grown) == [Outcome.CULLED]


def test_a_trial_costs_the_host_the_epochs_that_it_is_frozen() -> None:
    dynamics = planted(noise=0.0)
    views: list[EpochView] = []
    grown = simulated(dynamics, header(), GrowOnce("no_op", at=3), views=views)
    alone = accuracies(simulated(dynamics, header(), NeverGrow()))
    frozen = [
        view.state.epoch for view in views if any(s.stage in _trial() for s in view.state.seeds.values())
    ]  # at these boundaries somebody is on trial, so the epoch after each is trained with a host at rest
    assert accuracies(grown)[40] == alone[40 - len(frozen)]


def _trial() -> tuple[Stage, ...]:
    return (Stage.GRAFTING, Stage.STABILIZATION, Stage.EVALUATING, Stage.FINE_TUNING)


def test_parameters_are_counted_from_the_graph() -> None:
    views: list[EpochView] = []
    run = header()
    simulated(planted(), run, GrowOnce("residual_mlp"), views=views)
    record = next(record for record in views[-1].state.library.records.values() if record.name == "residual_mlp")
    layer = run.layout[0]
    own = parameter_count(
        record.graph, read=layer.read_width(record.metadata.default_reads, 0), chunk=layer.chunk_width(0)
    )
    assert views[-1].state.parameters == 100 + own
    assert views[5].state.parameters == 100


def test_the_trainer_goes_back_to_the_checkpoint_of_a_rollback() -> None:
    dynamics = planted(noise=0.0)
    run = header()
    trainer = SimulatedTrainer(dynamics)
    trainer.plant(run)
    events = simulated(dynamics, run, NeverGrow())
    state = rebuild([event for event in events if event.epoch == 0])
    curve = [trainer.train(Epoch(epoch), state).metrics.validation_accuracy for epoch in (1, 2, 3)]
    saved = trainer.checkpoint(Epoch(3), "{}")
    ahead = [trainer.train(Epoch(epoch), state).metrics.validation_accuracy for epoch in (4, 5)]
    trainer.obey(Epoch(5), (_rollback(saved.checkpoint),), state)
    assert [trainer.train(Epoch(epoch), state).metrics.validation_accuracy for epoch in (6, 7)] == ahead
    assert curve == sorted(curve)


def _rollback(checkpoint: str) -> RollbackOrdered:
    return RollbackOrdered(
        epoch=5, source=RollbackSource.TOLARIA, reason="ordered", checkpoint_epoch=3, checkpoint=checkpoint
    )


def test_a_checkpoint_holds_the_controllers_memory_and_says_whose_it_is() -> None:
    dynamics, store = planted(), MemoryStore()
    trainer = SimulatedTrainer(dynamics, store)
    trainer.plant(header())
    saved = trainer.checkpoint(Epoch(0), '{"tamiyo":{}}')
    assert trainer.restore(saved.checkpoint, RunState()) == '{"tamiyo":{}}'
    files = {saved.checkpoint: store.get(saved.checkpoint)}
    assert controllers_in(files, dynamics.digest) == {saved.checkpoint: '{"tamiyo":{}}'}
    with pytest.raises(CheckpointMissing, match="simulate the run again"):
        trainer.restore("0" * 64, RunState())
    with pytest.raises(CheckpointDamaged, match="under the dynamics"):
        SimulatedTrainer(planted(noise=0.5), store).restore(saved.checkpoint, RunState())


def test_a_checkpoint_of_another_kind_is_refused_in_one_line() -> None:
    store = MemoryStore()
    digest = store.put(b"weights")
    with pytest.raises(CheckpointDamaged, match="is not one of a simulated trainer") as refused:
        SimulatedTrainer(planted(), store).restore(digest, RunState())
    assert "\n" not in str(refused.value)


def test_a_deferred_store_writes_what_is_still_held_when_it_settles() -> None:
    beneath = MemoryStore()
    store = Deferred(beneath)
    dropped, kept = store.put(b"one"), store.put(b"two")
    store.release(dropped)
    with pytest.raises(KeyError):
        beneath.get(kept)
    store.settle()
    assert beneath.get(kept) == store.get(kept) == b"two"
    with pytest.raises(KeyError):
        beneath.get(dropped)
    store.release(kept)
    with pytest.raises(KeyError):
        beneath.get(kept)


def test_a_trainer_that_takes_over_goes_on_from_the_accuracy_that_was_recorded() -> None:
    dynamics = planted(noise=0.0)
    events = simulated(dynamics, header(), GrowOnce("residual_mlp"))
    state = rebuild([event for event in events if event.epoch <= 35])
    store = MemoryStore()
    successor = SimulatedTrainer(dynamics, store)
    successor.plant(state.started)
    recorded = accuracies(events)
    assert successor.train(Epoch(36), state).metrics.validation_accuracy == pytest.approx(recorded[36], abs=0.01)
    saved = successor.checkpoint(Epoch(36), "{}")
    again = SimulatedTrainer(dynamics, store)
    again.plant(state.started)
    again.restore(saved.checkpoint, state)
    assert again.train(Epoch(37), state) == successor.train(Epoch(37), state)


def test_a_successor_rolled_back_behind_its_taking_over_stands_where_the_run_stood() -> None:
    dynamics = planted(noise=0.0)
    events = simulated(dynamics, header(), NeverGrow())
    state = rebuild([event for event in events if event.epoch <= 20])
    successor = SimulatedTrainer(dynamics)
    successor.plant(state.started)
    successor.train(Epoch(21), state)
    state = rebuild([event for event in events if event.epoch <= 21])
    ordered = _rollback("f" * 64).model_copy(update={"epoch": 21, "checkpoint_epoch": 6})
    successor.obey(Epoch(21), (ordered,), state)
    now = successor.train(Epoch(22), state).metrics.validation_accuracy
    assert now == pytest.approx(accuracies(events)[6], abs=0.02)


def test_another_run_key_of_a_fork_has_other_noise_but_the_same_host() -> None:
    dynamics = planted(still_host=True)
    run, state = header(), rebuild(list(composition.first_library()))
    one, other, same = (SimulatedTrainer(dynamics) for _ in range(3))
    for trainer in (one, other, same):
        trainer.plant(run)
    other.amend(run.model_copy(update={"run_key": 8}))
    same.amend(run)
    curves = [
        [trainer.train(Epoch(epoch), state).metrics.validation_accuracy for epoch in range(1, 30)]
        for trainer in (one, other, same)
    ]
    assert curves[0] == curves[2] != curves[1]
    assert sum(curves[0]) / 29 == pytest.approx(sum(curves[1]) / 29, abs=0.01)


def test_as_designed_sees_health_and_progress_that_its_gates_open_on() -> None:
    views: list[EpochView] = []
    simulated(planted(), header(60), AsDesigned(), views=views)
    assert any(seed.stage is Stage.FOSSILIZED for seed in views[-1].state.seeds.values())


def test_a_rollback_to_the_planting_begins_again_from_the_untrained_host() -> None:
    dynamics = planted(noise=0.0)
    events = simulated(dynamics, header(), NeverGrow())
    state = rebuild([event for event in events if event.epoch <= 12])
    trainer = SimulatedTrainer(dynamics)
    trainer.plant(header())
    saved = trainer.checkpoint(Epoch(0), "{}")
    first = [trainer.train(Epoch(epoch), state).metrics for epoch in range(1, 13)]
    ordered = _rollback(saved.checkpoint).model_copy(update={"epoch": 12, "checkpoint_epoch": 0})
    trainer.obey(Epoch(12), (ordered,), state)
    assert [trainer.train(Epoch(epoch), state).metrics for epoch in range(13, 25)] == first
