"""A library that evolved, planted anew: everything that counts of it comes along."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from domain.events import DomainEvent
from domain.karn.no_invention import NoInvention
from domain.lifecycle import Outcome
from domain.tamiyo.always_grow import AlwaysGrow
from domain.urabrask.prior import PRIOR
from domain.urza.commands import Battle, Certify, Regrade, Retire, TrainRisk, decide
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.provenance import verify_provenance
from domain.urza.succession import succession
from engine.session import Session
from engine.sink import Tape
from tests.support.evolutions import evolution_header
from tests.support.library_events import certificate, register, report, small_id
from tests.support.scripted_trainer import Curve, ScriptedTrainer


def folded(events: Iterable[DomainEvent]) -> BlueprintLibrary:
    library = BlueprintLibrary()
    for event in events:
        library = evolve(library, event)
    return library


def evolved() -> BlueprintLibrary:
    """Parents and children, certified, battled, used, regraded, archived, with a risk model of its own."""
    library = BlueprintLibrary()
    commands = [
        register(1),
        register(2, parent=small_id(1)),
        register(3, parent=small_id(2)),
        Certify(blueprint_id=small_id(2), certificate=certificate(risk=0.05)),
        Certify(blueprint_id=small_id(3), certificate=certificate(passed=False, risk=1.0)),
        Regrade(blueprint_id=small_id(2), level=register(1).metadata.urabrask.conf_level, reason="new"),
        Battle(blueprint_id=small_id(2), opponent_id=small_id(1), result=1.0),
        Retire(blueprint_id=small_id(3), reason="failed"),
        TrainRisk(model=PRIOR.model_copy(update={"samples": 30})),
    ]
    for command in commands:
        library = evolve(library, decide(library, command, 4))
    for outcome in (Outcome.FOSSILIZED, Outcome.CULLED, Outcome.ROLLED_BACK):
        library = evolve(library, report(small_id(1), outcome))
    return library


def test_everything_that_counts_comes_along_under_the_same_numbers() -> None:
    library = evolved()
    heir = folded(succession(library))

    assert heir.id_map() == library.id_map()
    assert heir.risk_model == library.risk_model
    for name, record in library.records.items():
        score = record.metadata.urabrask.elo_score
        verdict = record.certificate and record.certificate.model_copy(update={"elo_score": score})
        assert heir.record(name) == replace(record, certificate=verdict)
    assert [record.number for record in heir.offered()] == [2]  # the first was rolled back, the third failed


def test_it_is_chained_anew_and_its_own_heir_is_the_same() -> None:
    events = succession(evolved())

    assert verify_provenance(events) == events[-1].hash
    assert all(event.epoch == 0 for event in events)
    assert succession(folded(events)) == events
    assert [event.model_dump_json() for event in succession(evolved())] == [event.model_dump_json() for event in events]


def test_a_session_plants_what_evolved() -> None:
    library, header = evolved(), evolution_header().runs[0]
    session = Session(ScriptedTrainer(Curve()), AlwaysGrow(), NoInvention(), Tape())
    session.plant(header, succession(library))

    assert session.state.library.id_map() == library.id_map()
    assert session.state.library.offered()[0].name == "small_2"
