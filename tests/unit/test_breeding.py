"""The breeding loop without training: what a generation holds, resuming it, and replaying it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import pytest

from domain.blueprint import BlueprintMetadata, KarnMetadata
from domain.events import (
    BlueprintBattled,
    BlueprintCertified,
    BlueprintProposed,
    BlueprintRegraded,
    BlueprintRetired,
    DomainEvent,
    EpochSealed,
    FieldReportFiled,
    GenerationClosed,
    RunJoined,
)
from domain.evolution.header import EvolutionHeader
from domain.evolution.state import EvolutionState, rebuild
from domain.karn.policy import KarnObservation, KarnStep
from domain.lifecycle import Outcome
from domain.tamiyo.policy import Randomness
from domain.urza.catalogue import INITIAL, registrations, residual_mlp
from domain.urza.kpis import CurationConfig
from domain.urza.provenance import verify_provenance
from engine.controllers import PolicyFailed
from engine.innovation.breeding import Breeding, run_keys
from engine.innovation.recalled import replay, same_state
from engine.journal.entries import Recorded
from engine.sink import Tape
from projections.read_models import ReadModels
from tests.support.evolutions import ScriptedGround, WideningKarn, evolution_header, gain_of

Bred = tuple[list[DomainEvent], ScriptedGround, Breeding]


def bred(
    header: EvolutionHeader | None = None,
    outcomes: Mapping[int, Outcome] | None = None,
    generations: int | None = None,
) -> Bred:
    """The events of an evolution of so many generations, by default of all; what it stood on; and itself."""
    header = header or evolution_header()
    tape, ground = Tape(), ScriptedGround(header, outcomes or {})
    breeding = Breeding(WideningKarn(), tape, ground.ground())
    breeding.plant(header, registrations())
    for _ in range(header.generations if generations is None else generations):
        breeding.step()
    return tape.events, ground, breeding


def test_a_generation_runs_reports_invents_battles_and_is_sealed() -> None:
    events, ground, breeding = bred()
    second = [event for event in events if event.epoch == 2]

    assert [type(event) for event in second[:4]] == [RunJoined, FieldReportFiled, RunJoined, FieldReportFiled]
    assert sum(isinstance(event, BlueprintProposed) for event in second) == 3
    assert any(isinstance(event, BlueprintBattled) for event in second)
    assert [type(event) for event in second[-2:]] == [GenerationClosed, EpochSealed]
    assert ground.planted[0] == len(INITIAL) < ground.planted[1] < ground.planted[2]
    assert breeding.state.is_over and len(breeding.state.summaries) == 3
    verify_provenance(events)


def test_what_a_library_begins_with_is_judged_after_karns_first_turn() -> None:
    events, _, _ = bred(generations=1)
    founders = [event.blueprint_id for event in registrations()]
    judged = [event.blueprint_id for event in events if isinstance(event, BlueprintCertified)]
    proposed = [index for index, event in enumerate(events) if isinstance(event, BlueprintProposed)]
    first = next(
        i for i, event in enumerate(events) if getattr(event, "certificate", None) and event.blueprint_id in founders
    )

    assert judged[-len(INITIAL) :] == founders
    assert max(proposed) < first


def test_the_summary_speaks_of_the_generations_own_candidates() -> None:
    events, _, breeding = bred()
    for summary in breeding.state.summaries:
        own = [event for event in events if event.epoch == summary.generation]
        proposed = {event.blueprint_id for event in own if isinstance(event, BlueprintProposed)}
        passed = [
            event
            for event in own
            if isinstance(event, BlueprintCertified) and event.certificate.passed and event.blueprint_id in proposed
        ]

        assert summary.proposed == 3 and summary.certified == len(passed) <= 3
        assert summary.mean_test_accuracy == pytest.approx(0.5 + summary.generation / 10)
        assert 0 < summary.diversity <= 1 and 0 < summary.distance <= 1


def test_a_new_entry_is_deployed_speculative_and_keeps_its_certified_level() -> None:
    _, _, breeding = bred(generations=1)
    born = [record for record in breeding.state.library.records.values() if record.number > len(INITIAL)]
    better = [record for record in born if record.certificate.conf_level.value != "SPECULATIVE"]

    assert better and all(record.level.value == "SPECULATIVE" for record in born)

    trusting = evolution_header(curation=CurationConfig(starts_speculative=False))
    events, _, _ = bred(trusting, generations=1)
    assert not any(isinstance(event, BlueprintRegraded) for event in events)


def test_failures_in_the_field_lead_to_the_archive() -> None:
    header = evolution_header(candidates=0, curation=CurationConfig(uses_min=2))
    events, _, breeding = bred(header, {1: Outcome.CULLED})
    retired = [event for event in events if isinstance(event, BlueprintRetired)]

    assert len(retired) == 1 and "success 0% of 2 uses" in retired[0].reason
    assert not breeding.state.library.record(retired[0].blueprint_id).is_offered


def test_stopping_at_any_generation_and_going_on_gives_the_same_bytes() -> None:
    whole, _, _ = bred()
    for stop in (0, 1, 2):
        first, ground, _ = bred(generations=stop)
        tape = Tape()
        again = Breeding(WideningKarn(), tape, ground.ground())
        again.resume(first, ground.kept[-1])
        while not again.state.is_over:
            again.step()

        told = [event.model_dump_json() for event in (*first, *tape.events)]
        assert told == [event.model_dump_json() for event in whole]


def test_a_memory_of_another_karn_is_refused() -> None:
    events, ground, _ = bred(generations=0)
    with pytest.raises(PolicyFailed, match="WideningKarn cannot read what it remembered"):
        Breeding(WideningKarn(), Tape(), ground.ground()).resume(events, b'{"another": 1}')


BOUNDLESS = KarnMetadata().model_copy(update={"novelty_score": math.inf})


@final
class CarelessKarn:
    """Proposes copies that were changed without being validated."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._karn = WideningKarn()

    def initial(self) -> Any:
        return self._karn.initial()

    def step(self, observation: KarnObservation, memory: Any, random: Randomness) -> KarnStep[Any]:
        step = self._karn.step(observation, memory, random)
        return KarnStep(tuple(one.model_copy(update=self._changes) for one in step.proposals), step.memory)


