"""The library's own recorder test cases, on our recorder."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import AggregateRecorder, ProcessRecorder, StoredEvent, TrackingRecorder
from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteTrackingRecorder
from eventsourcing.tests import persistence as library
from eventsourcing.utils import Environment

from engine.journal.datastore import JournalDatastore
from engine.journal.frame import JournalFactory
from engine.journal.recorder import JournalRecorder


class OnAFile:
    """Gives a test case a fresh file and run ids that are texts."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.datastore = JournalDatastore(Path(self.folder.name) / "journal.db")

    def tearDown(self) -> None:
        self.datastore.close()
        self.folder.cleanup()

    def new_originator_id(self) -> str:
        return str(uuid4())


class TestAggregateRecorder(OnAFile, library.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        recorder = SQLiteAggregateRecorder(self.datastore, events_table_name="library_snapshots")
        recorder.create_table()
        return recorder


class TestApplicationRecorder(OnAFile, library.ApplicationRecorderTestCase[JournalRecorder]):
    def create_recorder(self) -> JournalRecorder:
        return JournalRecorder(self.datastore)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorder(OnAFile, library.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return JournalRecorder(self.datastore)


class TestProcessRecorder(OnAFile, library.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return JournalRecorder(self.datastore)


class TestNonInterleavingNotificationIds(OnAFile, library.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> JournalRecorder:
        return JournalRecorder(self.datastore)


class Positions(SQLiteTrackingRecorder):
    """A tracking recorder such as a projection brings."""


class TestFactory(library.InfrastructureFactoryTestCase[Any]):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.env = Environment("TestCase")
        self.env["PERSISTENCE_MODULE"] = JournalFactory.__module__
        self.env["JOURNAL_PATH"] = str(Path(self.folder.name) / "journal.db")
        super().setUp()

    def tearDown(self) -> None:
        super().tearDown()
        self.folder.cleanup()

    def expected_factory_class(self) -> type[JournalFactory]:
        return JournalFactory

    def expected_aggregate_recorder_class(self) -> type[SQLiteAggregateRecorder]:
        return SQLiteAggregateRecorder

    def expected_application_recorder_class(self) -> type[JournalRecorder]:
        return JournalRecorder

    def expected_tracking_recorder_class(self) -> type[SQLiteTrackingRecorder]:
        return JournalRecorder

    def tracking_recorder_subclass(self) -> type[SQLiteTrackingRecorder]:
        return Positions

    def expected_process_recorder_class(self) -> type[JournalRecorder]:
        return JournalRecorder


def _stored(run_id: str, positions: Sequence[int]) -> list[StoredEvent]:
    return [StoredEvent(run_id, position, "topic", b"{}") for position in positions]


def test_a_notification_id_is_never_used_again_after_the_tail_is_deleted(tmp_path: Path) -> None:
    recorder = JournalRecorder(JournalDatastore(tmp_path / "journal.db"))
    assert recorder.insert_events(_stored("a", [1, 2, 3])) == [1, 2, 3]
    with recorder.datastore.transaction(commit=True) as cursor:
        cursor.execute("DELETE FROM stored_events WHERE notification_id > 1")

    ids = recorder.insert_events(_stored("a", [2, 3]))

    assert ids == [4, 5]
    recorder.close()


def test_a_connection_waits_for_the_disk_as_it_was_told(tmp_path: Path) -> None:
    found = []
    for synchronous in ("normal", "full"):
        recorder = JournalRecorder(JournalDatastore(tmp_path / "journal.db", synchronous=synchronous))
        with recorder.datastore.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA synchronous")
            found.append(cursor.fetchone()[0])
        recorder.close()

    assert found == [1, 2]


def test_a_subscription_to_a_topic_skips_what_nobody_wants_only_once(tmp_path: Path) -> None:
    recorder = JournalRecorder(JournalDatastore(tmp_path / "journal.db"))
    recorder.insert_events(_stored("a", range(1, 1201)))
    recorder.insert_events([StoredEvent("a", 1201, "wanted", b"{}")])

    with recorder.subscribe(gt=0, topics=["wanted"]) as subscription:
        found = next(subscription)

    assert found.originator_version == 1201
    recorder.close()
