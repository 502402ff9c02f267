"""A trainer and a Tamiyo service over one bus: the run is the one that a single session records, whatever happens."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from domain.commands import Germinate
from domain.endings import RunEnding
from domain.events import (
    AlphaChanged,
    BreakerMoved,
    BreakerState,
    CommandRefused,
    ControllerSilent,
    DecisionMade,
    DomainEvent,
    EpochCompleted,
    ErrorType,
    GrowthPaused,
    GrowthResumed,
    LayerHealthReported,
    RecoveryStrategy,
    RecoveryTried,
    RunEnded,
    SeedGerminated,
    StageChanged,
)
from domain.faults import FaultKind as SeedFault
from domain.identifiers import SeedId
from domain.karn.no_invention import NoInvention
from domain.tamiyo.policy import TamiyoPolicy
from domain.tamiyo.random_growth import RandomGrowth
from engine.oona.envelope import event_envelope, value_envelope
from engine.oona.faults import FaultKind, SeededFaults
from engine.oona.topics import Topic
from engine.replay import replay, same_state
from engine.service.log import JsonLines
from engine.service.messages import ANSWERED, ORDERED, ControlBatch, DecisionRequest
from engine.service.tamiyo import GAP_S
from engine.trainers.recorded import RecordedTrainer
from scenarios import composition
from tests.support.chaotic_policy import BreakingTamiyo, ChaoticTamiyo
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve
from tests.support.two_ends import RUN, Switched, TwoEnds, always, recorded

HEADER = small_header(epochs=24)
CURVE = Curve(
    accuracies=tuple(0.3 + 0.02 * epoch for epoch in range(24)),
    faults={epoch: ((SeedId(layer=0, index=0), SeedFault.NON_FINITE, 3),) for epoch in range(5, 24, 3)},
    panics={9: "the loss is not finite"},
)
POLICIES: tuple[TamiyoPolicy, ...] = (
    ChaoticTamiyo(),
    RandomGrowth(probability=0.5),
    composition.tamiyo("as_designed")[0],
)


def lines(events: list[DomainEvent]) -> list[str]:
    return [event.model_dump_json() for event in events]


def replays(events: list[DomainEvent], tamiyo: TamiyoPolicy) -> None:
    assert same_state(events) is None
    divergence = replay(events, RecordedTrainer(events), lambda header: (tamiyo, NoInvention()))
    assert divergence is None, divergence.line


@pytest.mark.parametrize("tamiyo", POLICIES, ids=lambda policy: type(policy).__name__)
def test_two_ends_record_what_one_session_records(tamiyo: TamiyoPolicy) -> None:
    ends = TwoEnds(always(tamiyo))
    service = ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE)

    assert lines(events) == lines(recorded(HEADER, tamiyo, CURVE))
    while service.turn(0):
        pass
    assert service.ended(RUN)
    assert ends.both.bus.dead_letters() == ()


@pytest.mark.parametrize("key", range(3))
def test_messages_that_come_twice_late_or_in_another_order_change_nothing(key: int) -> None:
    tamiyo = ChaoticTamiyo()
    shares = {FaultKind.DUPLICATED: 0.1, FaultKind.DELAYED: 0.1, FaultKind.REORDERED: 0.1, FaultKind.LOST: 0.1}
    ends = TwoEnds(always(tamiyo), SeededFaults(key, shares))
    ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE)

    assert len(ends.both.bus.befell) > 50
    assert lines(events) == lines(recorded(HEADER, tamiyo, CURVE))


def test_a_service_that_is_killed_again_and_again_goes_on_where_it_was() -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo))
    ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE, each=lambda epoch: epoch % 5 or ends.both.start_service())

    assert lines(events) == lines(recorded(HEADER, tamiyo, CURVE))


def test_without_a_service_the_run_is_trained_to_its_end_and_says_why_nothing_was_decided() -> None:
    tamiyo = ChaoticTamiyo()
    events = TwoEnds(always(tamiyo)).run(HEADER, tamiyo, CURVE)

    silent = [event for event in events if isinstance(event, ControllerSilent)]
    assert len(silent) == 23, "every boundary but that of the panic"
    assert silent[0].waited_ms == 30_000
    assert "is `regrow tamiyo` running?" in silent[0].reason
    moved = [event for event in events if isinstance(event, BreakerMoved)]
    assert (moved[0].breaker, moved[0].target, moved[0].epoch) == ("tamiyo", BreakerState.OPEN, 4)
    assert silent[3].waited_ms < 1000, "an open breaker is not waited for"
    tried = [event for event in events if isinstance(event, RecoveryTried)]
    assert (tried[0].error, tried[0].strategy) == (ErrorType.TIMEOUT, RecoveryStrategy.RETRY)
    assert tried[3].strategy is RecoveryStrategy.GRACEFUL_DEGRADATION
    assert [event.ending for event in events if isinstance(event, RunEnded)] == [RunEnding.COMPLETED]
    replays(events, tamiyo)


@pytest.mark.parametrize("first", [4, 8, 13])
def test_a_service_that_comes_back_finds_its_run_and_what_was_missed_is_recorded(first: int) -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo))
    ends.both.start_service()

    def each(epoch: int) -> None:
        if epoch == first:
            ends.both.service = None
        elif epoch == first + 2:
            ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE, each=each)

    silent = {event.epoch for event in events if isinstance(event, ControllerSilent)}
    assert silent == {first + 1, first + 2} - {9}
    assert any(isinstance(event, DecisionMade) and event.epoch > first + 2 for event in events)
    replays(events, tamiyo)


def test_a_policy_that_fails_elsewhere_ends_the_run_as_it_would_here() -> None:
    tamiyo = BreakingTamiyo(3, lambda seen: "no step at all")
    ends = TwoEnds(always(tamiyo))
    ends.both.start_service()

    assert lines(ends.run(HEADER, tamiyo, CURVE)) == lines(recorded(HEADER, tamiyo, CURVE))


def test_a_service_that_has_another_version_of_the_policy_declines_at_once() -> None:
    ends = TwoEnds(lambda header: "the source of policy test has changed since the recording")
    ends.both.start_service()

    events = ends.run(HEADER, ChaoticTamiyo(), CURVE)

    (silent, *_) = (event for event in events if isinstance(event, ControllerSilent))
    assert silent.reason == "the service declined: the source of policy test has changed since the recording"
    assert silent.waited_ms == 0


def test_a_message_that_is_no_command_goes_to_the_dead_letters_and_the_run_does_not_notice() -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo))
    ends.both.start_service()
    asked = DecisionRequest(epoch=3, position=1, memory="{}")

    def forged(kind: str, number: int) -> None:
        message = value_envelope(
            asked, kind=kind, name=f"forged/{number}", source="x", run=RUN, stream="x", sequence=number, epoch=0
        )
        ends.both.bus.publish(Topic.KASMINA_COMMANDS, message)

    for number, kind in enumerate((ANSWERED, ORDERED, "emergency-stop.v1"), start=1):
        forged(kind, number)

    def obey(body: str) -> None:
        raise ValueError(f"no order: {body}")

    events = ends.run(HEADER, tamiyo, CURVE, obey=obey)

    assert lines(events) == lines(recorded(HEADER, tamiyo, CURVE))
    reasons = {letter.consumer: [] for letter in ends.both.bus.dead_letters()}
    for letter in ends.both.bus.dead_letters():
        reasons[letter.consumer].append(letter.reason)
    (trainer, service) = (reasons["kasmina-run"], reasons["tamiyo-1"])
    assert ["holds no ControlBatch" in trainer[0], "no order" in trainer[1], "a run takes" in trainer[2]] == [True] * 3
    assert len(service) == 1, "commands are not the service's to read, but what is neither event nor command is foreign"


def test_an_answer_that_decides_for_another_boundary_is_not_taken() -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo))
    ends.both.start_service()
    batch = ControlBatch(epoch=3, failed="the policy is said to have failed")
    message = value_envelope(
        batch,
        kind=ANSWERED,
        name="forged",
        source="x",
        run=RUN,
        stream="x",
        sequence=1,
        epoch=3,
        causation="run/request/2",
    )
    ends.both.bus.publish(Topic.KASMINA_COMMANDS, message)

    assert lines(ends.run(HEADER, tamiyo, CURVE)) == lines(recorded(HEADER, tamiyo, CURVE))


def test_a_foreign_run_that_makes_no_sense_is_lost_without_harm_to_the_others() -> None:
    log = StringIO()
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo), log=JsonLines(log))
    ends.both.start_service()
    moved = AlphaChanged(epoch=3, seed=SeedId(layer=0, index=0), alpha=0.5, steps=1, reason="a step")
    ends.both.bus.publish(Topic.KASMINA_RESPONSES, event_envelope(moved, run="ghost", position=1, source="kasmina"))
    stolen = event_envelope(moved, run=RUN, position=4, source="x").model_copy(update={"id": "mine"})
    ends.both.bus.publish(Topic.KASMINA_RESPONSES, stolen)

    assert lines(ends.run(HEADER, tamiyo, CURVE)) == lines(recorded(HEADER, tamiyo, CURVE))
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["run"] for line in said if line["event"] == "run.lost"] == ["ghost"]
    assert [line["id"] for line in said if line["event"] == "message.rejected"] == ["mine"]


@pytest.mark.parametrize("position", [2, 999], ids=["its beginning is missing", "it is far beyond the window"])
def test_a_run_of_which_a_part_is_no_longer_kept_is_lost_and_nothing_of_it_waits(position: int) -> None:
    log = StringIO()
    ends = TwoEnds(always(ChaoticTamiyo()), log=JsonLines(log))
    service = ends.both.start_service()
    moved = AlphaChanged(epoch=3, seed=SeedId(layer=0, index=0), alpha=0.5, steps=1, reason="a step")
    ends.both.bus.publish(Topic.KASMINA_RESPONSES, event_envelope(moved, run="old", position=position, source="x"))

    ends.both.serve()
    ends.both.clock.wait(GAP_S + 1)
    ends.both.serve()

    assert service.ended("old")
    service.close()
    again = ends.both.bus.subscribe((Topic.KASMINA_RESPONSES,), "tamiyo-1")
    assert again.next(0) is None, "what was held back is confirmed"
    assert [line["run"] for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "run.lost"] == [
        "old"
    ]


def test_a_bus_that_can_be_read_but_takes_nothing_opens_the_breaker_too() -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo), full=lambda call: call >= 60)
    ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE)

    opened = [event for event in events if isinstance(event, BreakerMoved)]
    assert (opened[0].breaker, opened[0].target) == ("bus", BreakerState.OPEN)
    assert [event.ending for event in events if isinstance(event, RunEnded)] == [RunEnding.COMPLETED]


def test_an_outage_that_is_overcome_leaves_no_trace_in_the_run() -> None:
    tamiyo = ChaoticTamiyo()
    log = StringIO()
    ends = TwoEnds(always(tamiyo), log=JsonLines(log), away=lambda call: call % 97 in {40, 41, 42})
    ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE)

    assert lines(events) == lines(recorded(HEADER, tamiyo, CURVE))
    recoveries = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "recovery.tried"]
    assert recoveries and all(line["recovered"] and line["error"] == "NETWORK_ERROR" for line in recoveries)


def test_an_outage_that_lasts_opens_the_breaker_and_the_run_goes_on_without() -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo), away=lambda call: 150 <= call < 170)
    ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE)

    opened = [event for event in events if isinstance(event, BreakerMoved)]
    assert (opened[0].breaker, opened[0].target) == ("bus", BreakerState.OPEN)
    assert any(isinstance(event, ControllerSilent) for event in events)
    assert [event.ending for event in events if isinstance(event, RunEnded)] == [RunEnding.COMPLETED]
    replays(events, tamiyo)


def test_a_pause_stops_germinations_and_a_resume_lets_them_go_on() -> None:
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo))
    ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE, people=Switched({2: GrowthPaused, 12: GrowthResumed}))

    germinated = [event.epoch for event in events if isinstance(event, SeedGerminated)]
    assert not any(2 <= epoch < 12 for epoch in germinated) and max(germinated) >= 12
    assert any(isinstance(event, CommandRefused) and event.rule == "paused" for event in events)
    replays(events, tamiyo)


def test_a_service_counts_what_it_does_and_logs_every_decision_with_its_reason() -> None:
    log = StringIO()
    tamiyo = ChaoticTamiyo()
    ends = TwoEnds(always(tamiyo), log=JsonLines(log))
    service = ends.both.start_service()

    events = ends.run(HEADER, tamiyo, CURVE)
    while service.turn(0):
        pass
    service.say_statistics()

    counted = service.statistics()
    made = [event for event in events if isinstance(event, DecisionMade)]
    assert (counted.runs_followed, counted.total_decisions_made) == (1, len(made))
    reports = sum(event.report.seeds for event in events if isinstance(event, LayerHealthReported))
    assert counted.total_health_signals_processed == reports
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    decided = [line for line in said if line["event"] in {"decision.reached", "decision.rejected"}]
    assert [line["reason"] for line in decided] == [event.decision.reason for event in made]
    assert all(line["violations"] for line in decided if line["event"] == "decision.rejected")
    assert sum(line["event"] == "decision.rejected" for line in decided) == counted.safety_rejections
    germinations = [event for event in made if isinstance(event.decision.command, Germinate)]
    assert counted.safety_rejections <= len(germinations)
    assert sum(counted.rejections_by_check.values()) >= counted.safety_rejections
    moves = [line["reason"] for line in said if line["event"] == StageChanged.TOPIC]
    assert moves == [event.reason for event in events if isinstance(event, StageChanged)]
    assert said[-1]["total_decisions_made"] == len(made) or said[-1]["event"] == "tamiyo.warning"
    assert counted.decision_latency_ms == 0, "by the clock that it was given"
    assert sum(isinstance(event, EpochCompleted) for event in events) == 23
