"""Orders to a run that is being recorded: to pause its growth, and to go on. They wait beside the run in its journal.

Anyone who can open the journal may give one, from any process; the run obeys at its next boundary and records that it
did. Of several orders between two boundaries the last one counts.
"""

from __future__ import annotations

from typing import Final, final

from pydantic import Field

from domain.events import GrowthPaused, GrowthResumed, OutsideFact, RunEnded
from domain.run import RunState
from domain.values import Value
from engine.journal.errors import RunMissing
from engine.journal.journal import Journal
from scenarios.specification import BadInput

GROWTH: Final = "growth"
"""The note of a run that holds the last order given to it."""


@final
class GrowthOrder(Value):
    """Whether anything may germinate."""

    paused: bool
    by: str = Field(min_length=1, max_length=64)
    reason: str = Field(default="", max_length=400)


def give(journal: Journal, run_id: str, order: GrowthOrder) -> None:
    """Leave an order for a run that has not ended. Raises RunMissing, BadInput."""
    if journal.head(run_id) is None:
        raise RunMissing(f"there is no run {run_id!r} in {journal.name}; `regrow runs` lists those there are")
    ended = journal.last(run_id, RunEnded)
    if ended is not None:
        raise BadInput(f"run {run_id} ended {ended[1].ending.value}: there is nothing to pause or to resume")
    journal.note(run_id, GROWTH, order.model_dump_json())


def last_order(journal: Journal, run_id: str) -> GrowthOrder | None:
    """The last order given to a run, or None."""
    text = journal.notes(run_id).get(GROWTH)
    return None if text is None else GrowthOrder.model_validate_json(text)


@final
class StandingOrders:
    """Implements ``Outside``: asks the journal at each boundary what was ordered, and tells what that changes."""

    def __init__(self, journal: Journal, run_id: str) -> None:
        self._journal = journal
        self._run_id = run_id

    def at(self, epoch: int, state: RunState) -> tuple[OutsideFact, ...]:
        """A pause or its end, where the last order is not what is in force."""
        order = last_order(self._journal, self._run_id)
        if order is None or order.paused == state.paused:
            return ()
        fact = GrowthPaused if order.paused else GrowthResumed
        return (fact(epoch=epoch, by=order.by, reason=order.reason),)
