"""Rebuilding a recorded run at any epoch, decoding no more of it than changes its state."""

from __future__ import annotations

from typing import Final

from domain.events import (
    CommandRefused,
    DecisionDiverged,
    DecisionMade,
    DecisionVetoed,
    EpochSealed,
    LayerHealthReported,
    SeedGerminated,
    TestScored,
)
from domain.run import RunState, evolve
from engine.journal.journal import Journal

SILENT: Final = (EpochSealed, DecisionDiverged, DecisionVetoed, CommandRefused, TestScored)
"""Events that change no state."""
QUIET_ENDING: Final = b'"progress":[]}}'
"""How a report ends in whose layer no blueprint is measured: the field is its last."""


GERMINATES: Final = b'"kind":"germinate"'
"""What a stored decision holds that a reward will be worked out of; no other decision changes anything."""


def state_at(journal: Journal, run_id: str, position: int) -> RunState:
    """What the run folds into at ``position``. Raises JournalDamaged, JournalTooNew."""
    silent = {journal.codec.topic(event) for event in SILENT}
    report = journal.codec.topic(LayerHealthReported)
    decision = journal.codec.topic(DecisionMade)
    state = RunState()
    waiting: dict[int, bytes] = {}
    """The last report of each layer, where it was left out: rewards read it at a germination and at the end."""

    def changes_state(topic: str, body: bytes) -> bool:
        if topic == report:
            if not body.endswith(QUIET_ENDING):
                return True
            layer = _layer(body)
            waiting[layer] = body
            # A report on nothing changes something only where the layer's report before it was on something.
            return bool(state.progress) and layer in {name.layer for name in state.progress}
        if topic == decision:
            return GERMINATES in body
        return topic not in silent

    def caught_up(state: RunState) -> RunState:
        for layer in sorted(waiting):
            state = evolve(state, journal.codec.decode(report, waiting.pop(layer)))
        return state

    for event in journal.select(run_id, changes_state, position):
        if isinstance(event, LayerHealthReported):
            waiting.pop(event.report.layer, None)
        elif isinstance(event, SeedGerminated):
            state = caught_up(state)
        state = evolve(state, event)
    return caught_up(state)


def _layer(report: bytes) -> int:
    """The layer that the body of a stored report is about: the report's first field."""
    start = report.index(b'"layer":') + len(b'"layer":')
    return int(report[start : report.index(b",", start)])