@pytest.mark.parametrize(
    "changes",
    [
        {"graph": "a graph"},
        {"metadata": None},
        {"metadata": BlueprintMetadata(name="mine").model_copy(update={"name": "../mine"})},
        {"metadata": BlueprintMetadata(name="mine", karn=BOUNDLESS)},
        {"reason": 3},
        {"reason": "half a character \ud800"},
        {"propensity": float("nan")},
    ],
)
def test_a_proposal_that_would_not_read_back_is_refused_before_it_is_recorded(changes: dict[str, Any]) -> None:
    tape, ground = Tape(), ScriptedGround(evolution_header(), {})
    breeding = Breeding(CarelessKarn(**changes), tape, ground.ground())
    breeding.plant(evolution_header(), registrations())
    planted = len(tape.events)

    with pytest.raises(PolicyFailed, match="CarelessKarn proposes what cannot be recorded at epoch 1"):
        breeding.step()
    assert len(tape.events) == planted


def test_rebuilding_gives_the_sealed_state_and_a_replay_the_same_events() -> None:
    events, _, breeding = bred()

    assert same_state(events) is None
    assert rebuild(events).digest() == breeding.state.digest() != EvolutionState().digest()
    assert replay(events, WideningKarn(), gain_of) is None


def test_a_replay_finds_a_proposal_that_karn_would_not_make() -> None:
    events, _, _ = bred()
    index = next(i for i, event in enumerate(events) if isinstance(event, BlueprintProposed) and event.epoch == 2)
    changed = [*events]
    changed[index] = events[index].model_copy(update={"reason": "another"})
    divergence = replay(changed, WideningKarn(), gain_of)

    assert divergence is not None and divergence.position == index + 1
    assert divergence.fields[0].path == "reason"


@final
class FickleKarn:
    """Proposes in generation 2 what was never tried, or fails there."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails
        self._karn = WideningKarn()

    def initial(self) -> Any:
        return self._karn.initial()

    def step(self, observation: KarnObservation, memory: Any, random: Randomness) -> KarnStep[Any]:
        step = self._karn.step(observation, memory, random)
        if observation.epoch != 2:
            return step
        if self._fails:
            raise ArithmeticError
        other = step.proposals[0].model_copy(update={"graph": residual_mlp(99)})
        return KarnStep((other, *step.proposals[1:]), step.memory)


@pytest.mark.parametrize("fails", [False, True])
def test_a_replay_that_stops_half_way_through_a_generation_names_the_first_event_that_differs(fails: bool) -> None:
    events, _, _ = bred()
    proposed = next(event for event in events if isinstance(event, BlueprintProposed) and event.epoch == 2)
    divergence = replay(events, FickleKarn(fails=fails), gain_of)

    assert divergence is not None
    assert divergence.position == events.index(proposed) + 1
    assert divergence.recorded_topic == proposed.TOPIC
    assert ("FickleKarn raised ArithmeticError" if fails else "the policy decides otherwise") in divergence.cause


def test_every_generation_has_run_keys_of_its_own_and_every_evolution_of_a_key_the_same() -> None:
    header = evolution_header()
    keys = [run_keys(header, generation, "test") for generation in range(1, 50)]

    assert len({key for pair in keys for key in pair}) == 98
    assert run_keys(header.model_copy(update={"candidates_per_generation": 9}), 1, "test") == keys[0]


def test_the_views_of_runs_leave_evolutions_out_however_they_are_read(tmp_path: Path) -> None:
    events, _, _ = bred()
    told = [Recorded(place, "evolution-test", place, event) for place, event in enumerate(events, start=1)]
    models = ReadModels()

    assert models.follow(told[:9]) == 0
    models.save(tmp_path / "views")
    again = ReadModels.load(tmp_path / "views")
    assert again.follow(told[9:]) == 0 and again.notification == len(told)
    assert again.positions == {} and again.frame("blueprints").is_empty()
