"""How events of older versions become events of today's. Stored events are never edited; they are read through these.

To change an event: raise its ``VERSION`` in ``domain/events/`` and add the step from the version before here, a pure
function from the old fields to the new ones. A test fails until every version from 1 has its step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.journal.errors import JournalTooNew

Fields = dict[str, Any]
"""An event as plain JSON. Not-a-number and the infinities are the strings "NaN", "Infinity" and "-Infinity"."""

Step = Callable[[Fields], Fields]
"""From the fields of one version to the fields of the next; pure."""

Upcasts = Mapping[str, Mapping[int, Step]]
"""Topic to the version that a step starts from to the step."""


def _as_it_is(fields: Fields) -> Fields:
    """The next version only added fields, whose defaults say what was true before there were any."""
    return fields


UPCASTS: Final[Upcasts] = {
    "run-started": {1: _as_it_is},  # 2: dropout, batches between boundaries, other trainers than the live one
    "decision-made": {1: _as_it_is},  # 2: the policy's hash, legal actions, odds
    "blueprint-proposed": {1: _as_it_is},  # 2: parent, mutation, novelty, what was weighed
}


def upcast(fields: Fields, *, topic: str, stored: int, current: int, upcasts: Upcasts) -> Fields:
    """Walk ``fields`` of version ``stored`` up to version ``current``, one step a version.

    Raises JournalTooNew if ``stored`` is above ``current``, LookupError if a step is missing (our bug).
    """
    if stored > current:
        raise JournalTooNew(
            f"event {topic!r} has version {stored} but this regrow knows versions up to {current}; use a newer regrow"
        )
    steps = upcasts.get(topic, {})
    for version in range(stored, current):
        if version not in steps:
            raise LookupError(
                f"event {topic!r} has no step from version {version}; add it to engine/journal/upcasts.py"
            )
        fields = steps[version](fields)
    return fields
