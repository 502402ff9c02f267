"""Karn inside a run: field reports arrive, proposals are judged and enter the library, and all of it replays."""

from __future__ import annotations

import pytest

from domain.blueprint import blueprint_id
from domain.events import (
    BlueprintCertified,
    BlueprintProposed,
    BlueprintRegistered,
    DomainEvent,
    FieldReportFiled,
    ProposalRefused,
)
from domain.karn.evolution import Evolution
from domain.karn.policy import KarnPolicy
from domain.karn.random_search import RandomSearch
from domain.tamiyo.always_grow import AlwaysGrow
from domain.urza.catalogue import registrations
from engine.checkers import check
from engine.replay import replay, same_state
from engine.session import Session
from engine.sink import Tape
from engine.trainers.recorded import RecordedTrainer
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

RISING = Curve(accuracies=tuple(0.4 + 0.01 * epoch for epoch in range(50)))
HEADER = small_header(epochs=40, max_active_seeds=2)
KARNS = [Evolution(), Evolution(candidates=2, rewards="learned"), RandomSearch()]


def recorded(karn: KarnPolicy) -> tuple[list[DomainEvent], Session]:
    tape = Tape()
    session = Session(ScriptedTrainer(RISING), AlwaysGrow(), karn, tape)
    session.run(HEADER, registrations())
    return tape.events, session


@pytest.mark.parametrize("karn", KARNS, ids=repr)
def test_field_reports_bring_proposals_and_those_enter_the_library(karn: KarnPolicy) -> None:
    events, session = recorded(karn)
    filed = {event.epoch for event in events if isinstance(event, FieldReportFiled)}
    proposed = [event for event in events if isinstance(event, BlueprintProposed)]
    taken = [event for event in events if isinstance(event, BlueprintRegistered) and event.epoch > 0]
    judged = [event for event in events if isinstance(event, BlueprintCertified)]

    assert filed, "the script is to conclude adaptations"
    assert {event.epoch for event in proposed} == filed
    assert not any(isinstance(event, ProposalRefused) for event in events)
    assert [event.blueprint_id for event in taken] == [event.blueprint_id for event in proposed]
    assert [event.blueprint_id for event in judged] == [event.blueprint_id for event in proposed]
    assert all(event.mutation and event.novelty > 0 and event.draws for event in proposed)
    for event in taken:
        assert blueprint_id(event.graph) == event.blueprint_id
        assert session.state.library.lineage(event.blueprint_id)


@pytest.mark.parametrize("karn", KARNS, ids=repr)
def test_a_run_in_which_karn_invents_holds_its_invariants_and_replays(karn: KarnPolicy) -> None:
    events, _ = recorded(karn)

    assert check(events) == []
    assert same_state(events) is None
    divergence = replay(events, RecordedTrainer(events), lambda header: (AlwaysGrow(), karn))
    assert divergence is None, divergence.line
    again, _ = recorded(karn)
    assert [event.model_dump_json() for event in again] == [event.model_dump_json() for event in events]
