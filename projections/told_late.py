"""A table whose open rows are worked out only when somebody looks: for figures that are dear and seldom asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, final

import polars

from projections.view import Key, Row, Schema, Table


@final
class ToldLate:
    """A ``Table`` whose rows ``tell`` brings up to date, when they are finished or looked at."""

    def __init__(self, schema: Schema, tell: Callable[[Key, Row], None]) -> None:
        self._table: Final = Table(schema)
        self._tell: Final = tell
        self._stale: dict[Key, None] = {}
        self.open: dict[Key, Row] = self._table.open

    def stale(self, key: Key) -> None:
        """The open row ``key`` is not what it should be any more."""
        self._stale[key] = None

    def finish(self, key: Key) -> None:
        """The open row ``key`` will not change again."""
        if key in self._stale:
            del self._stale[key]
            self._tell(key, self.open[key])
        self._table.finish(key)

    def settle(self) -> None:
        """Make the finished rows into a chunk, if they are enough for one."""
        self._table.settle()

    def frame(self) -> polars.DataFrame:
        """Every row as it should be, by run and position."""
        for key in self._stale:
            self._tell(key, self.open[key])
        self._stale.clear()
        return self._table.frame()

    def restore(self, frame: polars.DataFrame, opened: Mapping[Key, Row]) -> None:
        """Go on from a saved ``frame`` with the rows ``opened`` at that time."""
        self._table.restore(frame, opened)
        self.open = self._table.open
