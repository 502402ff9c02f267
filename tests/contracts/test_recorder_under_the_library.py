"""The library's own event store and projection runner, on a journal's file with our codec."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import EventStore, IntegrityError, Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

from domain.events import DecisionMade, PanicRaised
from engine.journal.frame import JournalFactory, Streamed
from engine.journal.journal import Journal
from tests.support.small_runs import append


class Seen(SQLiteTrackingRecorder):
    """A view that counts the events of each type, with the position it got to."""

    counts: ClassVar[Counter[str]] = Counter()


class Counting(Projection[Seen]):
    """Counts."""

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        assert isinstance(domain_event, Streamed)
        self.view.counts[domain_event.event.TOPIC] += 1
        self.view.insert_tracking(tracking)


def _environment(path: Path) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "engine.journal.frame",
        "MAPPER_TOPIC": "engine.journal.frame:StreamMapper",
        "JOURNAL_PATH": str(path),
    }


def test_a_projection_runner_follows_a_journal_that_another_writer_appends_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(f"sqlite:///{path}") as journal:
        append(journal, "run", range(2))
        with ProjectionRunner(
            application_class=Application[str], projection_class=Counting, view_class=Seen, env=_environment(path)
        ) as runner:
            append(journal, "run", range(2, 4))
            runner.wait(20, timeout=20.0)

            assert runner.projection.view.counts == {
                "layer-health-reported": 4,
                "epoch-completed": 4,
                "decision-made": 4,
                "stage-changed": 4,
                "epoch-sealed": 4,
            }


def test_the_librarys_event_store_reads_what_a_journal_wrote_and_writes_alike(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(f"sqlite:///{path}") as journal:
        append(journal, "run", range(1))
    factory = JournalFactory(_environment(path))
    store: EventStore[str] = factory.event_store()

    streamed = list(store.get("run", gt=2, lte=3))
    assert [type(entry.event) for entry in streamed] == [DecisionMade]  # type: ignore[attr-defined]
    event = Streamed("other", 1, PanicRaised(epoch=0, reason="x"))
    store.put([event])
    assert list(store.get("other")) == [event]
    with pytest.raises(IntegrityError):
        store.put([event])
    factory.close()
