"""The views kept together, in step with a journal: every event read exactly once, positions saved with the rows."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, Self, final

import polars

from domain.events import DomainEvent, EvolutionStarted
from projections import saving
from projections.errors import OutOfStep, UnknownView, ViewsUnreadable
from projections.view import Case, Schema, View
from projections.views import VIEWS, chosen

SETTLE_EVENTS: Final = 8_192
"""Events read between two looks at whether rows should become a chunk."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection while much is read: folding makes no cycles, and looking for some took a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Recorded(Protocol):
    """An event with its place, as a journal's ``follow`` yields it."""

    @property
    def notification(self) -> int:
        """Place among all events of the journal, ever growing."""
        ...

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def position(self) -> int:
        """Place in the run, counted from 1."""
        ...

    @property
    def event(self) -> DomainEvent:
        """What happened."""
        ...


@final
class ReadModels:
    """Views over a journal. Each run is one stream, so a position for each run says what was read of it."""

    def __init__(self, names: Iterable[str] = tuple(VIEWS)) -> None:
        self.names: Final = chosen(names)
        """The views, in the order of ``VIEWS``."""
        self._positions: dict[str, int] = {}
        self._notification = 0
        self._evolutions: set[str] = set()
        self._views: Final[dict[str, View]] = {name: VIEWS[name]() for name in self.names}
        self._cases: Final = _together(self._views.values())
        self._reading: str | None = None

    @property
    def positions(self) -> Mapping[str, int]:
        """How far each run was read: the position of the last event that is in the views."""
        return self._positions

    @property
    def notification(self) -> int:
        """Where to follow the journal from: everything up to here is in the views, and maybe more of some runs."""
        return self._notification

    @property
    def wanted(self) -> tuple[type[DomainEvent], ...]:
        """The types of event that the views read. The others may be left out of ``read``."""
        return tuple(self._cases)

    def position(self, run_id: str) -> int:
        """How far a run was read, 0 for one that never was."""
        return self._positions.get(run_id, 0)

    def follow(self, source: Iterable[Recorded]) -> int:
        """Read events in the order of recording, from ``notification`` on; return how many were new.

        What was read before adds nothing. Raises OutOfStep at a gap in a run.
        """
        new = 0
        for recorded in source:
            new += self.add(recorded)
        return new

    def add(self, recorded: Recorded) -> bool:
        """Read one event; False if it was read before, or is no run's but an evolution's.

        Raises OutOfStep if the one before it was not read.
        """
        if isinstance(recorded.event, EvolutionStarted):
            self._evolutions.add(recorded.run_id)
        if recorded.run_id in self._evolutions:
            self._notification = max(self._notification, recorded.notification)
            return False
        position = recorded.position
        is_new = self.read(recorded.run_id, position - 1, position, ((position, recorded.event),))
        self._notification = max(self._notification, recorded.notification)
        return bool(is_new)

    def extend(self, run_id: str, after: int, events: Iterable[DomainEvent]) -> int:
        """Read the events of a run that follow position ``after``; return how many were new. Raises OutOfStep."""
        listed = list(events)
        return self.read(run_id, after, after + len(listed), enumerate(listed, start=after + 1))

    def read(self, run_id: str, after: int, upto: int, events: Iterable[tuple[int, DomainEvent]]) -> int:
        """Read the ``wanted`` events of a run with ``after`` < position <= ``upto``, in order, with their positions.

        Events that no view wants may be missing. What was read before adds nothing; returns how many positions are
        new. Raises OutOfStep if something before them was not read.
        """
        known = self._in_step(run_id, after)
        if upto <= known:
            return 0
        cases = self._cases
        self._reading = run_id
        for count, (position, event) in enumerate(events, start=1):
            if position > known:
                for case in cases.get(type(event), ()):
                    case(run_id, position, event)
            if count % SETTLE_EVENTS == 0:
                self._settle()
        self._positions[run_id] = upto
        self._settle()
        self._reading = None
        return upto - known

    def _in_step(self, run_id: str, after: int) -> int:
        """The position that the run stands at, if events after ``after`` may follow."""
        known = self._positions.get(run_id, 0)
        if self._reading is not None:
            raise OutOfStep(
                f"reading run {self._reading} was interrupted, so its rows are in part those of later events; "
                "load the read models again or begin anew"
            )
        if after > known:
            raise OutOfStep(
                f"run {run_id} was read up to position {known} but the next event is at {after + 1}; read on from {known}"
            )
        return known

    def _settle(self) -> None:
        for view in self._views.values():
            view.store.settle()

    def frame(self, name: str) -> polars.DataFrame:
        """A view's rows, by run and position. Raises UnknownView."""
        if name not in self._views:
            chosen([name])
            raise UnknownView(f"view {name} is not among those that are kept: {', '.join(self.names)}")
        assert self._reading is None, "a view is looked at between events, not in the midst of one"
        return self._views[name].store.frame()

    def frames(self) -> dict[str, polars.DataFrame]:
        """Every view's rows, by name."""
        return {name: self.frame(name) for name in self.names}

    def save(self, folder: Path) -> None:
        """Save rows and positions together, as Parquet and JSON; whole or not at all, whenever it is killed.

        For one writer at a time. Raises OSError.
        """
        frames = self.frames()
        views = {
            name: {
                "columns": columns(view.SCHEMA),
                "open": [[list(key), row] for key, row in view.store.open.items()],
                "memory": view.memory(),
            }
            for name, view in self._views.items()
        }
        read = {
            "positions": self._positions,
            "notification": self._notification,
            "evolutions": sorted(self._evolutions),
        }
        saving.save(folder, frames, {**read, "views": views})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Go on from what was saved. Raises ViewsUnreadable; then delete the folder and read the journal again."""
        saved, frames = saving.load(folder)
        unknown = [name for name in saved["views"] if name not in VIEWS]
        changed = [
            name
            for name, view in saved["views"].items()
            if name not in unknown and view["columns"] != columns(VIEWS[name].SCHEMA)
        ]
        if unknown or changed:
            raise ViewsUnreadable(
                f"{folder} holds view {(unknown or changed)[0]} of another version; delete it and read the journal again"
            )
        found = cls(saved["views"])
        found._positions = saved["positions"]
        found._notification = saved["notification"]
        found._evolutions = set(saved.get("evolutions", ()))
        for name, view in found._views.items():
            opened = {tuple(key): row for key, row in saved["views"][name]["open"]}
            view.store.restore(frames[name], opened)
            view.remember(saved["views"][name]["memory"])
        return found


def columns(schema: Schema) -> dict[str, str]:
    """Each column's type by name, such as ``Int64``."""
    return {name: str(column.dtype()) for name, column in schema.items()}


def _together(views: Iterable[View]) -> dict[type[DomainEvent], tuple[Case, ...]]:
    """What all views do on each type of event."""
    cases: dict[type[DomainEvent], Any] = {}
    for view in views:
        for kind, case in view.cases.items():
            cases[kind] = (*cases.get(kind, ()), case)
    return cases
