"""What every Karn policy must keep to. Use it for your own: subclass ``KarnPolicyContract`` and give it ``make``.

    class TestMine(KarnPolicyContract):
        def make(self):
            return Mine()

A policy is led through boundaries with drawn field reports (NaN among them) while the library takes what it proposes,
certifies it with drawn verdicts, refuses some of it, and archives what failed; every law is checked at every boundary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.library_events import report

from domain.blueprint import ConfidenceLevel, LifecycleState, blueprint_id
from domain.header import LayerLayout
from domain.karn.policy import KarnObservation, KarnPolicy, KarnStep, Proposal
from domain.karn.surgery import host_slots
from domain.lifecycle import Outcome
from domain.shapes import fits
from domain.urabrask.certificate import Certificate
from domain.urza.catalogue import registrations
from domain.urza.commands import Certify, Register, Retire, decide
from domain.urza.library import BlueprintLibrary, evolve
from domain.values import Value
from engine.randomness import BoundaryRandomness

LAYOUT = (
    LayerLayout(layer=0, inputs=2, outputs=8, seeds=2),
    LayerLayout(layer=1, inputs=8, outputs=7, seeds=3),
)
_SOME = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Boundary:
    """What happens at one boundary, as drawn."""

    reports: tuple[tuple[int, Outcome, float], ...]
    """Which of the library's entries, counted from 0 and round and round, how it ended, accuracy afterwards."""
    verdicts: tuple[float | None, ...]
    """Gain that each proposal's certificate states; None for one that fails the crucible."""
    refuses: bool
    """Whether what is proposed is not even taken into the library."""


boundaries = st.builds(
    Boundary,
    reports=st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from(list(Outcome)), st.floats(0, 1) | st.just(math.nan)), max_size=3
    ).map(tuple),
    verdicts=st.lists(st.none() | st.floats(-0.2, 0.5), min_size=3, max_size=3).map(tuple),
    refuses=st.booleans(),
)
histories = st.lists(boundaries, min_size=1, max_size=4)
Walked = tuple[KarnObservation, Any, KarnStep[Any]]


