"""What must hold of every seed and of every step it takes, written from the lifecycle's table and not from its code."""

from __future__ import annotations

from collections.abc import Iterable

from domain.events import AdaptationConcluded, DomainEvent, FieldReportFiled, SeedGerminated, StageChanged
from domain.lifecycle import Edge, Gate, LifecycleProfile, Outcome, Stage
from domain.seed import Seed

SILENT = {Stage.GERMINATING, Stage.LOADING, Stage.TRAINING}
FULLY_BLENDED = {Stage.STABILIZATION, Stage.EVALUATING, Stage.FINE_TUNING}


def assert_legal(seed: Seed, epoch: int, profile: LifecycleProfile, embargo_epochs: int) -> None:
    """One seed at the end of one epoch."""
    adaptation = seed.adaptation
    assert seed.stage in profile.stages
    if seed.stage is Stage.DORMANT:
        assert adaptation is None
    else:
        assert adaptation is not None
        assert adaptation.attempt == seed.attempts
        assert adaptation.outcome is (Outcome.FOSSILIZED if seed.stage is Stage.FOSSILIZED else None)
        assert not seed.locked, "a locked seed is dormant for good"
        assert 0.0 <= adaptation.alpha <= 1.0
        assert not (seed.stage in SILENT and adaptation.alpha > 0.0)
        assert not (seed.stage in FULLY_BLENDED and adaptation.alpha < 1.0)
    assert seed.embargoed_until - epoch <= embargo_epochs


def assert_step(
    before: Seed, events: Iterable[DomainEvent], after: Seed, epoch: int, profile: LifecycleProfile
) -> list[Edge]:
    """The events of one seed's step; returns the edges it took."""
    taken: list[Edge] = []
    stage = before.stage
    is_open = before.adaptation is not None and before.adaptation.outcome is None
    told = list(events)
    for position, event in enumerate(told):
        if isinstance(event, StageChanged):
            taken.append(_edge_of(event, stage, profile))
            stage = event.target
        elif isinstance(event, SeedGerminated):
            assert before.stage is Stage.DORMANT and not before.locked and epoch >= before.embargoed_until
            assert event.adaptation.attempt == before.attempts + 1
            assert not is_open
            is_open = True
        elif isinstance(event, AdaptationConcluded):
            assert is_open, "an adaptation concludes once"
            is_open = False
            assert taken and taken[-1].outcome is event.outcome
            _assert_reported(event, told[position + 1 :])
    reports = sum(isinstance(event, FieldReportFiled) for event in told)
    owed = sum(edge.outcome is not None and edge.outcome is not Outcome.CANCELLED for edge in taken)
    concluded = sum(isinstance(event, AdaptationConcluded) for event in told)
    assert reports == owed
    assert concluded == sum(edge.outcome is not None for edge in taken)
    assert after.stage is stage
    assert is_open == (after.adaptation is not None and after.adaptation.outcome is None)
    return taken


def _edge_of(event: StageChanged, stage: Stage, profile: LifecycleProfile) -> Edge:
    assert event.source is stage
    found = [edge for edge in profile.edges if (edge.source, edge.target) == (event.source, event.target)]
    found = [edge for edge in found if edge.gate is event.gate]
    assert len(found) == 1, f"{event.source} to {event.target} by {event.gate} is no edge of {profile.name}"
    return found[0]


def _assert_reported(event: AdaptationConcluded, rest: list[DomainEvent]) -> None:
    if event.outcome is Outcome.CANCELLED:
        assert not any(isinstance(later, FieldReportFiled) for later in rest)
        assert event.embargoed_until is None and not event.locked
    else:
        filed = rest[0]
        assert isinstance(filed, FieldReportFiled)
        assert filed.report.adaptation == event.adaptation
        assert filed.report.outcome is event.outcome


def gates_of(edges: Iterable[Edge]) -> set[Gate]:
    """The gates in front of some edges."""
    return {edge.gate for edge in edges}
