"""How far a consumer is in each stream, moved together with the effect of the message that moved it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol, Self, final


class Positions(Protocol):
    """Numbers of the last messages that had their effect, by stream."""

    def knows(self, stream: str) -> bool:
        """Whether anything of ``stream`` was ever dealt with."""
        ...

    def position(self, stream: str) -> int:
        """The number of its last message that had its effect; 0 before the first."""
        ...

    def advance(self, stream: str, position: int, effect: Callable[[], None]) -> None:
        """Have the effect and remember the position: both, or, if ``effect`` raises or the process dies, neither."""
        ...


@final
class PositionsInMemory:
    """For effects that are in memory too: both are gone with the process, which begins again at the oldest kept."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}

    def knows(self, stream: str) -> bool:
        """Whether anything of ``stream`` was ever dealt with."""
        return stream in self._positions

    def position(self, stream: str) -> int:
        """The number of its last message that had its effect; 0 before the first."""
        return self._positions.get(stream, 0)

    def advance(self, stream: str, position: int, effect: Callable[[], None]) -> None:
        """Have the effect, then remember the position."""
        effect()
        self._positions[stream] = position


@final
class PositionsInAFile:
    """For effects that outlive the process: what they write through ``execute`` is kept with the position, or not at all.

    An SQLite file of its own. For one thread.
    """

    def __init__(self, path: Path) -> None:
        import sqlite3

        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self.execute("CREATE TABLE IF NOT EXISTS positions (stream TEXT PRIMARY KEY, position INTEGER NOT NULL)")

    def knows(self, stream: str) -> bool:
        """Whether anything of ``stream`` was ever dealt with."""
        return bool(self.execute("SELECT 1 FROM positions WHERE stream = ?", stream))

    def position(self, stream: str) -> int:
        """The number of its last message that had its effect; 0 before the first."""
        found = self.execute("SELECT position FROM positions WHERE stream = ?", stream)
        return int(str(found[0][0])) if found else 0

    def advance(self, stream: str, position: int, effect: Callable[[], None]) -> None:
        """Have the effect and remember the position in one transaction."""
        self.execute("BEGIN IMMEDIATE")
        try:
            effect()
            self.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", stream, position)
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def execute(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run SQL on the file: within an effect, as part of it."""
        with closing(self._database.execute(statement, parameters)) as cursor:
            return cursor.fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._database.close()
