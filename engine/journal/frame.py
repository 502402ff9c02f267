"""The rest of the library's frame over a journal: a mapper with our codec, and a factory for its recorders.

With these the library's own event store, applications and projection runners work on a journal. Give them
``PERSISTENCE_MODULE="engine.journal.frame"``, ``MAPPER_TOPIC="engine.journal.frame:StreamMapper"`` and
``JOURNAL_URL="sqlite:///the/journal.db"``, or any other address that ``Journal.open`` takes, for an environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    ProcessRecorder,
    StoredEvent,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.sqlite import SQLiteAggregateRecorder
from eventsourcing.utils import Environment, EnvType, resolve_topic

from domain.events import DomainEvent
from engine.journal.addresses import open_store
from engine.journal.blobs import BlobPlace
from engine.journal.codec import Codec
from engine.journal.recorder import JournalRecorder


@final
@dataclass(frozen=True, slots=True)
class Streamed:
    """An event in its stream, as the library wants to see one."""

    originator_id: str
    """The run."""
    originator_version: int
    """The position, counted from 1."""
    event: DomainEvent


@final
class StreamMapper(Mapper[str]):
    """Our codec behind the library's mapper interface: validated both ways, topics owned."""

    def __init__(self, *, blobs: BlobPlace, codec: Codec | None = None) -> None:
        self._codec: Final = codec or Codec()
        self._blobs: Final = blobs

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Encode a ``Streamed``."""
        run_id, position = domain_event.originator_id, domain_event.originator_version
        (row,) = self._codec.rows([domain_event.event], position, self._blobs.for_run(run_id))
        return StoredEvent(run_id, position, row.topic, row.state)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Decode into a ``Streamed``. Raises what ``Codec.decode`` raises."""
        run_id = str(stored_event.originator_id)
        event = self._codec.decode(stored_event.topic, stored_event.state, self._blobs.for_run(run_id))
        return Streamed(run_id, stored_event.originator_version, event)


@final
class JournalFactory(InfrastructureFactory[TrackingRecorder]):
    """The recorders of one journal."""

    JOURNAL_URL: Final = "JOURNAL_URL"

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        url = self.env.get(self.JOURNAL_URL)
        if not url:
            raise OSError(f"{self.JOURNAL_URL} is not set; set it to the journal's address")
        opened = open_store(url)
        assert isinstance(opened.store, ProcessRecorder)
        self._blobs = opened.blobs
        self._recorders: list[Any] = [opened.store]
        self.datastore: Any = self._recorders[0].datastore

    def mapper(
        self, transcoder: Transcoder | None = None, mapper_class: type[Mapper[Any]] | None = None
    ) -> Mapper[Any]:
        """Our mapper where it is named, with the journal's blobs; any other as the library makes it."""
        named = self.env.get(self.MAPPER_TOPIC)
        if mapper_class is None and named and resolve_topic(named) is StreamMapper:
            return StreamMapper(blobs=self._blobs)
        return super().mapper(transcoder, mapper_class)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Streams without notifications, such as snapshots, in a table of their own."""
        if isinstance(self._recorders[0], JournalRecorder):
            kind: Any = SQLiteAggregateRecorder
        else:
            from eventsourcing.postgres import PostgresAggregateRecorder as kind  # noqa: N813
        recorder: Any = kind(self.datastore, events_table_name=f"library_{purpose}")
        recorder.create_table()
        assert isinstance(recorder, AggregateRecorder)
        return recorder

    def application_recorder(self) -> ApplicationRecorder:
        """The journal's own recorder."""
        return self._recorder()

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        """A recorder of positions, of the class that a projection brings or names if it does."""
        named = self.env.get(self.TRACKING_RECORDER_TOPIC)
        kind: Any = tracking_recorder_class or (resolve_topic(named) if named else None)
        if kind is None:
            return self._recorder()
        recorder: Any = kind(self.datastore)
        recorder.create_table()
        assert isinstance(recorder, TrackingRecorder)
        return recorder

    def process_recorder(self) -> ProcessRecorder:
        """The journal's own recorder."""
        return self._recorder()

    def close(self) -> None:
        """End subscriptions and close the journal."""
        for recorder in self._recorders:
            recorder.close()

    def _recorder(self) -> ProcessRecorder:
        recorder: ProcessRecorder = type(self._recorders[0])(self.datastore)
        self._recorders.append(recorder)
        return recorder
