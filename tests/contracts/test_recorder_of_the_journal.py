"""The library's own recorder test cases, on our recorders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import AggregateRecorder, IntegrityError, ProcessRecorder, StoredEvent, TrackingRecorder
from eventsourcing.postgres import PostgresAggregateRecorder, PostgresTrackingRecorder
from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteTrackingRecorder
from eventsourcing.tests import persistence as library
from eventsourcing.utils import Environment

from engine.journal.addresses import open_store
from engine.journal.datastore import JournalDatastore
from engine.journal.frame import JournalFactory
from engine.journal.postgres import PostgresJournalRecorder
from engine.journal.recorder import JournalRecorder
from tests.support.stores import STORES, OnAFile, OnAServer, Place, place_of


class InAFile:
    """Gives a test case a fresh file and run ids that are texts."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.first: Any = open_store(OnAFile(Path(self.folder.name) / "journal.db").url).store

    def tearDown(self) -> None:
        self.first.close()
        self.folder.cleanup()

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> Any:
        return type(self.first)(self.first.datastore)


class InADatabase(InAFile):
    """Gives a test case a fresh schema."""

    server: str

    @pytest.fixture(autouse=True)
    def _on(self, postgres: str) -> None:
        self.server = postgres

    def setUp(self) -> None:
        self.first = open_store(OnAServer(self.server).url).store

    def tearDown(self) -> None:
        self.first.close()


class OfSnapshots:
    """Gives a test case the library's recorder of streams without notifications, beside a journal."""

    first: Any
    kind: type[AggregateRecorder]

    def create_recorder(self) -> AggregateRecorder:
        recorder: Any = self.kind(self.first.datastore, events_table_name="library_snapshots")
        recorder.create_table()
        return recorder


class TestAggregateRecorderInAFile(OfSnapshots, InAFile, library.AggregateRecorderTestCase):
    kind = SQLiteAggregateRecorder


class TestAggregateRecorderInADatabase(OfSnapshots, InADatabase, library.AggregateRecorderTestCase):
    kind = PostgresAggregateRecorder


class TestApplicationRecorderInAFile(InAFile, library.ApplicationRecorderTestCase[JournalRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderInADatabase(InADatabase, library.ApplicationRecorderTestCase[PostgresJournalRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorderInAFile(InAFile, library.TrackingRecorderTestCase):
    pass


class TestTrackingRecorderInADatabase(InADatabase, library.TrackingRecorderTestCase):
    pass


class TestProcessRecorderInAFile(InAFile, library.ProcessRecorderTestCase):
    pass


class TestProcessRecorderInADatabase(InADatabase, library.ProcessRecorderTestCase):
    pass


class TestNonInterleavingNotificationIdsInAFile(InAFile, library.NonInterleavingNotificationIDsBaseCase):
    pass


class TestNonInterleavingNotificationIdsInADatabase(InADatabase, library.NonInterleavingNotificationIDsBaseCase):
    pass


class PositionsInAFile(SQLiteTrackingRecorder):
    """A tracking recorder such as a projection brings."""


class PositionsInADatabase(PostgresTrackingRecorder):
    """A tracking recorder such as a projection brings."""


class OfAFactory:
    """Gives a test case what it expects of our factory."""

    place: Place
    recorder: type[Any]
    snapshots: type[AggregateRecorder]
    positions: type[TrackingRecorder]

    def setUp(self) -> None:
        self.env = Environment("TestCase")
        self.env["PERSISTENCE_MODULE"] = JournalFactory.__module__
        self.env["JOURNAL_URL"] = self.place.url
        super().setUp()

    def expected_factory_class(self) -> type[JournalFactory]:
        return JournalFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return self.snapshots

    def expected_application_recorder_class(self) -> type[Any]:
        return self.recorder

    def expected_tracking_recorder_class(self) -> type[Any]:
        return self.recorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return self.positions

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return self.recorder


class TestFactoryInAFile(OfAFactory, library.InfrastructureFactoryTestCase[Any]):
    recorder, snapshots, positions = JournalRecorder, SQLiteAggregateRecorder, PositionsInAFile

    @pytest.fixture(autouse=True)
    def _on(self, tmp_path: Path) -> None:
        self.place = OnAFile(tmp_path / "journal.db")


class TestFactoryInADatabase(OfAFactory, library.InfrastructureFactoryTestCase[Any]):
    recorder, snapshots, positions = PostgresJournalRecorder, PostgresAggregateRecorder, PositionsInADatabase

    @pytest.fixture(autouse=True)
    def _on(self, postgres: str) -> None:
        self.place = OnAServer(postgres)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, tmp_path, request)


@pytest.fixture
def recorder(place: Place) -> Iterator[Any]:
    opened: Any = open_store(place.url).store
    yield opened
    opened.close()


def _stored(run_id: str, positions: Sequence[int]) -> list[StoredEvent]:
    return [StoredEvent(run_id, position, "topic", b"{}") for position in positions]


def test_a_notification_id_is_never_used_again_after_the_tail_is_deleted(place: Place, recorder: Any) -> None:
    assert recorder.insert_events(_stored("a", [1, 2, 3])) == [1, 2, 3]
    place.execute("DELETE FROM stored_events WHERE notification_id > 1")

    ids = recorder.insert_events(_stored("a", [2, 3]))

    assert ids == [4, 5]


def test_a_conflict_uses_up_no_notification_ids(recorder: Any) -> None:
    recorder.insert_events(_stored("a", [1, 2]))
    with pytest.raises(IntegrityError):
        recorder.insert_events(_stored("a", [3, 2]))

    assert recorder.insert_events(_stored("a", [3])) == [3]


def test_a_connection_waits_for_the_disk_as_it_was_told(tmp_path: Path) -> None:
    found = []
    for synchronous in ("normal", "full"):
        recorder = JournalRecorder(JournalDatastore(tmp_path / "journal.db", synchronous=synchronous))
        with recorder.datastore.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA synchronous")
            found.append(cursor.fetchone()[0])
        recorder.close()

    assert found == [1, 2]


def test_a_commit_on_a_server_waits_for_the_disk_as_it_was_told(postgres: str) -> None:
    url, found = OnAServer(postgres).url, []
    for option in ("", "&synchronous=normal", "&synchronous=full"):
        opened: Any = open_store(url + option).store
        found += opened.datastore.fetch("SHOW synchronous_commit")
        opened.close()

    assert found == [("off",), ("off",), ("on",)]


def test_a_subscription_to_a_topic_skips_what_nobody_wants_only_once(recorder: Any) -> None:
    recorder.insert_events(_stored("a", range(1, 1201)))
    recorder.insert_events([StoredEvent("a", 1201, "wanted", b"{}")])

    with recorder.subscribe(gt=0, topics=["wanted"]) as subscription:
        found = next(subscription)

    assert found.originator_version == 1201
