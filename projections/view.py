"""What a view is: a fold of events into rows, and the table that its rows go into.

To add a view: a file here with a final class that satisfies ``View``, a line in ``projections/views.py``, and
``python -m projections.describe`` for the table in the README. A view decides nothing and refuses nothing: it is given
what was recorded, in order, each event once (``ReadModels`` sees to that).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, final

import polars
from polars.datatypes import DataTypeClass

from domain.events import DomainEvent

FLUSH_ROWS: Final = 65_536
"""Rows that are kept as Python values before they become a chunk of a frame."""

Case = Callable[[str, int, Any], None]
"""What a view does on one kind of event: run, position, event."""

Cases = Mapping[type[DomainEvent], Case]

Key = tuple[str | int, ...]
"""Names an open row; its first member is the run."""

Row = dict[str, Any]
"""A row that may still change: column to value, in the order of the schema. Text, whole numbers, floats, bools, None."""


@final
@dataclass(frozen=True, slots=True)
class Described:
    """A column: its type, and a sentence with unit and range."""

    dtype: DataTypeClass
    sentence: str


Schema = Mapping[str, Described]
"""The columns of a view, in order. No column is nested, so that every format can hold every view."""


def text(sentence: str) -> Described:
    """A column of text."""
    return Described(polars.String, sentence)


def integer(sentence: str) -> Described:
    """A column of whole numbers."""
    return Described(polars.Int64, sentence)


def real(sentence: str) -> Described:
    """A column of floats; NaN is what was measured as NaN, null is what was not measured."""
    return Described(polars.Float64, sentence)


def flag(sentence: str) -> Described:
    """A column of truth values."""
    return Described(polars.Boolean, sentence)


RUN: Final = text("The run's id.")
EPOCH: Final = integer("Epoch at whose end it happened, from 0 (the planting).")
LAYER: Final = integer("Layer of the seed, from 0.")
SEED: Final = integer("Place of the seed in its layer, from 0.")
ATTEMPT: Final = integer("Which germination of this seed, from 1.")


def blank(schema: Schema) -> Row:
    """A row of nulls."""
    return dict.fromkeys(schema)


class Store(Protocol):
    """Where the rows of a view are."""

    open: dict[Key, Row]
    """The rows that may still change."""

    def settle(self) -> None:
        """Make what has piled up into a chunk, if it is enough for one."""
        ...

    def frame(self) -> polars.DataFrame:
        """Every row, by run and position."""
        ...

    def restore(self, frame: polars.DataFrame, opened: Mapping[Key, Row]) -> None:
        """Go on from a saved ``frame`` with the rows ``opened`` at that time."""
        ...


class View(Protocol):
    """A fold of events into rows. Made without arguments, it is where every fold begins."""

    NAME: ClassVar[str]
    """What SQL calls it."""
    SCHEMA: ClassVar[Schema]

    @property
    def store(self) -> Store:
        """Its rows."""
        ...

    @property
    def cases(self) -> Cases:
        """The events that it reads, and what it does on each."""
        ...

    def memory(self) -> Any:
        """What it has to remember beside its rows, as JSON; None if nothing."""
        ...

    def remember(self, memory: Any) -> None:
        """Go on with what ``memory`` gave."""
        ...


@final
class Table:
    """Rows of a view: finished ones, which never change again, and open ones."""

    def __init__(self, schema: Schema, *, shows_open: bool = True) -> None:
        self.finished: Final[list[Sequence[Any]]] = []
        """Finished rows that are in no chunk yet, values in the order of the schema. Append to it."""
        self.open: dict[Key, Row] = {}
        self._schema: Final = {name: column.dtype for name, column in schema.items()}
        self._shows_open: Final = shows_open
        self._chunks: list[polars.DataFrame] = []

    def finish(self, key: Key) -> None:
        """The open row ``key`` will not change again."""
        self.finished.append(tuple(self.open.pop(key).values()))

    def settle(self) -> None:
        """Make the finished rows into a chunk, if they are enough for one."""
        if len(self.finished) >= FLUSH_ROWS:
            self._flush()

    def frame(self) -> polars.DataFrame:
        """Every row, by run and position."""
        self._flush()
        shown = [tuple(row.values()) for row in self.open.values()] if self._shows_open else []
        return ordered(polars.concat([*self._chunks, self._chunk(shown)], rechunk=False))

    def restore(self, frame: polars.DataFrame, opened: Mapping[Key, Row]) -> None:
        """Go on from a saved ``frame`` with the rows ``opened`` at that time."""
        self.open = dict(opened)
        if self._shows_open and opened:
            places = polars.DataFrame(
                [(row["run"], row["position"]) for row in opened.values()],
                schema={"run": polars.String, "position": polars.Int64},
                orient="row",
            )
            frame = frame.join(places, on=("run", "position"), how="anti", maintain_order="left")
        self._chunks = [frame]

    def _flush(self) -> None:
        self._chunks.append(self._chunk(self.finished))
        self.finished.clear()

    def _chunk(self, rows: Sequence[Sequence[Any]]) -> polars.DataFrame:
        """Row by row to column by column: several times as fast as polars would do it."""
        columns = zip(*rows, strict=True) if rows else [()] * len(self._schema)
        return polars.DataFrame(
            [
                polars.Series(name, values, dtype=dtype)
                for (name, dtype), values in zip(self._schema.items(), columns, strict=True)
            ]
        )


def ordered(frame: polars.DataFrame) -> polars.DataFrame:
    """The rows by run and position. They mostly are already, and looking costs a tenth of sorting."""
    run, position = polars.col("run"), polars.col("position")
    same = run == run.shift()
    follows = (run > run.shift()) | (same & (position >= position.shift()))
    if frame.select(follows.all()).item():  # the first row has none before it: null counts as true
        return frame
    return frame.sort("run", "position", maintain_order=True)