class KarnPolicyContract:
    """Subclass it, override ``make``, and name the subclass ``Test...``."""

    def make(self) -> KarnPolicy:
        """A fresh policy."""
        raise NotImplementedError

    def _walk(self, history: list[Boundary]) -> list[Walked]:
        """Every observation with the memory the policy had at it and what it answered."""
        policy, library = self.make(), BlueprintLibrary()
        for event in registrations():
            library = evolve(library, event)
        memory, walked = policy.initial(), list[Walked]()
        for epoch, boundary in enumerate(history, start=1):
            records = list(library.records)
            filed = [report(records[n % len(records)], how, after=to) for n, how, to in boundary.reports]
            for event in filed:
                library = evolve(library, event)
            seen = KarnObservation(epoch, tuple(event.report for event in filed), library, LAYOUT)
            step = policy.step(seen, memory, BoundaryRandomness(7, epoch))
            walked.append((seen, memory, step))
            memory = step.memory
            if not boundary.refuses:
                for number, proposal in enumerate(step.proposals):
                    library = _taken(library, proposal, boundary.verdicts[number % 3], epoch)
        return walked

    @_SOME
    @given(history=histories)
    def test_equal_inputs_give_equal_proposals_and_memory(self, history: list[Boundary]) -> None:
        for seen, memory, step in self._walk(history):
            assert _text(self.make().step(seen, memory, BoundaryRandomness(7, seen.epoch))) == _text(step)

    @_SOME
    @given(history=histories)
    def test_a_step_changes_nothing_it_was_given(self, history: list[Boundary]) -> None:
        for seen, memory, _ in self._walk(history):
            before = (seen.library.canonical(), memory.model_dump_json())
            self.make().step(seen, memory, BoundaryRandomness(7, seen.epoch))
            assert (seen.library.canonical(), memory.model_dump_json()) == before

    @_SOME
    @given(history=histories)
    def test_memory_survives_json_bit_for_bit(self, history: list[Boundary]) -> None:
        for seen, memory, step in self._walk(history):
            assert isinstance(step.memory, Value)
            text = memory.model_dump_json()
            restored = type(memory).model_validate_json(text, strict=False)
            assert restored.model_dump_json() == text
            assert _text(self.make().step(seen, restored, BoundaryRandomness(7, seen.epoch))) == _text(step)

    @_SOME
    @given(history=histories)
    def test_what_is_proposed_is_new_and_each_of_it_once(self, history: list[Boundary]) -> None:
        for seen, _, step in self._walk(history):
            names = [blueprint_id(proposal.graph) for proposal in step.proposals]
            assert len(set(names)) == len(names)
            assert not set(names) & set(seen.library.records)
            titles = [proposal.metadata.name for proposal in step.proposals]
            assert len({*titles, *(record.name for record in seen.library.records.values())}) == len(titles) + len(
                {record.name for record in seen.library.records.values()}
            )

    @_SOME
    @given(history=histories)
    def test_what_is_proposed_fits_the_host_and_comes_from_what_is_offered(self, history: list[Boundary]) -> None:
        for seen, _, step in self._walk(history):
            for proposal in step.proposals:
                slots = host_slots(LAYOUT, proposal.metadata.default_reads)
                assert any(fits(proposal.graph, read=read, chunk=chunk) for read, chunk in slots)
                if proposal.parent_id is not None:
                    assert seen.library.record(proposal.parent_id).is_offered
                    assert proposal.mutation

    @_SOME
    @given(history=histories)
    def test_every_proposal_is_explained_and_starts_unproven(self, history: list[Boundary]) -> None:
        for _, _, step in self._walk(history):
            for proposal in step.proposals:
                assert proposal.reason.strip()
                assert 0 < proposal.propensity <= 1
                metadata = proposal.metadata
                assert metadata.urabrask.conf_level is ConfidenceLevel.SPECULATIVE
                assert metadata.urza.lifecycle is LifecycleState.ACTIVE
                assert Proposal.model_validate_json(proposal.model_dump_json()) == proposal

    @_SOME
    @given(history=histories)
    def test_draws_are_recorded_and_what_others_draw_changes_nothing(self, history: list[Boundary]) -> None:
        for seen, memory, step in self._walk(history):
            crowded = BoundaryRandomness(7, seen.epoch)
            crowded.generator("somebody/else").random(7)
            assert _text(self.make().step(seen, memory, crowded)) == _text(step)
            other = self.make().step(seen, memory, BoundaryRandomness(8, seen.epoch))
            if _text(other) != _text(step):
                assert any(proposal.draws for proposal in (*step.proposals, *other.proposals))


def _taken(library: BlueprintLibrary, proposal: Proposal, gain: float | None, epoch: int) -> BlueprintLibrary:
    """The library after a proposal was registered and judged."""
    name = blueprint_id(proposal.graph)
    certificate = Certificate(
        passed=gain is not None,
        failed_stage="dynamic" if gain is None else None,
        risk_score=0.3,
        conf_level=ConfidenceLevel.MODERATE,
        wep=() if gain is None else (("dynamic.gain", gain),),
    )
    register = Register(
        graph=proposal.graph, metadata=proposal.metadata, parent_id=proposal.parent_id, mutation=proposal.mutation
    )
    commands = [register, Certify(blueprint_id=name, certificate=certificate)]
    failed = [] if certificate.passed else [Retire(blueprint_id=name, reason="failed the crucible")]
    for command in (*commands, *failed):
        library = evolve(library, decide(library, command, epoch))
    return library


def _text(step: KarnStep[Any]) -> list[str]:
    """A step as JSON: equal bits."""
    return [step.memory.model_dump_json(), *(proposal.model_dump_json() for proposal in step.proposals)]
