"""The divergence ledger of a recorded run, for a policy by name."""

from __future__ import annotations

from collections.abc import Sequence

from domain.events import DomainEvent
from domain.header import RunHeader
from engine.controllers import PolicyFailed
from engine.courses import headers_of
from engine.ledger import Ledger, entries_of
from scenarios import composition
from scenarios.runs.amending import amended
from scenarios.specification import BadInput


def of_run(run_id: str, events: Sequence[DomainEvent], tamiyo: str) -> Ledger:
    """Ask the policy ``tamiyo`` at every boundary of ``events``, under the settings that were in force there.

    Raises BadInput for a policy that does not exist or cannot bear the recording.
    """
    headers = headers_of(events)
    policy, reference = composition.tamiyo(tamiyo)
    architect, _ = composition.karn(headers[-1].karn.name)
    asked = [(header, amended(header, tamiyo=tamiyo, karn=header.karn.name)) for header in headers]

    def under(in_force: RunHeader) -> RunHeader:
        return next(own for header, own in asked if header is in_force or header == in_force)

    try:
        entries = entries_of(events, policy, architect, under)
    except PolicyFailed as failure:
        raise BadInput(f"--tamiyo {tamiyo}: {failure}") from failure
    return Ledger(
        run=run_id,
        tamiyo=reference.name,
        recorded_tamiyo=headers[-1].tamiyo.name,
        epochs=events[-1].epoch,
        entries=entries,
    )
