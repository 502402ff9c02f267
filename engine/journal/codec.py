"""Events to bytes and back: canonical JSON, under a topic and version that we own.

Canonical means: fields in the order of declaration, no spaces, floats in their shortest exact form, not-a-number and
the infinities as strings. What was written reads back bit for bit, through the type's own validation.
"""

from __future__ import annotations

import gc
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, final

from pydantic_core import PydanticSerializationError

from domain.events import EVENTS, DomainEvent
from engine.journal.claims import CLAIM_BYTES_MIN, Claim, check_in, redeem
from engine.journal.errors import BlobDamaged, BlobMissing, Damage, JournalTooNew, Unrecordable
from engine.journal.seals import Row, check_of
from engine.journal.upcasts import UPCASTS, Upcasts, upcast

if TYPE_CHECKING:
    from engine.journal.blobs import RunBlobs

Reader = Callable[..., Any]

Stored = tuple[int, str, bytes, int]
"""A row as the database gives it: position, topic, state, checksum."""


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No garbage collection meanwhile: it would look through every event made so far, and none of them is garbage.

    Reading 20,000 events took three times as long with it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@final
class Codec:
    """The one table of topics, both ways."""

    def __init__(self, events: Sequence[type[DomainEvent]] = EVENTS, upcasts: Upcasts = UPCASTS) -> None:
        self._types: Final = {event.TOPIC: event for event in events}
        assert len(self._types) == len(events), "two events share a topic"
        self._upcasts: Final = upcasts
        self._topics: Final = {event: f"{event.TOPIC}:{event.VERSION}" for event in events}
        # Looked up once here: encoding and decoding are most of the time that appending and rebuilding take.
        self._writers: Final = {
            event: (topic, check_of(topic, b""), event.__pydantic_serializer__.to_json)
            for event, topic in self._topics.items()
        }
        self._readers: Final[dict[str, tuple[Reader, int]]] = {
            topic: (event.__pydantic_validator__.validate_json, check_of(topic, b""))
            for event, topic in self._topics.items()
        }

    def topic(self, event: type[DomainEvent]) -> str:
        """The stored topic of a type, such as ``stage-changed:1``."""
        return self._topics[event]

    def topics(self, event: type[DomainEvent]) -> tuple[str, ...]:
        """Every stored topic a type ever had, newest first."""
        return tuple(f"{event.TOPIC}:{version}" for version in range(event.VERSION, 0, -1))

    def encode(self, event: DomainEvent) -> bytes:
        """Canonical JSON. Raises Unrecordable for what JSON in UTF-8 cannot hold."""
        try:
            return self._writers[type(event)][2](event)
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise Unrecordable(f"{type(event).__name__} cannot be recorded: {error}; its text must be UTF-8") from error

    def decode(self, topic: str, state: bytes, blobs: RunBlobs | None = None) -> DomainEvent:
        """The event that was encoded. ``blobs`` is needed for claims only.

        Raises JournalTooNew for an unknown topic or a newer version, ValueError (pydantic's) for what is no such
        event, BlobMissing or BlobDamaged for a claim that cannot be redeemed.
        """
        if Claim.marks(state):
            assert blobs is not None, "a claim was read without the run's blobs"
            state = redeem(state, blobs)
        reader = self._readers.get(topic)
        if reader is not None:
            event: DomainEvent = reader[0](state, strict=False)
            return event
        return self._decode_older(topic, state)

    def rewrites(self, event: DomainEvent, topic: str, state: bytes) -> bool:
        """Whether ``event`` encodes to exactly what was stored. Claims prove it themselves; old versions cannot."""
        return Claim.marks(state) or topic not in self._readers or self.encode(event) == state

    def rows(self, events: Iterable[DomainEvent], first_position: int, blobs: RunBlobs) -> list[Row]:
        """Encode events as rows from ``first_position`` on; bodies over 1 MB go into ``blobs``. Raises Unrecordable."""
        writers, crc32, make = self._writers, zlib.crc32, Row._make
        rows = []
        for position, event in enumerate(events, start=first_position):
            topic, check, write = writers[type(event)]
            try:
                state = write(event)
            except (PydanticSerializationError, UnicodeEncodeError):
                state = self.encode(event)  # which says what is wrong
            if len(state) > CLAIM_BYTES_MIN:
                state = check_in(event, state, blobs)
            rows.append(make((position, topic, state, crc32(state, check))))
        return rows

    def read(self, rows: Iterable[Stored], first_position: int, blobs: RunBlobs) -> list[DomainEvent] | Damage:
        """Decode rows that must follow each other from ``first_position``, or say which is damaged.

        Checks positions and checksums; the chain is for ``verify_chain``. Raises JournalTooNew.
        """
        with _collector_paused():
            return self._read(rows, first_position, blobs)

    def read_lazily(
        self, rows: Iterable[Stored], first_position: int, blobs: RunBlobs, wanted: Callable[[str, bytes], bool]
    ) -> Iterator[DomainEvent | Damage]:
        """As ``read``, one by one, decoding only rows whose topic and body are ``wanted`` when their turn comes.

        Positions and checksums of the others are checked all the same. Ends at the first damage.
        """
        starts = {topic: start for topic, (_, start) in self._readers.items()}
        crc32, mark = zlib.crc32, Claim.MARK
        for expected, (position, topic, state, check) in enumerate(rows, start=first_position):
            start = starts.get(topic)
            if (
                start is not None
                and position == expected
                and isinstance(state, bytes)
                and crc32(state, start) == check
                and not state.startswith(mark)
                and not wanted(topic, state)
            ):
                continue
            opened = self.open(Row(position, topic, state, check), expected, blobs)
            yield opened
            if isinstance(opened, Damage):
                return

    def _read(self, rows: Iterable[Stored], first_position: int, blobs: RunBlobs) -> list[DomainEvent] | Damage:
        rows = list(rows)
        return self._read_whole(rows, first_position) or self._read_with_care(rows, first_position, blobs)

    def _read_whole(self, rows: Sequence[Stored], first_position: int) -> list[DomainEvent] | None:
        """All events, if every row is of today's version and nothing is wrong with any: the usual case, made fast."""
        readers, crc32 = self._readers, zlib.crc32
        events: list[DomainEvent] = []
        if [row[0] for row in rows] != list(range(first_position, first_position + len(rows))):
            return None
        try:
            for _, topic, state, check in rows:
                read, start = readers[topic]
                if crc32(state, start) != check:
                    return None
                events.append(read(state, strict=False))
        except (LookupError, ValueError, TypeError):  # an older version, a claim, or damage
            return None
        return events

    def _read_with_care(
        self, rows: Iterable[Stored], first_position: int, blobs: RunBlobs
    ) -> list[DomainEvent] | Damage:
        events: list[DomainEvent] = []
        for expected, (position, topic, state, check) in enumerate(rows, start=first_position):
            opened = self.open(Row(position, topic, state, check), expected, blobs)
            if isinstance(opened, Damage):
                return opened
            events.append(opened)
        return events

    def open(self, row: Row, expected: int, blobs: RunBlobs) -> DomainEvent | Damage:
        """The event of one row that should be at position ``expected``, if it is what was written there.

        Raises JournalTooNew.
        """
        if row.position != expected:
            return Damage(expected, expected, "positions have no gaps", f"the next event is at position {row.position}")
        if not isinstance(row.state, bytes) or check_of(row.topic, row.state) != row.check:
            return Damage(expected, expected, "events keep their bytes", f"topic or state of {row.topic!r} changed")
        try:
            return self.decode(row.topic, row.state, blobs)
        except (BlobMissing, BlobDamaged) as error:
            return Damage(expected, expected, "blobs keep their bytes", str(error))
        except ValueError as error:
            return Damage(expected, expected, "events can be read", " ".join(str(error).split())[:200])

    def checked_in(self, rows: Iterable[Row], blobs: RunBlobs) -> list[Row]:
        """The same rows with bodies over 1 MB in ``blobs``."""
        return [self._checked_in(row, blobs) if len(row.state) > CLAIM_BYTES_MIN else row for row in rows]

    def moved(self, rows: Iterable[Row], source: RunBlobs, target: RunBlobs) -> list[Row]:
        """The same rows, their claims kept in ``target`` as well. Raises BlobMissing, BlobDamaged."""
        rows = list(rows)
        for row in rows:
            if Claim.marks(row.state):
                target.put(source.get(Claim.parse(row.state).blob))
        return rows

    def _checked_in(self, row: Row, blobs: RunBlobs) -> Row:
        state = check_in(self.decode(row.topic, row.state), row.state, blobs)
        return Row(row.position, row.topic, state, check_of(row.topic, state))

    def _decode_older(self, topic: str, state: bytes) -> DomainEvent:
        name, _, version = topic.partition(":")
        event = self._types.get(name)
        if event is None or not version.isdecimal() or int(version) < 1:
            raise JournalTooNew(f"event topic {topic!r} is unknown to this regrow; use a newer regrow")
        fields = upcast(
            json.loads(state), topic=name, stored=int(version), current=event.VERSION, upcasts=self._upcasts
        )
        return event.model_validate_json(json.dumps(fields), strict=False)
