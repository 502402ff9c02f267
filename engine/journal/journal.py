"""The append-only store of runs: one stream of events a run, appended an epoch at a time, whole or not at all.

The store's frame is the library's: recorder, connection pool, notifications, subscriptions and tracking. What it
lacks is here: epochs that are atomic and idempotent, seals, owned topics, names, notes, and errors that say what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self, TypeVar, final

from eventsourcing.persistence import IntegrityError

from domain.events import DomainEvent, EpochSealed, RunForked, RunStarted
from domain.header import RunHeader
from engine.journal.addresses import Opened, open_store
from engine.journal.blobs import RunBlobs
from engine.journal.codec import Codec, Stored
from engine.journal.entries import Recorded, RunSummary
from engine.journal.errors import (
    Damage,
    EpochConflict,
    JournalDamaged,
    JournalError,
    KeyRefused,
    RunMissing,
)
from engine.journal.failures import translated
from engine.journal.names import checked
from engine.journal.seals import GENESIS_HEAD, Chain, Head, Row, body, chain_to_seal, verify_chain

EventT = TypeVar("EventT", bound=DomainEvent)


@final
class Journal(AbstractContextManager["Journal"]):
    """A journal that is open. Use it as a context manager, or close it."""

    def __init__(self, opened: Opened, codec: Codec | None = None) -> None:
        self._store: Final = opened.store
        self._blobs: Final = opened.blobs
        self.name: Final = opened.name
        """The address it was opened under, without a password."""
        self.is_encrypted: Final = opened.is_encrypted
        self.codec: Final = codec or Codec()
        self._ends: Final[dict[str, Head]] = {}
        self._pasts: Final[dict[str, tuple[list[Row], list[Head]]]] = {}

    @classmethod
    def open(cls, url: str, *, key: str | None = None, codec: Codec | None = None) -> Journal:
        """Open or make the journal at ``url``: a file or a PostgreSQL database; ``addresses`` says how to write it.

        With a ``key`` it is encrypted. Raises UnknownStore, KeyRefused, NotAJournal, JournalTooNew, StorageFailed.
        """
        return cls(open_store(url, key), codec)

    def close(self) -> None:
        """End every ``follow`` and close the file."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def admit(self, header: RunHeader) -> None:
        """Raise KeyRefused if a run under ``header`` has to be encrypted and this journal is plain."""
        if header.safety.encryption_required and not self.is_encrypted:
            raise KeyRefused(
                f"{self.name} is not encrypted but safety.encryption_required is set; make a key with `regrow new-key`, "
                "put it into REGROW_CIPHER_KEY and name a journal that is new or empty"
            )

    def _admit(self, events: Iterable[DomainEvent]) -> None:
        for event in events:
            if isinstance(event, RunStarted | RunForked):
                self.admit(event.header)

    def new_run_id(self, base: str) -> str:
        """Take the name ``base``, or ``base.2``, ``base.3``, … if it is taken; no other process gets the same."""
        checked(base)
        number = 1
        with translated(self.name):
            while not self._store.claim(run_id := base if number == 1 else f"{base}.{number}"):
                number += 1
        return checked(run_id)

    def rows(self, run_id: str, events: Sequence[DomainEvent], first_position: int) -> list[Row]:
        """The rows that ``append_epoch`` would store, for ``seals.chain``. Large bodies go to the run's blobs at once."""
        return self.codec.rows(events, first_position, self.blobs(run_id))

    def append_epoch(self, run_id: str, first_position: int, events: Sequence[DomainEvent]) -> Head:
        """Record a whole epoch, its seal last, in one transaction; return its head.

        The same epoch twice adds nothing. Raises EpochConflict if something else is recorded at or before these
        positions, StorageFailed, JournalBusy. Whatever is raised, nothing of the epoch was recorded, what was recorded
        before stays, and the caller still has its events.
        """
        self._admit(events[:1])  # where a header comes, it comes first
        seal = _checked_seal(events)
        rows = self.rows(run_id, events, first_position)
        before = self._head_before(run_id, first_position)
        log_digest, digest = chain_to_seal(before.digest, rows)
        head = Head(seal.epoch, rows[-1].position, digest)
        if before.position == first_position - 1 and (seal.epoch, seal.log_digest) != (before.epoch + 1, log_digest):
            raise EpochConflict(
                f"epoch {seal.epoch} of {run_id} was sealed after another history than the one recorded up to "
                f"position {before.position}; resume the run from there or record under another name"
            )
        return self._append(run_id, rows, head, before)

    def seal_epoch(
        self,
        run_id: str,
        first_position: int,
        events: Sequence[DomainEvent],
        *,
        epoch: int,
        state_digest: str,
        memory_digest: str,
        alone: bool = False,
        held: bool = False,
    ) -> tuple[EpochSealed, Head]:
        """Make the seal of an epoch and record both, as ``append_epoch`` would; everything is encoded only once.

        ``alone`` raises EpochConflict for an epoch that is recorded already, the same one included. What is ``held`` is
        recorded with the next epoch that is not, in one transaction; until then it is nowhere but in memory.
        """
        self._admit(events[:1])
        blobs = self.blobs(run_id)
        rows = self.codec.rows(events, first_position, blobs)
        before = self._head_before(run_id, first_position)
        running = Chain(before.digest, rows)
        seal = EpochSealed(
            epoch=epoch,
            events=len(events),
            log_digest=running.digest,
            state_digest=state_digest,
            memory_digest=memory_digest,
        )
        rows += self.codec.rows([seal], first_position + len(events), blobs)
        head = Head(epoch, rows[-1].position, running.then(rows[-1]))
        return seal, self._append(run_id, rows, head, before, alone=alone, held=held)

    def share_past(self, parent: str, upto: Head, run_id: str) -> None:
        """Let the new run ``run_id`` begin with what ``parent`` recorded up to ``upto``.

        It is recorded together with the first epoch that the run appends, in one transaction: a fork that gets no
        further than its past leaves nothing.
        """
        rows = self.codec.moved(self.raw(parent, 0, upto.position), self.blobs(parent), self.blobs(run_id))
        heads = [head for head in self.heads(parent) if head.position <= upto.position]
        self._pasts[run_id] = (rows, heads)
        self._ends[run_id] = upto

    def _head_before(self, run_id: str, first_position: int) -> Head:
        """The head that ends right before ``first_position``, if there is one; else the run's last.

        What this journal appended last is remembered, and nothing is asked for a first epoch: if something is
        recorded there, the insert will find out.
        """
        known = GENESIS_HEAD if first_position == 1 else self._ends.get(run_id)
        if known is not None and known.position == first_position - 1:
            return known
        with translated(self.name):
            heads = self._store.select_heads(checked(run_id))
        last = heads[-1] if heads else GENESIS_HEAD
        return next((head for head in heads if head.position == first_position - 1), last)

    def _append(
        self, run_id: str, rows: list[Row], head: Head, before: Head, *, alone: bool = False, held: bool = False
    ) -> Head:
        """Record an epoch that goes after ``before``, or find that it is recorded already."""
        if before.position != rows[0].position - 1:
            return self._again(run_id, rows)
        assert head.epoch == before.epoch + 1, f"epoch {head.epoch} cannot follow epoch {before.epoch}"
        past, heads = self._pasts.get(run_id, ([], []))
        pending = [*past, *rows], [*heads, head]
        if held:
            self._pasts[run_id], self._ends[run_id] = pending, head
            return head
        with translated(self.name):
            try:
                self._store.insert_epochs(run_id, *pending)
            except IntegrityError:  # recorded before, or another process was faster
                self._ends.pop(run_id, None)
                if alone:
                    raise _overtaken(run_id, head.epoch) from None
                return self._again(run_id, rows)
        self._pasts.pop(run_id, None)
        self._ends[run_id] = head
        return head

    def _again(self, run_id: str, rows: Sequence[Row]) -> Head:
        """The head of an epoch that is recorded already. Raises EpochConflict if what is recorded differs."""
        first, until = rows[0].position, rows[-1].position
        last = self.head(run_id) or GENESIS_HEAD
        if first > last.position + 1:
            raise EpochConflict(
                f"{run_id} ends at position {last.position}, so an epoch cannot begin at {first}; append the ones between"
            )
        recorded = self.raw(run_id, first - 1, until)
        for ours, theirs in zip(rows, recorded, strict=False):
            if ours.topic != theirs.topic or body(ours.state) != body(theirs.state):
                raise EpochConflict(
                    f"{run_id} holds another {theirs.topic.partition(':')[0]} at position {ours.position}; "
                    "resume the run from its end or record under another name"
                )
        head = next((head for head in self.heads(run_id) if head.position == until), None)
        if len(recorded) != len(rows) or head is None:
            raise EpochConflict(f"{run_id} ends at position {last.position}, inside this epoch ({first} to {until})")
        return head

    def adopt(self, base: str, rows: Sequence[Row], heads: Sequence[Head]) -> str:
        """Record a whole run that ``verify_chain`` passed, in one transaction; return its id.

        That is ``base`` or the next free name after it, or the id under which the very same run is recorded already.
        """
        checked(base)
        topics = {topic for kind in (RunStarted, RunForked) for topic in self.codec.topics(kind)}
        self._admit(self.codec.decode(row.topic, row.state) for row in rows if row.topic in topics)
        for known in self.runs():
            is_namesake = known == base or (known.startswith(f"{base}.") and known[len(base) + 1 :].isdecimal())
            if is_namesake and self.heads(known) == list(heads):
                return known
        run_id = self.new_run_id(base)
        rows = self.codec.checked_in(rows, self.blobs(run_id))
        with translated(self.name):
            self._store.insert_epochs(run_id, rows, heads)
        return run_id

    def note(self, run_id: str, key: str, value: str) -> None:
        """Keep ``value`` beside the run: wall clock, host name and the like, which no digest covers."""
        with translated(self.name):
            self._store.put_note(checked(run_id), key, value)

    # Reading

    def notes(self, run_id: str) -> dict[str, str]:
        """What ``note`` kept."""
        with translated(self.name):
            return self._store.select_notes(run_id)

    def runs(self) -> list[str]:
        """The runs that hold at least one epoch, oldest first."""
        with translated(self.name):
            return [run_id for run_id, _, _ in self._store.select_runs()]

    def head(self, run_id: str) -> Head | None:
        """Where a run stands: its last sealed epoch, the position of the seal, its digest. None if nothing is sealed."""
        with translated(self.name):
            return self._store.last_head(run_id)

    def heads(self, run_id: str) -> list[Head]:
        """The head of each epoch in order, from epoch 0."""
        with translated(self.name):
            return self._store.select_heads(run_id)

    def raw(self, run_id: str, after: int = 0, upto: int | None = None) -> list[Row]:
        """Rows as they are stored, unchecked, with ``after`` < position <= ``upto``."""
        with translated(self.name):
            return self._store.select_rows(run_id, after, upto)

    def events(self, run_id: str, after: int = 0, upto: int | None = None) -> tuple[DomainEvent, ...]:
        """The events of a run with ``after`` < position <= ``upto``; none if there is no such run.

        Raises JournalDamaged at the first event whose bytes changed or that is missing, JournalTooNew.
        """
        with translated(self.name):
            rows = self._store.fetch_rows(run_id, after, upto)
        return tuple(self._read(run_id, rows, max(after, 0) + 1))

    def _read(self, run_id: str, rows: Sequence[Stored], first_position: int) -> list[DomainEvent]:
        events = self.codec.read(rows, first_position, self.blobs(run_id))
        if isinstance(events, Damage):
            raise JournalDamaged(run_id, events)
        return events

    def select(
        self, run_id: str, wanted: Callable[[str, bytes], bool], upto: int | None = None
    ) -> Iterator[DomainEvent]:
        """The events of a run whose stored topic and body are ``wanted`` when their turn comes; the rest is not decoded.

        Checks positions and checksums of all and raises as ``events`` does.
        """
        with translated(self.name):
            rows = self._store.fetch_rows(run_id, 0, upto)
        for event in self.codec.read_lazily(rows, 1, self.blobs(run_id), wanted):
            if isinstance(event, Damage):
                raise JournalDamaged(run_id, event)
            yield event

    def last(self, run_id: str, kind: type[EventT]) -> tuple[int, EventT] | None:
        """Position and content of the latest event of a type; None if there is none."""
        with translated(self.name):
            rows = self._store.select_last_rows(run_id, self.codec.topics(kind))
        for row in rows:
            (event,) = self.events(run_id, row.position - 1, row.position)
            assert isinstance(event, kind)
            return row.position, event
        return None

    def summaries(self, *kinds: type[DomainEvent]) -> tuple[RunSummary, ...]:
        """Every run at a glance, oldest first, with its latest event of each of ``kinds``; two small reads a run."""
        topics = [topic for kind in kinds for topic in self.codec.topics(kind)]
        with translated(self.name):
            found = self._store.select_runs()
            return tuple(self._summary(run_id, head, before, topics) for run_id, head, before in found)

    def _summary(self, run_id: str, head: Head, before: int, topics: Sequence[str]) -> RunSummary:
        first = self.events(run_id, 0, 1)
        if not first:
            raise _damaged(run_id, 1, "positions have no gaps", "the first event is missing")
        rows = self._store.select_rows(run_id, before, head.position, topics) if topics else []
        latest = [event for row in rows for event in self._read(run_id, [row], row.position)]
        return RunSummary(run_id, head, first[0], {type(event): event for event in latest})

    def follow(self, after_notification: int = 0) -> Iterator[Recorded]:
        """Every event of every run, in the order of recording, then those to come. Ends when the journal is closed."""
        with translated(self.name), self._store.subscribe(gt=after_notification) as subscription:
            for notification in subscription:
                run_id = str(notification.originator_id)
                event = self.codec.decode(notification.topic, notification.state, self.blobs(run_id))
                yield Recorded(notification.id, run_id, notification.originator_version, event)

    def blobs(self, run_id: str) -> RunBlobs:
        """The run's blobs: bodies of large events, checkpoints."""
        return self._blobs.for_run(run_id)

    def drop_blobs(self, run_id: str) -> None:
        """Drop what was kept for a run of which nothing was recorded in the end."""
        assert self.head(run_id) is None, f"{run_id} is recorded and keeps its blobs"
        self._pasts.pop(run_id, None)
        self._blobs.drop(run_id)

    def verify(self, run_id: str) -> tuple[Head, ...]:
        """Rung 1: the run is as it was sealed. Returns the heads of its epochs.

        Raises JournalDamaged with the position, RunMissing, JournalTooNew.
        """
        with translated(self.name):
            positions = self._store.select_positions(run_id)
            heads = self._store.select_heads(run_id)
            if not positions and not heads:
                raise RunMissing(f"there is no run {run_id!r} in {self.name}; `regrow runs` lists those there are")
            rows = self._readable_rows(run_id, positions)
            result = verify_chain(rows, heads, self.codec, self.blobs(run_id))
            if isinstance(result, Damage):
                raise JournalDamaged(run_id, result)
            self._check_file(run_id)
        return result

    def _readable_rows(self, run_id: str, positions: Sequence[int]) -> list[Row]:
        """All rows; where the file cannot be read at all, damage at the first position that cannot."""
        try:
            with translated(self.name):
                return self._store.select_rows(run_id)
        except JournalError as whole:
            for position in positions:
                try:
                    with translated(self.name):
                        self._store.select_rows(run_id, position - 1, position)
                except JournalError as error:
                    raise _damaged(run_id, position, "the file can be read", str(error)) from error
            raise whole from None

    def _check_file(self, run_id: str) -> None:
        """Ask the database whether its own structure is whole: its index may hide a change from the rows."""
        found = self._store.complaint()
        if found is not None:
            complaint, place = found
            if place is None or place[0] == run_id:
                raise _damaged(run_id, place[1] if place else 1, "the file is whole", complaint)


def _checked_seal(events: Sequence[DomainEvent]) -> EpochSealed:
    """The seal at the end of an epoch. What is wrong here is our own bug."""
    assert events, "an epoch has at least its seal"
    seal = events[-1]
    assert isinstance(seal, EpochSealed), f"an epoch ends in its seal but got {type(seal).__name__}"
    assert not any(isinstance(event, EpochSealed) for event in events[:-1]), "an epoch has one seal"
    assert seal.events == len(events) - 1, f"the seal counts {seal.events} of {len(events) - 1} events"
    return seal


def _damaged(run_id: str, position: int, rule: str, detail: str) -> JournalDamaged:
    return JournalDamaged(run_id, Damage(position, position, rule, detail))


def _overtaken(run_id: str, epoch: int) -> EpochConflict:
    return EpochConflict(
        f"another process records {run_id} too and was faster at epoch {epoch}; leave it to that one, nothing is lost"
    )
