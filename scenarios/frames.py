"""Read models over a journal: what ``Lab.frames`` and ``regrow query`` are made of. polars loads on the first use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from domain.events import DomainEvent
from engine.journal.errors import Damage, JournalDamaged
from engine.journal.journal import Journal
from engine.journal.seals import Row
from projections.errors import OutOfStep
from scenarios.runs.history import is_evolution

if TYPE_CHECKING:
    import polars

    from projections.read_models import ReadModels

SLICE: Final = 16_384
"""Events that are read at once."""


def frames(journal: Journal, names: Iterable[str] | None = None) -> dict[str, polars.DataFrame]:
    """The views by name, all or those that are named, of everything the journal holds.

    Raises UnknownView, JournalDamaged, JournalTooNew.
    """
    from projections.read_models import ReadModels

    models = ReadModels() if names is None else ReadModels(names)
    catch_up(models, journal)
    return models.frames()


def query(journal: Journal, sql: str) -> polars.DataFrame:
    """The answer to one SELECT over the views. Only the views that it names are made, of the events that they need.

    Raises BadQuery before anything is read, or after for a value of the wrong kind; JournalDamaged, JournalTooNew.
    """
    from projections import sql as answering

    def made(names: Sequence[str]) -> Mapping[str, polars.DataFrame]:
        return frames(journal, names)

    return answering.query(sql, made)


def catch_up(models: ReadModels, journal: Journal) -> int:
    """Read everything recorded since ``models`` last read; return how many events that were. Never waits for more.

    Each run is one stream and holds whole epochs only, so reading run by run misses nothing and reads nothing twice,
    whatever others append meanwhile. Events that no view wants are not decoded, nor is their checksum looked at.
    Raises OutOfStep for read models of another journal, JournalDamaged, JournalTooNew.
    """
    from projections.read_models import collector_paused

    runs = [run_id for run_id in journal.runs() if not is_evolution(journal, run_id)]
    strange = next((run_id for run_id in models.positions if run_id not in set(runs)), None)
    if strange is not None:
        raise OutOfStep(f"the read models hold run {strange} but {journal.name} does not; they are of another journal")
    topics = frozenset(topic for kind in models.wanted for topic in journal.codec.topics(kind))
    with collector_paused():
        return sum(_catch_up_run(models, journal, run_id, topics) for run_id in runs)


def _catch_up_run(models: ReadModels, journal: Journal, run_id: str, topics: frozenset[str]) -> int:
    head = journal.head(run_id)
    position, end = models.position(run_id), head.position if head else 0
    if position > end:
        raise OutOfStep(
            f"the read models hold run {run_id} up to position {position} but {journal.name} up to {end}; "
            "they are of another journal"
        )
    new = 0
    for after in range(position, end, SLICE):
        upto = min(after + SLICE, end)
        rows = journal.raw(run_id, after, upto)
        new += models.read(run_id, after, upto, _events(journal, run_id, _whole(run_id, rows, after, upto), topics))
    return new


def _whole(run_id: str, rows: Sequence[Row], after: int, upto: int) -> Sequence[Row]:
    """The rows, if none is missing. Raises JournalDamaged."""
    places = [row.position for row in rows]
    if places != list(range(after + 1, upto + 1)):
        missing = next((place for place in range(after + 1, upto + 1) if place not in set(places)), after + 1)
        raise JournalDamaged(run_id, Damage(missing, missing, "positions have no gaps", "the event is missing"))
    return rows


def _events(
    journal: Journal, run_id: str, rows: Iterable[Row], topics: frozenset[str]
) -> Iterator[tuple[int, DomainEvent]]:
    """Positions and events under ``topics``. Raises JournalDamaged, JournalTooNew."""
    open_, blobs = journal.codec.open, journal.blobs(run_id)
    for row in rows:
        if row.topic in topics:
            event = open_(row, row.position, blobs)
            if isinstance(event, Damage):
                raise JournalDamaged(run_id, event)
            yield row.position, event
