"""A sound run passes the checkers, and a run in which one event is lost, doubled, moved or altered does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from domain import events
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    CheckpointSaved,
    CommandRefused,
    DecisionMade,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    FieldReportFiled,
    PanicRaised,
    RollbackOrdered,
    RunEnded,
    RunStarted,
    SeedGerminated,
    StageChanged,
)
from domain.faults import FaultKind
from domain.identifiers import SeedId
from domain.karn.no_invention import NoInvention
from domain.lifecycle import Gate, Outcome, Stage
from domain.safety import SafetyConfig
from domain.urza.catalogue import registrations
from engine.checkers import check
from engine.session import EpochView, Session
from engine.sink import Discard
from tests.support.chaotic_policy import ChaoticTamiyo
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

ESSENTIAL = (
    RunStarted,
    EpochCompleted,
    PanicRaised,
    StageChanged,
    AdaptationConcluded,
    FieldReportFiled,
    RollbackOrdered,
    RunEnded,
    EpochSealed,
    events.TestScored,
    SeedGerminated,
)


@pytest.fixture(scope="module")
def run() -> tuple[DomainEvent, ...]:
    """A run with everything in it: fossils, culls, cancellations, faults, rollbacks of both kinds, refusals."""
    views: list[EpochView] = []
    curve = Curve(
        accuracies=tuple(0.4 + 0.02 * epoch for epoch in range(25)),
        faults={epoch: ((SeedId(layer=0, index=0), FaultKind.SHAPE, 3),) for epoch in range(9, 28, 3)},
        panics={30: "loss is not finite"},
    )
    lenient = SafetyConfig(max_consecutive_failures=1000, allow_risky=True)
    header = small_header(epochs=32, run_key=3, safety=lenient, max_active_seeds=3, seeds=4)
    tamiyo = ChaoticTamiyo(mischief=0.3, orders_max=16, rollbacks=0.03)
    Session(ScriptedTrainer(curve), tamiyo, NoInvention(), Discard(), watch=views.append).run(header, registrations())
    return tuple(event for view in views for event in (*view.events, view.seal))


def sealed_again(run: Sequence[DomainEvent]) -> list[DomainEvent]:
    """The same with every seal's count put right, so that only what happened is at fault."""
    told: list[DomainEvent] = []
    counts: dict[int, int] = {}
    for event in run:
        if isinstance(event, EpochSealed):
            told.append(event.model_copy(update={"events": counts.get(event.epoch, 0)}))
        else:
            counts[event.epoch] = counts.get(event.epoch, 0) + 1
            told.append(event)
    return told


def test_a_run_with_everything_in_it_is_sound(run: tuple[DomainEvent, ...]) -> None:
    assert check(run) == []
    kinds = {type(event) for event in run}
    assert {*ESSENTIAL, CommandRefused, AlphaChanged, CheckpointSaved} <= kinds
    assert {event.outcome for event in run if isinstance(event, AdaptationConcluded)} == set(Outcome)


@pytest.mark.parametrize("kind", ESSENTIAL, ids=lambda kind: kind.TOPIC)
def test_a_lost_event_is_noticed(run: tuple[DomainEvent, ...], kind: type[DomainEvent]) -> None:
    places = [place for place, event in enumerate(run) if isinstance(event, kind)]
    for place in places:
        assert check(sealed_again([*run[:place], *run[place + 1 :]])), f"{kind.TOPIC} at {place} was not missed"


@pytest.mark.parametrize("kind", [*ESSENTIAL, CommandRefused, DecisionMade], ids=lambda kind: kind.TOPIC)
def test_a_doubled_event_is_noticed(run: tuple[DomainEvent, ...], kind: type[DomainEvent]) -> None:
    places = [place for place, event in enumerate(run) if isinstance(event, kind)]
    for place in places:
        assert check(sealed_again([*run[: place + 1], *run[place:]])), f"{kind.TOPIC} at {place} told twice"


def altered(run: tuple[DomainEvent, ...], kind: type[DomainEvent], **changes: object) -> list[list[str]]:
    """What the checkers find when one event of a kind is altered, for each event that the change does alter."""
    found = []
    for place, event in enumerate(run):
        if isinstance(event, kind):
            other = event.model_copy(update=changes)
            if other != event:
                found.append(check([*run[:place], other, *run[place + 1 :]]))
    assert found, "nothing was altered"
    return found


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (StageChanged, {"target": Stage.ACTIVE}),
        (StageChanged, {"source": Stage.GRAFTING}),
        (StageChanged, {"gate": Gate.RESET}),
        (StageChanged, {"seed": SeedId(layer=0, index=3)}),
        (AdaptationConcluded, {"outcome": Outcome.CANCELLED}),
        (AdaptationConcluded, {"embargoed_until": 1}),
        (AdaptationConcluded, {"locked": True}),
        (RollbackOrdered, {"checkpoint": "0" * 64}),
        (RollbackOrdered, {"checkpoint_epoch": 99}),
        (DecisionMade, {"number": 99}),
        (CommandRefused, {"number": 99}),
        (RunEnded, {"ending": RunEnding.DIVERGED}),
        (events.TestScored, {"occasion": "curiosity"}),
        (EpochSealed, {"events": 999}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else str(value.TOPIC),
)
def test_an_altered_event_is_noticed(
    run: tuple[DomainEvent, ...], kind: type[DomainEvent], changes: dict[str, object]
) -> None:
    assert all(altered(run, kind, **changes))


def test_a_blend_that_falls_is_noticed(run: tuple[DomainEvent, ...]) -> None:
    place = max(place for place, event in enumerate(run) if isinstance(event, AlphaChanged) and event.alpha == 1.0)
    fallen = run[place].model_copy(update={"alpha": 0.1})
    assert any("fell" in broken for broken in check([*run[:place], fallen, *run[place + 1 :]]))


def test_a_lost_epoch_is_noticed(run: tuple[DomainEvent, ...]) -> None:
    assert any("epochs go 0, 1, 2" in broken for broken in check([event for event in run if event.epoch != 5]))


def test_an_empty_run_and_one_without_a_header_are_noticed(run: tuple[DomainEvent, ...]) -> None:
    assert check([]) == ["a run opens with its header"]
    assert "a run opens with its header" in check(run[1:])
