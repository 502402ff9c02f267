"""The library against a plain model of dictionaries, under commands half of which are illegal."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.blueprint import ConfidenceLevel
from domain.events import DomainEvent
from domain.identifiers import BlueprintId
from domain.lifecycle import Outcome
from domain.urza.commands import Certify, LibraryCommand, LibraryRefused, Regrade, Retire, decide
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.provenance import verify_provenance
from tests.support.library_events import certificate, register, report, small_id

FAMILY = st.integers(1, 6)
REPORTED = st.sampled_from([outcome for outcome in Outcome if outcome.is_reported])


@dataclass
class Expected:
    """What the model believes of one blueprint."""

    number: int
    parent: int | None
    level: ConfidenceLevel = ConfidenceLevel.SPECULATIVE
    retired: bool = False
    failed: bool = False
    rolled_back: bool = False
    uses: int = 0
    interest: float = 0.0


class LibraryMachine(RuleBasedStateMachine):
    """Drives both; every refusal must be the model's, and must change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.library = BlueprintLibrary()
        self.events: list[DomainEvent] = []
        self.model: dict[int, Expected] = {}

    def order(self, command: LibraryCommand, refusal: str | None) -> bool:
        """Whether the command was carried out, having checked that this is what the model says."""
        before = json.dumps(self.library.canonical())
        if refusal is not None:
            with pytest.raises(LibraryRefused) as refused:
                decide(self.library, command, epoch=1)
            assert refused.value.rule == refusal
            assert json.dumps(self.library.canonical()) == before
            return False
        event = decide(self.library, command, epoch=1)
        assert json.dumps(self.library.canonical()) == before, "deciding changed the state"
        self.library = evolve(self.library, event)
        self.events.append(event)
        return True

    @rule(which=FAMILY, parent=st.none() | FAMILY, lie=st.booleans())
    def register(self, which: int, parent: int | None, lie: bool) -> None:
        command = register(which, parent=small_id(parent) if parent else None)
        if lie:
            command = command.model_copy(update={"blueprint_id": BlueprintId("0" * 64)})
        refusal = None
        if parent is not None and parent not in self.model:
            refusal = "unknown-parent"
        if which in self.model:
            refusal = "duplicate-id"
        if lie:
            refusal = "id-mismatch"
        if self.order(command, refusal):
            self.model[which] = Expected(number=len(self.model) + 1, parent=parent)

    @rule(which=FAMILY, passed=st.booleans(), risk=st.floats(0, 1))
    def certify(self, which: int, passed: bool, risk: float) -> None:
        verdict = certificate(passed=passed, risk=risk)
        command = Certify(blueprint_id=small_id(which), certificate=verdict)
        if self.order(command, None if which in self.model else "unknown-id"):
            self.model[which].failed = not passed
            self.model[which].level = verdict.conf_level

    @rule(which=FAMILY, level=st.sampled_from(ConfidenceLevel))
    def regrade(self, which: int, level: ConfidenceLevel) -> None:
        command = Regrade(blueprint_id=small_id(which), level=level, reason="review")
        if self.order(command, None if which in self.model else "unknown-id"):
            self.model[which].level = level

    @rule(which=FAMILY)
    def retire(self, which: int) -> None:
        refusal = "unknown-id" if which not in self.model else None
        if which in self.model and self.model[which].retired:
            refusal = "already-retired"
        if self.order(Retire(blueprint_id=small_id(which), reason="review"), refusal):
            self.model[which].retired = True

    @rule(which=FAMILY, outcome=REPORTED, after=st.floats(0, 1) | st.just(float("nan")))
    def file_report(self, which: int, outcome: Outcome, after: float) -> None:
        event = report(small_id(which), outcome, after=after)
        self.library = evolve(self.library, event)
        self.events.append(event)
        if which in self.model:
            expected = self.model[which]
            expected.uses += 1
            expected.rolled_back |= outcome is Outcome.ROLLED_BACK
            expected.interest = 0.9 * expected.interest + 0.1 * (outcome is Outcome.FOSSILIZED)

    @invariant()
    def the_records_are_what_the_model_says(self) -> None:
        assert self.library.id_map() == {small_id(which): found.number for which, found in self.model.items()}
        for which, expected in self.model.items():
            record = self.library.record(small_id(which))
            assert record.level is expected.level
            assert record.is_active is not expected.retired
            assert record.rollback_flag is expected.rolled_back
            assert record.statistics.uses == expected.uses
            assert record.statistics.tamiyo_interest == pytest.approx(expected.interest)
            assert -1 <= record.statistics.mean_gain <= 1
            parents = [small_id(expected.parent)] if expected.parent is not None else []
            assert [parent for parent, _ in self.library.lineage(small_id(which))][:1] == parents
        offered = {record.number for record in self.library.offered()}
        assert offered == {
            found.number for found in self.model.values() if not (found.retired or found.failed or found.rolled_back)
        }

    @invariant()
    def the_chain_holds_and_rebuilding_gives_the_same_library(self) -> None:
        assert verify_provenance(self.events) == self.library.head
        again = BlueprintLibrary()
        for event in self.events:
            read_back = type(event).model_validate_json(event.model_dump_json(), strict=False)  # as the journal reads
            again = evolve(again, read_back)
        assert json.dumps(again.canonical()) == json.dumps(self.library.canonical())


LibraryMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLibrary = LibraryMachine.TestCase
