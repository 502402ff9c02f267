"""The live trainer and Tamiyo's service over a NATS server: telemetry, decisions and field reports travel on their topics.

One run, as designed, that grows once and ends its adaptation; its journal beside what a stranger hears on the bus.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from domain.commands import Advance, Germinate
from domain.events import (
    AdaptationRewarded,
    BlueprintProposed,
    DecisionMade,
    DomainEvent,
    FieldReportFiled,
    LayerHealthReported,
    SeedGerminated,
    StageChanged,
)
from domain.lifecycle import Outcome, Stage
from engine.journal.journal import Journal
from engine.oona.addresses import open_bus
from engine.oona.bus import Bus
from engine.oona.envelope import event_of
from engine.oona.topics import Topic
from engine.trainers.stores import MemoryStore
from scenarios.experiments.nats_server import running
from tests.support.commands import SMALL, Shell, ended

WAIT_S = 2.0
RUN = ("run", "xor4", "--tamiyo", "as_designed", "--karn", "evolution", "--key", "1", *SMALL)


@dataclass(frozen=True)
class Heard:
    """The run as its journal has it, what its service logged, and the bus that it was told on."""

    events: Sequence[DomainEvent]
    log: Sequence[dict[str, Any]]
    document: dict[str, Any]
    bus: Bus

    def of(self, kind: type[Any]) -> list[Any]:
        """The run's events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def on(self, topic: Topic) -> list[DomainEvent]:
        """What somebody hears who subscribes to a topic when all is over."""
        consumer = self.bus.subscribe((topic,), f"stranger-{topic.name}")
        found = []
        while (delivery := consumer.next(WAIT_S)) is not None:
            found.append(event_of(delivery.envelope))
            delivery.confirm()
        consumer.close()
        return found


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    shell = Shell(tmp_path_factory.mktemp("told"))
    with running(tmp_path_factory.mktemp("nats")) as server:
        service = shell.start("tamiyo", "--bus", server.url, "--log", "tamiyo.log")
        document = shell.ask(*RUN, "--bus", server.url)
        service.send_signal(signal.SIGINT)
        assert ended(service).code == 0
        said = [json.loads(line) for line in (shell.folder / "tamiyo.log").read_text().splitlines()]
        with Journal.open(f"sqlite:///{shell.journal}") as journal:
            events = journal.events(document["run"])
        bus = open_bus(server.url, MemoryStore())
        yield Heard(events, said, document, bus)
        bus.close()


def test_every_layer_reports_all_its_seeds_in_one_message_an_epoch(heard: Heard) -> None:
    told = heard.on(Topic.SEED_HEALTH)

    assert told == heard.of(LayerHealthReported)
    assert [event.epoch for event in told] == list(range(1, 41)), "one layer, one report an epoch"
    for event in heard.of(LayerHealthReported):
        assert list(event.report.health_metrics_by_seed) == [0, 1]


def test_field_reports_are_heard_on_their_topic_and_karn_answers_them(heard: Heard) -> None:
    reports = heard.of(FieldReportFiled)

    assert [event.report.outcome for event in reports] == [Outcome.FOSSILIZED]
    assert heard.on(Topic.FIELD_REPORTS) == [
        event for event in heard.events if isinstance(event, FieldReportFiled | AdaptationRewarded)
    ]
    proposed = [event for event in heard.on(Topic.CANDIDATES) if isinstance(event, BlueprintProposed)]
    assert [event.epoch for event in proposed] == [reports[0].epoch]


def test_the_service_waits_for_a_plateau_and_says_what_it_chose_and_by_what(heard: Heard) -> None:
    (first, *_) = [each.decision for each in heard.of(DecisionMade) if isinstance(each.decision.command, Germinate)]
    logged = [line for line in heard.log if line["event"] == "decision.reached" and line["command"] == said(first)]

    assert first.reason.startswith("no improvement for 4 epochs")
    assert len(first.considered) == 2 + 13, "both seeds and the first library"
    assert all(option.note for option in first.considered)
    assert first.command.grafting.value in first.reason
    assert [(line["reason"], line["epoch"]) for line in logged] == [(first.reason, heard.of(SeedGerminated)[0].epoch)]


def said(decision: Any) -> dict[str, Any]:
    """A command as the service logs it."""
    return dict(decision.command.model_dump(mode="json"))


def test_a_seed_goes_through_every_stage_at_the_end_of_an_epoch_by_order_of_the_service(heard: Heard) -> None:
    moved = [event for event in heard.of(StageChanged) if event.seed == heard.of(StageChanged)[0].seed]
    whole = moved[: 1 + [event.target for event in moved].index(Stage.FOSSILIZED)]
    ordered = {line["epoch"] for line in heard.log if line["event"] == "decision.reached"}

    assert [event.target for event in whole] == [
        Stage.GERMINATING,
        Stage.LOADING,
        Stage.TRAINING,
        Stage.GRAFTING,
        Stage.STABILIZATION,
        Stage.EVALUATING,
        Stage.FINE_TUNING,
        Stage.ACTIVE,
        Stage.FOSSILIZED,
    ]
    assert {event.epoch for event in whole} <= ordered, "nothing moves but by an order of its boundary"
    assert any(isinstance(event.decision.command, Advance) for event in heard.of(DecisionMade))


def test_one_process_records_the_same_run(heard: Heard, tmp_path: Path) -> None:
    alone = Shell(tmp_path).ask(*RUN)

    assert alone == heard.document
