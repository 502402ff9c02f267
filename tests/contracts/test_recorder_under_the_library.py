"""The library's own event store and projection runner, on a journal with our codec."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import EventStore, IntegrityError, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

from domain.events import DecisionMade, PanicRaised
from engine.journal.frame import JournalFactory, Streamed
from engine.journal.journal import Journal
from tests.support.small_runs import append
from tests.support.stores import STORES, OnAFile, Place, place_of


class SeenInAFile(SQLiteTrackingRecorder):
    """A view with the position it got to."""


class SeenInADatabase(PostgresTrackingRecorder):
    """The same on a server."""


class Counting(Projection[Any]):
    """Counts the events of each type."""

    def __init__(self, view: Any) -> None:
        super().__init__(view)
        self.counts: Counter[str] = Counter()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        assert isinstance(domain_event, Streamed)
        self.counts[domain_event.event.TOPIC] += 1
        self.view.insert_tracking(tracking)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, tmp_path, request)


def _environment(place: Place) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "engine.journal.frame",
        "MAPPER_TOPIC": "engine.journal.frame:StreamMapper",
        "JOURNAL_URL": place.url,
    }


def test_a_projection_runner_follows_a_journal_that_another_writer_appends_to(place: Place) -> None:
    view = SeenInAFile if isinstance(place, OnAFile) else SeenInADatabase
    with Journal.open(place.url) as journal:
        append(journal, "run", range(2))
        with ProjectionRunner(
            application_class=Application[str], projection_class=Counting, view_class=view, env=_environment(place)
        ) as runner:
            append(journal, "run", range(2, 4))
            runner.wait(20, timeout=20.0)

            assert runner.projection.counts == {
                "layer-health-reported": 4,
                "epoch-completed": 4,
                "decision-made": 4,
                "stage-changed": 4,
                "epoch-sealed": 4,
            }


def test_the_librarys_event_store_reads_what_a_journal_wrote_and_writes_alike(place: Place) -> None:
    with Journal.open(place.url) as journal:
        append(journal, "run", range(1))
    factory = JournalFactory(_environment(place))
    store: EventStore[str] = factory.event_store()

    streamed = list(store.get("run", gt=2, lte=3))
    assert [type(entry.event) for entry in streamed] == [DecisionMade]  # type: ignore[attr-defined]
    event = Streamed("other", 1, PanicRaised(epoch=0, reason="x"))
    store.put([event])
    assert list(store.get("other")) == [event]
    with pytest.raises(IntegrityError):
        store.put([event])
    factory.close()
