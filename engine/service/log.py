"""Structured logs of a process: a line of JSON for each decision, rejection, transition, recovery, with its reason.

The clock in it belongs to the log alone; no run and no digest knows it.
"""

from __future__ import annotations

from typing import Any, Protocol, TextIO, final


class Log(Protocol):
    """What the parts of a process write to."""

    def say(self, event: str, **fields: Any) -> None:
        """A line: what happened, as ``component.event``, and everything that explains it."""
        ...


@final
class Silence:
    """A log that nobody reads."""

    def say(self, event: str, **fields: Any) -> None:
        """Nothing."""
        del event, fields


@final
class JsonLines:
    """A log of JSON objects, one a line, each with the time that it was written and what ``bound`` says of all of them.

    Where it cannot be written, because a disk is full or its reader has gone, whoever logs goes on without it.
    """

    def __init__(self, stream: TextIO, **bound: Any) -> None:
        import structlog  # lazily: only a process that logs needs it

        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
            wrapper_class=structlog.BoundLogger,
        ).bind(**bound)
        self._lost = 0
        """Lines that could not be written since the last one that could."""

    def say(self, event: str, **fields: Any) -> None:
        """One line, at once; the first after a gap says how many lines are missing before it."""
        missing = {"lines_missing": self._lost} if self._lost else {}
        try:
            self._logger.info(event, **fields, **missing)
        except OSError:
            self._lost += 1
        else:
            self._lost = 0
