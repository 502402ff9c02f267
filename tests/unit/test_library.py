"""The blueprint library: what it refuses, what it remembers, and the chain that shows it was not changed."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable

import pytest

from domain.blueprint import ConfidenceLevel
from domain.endings import RunEnding
from domain.events import BlueprintRegistered, DomainEvent, RunEnded
from domain.identifiers import BlueprintId
from domain.lifecycle import Outcome
from domain.urza.catalogue import registrations
from domain.urza.commands import Certify, LibraryCommand, LibraryRefused, Register, Regrade, Retire, decide
from domain.urza.library import BlueprintLibrary, UnknownBlueprint, evolve
from domain.urza.provenance import GENESIS, ProvenanceBroken, verify_provenance
from tests.support.library_events import certificate, register, report, small_id

ONE, TWO, THREE = (small_id(number) for number in (1, 2, 3))
NOBODY = BlueprintId("f" * 64)


def _after(*commands: LibraryCommand) -> tuple[BlueprintLibrary, list[DomainEvent]]:
    library, events = BlueprintLibrary(), list[DomainEvent]()
    for command in commands:
        events.append(decide(library, command, epoch=3))
        library = evolve(library, events[-1])
    return library, events


def _fold(events: list[DomainEvent]) -> BlueprintLibrary:
    library = BlueprintLibrary()
    for event in events:
        library = evolve(library, event)
    return library


@pytest.mark.parametrize(
    ("command", "rule", "reason"),
    [
        (register(1), "duplicate-id", "is registered as small_1, number 1"),
        (register(3, parent=NOBODY), "unknown-parent", "no blueprint has the parent's id"),
        (Register(**{**dict(register(3)), "blueprint_id": ONE}), "id-mismatch", "the graph's hash is"),
        (Certify(blueprint_id=NOBODY, certificate=certificate()), "unknown-id", "register it first"),
        (Regrade(blueprint_id=NOBODY, level=ConfidenceLevel.HIGH, reason="kpis"), "unknown-id", "register it first"),
        (Retire(blueprint_id=NOBODY, reason="unused"), "unknown-id", "register it first"),
        (Retire(blueprint_id=TWO, reason="unused"), "already-retired", "small_2 is archived already"),
    ],
)
def test_what_the_library_refuses_changes_nothing(command: LibraryCommand, rule: str, reason: str) -> None:
    library, _ = _after(register(1), register(2), Retire(blueprint_id=TWO, reason="unused"))
    before = library.canonical()
    with pytest.raises(LibraryRefused, match=reason) as refusal:
        decide(library, command, epoch=4)
    assert refusal.value.rule == rule
    assert library.canonical() == before


def test_numbers_count_registrations_and_none_is_given_twice() -> None:
    library, _ = _after(register(1), register(2), Retire(blueprint_id=TWO, reason="unused"), register(3))
    assert library.id_map() == {ONE: 1, TWO: 2, THREE: 3}
    assert library.by_number(2).blueprint_id == TWO
    with pytest.raises(UnknownBlueprint, match="numbers go from 1 to 3"):
        library.by_number(0)


def test_a_retired_blueprint_is_kept_but_offered_no_more() -> None:
    library, _ = _after(register(1), register(2), Retire(blueprint_id=ONE, reason="unused"))
    assert ONE in library
    assert [record.blueprint_id for record in library.offered()] == [TWO]


def test_a_blueprint_that_failed_the_crucible_is_not_offered() -> None:
    library, _ = _after(register(1), Certify(blueprint_id=ONE, certificate=certificate(passed=False)))
    assert library.offered() == ()


def test_a_certificate_and_a_new_grade_reach_the_metadata() -> None:
    library, _ = _after(
        register(1),
        Certify(blueprint_id=ONE, certificate=certificate(risk=0.2)),
        Regrade(blueprint_id=ONE, level=ConfidenceLevel.HIGH, reason="cleared its targets"),
    )
    record = library.record(ONE)
    assert record.metadata.urabrask.risk_score == 0.2
    assert record.metadata.urabrask.wep == (("static.parameter_count", 12.0),)
    assert record.level is ConfidenceLevel.HIGH


def test_lineage_walks_to_the_oldest_ancestor() -> None:
    library, _ = _after(register(1), register(2, parent=ONE), register(3, parent=TWO))
    assert library.lineage(THREE) == [(TWO, "widen"), (ONE, "widen")]
    assert library.lineage(ONE) == []
    assert library.children(ONE) == (TWO,)


def test_field_reports_fold_into_statistics() -> None:
    library, _ = _after(register(1))
    library = evolve(library, report(ONE, Outcome.FOSSILIZED, before=0.5, after=0.75))
    library = evolve(library, report(ONE, Outcome.CULLED, before=0.5, after=0.25))
    library = evolve(library, report(ONE, Outcome.FOSSILIZED, before=0.5, after=1.0))
    found = library.record(ONE).statistics
    assert (found.uses, found.fossilized, found.culled, found.rolled_back) == (3, 2, 1, 0)
    assert found.mean_gain == pytest.approx(0.5 / 3)
    assert found.tamiyo_interest == pytest.approx(0.1 * 0.81 + 0.1)
    assert found.success_rate == pytest.approx(2 / 3)
    assert math.isnan(BlueprintLibrary(_after(register(1))[0].records).record(ONE).statistics.success_rate)


def test_a_rollback_flags_the_blueprint_and_withdraws_the_offer() -> None:
    library, _ = _after(register(1))
    library = evolve(library, report(ONE, Outcome.ROLLED_BACK))
    assert library.record(ONE).rollback_flag
    assert library.offered() == ()


def test_a_gain_that_is_not_a_number_counts_as_a_use_only() -> None:
    library, _ = _after(register(1))
    library = evolve(library, report(ONE, Outcome.CULLED, after=math.nan))
    found = library.record(ONE).statistics
    assert (found.uses, found.measured, found.mean_gain) == (1, 0, 0.0)


def test_a_report_on_a_stranger_and_other_events_leave_the_library_as_it_is() -> None:
    library, _ = _after(register(1))
    assert evolve(library, report(NOBODY, Outcome.CULLED)) is library
    assert evolve(library, RunEnded(epoch=9, ending=RunEnding.COMPLETED, reason="done")) is library


def test_a_name_that_is_nearly_right_gets_the_nearest_names() -> None:
    library = _fold(list(registrations()))
    assert library.by_name("residual_mlp").number == 1
    with pytest.raises(UnknownBlueprint, match="did you mean residual_mlp"):
        library.by_name("residual_mpl")
    with pytest.raises(UnknownBlueprint, match="the library is empty"):
        BlueprintLibrary().by_name("residual_mlp")
    with pytest.raises(UnknownBlueprint, match="the library holds 13"):
        library.record(NOBODY)


def test_of_one_name_the_newest_active_blueprint_answers() -> None:
    library, _ = _after(
        register(1, name="twin"),
        register(2, name="twin"),
        register(3, name="twin"),
        Retire(blueprint_id=THREE, reason=""),
    )
    assert library.by_name("twin").blueprint_id == TWO


def test_the_chain_starts_at_genesis_and_ends_at_the_head() -> None:
    library, events = _after(register(1), Certify(blueprint_id=ONE, certificate=certificate()), register(2))
    assert isinstance(events[0], BlueprintRegistered)
    assert events[0].previous_hash == GENESIS
    assert verify_provenance(events) == library.head
    assert verify_provenance([]) == GENESIS


@pytest.mark.parametrize(
    ("damage", "position"),
    [
        (lambda events: [events[0].model_copy(update={"number": 7}), *events[1:]], 0),
        (lambda events: [events[0], events[1].model_copy(update={"reason": "another"}), events[2]], 1),
        (lambda events: [events[0], events[2]], 1),
        (lambda events: [events[1], events[0], events[2]], 0),
        (lambda events: [events[0], events[1], events[2].model_copy(update={"epoch": 4})], 2),
    ],
)
def test_any_change_to_the_chain_is_found(
    damage: Callable[[list[DomainEvent]], list[DomainEvent]], position: int
) -> None:
    _, events = _after(register(1), Regrade(blueprint_id=ONE, level=ConfidenceLevel.HIGH, reason="kpis"), register(2))
    with pytest.raises(ProvenanceBroken, match="the journal was changed") as broken:
        verify_provenance(damage(events))
    assert broken.value.position == position


def test_the_canonical_form_is_json_and_changes_with_every_change() -> None:
    library, _ = _after(register(1))
    reported = evolve(library, report(ONE, Outcome.CULLED))
    retired = evolve(reported, decide(reported, Retire(blueprint_id=ONE, reason="unused"), epoch=5))
    forms = [json.dumps(entry.canonical()) for entry in (BlueprintLibrary(), library, reported, retired)]
    assert len(set(forms)) == 4


def test_evolving_does_not_touch_the_library_before() -> None:
    library, _ = _after(register(1))
    before = json.dumps(library.canonical())
    evolve(library, report(ONE, Outcome.FOSSILIZED))
    evolve(library, decide(library, register(2), epoch=5))
    assert json.dumps(library.canonical()) == before


def test_whoever_is_handed_the_library_cannot_change_what_it_holds() -> None:
    library, _ = _after(register(1))
    for held in (BlueprintLibrary(), library, evolve(library, report(ONE, Outcome.CULLED))):
        with pytest.raises(TypeError, match="does not support item assignment"):
            held.records[TWO] = library.records[ONE]  # type: ignore[index]


def test_a_library_reaches_another_process_as_it_is_and_as_closed_to_changes() -> None:
    library, _ = _after(register(1), register(2), Retire(blueprint_id=TWO, reason="unused"))
    again = pickle.loads(pickle.dumps(library))
    assert again == copy.deepcopy(library) == library
    assert (again.text, type(again.records)) == (library.text, type(library.records))
